"""Who may send requests: exact hosts, own origins, a token for what changes things, and headers in time.

An address in a browser's bar can be made to point here (DNS rebinding): so the Host must be one of ours, to
the letter. A page elsewhere can send requests here: so a write with a foreign Origin, or `null`, is refused.
uvicorn waits for the rest of half a request line, or of half the headers, for as long as the client likes:
not here. The body has its own time (see `limits`), and so has a connection that rests between two requests.
"""

from __future__ import annotations

import asyncio
import hmac
import sys
import traceback
from collections.abc import Callable

import h11
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sopan.serve.refusals import Refusal

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
    "Cache-Control": "no-store",
}

METHODS = "GET, HEAD, POST, OPTIONS"
OPTIONS = {"Allow": METHODS}
CROSS_ORIGIN = {
    "Access-Control-Allow-Methods": METHODS,
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Inference-Header-Content-Length",
    "Access-Control-Expose-Headers": "Inference-Header-Content-Length, Retry-After, X-Sopan-Model",
    "Access-Control-Max-Age": "600",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""What a browser is told of a page elsewhere that may ask and read (`--allow-origin`)."""

HEAD_SECONDS = 10.0
"""From the opening of a connection, or the first byte of a later request, to the end of the headers."""

_CONTENT = b'{"error": "the headers did not come in time", "error_type": "timeout"}'
LATE = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_CONTENT), _CONTENT)
)


def check_token(given: str | None, token: str) -> None:
    """Hold that an Authorization header has the token, in a time that does not tell how much of it is right.

    Raises:
        Refusal: 401.
    """
    kind, _, value = (given or "").partition(" ")
    same = hmac.compare_digest(value.strip().encode(), token.encode())
    if kind.lower() != "bearer" or not same:
        raise Refusal(401, "this needs the token", "unauthorized", {"WWW-Authenticate": "Bearer"})


class SecurityMiddleware:
    """The outermost layer: hosts, origins, headers of every answer, and the last resort for a failure.

    Args:
        app: what is guarded.
        hosts: ours, with ports.
        model: returns the hash of what is served.
        others: origins of pages elsewhere that may ask and read.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: frozenset[str],
        model: Callable[[], str],
        others: frozenset[str] = frozenset(),
    ) -> None:
        self.app, self.hosts, self.model, self.others = app, hosts, model, others
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
                headers = MutableHeaders(raw=message["headers"])
                for name, value in self._headers(scope).items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if refusal := self._refusal(scope):
                await refusal.response()(scope, receive, with_headers)
            elif scope["method"] == "OPTIONS":
                await Response(status_code=204, headers=OPTIONS)(scope, receive, with_headers)
            else:
                await self.app(scope, receive, with_headers)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            if not started:
                failure = Refusal(500, "something failed here", "internal")
                await failure.response()(scope, receive, with_headers)

    def _headers(self, scope: Scope) -> dict[str, str]:
        """Return what every answer says; one to a page elsewhere that may ask also says so to its browser."""
        found = {**HEADERS, "X-Sopan-Model": self.model()}
        if self.others:
            found["Vary"] = "Origin"
            origin = Headers(scope=scope).get("origin", "").lower()
            if origin in self.others:
                found |= {**CROSS_ORIGIN, "Access-Control-Allow-Origin": origin}
        return found

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            return Refusal(421, "this server is not that host", "wrong_host")
        if scope["method"] in SAFE:
            return None
        origins = {origin.lower() for origin in headers.getlist("origin")}
        sites = {site.lower() for site in headers.getlist("sec-fetch-site")}
        if origins and origins <= self.others:
            return None
        if origins - self.origins or "cross-site" in sites:
            return Refusal(403, "requests from other pages are refused", "foreign_origin")
        return None


# ---- late headers ----------------------------------------------------------------------------------


class HeaderTimeoutProtocol(H11Protocol):
    """uvicorn's HTTP, but that a connection is closed whose request's headers are not whole in time.

    The time runs from the first byte that is waited for: one who sends a byte now and then gains nothing.
    """

    head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes in; if they are not a whole head yet, wait no longer than for the first of them."""
        super().data_received(data)
        self._check_head()

    def on_response_complete(self) -> None:
        """Begin anew: part of the next request may have come already."""
        super().on_response_complete()
        self._check_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def _check_head(self) -> None:
        """Wait for a head exactly where one has begun to come and has not ended."""
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self.head_timer is None and self.conn.trailing_data[0]:
            self._await_head()

    def _await_head(self) -> None:
        self.head_timer = self.loop.call_later(HEAD_SECONDS, self._late)

    def _stop(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def _late(self) -> None:
        """Say so to a client that has begun a request, and close."""
        self.head_timer = None
        if self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:
            self.transport.write(LATE)
        self.transport.close()
