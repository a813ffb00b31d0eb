"""Start a model child, before or while there is an event loop."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import NamedTuple


class StartedChild(NamedTuple):
    """A child process and the door's end of its socket."""

    process: subprocess.Popen[bytes]
    connection: socket.socket


def start_child(folder: str, language_model: str | None) -> StartedChild:
    """Start a model child, which begins to load at once."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "sopan.serve.child", str(theirs.fileno()), folder]
    command += [] if language_model is None else [language_model]
    process = subprocess.Popen(
        command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
    )
    theirs.close()
    ours.setblocking(False)
    return StartedChild(process, ours)
