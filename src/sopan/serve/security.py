"""Who may ask: exact hosts, own origins, and a token for what changes things.

An address in a browser's bar can be made to point here (DNS rebinding): so the Host must be one of ours, to
the letter. A page elsewhere can send requests here: so a write with a foreign Origin, or `null`, is refused.
"""

from __future__ import annotations

import hmac
import json
import socket
import sys
import traceback
from collections.abc import Callable, Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sopan.serve.limits import Refusal

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANY = ("0.0.0.0", "::", "")
SAFE = ("GET", "HEAD", "OPTIONS")

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


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


def check_token(given: str | None, token: str) -> None:
    """Hold that an Authorization header has the token, in a time that does not tell how much of it is right.

    Raises:
        Refusal: 401.
    """
    kind, _, value = (given or "").partition(" ")
    same = hmac.compare_digest(value.strip().encode(), token.encode())
    if kind.lower() != "bearer" or not same:
        raise Refusal(401, "this needs the token", "unauthorized", {"WWW-Authenticate": "Bearer"})


class Guard:
    """The outermost layer: hosts, origins, headers of every answer, and the last resort for a failure.

    Args:
        app: what is guarded.
        hosts: ours, with ports.
        model: returns the hash of what is served.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], model: Callable[[], str]) -> None:
        self.app, self.hosts, self.model = app, hosts, model
        self.origins = frozenset(f"{scheme}://{host}" for host in hosts for scheme in ("http", "https"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name.lower() for name, _ in message["headers"]}
                own = {**HEADERS, "X-Sopan-Model": self.model(), "Cache-Control": "no-store"}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in own.items()
                        if name.lower().encode() not in present
                    ),
                ]
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await _send_refusal(refusal, with_headers)
                return
            await self.app(scope, receive, with_headers)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            if not started:
                await _send_refusal(Refusal(500, "something failed here", "internal"), with_headers)

    def _refusal(self, scope: Scope) -> Refusal | None:
        hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            return Refusal(421, "this server is not that host", "wrong_host")
        if scope["method"] in SAFE:
            return None
        headers = [(name, value.decode("latin-1").lower()) for name, value in scope["headers"]]
        origins = [value for name, value in headers if name == b"origin"]
        sites = [value for name, value in headers if name == b"sec-fetch-site"]
        if any(origin not in self.origins for origin in origins) or "cross-site" in sites:
            return Refusal(403, "requests from other pages are refused", "foreign_origin")
        return None


async def _send_refusal(refusal: Refusal, send: Send) -> None:
    content = json.dumps(refusal.content).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **(refusal.headers or {}),
    }
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status_code, "headers": encoded})
    await send({"type": "http.response.body", "body": content})
