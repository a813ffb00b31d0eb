"""Run the server: start the model child first, then the HTTP server, and drain it on a signal to stop."""

from __future__ import annotations

import asyncio
import gc
import re
import secrets
import socket
import sys
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from sopan.errors import ConfigError, SopanError, needs_extra
from sopan.options.classify import ServeOptions
from sopan.serve.channel import StartedChild, start_child

if TYPE_CHECKING:  # FastAPI is imported when the child has been started
    from sopan.serve.app import Services

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANY = ("0.0.0.0", "::", "")
FILES = 65_536
"""Sockets that may be open, where the system allows it: half-open ones cost one each, and refuse nobody."""


def serve(options: ServeOptions, start: Callable[[str, str | None], StartedChild] = start_child) -> None:
    """Serve until a signal to stop.

    Args:
        options: what, where and how; the language model `none` is none.
        start: starts a model child, given the folder and the language model.

    Raises:
        MissingExtraError: the extra `serve` is not installed.
        SopanError: the folder cannot be served, the address is taken, or a token is missing.
    """
    if sys.platform == "win32":
        raise ConfigError("sopan serve hands a socket to its model process, which Windows cannot do")
    if not is_loopback(options.host) and not options.token:
        raise ConfigError(
            "whoever reaches this machine could present and reload",
            next_step="choose a token: --token, or SOPAN_SERVE_TOKEN",
        )
    origins = allowed_origins(options.allow_origin)
    listening = _listen(options.host, options.port)
    language_model = None if options.language_model == "none" else options.language_model
    another = partial(start, str(options.target), language_model)
    first = another()  # loads while FastAPI is imported here
    _raise_file_limit()
    try:
        asyncio.run(_serve(options, origins, listening, another, first))
    finally:
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen at {host}:{port} ({error.strerror or error})", next_step="choose another --port"
        ) from error
    return listening


def is_loopback(host: str) -> bool:
    """Say whether an address to bind is this machine's own."""
    return host.strip("[]") in ("127.0.0.1", "localhost", "::1")


def allowed_hosts(host: str, port: int, more: Collection[str] = ()) -> frozenset[str]:
    """Return the Hosts that are ours, each with the port and, on port 80, without it.

    Args:
        host: the address that is bound. Bound to all, the machine's own names and addresses are ours too.
        port: the port.
        more: further names.
    """
    names = {*LOOPBACK, *more}
    if host in ANY:
        names |= _own_names()
    elif host:
        names.add(f"[{host}]" if ":" in host.strip("[]") and not host.startswith("[") else host)
    hosts = {f"{name.lower()}:{port}" for name in names} | {name.lower() for name in more if ":" in name}
    return frozenset(hosts | ({name.lower() for name in names} if port == 80 else set()))


def allowed_origins(given: Collection[str]) -> frozenset[str]:
    """Return the origins of pages elsewhere that may ask: each a scheme, a host and maybe a port.

    Raises:
        ConfigError: one is no such thing, or is `*`.
    """
    for origin in given:
        if not re.fullmatch(r"https?://(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:\d+)?", origin.lower()):
            raise ConfigError(
                f"--allow-origin {origin} is no origin",
                next_step="give each as https://example.org, without a path",
            )
    return frozenset(origin.lower() for origin in given)


def _own_names() -> set[str]:
    """Return the machine's name and the addresses that it knows itself by; nothing is sent."""
    name = socket.gethostname()
    names = {name, socket.getfqdn(name)}
    try:
        names |= {str(info[4][0]) for info in socket.getaddrinfo(name, None, socket.AF_INET)}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # chooses an interface; a datagram socket sends nothing by this
            names.add(probe.getsockname()[0])
    except OSError:
        pass  # no network: the names alone
    return names


def _raise_file_limit() -> None:
    import resource  # noqa: PLC0415  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(
    options: ServeOptions,
    origins: frozenset[str],
    listening: socket.socket,
    start: Callable[[], StartedChild],
    first: StartedChild,
) -> None:
    with needs_extra("serve", "sopan serve"):
        from sopan.serve.app import DrainingServer, Services, make_app  # noqa: PLC0415

    services = Services(start, first)
    port = listening.getsockname()[1]
    token = options.token or secrets.token_urlsafe(16)
    hosts = allowed_hosts(options.host, port, options.allow_host)
    app = make_app(services, hosts, token, origins)
    gc.collect()
    gc.freeze()  # what was imported stays: the collector need not look at it again

    server = DrainingServer(app, services)
    print_line(f"http://{_shown(options.host)}:{port}")
    if options.token is None:
        print_line(f"token for presenting: {token}")
    running = asyncio.ensure_future(server.serve(sockets=[listening]))
    failed = services.supervisor.failed
    ready = asyncio.ensure_future(_report_ready(services))
    either: set[asyncio.Future[None] | asyncio.Future[SopanError]] = {running, failed}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    server.should_exit = True
    await running
    await services.close()
    if failed.done():
        raise failed.result()


async def _report_ready(services: Services) -> None:
    await services.supervisor.wait_ready()
    print_line("ready")


def _shown(host: str) -> str:
    if host in ANY:
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def print_line(line: str) -> None:
    """Print a line for whoever started the server."""
    print(f"sopan: {line}", file=sys.stderr, flush=True)
