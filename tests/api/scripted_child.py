"""A model child whose answers take as long as the text says: for tests of the server, its queue, its end.

`wait 0.5` answers after half a second, `die` kills the process, `grow` takes 600 MB, anything else at once.
`scripted_server` serves with such children.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from sopan.serve.channel import Batch, StartedChild
from sopan.serve.child import Connection, resident
from sopan.usecases.served import Question

STEP = {
    "step": "bow",
    "adds": "",
    "lacks": "",
    "hash": "0" * 16,
    "has": [],
    "labels": ["a", "b"],
    "folder": ".",
}
ABOUT = {
    "model": "feed",
    "name": "scripted",
    "kind": "model",
    "labels": ["a", "b"],
    "steps": [STEP],
    "language_model": None,
}
KEPT: list[bytes] = []


def start(folder: str, language_model: str | None) -> StartedChild:
    """Start one, as `start_child` does; a folder named `broken` cannot be loaded."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, __file__, str(theirs.fileno()), folder]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
    theirs.close()
    ours.setblocking(False)
    return StartedChild(process, ours)


def answer(question: Question) -> dict:
    texts = question.arguments.get("texts", [""])
    verb, _, rest = texts[0].partition(" ")
    if verb == "wait":
        time.sleep(float(rest.split()[0]))
    elif verb == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif verb == "grow":
        KEPT.append(os.urandom(1 << 20) * 600)
    said = {
        **{"step": "bow", "label": "a", "confidence": 1.0, "probabilities": {"a": 1.0, "b": 0.0}},
        **{"truncated": False, "no_known_words": False},
    }
    return {"model": ABOUT["model"], "results": [{"steps": [said]} for _ in texts]}


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.setblocking(True)
    server, batches = Connection(connection), queue.Queue[Batch]()
    for task in (server.beat, lambda: server.receive(batches)):
        threading.Thread(target=task, daemon=True).start()
    if Path(sys.argv[2], "broken").exists():
        server.send({"type": "failed", "error": "the folder is broken", "exit_code": 2})
        time.sleep(5)
        return
    server.send({"type": "ready", "about": ABOUT, "rss": resident()})
    while True:
        number, questions = batches.get()
        texts = [json.dumps(answer(question)).encode() for question in questions]
        items = [(200, len(text)) for text in texts]
        server.send({"type": "answers", "batch": number, "items": items}, b"".join(texts))


if __name__ == "__main__":
    main()
