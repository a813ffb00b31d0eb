"""Start a model child, before or while there is an event loop."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

SCRATCH = "sopan-child-"
"""How a child's folder for temporary files is called."""

MEMORY = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(256 << 10),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
}
"""How glibc holds a child's memory: large pieces go back to the system, not into arenas full of holes."""


class StartedChild(NamedTuple):
    """A child process, the door's end of its socket, and its folder for temporary files, if it has one."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    scratch: Path | None = None


def start_child(folder: str, language_model: str | None) -> StartedChild:
    """Start a model child, which begins to load at once."""
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
