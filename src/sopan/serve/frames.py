"""What door and child say to each other: frames of JSON, over one socket.

    4 bytes  length of the header     4 bytes  length of the body     header: a JSON object     body: bytes

A batch's answers are JSON texts one after the other in the body, whose sizes stand in the header: the door
passes them on without reading them.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any, NamedTuple

LENGTHS = struct.Struct(">II")
LARGEST = 256 << 20
"""Bytes of a frame, at most: one that says more is damaged."""


class Frame(NamedTuple):
    """One message: a JSON object, and bytes that go with it."""

    header: dict[str, Any]
    body: bytes = b""


class BrokenFrameError(ValueError):
    """What came is no frame."""


def pack(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    header = json.dumps(frame.header, ensure_ascii=False, allow_nan=False).encode()
    return LENGTHS.pack(len(header), len(frame.body)) + header + frame.body


def receive(connection: socket.socket) -> Frame | None:
    """Read the next frame, or None where the other side has gone."""
    lengths = _exactly(connection, LENGTHS.size)
    if lengths is None:
        return None
    n_header, n_body = _sizes(lengths)
    content = _exactly(connection, n_header + n_body)
    return None if content is None else Frame(json.loads(content[:n_header]), content[n_header:])


async def read(stream: asyncio.StreamReader) -> Frame:
    """Read the next frame.

    Raises:
        EOFError: the other side has gone.
        BrokenFrameError: what came is no frame.
    """
    n_header, n_body = _sizes(await stream.readexactly(LENGTHS.size))
    content = await stream.readexactly(n_header + n_body)
    return Frame(json.loads(content[:n_header]), content[n_header:])


def _sizes(lengths: bytes) -> tuple[int, int]:
    n_header, n_body = LENGTHS.unpack(lengths)
    if n_header + n_body > LARGEST:
        raise BrokenFrameError(f"a frame of {n_header + n_body:,} bytes")
    return n_header, n_body


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts, missing = [], size
    while missing:
        part = connection.recv(min(missing, 1 << 20))
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
