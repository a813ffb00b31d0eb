"""The model child: loads what is served, then answers one batch after the other until the door goes.

    python -m sopan.serve.child DESCRIPTOR FOLDER [LANGUAGE_MODEL]

Three threads: one reads what the door sends, one tells it twice a second that the process lives and how large
it is, and the main one computes. When the door goes, however it went, the socket ends, and so does this.
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
from typing import Any, NoReturn

import psutil

from sopan.errors import SopanError
from sopan.serve.frames import Frame, pack, receive
from sopan.serve.launching import SCRATCH

BEAT = 0.5
"""Seconds between two heartbeats."""


class Line:
    """The child's end of the socket; several threads may speak."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def say(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame; where the door has gone, go too."""
        with self._lock:
            try:
                self._connection.sendall(pack(Frame(header, body)))
            except OSError:
                leave()

    def listen(self, questions: queue.Queue[Frame]) -> None:
        """Pass on what the door sends; when it has gone, go too, whatever is being computed."""
        while True:
            try:
                frame = receive(self._connection)
            except OSError:
                frame = None
            if frame is None:
                leave()
            questions.put(frame)

    def beat(self) -> None:
        """Say again and again that the process lives."""
        while True:
            self.say({"type": "beat", "rss": resident()})
            time.sleep(BEAT)


def leave() -> NoReturn:
    """End the process whatever it computes, and its folder for temporary files: the door has gone."""
    scratch = Path(os.environ.get("TMPDIR", ""))
    if scratch.name.startswith(SCRATCH):
        shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


def work(line: Line, folder: str, language_model: str | None) -> None:
    """Load, say so, and answer for as long as there is a door."""
    questions: queue.Queue[Frame] = queue.Queue()
    for task in (line.beat, lambda: line.listen(questions)):
        threading.Thread(target=task, daemon=True).start()
    from sopan import usecases  # noqa: PLC0415  # after the first heartbeat

    try:
        served = usecases.ServedRun(folder, language_model)
        about = served.describe()
    except SopanError as error:
        line.say({"type": "failed", "error": str(error), "exit_code": error.exit_code})
        return
    line.say({"type": "ready", "about": about, "rss": resident()})
    chores: Iterator[None] | None = served.settle()
    while True:
        while chores is not None and questions.empty():
            if next(chores, "done"):
                chores = None
                line.say({"type": "settled", "rss": resident()})
        asked = questions.get().header
        answers = served.answer(asked["questions"])
        texts = [
            json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
            for answer in answers
        ]
        items = [
            {"status": answer.get("status", 200), "bytes": len(text)}
            for answer, text in zip(answers, texts, strict=True)
        ]
        line.say({"type": "answers", "batch": asked["batch"], "items": items}, b"".join(texts))


def main() -> None:
    """Take up the socket that the door left open, and work."""
    descriptor, folder, *rest = sys.argv[1:]
    connection = socket.socket(fileno=int(descriptor))
    connection.setblocking(True)
    work(Line(connection), folder, rest[0] if rest else None)


if __name__ == "__main__":
    main()
