"""How the server and its model child are connected: the process, its socket, and the messages on it.

    4 bytes  length of the header     4 bytes  length of the body     header: a JSON object     body: bytes

A batch's answers are JSON texts one after the other in the body, whose sizes stand in the header: the server
passes them on without reading them.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeAlias, TypedDict

from sopan.usecases.served import About, Question

LENGTHS = struct.Struct(">II")
LARGEST = 256 << 20
"""Bytes of a message, at most: one that says more is damaged."""
SCRATCH = "sopan-child-"
"""How the name of a child's folder for temporary files begins."""
MEMORY = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(256 << 10),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
}
"""How glibc holds a child's memory: large pieces go back to the system, not into arenas full of holes."""


class StartedChild(NamedTuple):
    """A child process, the server's end of its socket, and its folder for temporary files, if it has one."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    scratch: Path | None = None


def start_child(folder: str, language_model: str | None) -> StartedChild:
    """Start a model child, which begins to load at once; no event loop is needed."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "sopan.serve.child", str(theirs.fileno()), folder]
    command += [] if language_model is None else [language_model]
    scratch = tempfile.mkdtemp(prefix=SCRATCH)
    process = subprocess.Popen(
        command,
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={**MEMORY, **os.environ, "TMPDIR": scratch},
    )
    theirs.close()
    ours.setblocking(False)
    return StartedChild(process, ours, Path(scratch))


# ---- messages --------------------------------------------------------------------------------------


class Batch(NamedTuple):
    """What the server sends: questions to answer together; the number comes back with the answers."""

    number: int
    questions: list[Question]


class Alive(TypedDict):
    """The child lives, or has made its networks ready for short texts; `rss`: its bytes of memory."""

    type: Literal["beat", "settled"]
    rss: int


class Ready(TypedDict):
    """The child has loaded what it serves."""

    type: Literal["ready"]
    about: About
    rss: int


class Failed(TypedDict):
    """The child cannot load what it is to serve."""

    type: Literal["failed"]
    error: str
    exit_code: int


class Answers(TypedDict):
    """The answers to a batch: of each its HTTP status and how many bytes of the body it has."""

    type: Literal["answers"]
    batch: int
    items: list[tuple[int, int]]


ChildMessage: TypeAlias = Alive | Ready | Failed | Answers


class BrokenMessageError(ValueError):
    """What came is no message."""


def pack(header: Mapping[str, object], body: bytes = b"") -> bytes:
    """Return the bytes of a message."""
    text = json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
    return LENGTHS.pack(len(text), len(body)) + text + body


def receive_batch(stream: BinaryIO) -> Batch | None:
    """Read the next batch in the child, or None where the server has gone."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    content = stream.read(size := sum(_sizes(lengths)))
    if len(content) < size:
        return None
    header = json.loads(content)
    return Batch(header["number"], [Question(*question) for question in header["questions"]])


async def read_message(stream: asyncio.StreamReader) -> tuple[ChildMessage, bytes]:
    """Read the next message of a child, and its body.

    Raises:
        EOFError: the child has gone.
        BrokenMessageError: what came is no message.
    """
    n_header, n_body = _sizes(await stream.readexactly(LENGTHS.size))
    content = await stream.readexactly(n_header + n_body)
    return json.loads(content[:n_header]), content[n_header:]


def _sizes(lengths: bytes) -> tuple[int, int]:
    n_header, n_body = LENGTHS.unpack(lengths)
    if n_header + n_body > LARGEST:
        raise BrokenMessageError(f"a message of {n_header + n_body:,} bytes")
    return n_header, n_body
