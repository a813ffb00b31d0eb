"""Run the server: start the child first, then bring up the door, and drain when told to stop."""

from __future__ import annotations

import asyncio
import gc
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from sopan.errors import ConfigError, SopanError, needs_extra
from sopan.options.classify import ServeOptions
from sopan.serve.launching import StartedChild, start_child
from sopan.serve.supervisor import DRAIN, LoadError

if TYPE_CHECKING:  # FastAPI is imported when the child has been started
    from sopan.serve.app import Parts

BACKLOG = 2048
FILES = 65_536
"""Sockets that may be open, where the system allows it: half-open ones cost one each, and refuse nobody."""
GRACE = 2
"""Seconds that connections have to close after all was answered."""


def serve(options: ServeOptions, start: Callable[[str, str | None], StartedChild] = start_child) -> None:
    """Serve until told to stop.

    Args:
        options: what, where and how; the language model `none` is none.
        start: starts a model child, given the folder and the language model.

    Raises:
        MissingExtraError: the extra `serve` is not installed.
        SopanError: the folder cannot be served, the address is taken, or a token is missing.
    """
    if sys.platform == "win32":
        raise ConfigError("sopan serve hands a socket to its model process, which Windows cannot do")
    with needs_extra("serve", "sopan serve"):
        from sopan.serve.security import is_loopback  # noqa: PLC0415

    if not is_loopback(options.host) and not options.token:
        raise ConfigError(
            "whoever reaches this machine could present and reload",
            next_step="choose a token: --token, or SOPAN_SERVE_TOKEN",
        )
    listening = _listen(options.host, options.port)

    another = partial(
        start, str(options.target), None if options.language_model == "none" else options.language_model
    )
    first = another()  # loads while FastAPI is imported here
    _raise_file_limit()
    try:
        asyncio.run(_serve(options, listening, another, first))
    finally:
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen at {host}:{port} ({error.strerror or error})", next_step="choose another --port"
        ) from error
    return listening


def _raise_file_limit() -> None:
    import resource  # noqa: PLC0415  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(
    options: ServeOptions, listening: socket.socket, start: Callable[[], StartedChild], first: StartedChild
) -> None:
    import uvicorn  # noqa: PLC0415

    from sopan.serve.app import make_app, make_parts  # noqa: PLC0415
    from sopan.serve.header_timeout import PunctualProtocol  # noqa: PLC0415
    from sopan.serve.security import allowed_hosts  # noqa: PLC0415

    parts = make_parts(start, first)
    port = listening.getsockname()[1]
    token = options.token or secrets.token_urlsafe(16)
    app = make_app(parts, allowed_hosts(options.host, port, options.allow_host), token)
    gc.collect()
    gc.freeze()  # what was imported stays: the collector need not look at it again

    class Server(uvicorn.Server):
        """One that drains before it stops."""

        draining: asyncio.Task[None] | None = None

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if self.draining is None and sig in (signal.SIGTERM, signal.SIGINT):
                loop.call_soon_threadsafe(self.drain)
            else:
                super().handle_exit(sig, frame)

        def drain(self) -> None:
            if self.draining is None:
                self.draining = asyncio.ensure_future(self._drain())

        async def _drain(self) -> None:
            parts.client.draining = True
            until = time.monotonic() + DRAIN
            while parts.client.dispatcher.waiting and time.monotonic() < until:
                await asyncio.sleep(0.02)
            parts.room.close()
            self.should_exit = True

    loop = asyncio.get_running_loop()
    server = Server(
        uvicorn.Config(
            app,
            http=PunctualProtocol,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE,
            backlog=BACKLOG,
        )
    )
    say(f"http://{_shown(options.host)}:{port}")
    if options.token is None:
        say(f"token for presenting: {token}")
    running = asyncio.ensure_future(server.serve(sockets=[listening]))
    failed = asyncio.ensure_future(_failure(parts))
    ready = asyncio.ensure_future(_tell_ready(parts))
    await asyncio.wait({running, failed}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if failed.done():
        server.should_exit = True
        await running
        raise failed.result()
    failed.cancel()
    await running


async def _failure(parts: Parts) -> SopanError:
    """Wait for the first child to fail; return why."""
    error: SopanError = await asyncio.shield(parts.supervisor.failed)
    if isinstance(error, LoadError):
        error.exit_code = error.code  # type: ignore[misc]  # of this one error
    return error


async def _tell_ready(parts: Parts) -> None:
    await parts.supervisor.wait_ready()
    say("ready")


def _shown(host: str) -> str:
    if host in ("0.0.0.0", "::", ""):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def say(line: str) -> None:
    """Tell the one who started the server."""
    print(f"sopan: {line}", file=sys.stderr, flush=True)
