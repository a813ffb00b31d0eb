"""From a request to the child and back: admission, deadline, clients that leave, answers that are known."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from typing import Any

from fastapi import Request, Response

from sopan.serve.limits import SECONDS, Refusal
from sopan.serve.queueing import QUICK, BusyError, Dispatcher, Job, LateError
from sopan.serve.supervisor import Piece, Supervisor

KNOWN_BYTES = 8 << 20
"""Of answers that are kept: a room asks the presenter's sentence a hundred times."""
WAIT_FOR_CHILD = 5.0
"""Seconds to come back after, where the child has died."""


class ModelClient:
    """Where every route asks.

    Args:
        supervisor, dispatcher: of the child.
    """

    def __init__(self, supervisor: Supervisor, dispatcher: Dispatcher) -> None:
        self.supervisor, self.dispatcher = supervisor, dispatcher
        self.draining = False
        self.known_hits = 0
        self._known: OrderedDict[str, Piece] = OrderedDict()
        self._known_bytes = 0
        self._asked: dict[str, Job] = {}

    @property
    def ready(self) -> bool:
        """Whether new questions are taken."""
        return self.supervisor.ready and not self.draining

    @property
    def about(self) -> dict[str, Any]:
        """What is served.

        Raises:
            Refusal: 503, nothing has been loaded yet.
        """
        if not self.supervisor.about:
            raise not_ready("the models are being loaded", 1.0)
        return self.supervisor.about

    @property
    def hash(self) -> str:
        """Of what is served; empty before anything is."""
        return str(self.supervisor.about.get("model", ""))

    async def answer(
        self,
        request: Request,
        question: dict[str, Any],
        *,
        kind: str = QUICK,
        length: int = 8,
        count: int = 1,
        keep: bool = True,
        timed: bool = True,
    ) -> Piece:
        """Ask the child, or remember what it said.

        Args:
            request: whose client may leave.
            question: `op` and its fields.
            kind, length, count, timed: see `Job`.
            keep: whether to remember the answer.

        Raises:
            Refusal: 429 too busy, 503 not ready or too late, or what the child says no with.
        """
        if self.draining:
            raise not_ready("the server is stopping", 5.0)
        asked = f"{self.hash} {json.dumps(question, sort_keys=True)}"
        key = hashlib.sha256(asked.encode()).hexdigest()
        piece = self._known.get(key)
        if piece is not None:
            self.known_hits += 1
            self._known.move_to_end(key)
        else:
            piece = await self._wait(request, self._job(key, question, kind, length, count, timed))
            if keep:
                self._remember(key, piece)
        if piece.status != 200:
            found = json.loads(piece.content)
            raise Refusal(piece.status, found["error"], found["error_type"])
        return piece

    async def respond(self, request: Request, question: dict[str, Any], **job: Any) -> Response:
        """Ask, and pass the answer on as it came."""
        piece = await self.answer(request, question, **job)
        return Response(piece.content, media_type="application/json")

    def check_steps(self, steps: list[str] | None) -> list[str] | None:
        """Hold that steps are served here.

        Raises:
            Refusal: 422.
        """
        known = {step["step"] for step in self.about["steps"]}
        if steps is not None and not known.issuperset(steps):
            raise Refusal(422, f"steps must be of: {', '.join(sorted(known))}", "unknown_step")
        return steps

    # ---- waiting -------------------------------------------------------------------------

    def _job(
        self, key: str, question: dict[str, Any], kind: str, length: int, count: int, timed: bool
    ) -> Job:
        """Return the job of a question; the same question that waits already is asked once."""
        job = self._asked.get(key)
        if job is not None and not job.answer.done():
            job.clients += 1
            return job
        job = Job(question, kind, length, count, time.monotonic() + SECONDS, timed)
        try:
            self.dispatcher.put(job)
        except BusyError as error:
            raise busy(error.retry_after) from error
        self._asked[key] = job
        job.answer.add_done_callback(lambda _: self._asked.pop(key, None))
        return job

    async def _wait(self, request: Request, job: Job) -> Piece:
        """Wait for an answer until the deadline, or until the client leaves."""
        left: asyncio.Future[Any] = asyncio.ensure_future(_left(request))
        either: set[asyncio.Future[Any]] = {left, job.answer}
        try:
            await asyncio.wait(either, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if job.answer.done():
                return job.answer.result()
        except LateError as error:
            raise not_ready("there was no time to answer", 1.0, "late") from error
        finally:
            left.cancel()
            job.clients -= 1
            if not job.clients and not job.answer.done():
                job.answer.cancel()
        raise not_ready("there was no time to answer", 1.0, "late")

    def _remember(self, key: str, piece: Piece) -> None:
        if piece.status != 200 or key in self._known:
            return
        self._known[key] = piece
        self._known_bytes += len(piece.content) + len(key)
        while self._known_bytes > KNOWN_BYTES:
            old, gone = self._known.popitem(last=False)
            self._known_bytes -= len(gone.content) + len(old)


async def _left(request: Request) -> None:
    """Wait until the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def not_ready(error: str, retry_after: float, error_type: str = "not_ready") -> Refusal:
    """Return a 503."""
    return Refusal(503, error, error_type, _later(retry_after), retry_after=retry_after)


def busy(retry_after: float) -> Refusal:
    """Return a 429."""
    return Refusal(429, "too many are waiting", "busy", _later(retry_after), retry_after=retry_after)


def _later(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, round(seconds)))}
