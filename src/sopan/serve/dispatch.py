"""The queue before the model child: batches by padded tokens, two classes, admission by estimated time.

The quick class (predictions and look-ups) and the slow one (explanations, filling, scoring, attention) have a
queue each; while both wait, every fourth batch is of the slow one, so that neither starves. One batch is in
flight.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sopan.serve.supervisor import Child, ChildGoneError, RawAnswer, Supervisor
from sopan.usecases.served import Question

BATCH_TOKENS = 1024
"""Padded tokens of a batch: past it only latency grows."""
MULTIPLE = 8
"""Lengths are padded to multiples of this."""
COMPANY = 0.003
"""Seconds that a lone request waits for company, where others came as quickly before it."""
OVERTAKEN = 4
"""A request that so many batches have passed over goes next."""
TURN = 4
"""Of so many batches one is of the slow class, while both wait."""
SLOW_SECONDS = 0.12
"""A batch of the slow class takes about so long: a prediction may have to wait for it."""
MOST_SECONDS = 2.0
MOST_WAITING = 512
RETRIES = 1
"""How often a question is put to a new child where the old one died."""
QUICK, SLOW = "quick", "slow"
FIRST_WORK = (1000.0, 0.05)
"""Tokens and seconds that are taken for measured before anything was."""
FADE = 0.8
"""What a batch counts in the measured speed, against the one after it."""


class BusyError(Exception):
    """The work that waits would take too long.

    Args:
        retry_after: seconds to wait, with jitter, so that those who were refused do not come back together.
    """

    def __init__(self, wait: float) -> None:
        self.retry_after = round(min(5.0, max(0.2, wait - MOST_SECONDS / 2)) * random.uniform(0.75, 1.5), 2)
        super().__init__(f"busy for {wait:.1f} s")


class LateError(Exception):
    """The deadline passed before there was an answer."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a question is expected to cost.

    Args:
        kind: `QUICK` or `SLOW`.
        length: padded tokens of its longest text.
        count: how many texts it has, or how often its text is read.
        timed: whether its time shows how quickly tokens are computed.
    """

    kind: str = QUICK
    length: int = 8
    count: int = 1
    timed: bool = True

    @property
    def tokens(self) -> int:
        """Padded tokens."""
        return self.length * self.count


@dataclass(eq=False)
class QueuedRequest:
    """A question that waits for the child.

    Args:
        question: for the child.
        cost: what it is expected to cost.
        deadline: on the monotonic clock.
        answer: what its clients wait for.
        overtaken: how many batches have passed it over.
        retries: how often it was put back because a child died.
        clients: how many wait for it.
    """

    question: Question
    cost: Cost
    deadline: float
    answer: asyncio.Future[RawAnswer] = field(default_factory=asyncio.Future)
    overtaken: int = 0
    retries: int = 0
    clients: int = 1


def padded(texts: Sequence[str]) -> int:
    """Estimate the padded tokens of the longest of some texts: a token is about 4 letters of ASCII."""
    longest = max((len(text.encode()) for text in texts), default=0)
    return -(-(longest // 4 + 2) // MULTIPLE) * MULTIPLE


class Dispatcher:
    """The queue before the child.

    Args:
        supervisor: has the child.
        observe: called with each batch: its kind, its padded tokens, its requests and its seconds.
    """

    def __init__(
        self, supervisor: Supervisor, observe: Callable[[str, int, int, float], None] = lambda *_: None
    ) -> None:
        self._supervisor, self._observe = supervisor, observe
        self._waiting: dict[str, list[QueuedRequest]] = {QUICK: [], SLOW: []}
        self._work = {QUICK: FIRST_WORK, SLOW: FIRST_WORK}
        self._in_flight: list[QueuedRequest] = []
        self._since_slow = 0
        self._arrived, self._gap = 0.0, 1.0
        self._something = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    # ---- waiting -------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many requests wait or are in flight."""
        return sum(map(len, self._waiting.values())) + len(self._in_flight)

    def tokens(self, kind: str) -> int:
        """How many padded tokens of a class wait."""
        return sum(request.cost.tokens for request in self._waiting[kind])

    def speed(self, kind: str) -> float:
        """Padded tokens a second, as measured over the last batches."""
        tokens, seconds = self._work[kind]
        return tokens / seconds

    def wait(self, kind: str) -> float:
        """Estimate how many seconds a new request of a class would wait."""
        mine = {kind: self.tokens(kind) / self.speed(kind) for kind in (QUICK, SLOW)}
        flying = sum(request.cost.tokens for request in self._in_flight)
        flying_for = flying / self.speed(self._in_flight[0].cost.kind) if self._in_flight else 0.0
        if kind == QUICK:  # of the slow class not more than its turns come first
            return flying_for + mine[QUICK] + min(mine[SLOW], mine[QUICK] / (TURN - 1))
        return flying_for + mine[SLOW] + mine[QUICK]

    def put(self, request: QueuedRequest) -> None:
        """Let a request wait its turn.

        Raises:
            BusyError: too much waits already.
        """
        wait = self.wait(request.cost.kind)
        if wait > MOST_SECONDS or self.waiting >= MOST_WAITING:
            raise BusyError(wait)
        now = time.monotonic()
        self._gap = 0.8 * self._gap + 0.2 * min(1.0, now - self._arrived)
        self._arrived = now
        self._waiting[request.cost.kind].append(request)
        self._something.set()

    async def close(self) -> None:
        """Stop dispatching."""
        self._task.cancel()

    # ---- batches --------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._something.wait()
            child = await self._supervisor.wait_ready()
            if self.waiting == 1 and self._gap < COMPANY:
                await asyncio.sleep(COMPANY)
            batch = self._next()
            if batch:
                await self._dispatch(child, batch)

    async def _dispatch(self, child: Child, batch: list[QueuedRequest]) -> None:
        kind, tokens = batch[0].cost.kind, sum(request.cost.tokens for request in batch)
        self._in_flight, started = batch, time.perf_counter()
        try:
            answers = await child.ask([request.question for request in batch])
        except ChildGoneError:
            self._again(batch)
            return
        finally:
            self._in_flight = []
        seconds = max(time.perf_counter() - started, 1e-4)
        if all(request.cost.timed for request in batch):
            before = self._work[kind]
            self._work[kind] = (FADE * before[0] + tokens, FADE * before[1] + seconds)
        self._observe(kind, tokens, len(batch), seconds)
        for request, answer in zip(batch, answers, strict=True):
            if not request.answer.done():
                request.answer.set_result(answer)

    def _again(self, batch: list[QueuedRequest]) -> None:
        """Put requests back whose child died; one that has seen two children die is given up."""
        for request in batch:
            request.retries += 1
            if request.answer.done():
                continue
            if request.retries > RETRIES:
                request.answer.set_exception(LateError())
            else:
                self._waiting[request.cost.kind].insert(0, request)
        self._something.set()

    def _next(self) -> list[QueuedRequest]:
        """Choose the next batch; drop requests whose client has left or whose time is up."""
        now = time.monotonic()
        for kind, requests in self._waiting.items():
            for request in requests:
                if not request.answer.done() and now > request.deadline:
                    request.answer.set_exception(LateError())
            self._waiting[kind] = [request for request in requests if not request.answer.done()]
        quick, slow = self._waiting[QUICK], self._waiting[SLOW]
        if slow and (not quick or self._since_slow >= TURN - 1):
            self._since_slow = 0
            batch = choose(slow, max(BATCH_TOKENS, int(self.speed(SLOW) * SLOW_SECONDS)))
            self._waiting[SLOW] = [request for request in slow if request not in batch]
        else:
            self._since_slow += bool(slow)
            batch = choose(quick, BATCH_TOKENS)
            self._waiting[QUICK] = [request for request in quick if request not in batch]
        if not self._waiting[QUICK] and not self._waiting[SLOW]:
            self._something.clear()
        return batch


def choose(waiting: list[QueuedRequest], budget: int) -> list[QueuedRequest]:
    """Choose requests of like length, the shortest first, whose rectangle keeps to a budget of padded tokens.

    Args:
        waiting: in the order in which they came. What a younger one passes over is counted.
        budget: padded tokens; a request that has more goes alone.
    """
    if not waiting:
        return []
    ordered = sorted(waiting, key=lambda request: request.cost.length)
    patient = next((request for request in waiting if request.overtaken >= OVERTAKEN), None)
    chosen = [patient or ordered[0]]
    ordered.remove(chosen[0])
    for request in ordered:
        length = max(request.cost.length, chosen[0].cost.length)
        if length * (sum(each.cost.count for each in chosen) + request.cost.count) > budget:
            break
        chosen.append(request)
    youngest = max(waiting.index(request) for request in chosen)
    for request in waiting[:youngest]:
        request.overtaken += request not in chosen
    return chosen
