"""The model child: loads what is served, then answers one batch after the other until the server goes.

    python -m sopan.serve.child DESCRIPTOR FOLDER [LANGUAGE_MODEL]
    python -m sopan.serve.child map FOLDER PROJECTION OUT       makes one map of words instead

Three threads: one reads what the server sends, one sends twice a second that the process lives and how large
it is, and the main one computes. When the server goes, however it went, the socket ends, and so does this.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import psutil

from sopan.errors import SopanError
from sopan.serve.channel import SCRATCH, Batch, ChildMessage, pack, receive_batch

BEAT = 0.5
"""Seconds between two heartbeats."""
LOWEST = 19
"""A process' priority."""


class Connection:
    """The child's end of the socket; several threads may send."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: ChildMessage, body: bytes = b"") -> None:
        """Send a message; where the server has gone, go too."""
        with self._lock:
            try:
                self._connection.sendall(pack(message, body))
            except OSError:
                leave()

    def receive(self, batches: queue.Queue[Batch]) -> NoReturn:
        """Pass on what the server sends; when it has gone, go too, whatever is being computed."""
        stream = self._connection.makefile("rb")
        while True:
            try:
                batch = receive_batch(stream)
            except OSError:
                batch = None
            if batch is None:
                leave()
            batches.put(batch)

    def beat(self) -> NoReturn:
        """Say again and again that the process lives."""
        while True:
            self.send({"type": "beat", "rss": resident()})
            time.sleep(BEAT)


def leave() -> NoReturn:
    """End the process whatever it computes, and its folder for temporary files: the server has gone."""
    scratch = Path(os.environ.get("TMPDIR", ""))
    if scratch.name.startswith(SCRATCH):
        shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


def work(server: Connection, folder: str, language_model: str | None) -> None:
    """Load, say so, and answer for as long as there is a server."""
    batches: queue.Queue[Batch] = queue.Queue()
    for task in (server.beat, lambda: server.receive(batches)):
        threading.Thread(target=task, daemon=True).start()
    from sopan import usecases  # noqa: PLC0415  # after the first heartbeat

    try:
        served = usecases.ServedRun(folder, language_model)
        about = served.describe()
    except SopanError as error:
        server.send({"type": "failed", "error": str(error), "exit_code": error.exit_code})
        return
    server.send({"type": "ready", "about": about, "rss": resident()})
    chores: Iterator[None] | None = served.settle()
    while True:
        while chores is not None and batches.empty():
            if next(chores, "done"):
                chores = None
                server.send({"type": "settled", "rss": resident()})
        number, questions = batches.get()
        answers = [
            (status, json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())
            for status, content in served.answer(questions)
        ]
        items = [(status, len(content)) for status, content in answers]
        body = b"".join(content for _, content in answers)
        server.send({"type": "answers", "batch": number, "items": items}, body)


def make_map(folder: str, projection: str, out: str) -> None:
    """Make a map of the words of a model's folder, with the lowest priority; an error is one line."""
    from sopan import usecases  # noqa: PLC0415

    os.nice(LOWEST)
    try:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        usecases.write_word_map(folder, projection, out)
    except SopanError as error:
        sys.exit(f"sopan: {error}")


def main() -> None:
    """Take up the socket that the server left open, and work; or make a map."""
    first, folder, *rest = sys.argv[1:]
    if first == "map":
        make_map(folder, *rest)
        return
    connection = socket.socket(fileno=int(first))
    connection.setblocking(True)
    work(Connection(connection), folder, rest[0] if rest else None)


if __name__ == "__main__":
    main()
