"""From a route to the model child and back: admission, deadlines, clients that leave, known answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Sequence

from fastapi import Request, Response

from sopan.serve.dispatch import BusyError, Cost, Dispatcher, LateError, QueuedRequest
from sopan.serve.limits import SECONDS
from sopan.serve.refusals import Refusal, busy, not_ready
from sopan.serve.supervisor import RawAnswer, Supervisor
from sopan.usecases.served import About, Question

KNOWN_BYTES = 8 << 20
"""Of answers that are kept: a room sends the presenter's sentence a hundred times."""
DEFAULT_COST = Cost()


class ModelClient:
    """Puts the routes' questions to the model child.

    Args:
        supervisor, dispatcher: of the child.
    """

    def __init__(self, supervisor: Supervisor, dispatcher: Dispatcher) -> None:
        self.supervisor, self.dispatcher = supervisor, dispatcher
        self.draining = False
        self.known_hits = 0
        self._known: OrderedDict[str, RawAnswer] = OrderedDict()
        self._known_bytes = 0
        self._queued: dict[str, QueuedRequest] = {}

    @property
    def ready(self) -> bool:
        """Whether new questions are taken."""
        return self.supervisor.ready and not self.draining

    @property
    def about(self) -> About:
        """What is served.

        Raises:
            Refusal: 503, nothing has been loaded yet.
        """
        if self.supervisor.about is None:
            raise not_ready("the models are being loaded", 1.0)
        return self.supervisor.about

    @property
    def hash(self) -> str:
        """Of what is served; empty before anything is."""
        return self.supervisor.hash

    async def answer(
        self, request: Request, question: Question, cost: Cost = DEFAULT_COST, *, keep: bool = True
    ) -> RawAnswer:
        """Put a question to the child, or remember what it answered.

        Args:
            request: whose client may leave.
            question: for the child.
            cost: what it is expected to cost.
            keep: whether to remember the answer.

        Raises:
            Refusal: 429 too busy, 503 not ready or too late, or the refusal of the child.
        """
        if self.draining:
            raise not_ready("the server is stopping", 5.0)
        key = hashlib.sha256(f"{self.hash} {json.dumps(question, sort_keys=True)}".encode()).hexdigest()
        answer = self._known.get(key)
        if answer is not None:
            self.known_hits += 1
            self._known.move_to_end(key)
        else:
            answer = await self._wait(request, self._queue(key, question, cost))
            if keep:
                self._remember(key, answer)
        if answer.status != 200:
            found = json.loads(answer.content)
            raise Refusal(answer.status, found["error"], found["error_type"])
        return answer

    async def respond(self, request: Request, question: Question, cost: Cost = DEFAULT_COST) -> Response:
        """Put a question to the child, and pass the answer on as it came.

        Raises:
            Refusal: as `answer`, and 422 where the question names steps that are not served.
        """
        if "steps" in question.arguments:
            self.check_steps(question.arguments["steps"])
        answer = await self.answer(request, question, cost)
        return Response(answer.content, media_type="application/json")

    def check_steps(self, steps: Sequence[str] | None) -> None:
        """Hold that steps are served here.

        Raises:
            Refusal: 422.
        """
        known = {step["step"] for step in self.about["steps"]}
        if steps is not None and not known.issuperset(steps):
            raise Refusal(422, f"steps must be of: {', '.join(sorted(known))}", "unknown_step")

    # ---- waiting -------------------------------------------------------------------------

    def _queue(self, key: str, question: Question, cost: Cost) -> QueuedRequest:
        """Queue a question; one that waits already is joined."""
        queued = self._queued.get(key)
        if queued is not None and not queued.answer.done():
            queued.clients += 1
            return queued
        queued = QueuedRequest(question, cost, time.monotonic() + SECONDS)
        try:
            self.dispatcher.put(queued)
        except BusyError as error:
            raise busy(error.retry_after) from error
        self._queued[key] = queued
        queued.answer.add_done_callback(lambda _: self._queued.pop(key, None))
        return queued

    async def _wait(self, request: Request, queued: QueuedRequest) -> RawAnswer:
        """Wait for an answer until the deadline, or until the client leaves."""
        left = asyncio.ensure_future(_disconnected(request))
        either: set[asyncio.Future[None] | asyncio.Future[RawAnswer]] = {left, queued.answer}
        try:
            await asyncio.wait(either, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if queued.answer.done():
                return queued.answer.result()
        except LateError as error:
            raise not_ready("there was no time to answer", 1.0, "late") from error
        finally:
            left.cancel()
            queued.clients -= 1
            if not queued.clients and not queued.answer.done():
                queued.answer.cancel()
        raise not_ready("there was no time to answer", 1.0, "late")

    def _remember(self, key: str, answer: RawAnswer) -> None:
        if answer.status != 200 or key in self._known:
            return
        self._known[key] = answer
        self._known_bytes += len(answer.content) + len(key)
        while self._known_bytes > KNOWN_BYTES:
            old, gone = self._known.popitem(last=False)
            self._known_bytes -= len(gone.content) + len(old)


async def _disconnected(request: Request) -> None:
    """Wait until the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
