"""HTTP as uvicorn has it, but that a request's head must come in time.

uvicorn waits for the rest of half a request line, or of half the headers, for as long as the client likes.
The body has its own time (see `limits`), and so has a connection that rests between two requests.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""From the opening of a connection, or the first byte of a later request, to the end of the headers."""

_CONTENT = b'{"error": "the headers did not come in time", "error_type": "timeout"}'
LATE = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_CONTENT), _CONTENT)
)


class PunctualProtocol(H11Protocol):
    """Closes a connection whose request does not come to the end of its headers in time.

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
        self._look()

    def on_response_complete(self) -> None:
        """Begin anew: part of the next request may have come already."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def _look(self) -> None:
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
        """Say so to one who has begun to ask, and close."""
        self.head_timer = None
        if self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:
            self.transport.write(LATE)
        self.transport.close()
