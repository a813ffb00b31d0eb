"""Who waits, who goes next, who is refused: batches by padded tokens, two classes, admission by time.

A job is one question of one client. The quick class (predictions and look-ups) and the slow one
(explanations, filling, scoring, attention) have a queue each; while both wait, every fourth batch is of the
slow one, so that neither starves. One batch is in flight.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sopan.serve.supervisor import Child, ChildGoneError, Piece, Supervisor

BATCH_TOKENS = 1024
"""Padded tokens of a batch: past it only latency grows."""
MULTIPLE = 8
"""Lengths are padded to multiples of this."""
COMPANY = 0.003
"""Seconds that a lone job waits for company, where others came as quickly before it."""
OVERTAKEN = 4
"""A job that so many batches have passed over goes next."""
TURN = 4
"""Of so many batches one is of the slow class, while both wait."""
SLOW_SECONDS = 0.12
"""A batch of the slow class takes about so long: a prediction may have to wait for it."""
MOST_SECONDS = 2.0
MOST_WAITING = 512
RETRIES = 1
"""How often a question is asked again of a new child."""
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


@dataclass(eq=False)
class Job:
    """One question that waits.

    Args:
        question: for the child.
        kind: `QUICK` or `SLOW`.
        length: padded tokens of its longest text.
        count: how many texts it has, or how often its text is read.
        deadline: on the monotonic clock.
        timed: whether its time tells how quickly tokens are computed.
        answer: what the client waits for.
    """

    question: dict[str, Any]
    kind: str
    length: int
    count: int
    deadline: float
    timed: bool = True
    answer: asyncio.Future[Piece] = field(default_factory=asyncio.Future)
    overtaken: int = 0
    retries: int = 0
    clients: int = 1

    @property
    def cost(self) -> int:
        """Padded tokens."""
        return self.length * self.count


def padded(texts: Sequence[str]) -> int:
    """Estimate the padded tokens of the longest of some texts: a token is about 4 letters of ASCII."""
    longest = max((len(text.encode()) for text in texts), default=0)
    return -(-(longest // 4 + 2) // MULTIPLE) * MULTIPLE


class Dispatcher:
    """The queue before the child.

    Args:
        supervisor: who has the child.
        observe: told of each batch: its kind, its padded tokens, its jobs and its seconds.
    """

    def __init__(
        self, supervisor: Supervisor, observe: Callable[[str, int, int, float], None] = lambda *_: None
    ) -> None:
        self._supervisor, self._observe = supervisor, observe
        self._waiting: dict[str, list[Job]] = {QUICK: [], SLOW: []}
        self._work = {QUICK: FIRST_WORK, SLOW: FIRST_WORK}
        self._in_flight: list[Job] = []
        self._since_slow = 0
        self._arrived, self._gap = 0.0, 1.0
        self._something = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    # ---- coming --------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many jobs wait or are in flight."""
        return sum(map(len, self._waiting.values())) + len(self._in_flight)

    def tokens(self, kind: str) -> int:
        """How many padded tokens of a class wait."""
        return sum(job.cost for job in self._waiting[kind])

    def speed(self, kind: str) -> float:
        """Padded tokens a second, as measured over the last batches."""
        tokens, seconds = self._work[kind]
        return tokens / seconds

    def wait(self, kind: str) -> float:
        """Estimate how many seconds a new job of a class would wait."""
        mine = {kind: self.tokens(kind) / self.speed(kind) for kind in (QUICK, SLOW)}
        flying = sum(job.cost for job in self._in_flight)
        flying_for = flying / self.speed(self._in_flight[0].kind) if self._in_flight else 0.0
        if kind == QUICK:  # of the slow class not more than its turns come first
            return flying_for + mine[QUICK] + min(mine[SLOW], mine[QUICK] / (TURN - 1))
        return flying_for + mine[SLOW] + mine[QUICK]

    def put(self, job: Job) -> None:
        """Let a job wait its turn.

        Raises:
            BusyError: too much waits already.
        """
        wait = self.wait(job.kind)
        if wait > MOST_SECONDS or self.waiting >= MOST_WAITING:
            raise BusyError(wait)
        now = time.monotonic()
        self._gap = 0.8 * self._gap + 0.2 * min(1.0, now - self._arrived)
        self._arrived = now
        self._waiting[job.kind].append(job)
        self._something.set()

    async def close(self) -> None:
        """Stop dispatching."""
        self._task.cancel()

    # ---- going ---------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._something.wait()
            child = await self._supervisor.wait_ready()
            if self.waiting == 1 and self._gap < COMPANY:
                await asyncio.sleep(COMPANY)
            batch = self._next()
            if batch:
                await self._dispatch(child, batch)

    async def _dispatch(self, child: Child, batch: list[Job]) -> None:
        kind, tokens = batch[0].kind, sum(job.cost for job in batch)
        self._in_flight, started = batch, time.perf_counter()
        try:
            pieces = await child.ask([job.question for job in batch])
        except ChildGoneError:
            self._again(batch)
            return
        finally:
            self._in_flight = []
        seconds = max(time.perf_counter() - started, 1e-4)
        if all(job.timed for job in batch):
            before = self._work[kind]
            self._work[kind] = (FADE * before[0] + tokens, FADE * before[1] + seconds)
        self._observe(kind, tokens, len(batch), seconds)
        for job, piece in zip(batch, pieces, strict=True):
            if not job.answer.done():
                job.answer.set_result(piece)

    def _again(self, batch: list[Job]) -> None:
        """Put jobs back whose child died; one that has seen two children die is not asked a third time."""
        for job in batch:
            job.retries += 1
            if job.answer.done():
                continue
            if job.retries > RETRIES:
                job.answer.set_exception(LateError())
            else:
                self._waiting[job.kind].insert(0, job)
        self._something.set()

    def _next(self) -> list[Job]:
        """Choose the next batch; drop jobs whose client has left or whose time is up."""
        now = time.monotonic()
        for kind, jobs in self._waiting.items():
            for job in jobs:
                if not job.answer.done() and now > job.deadline:
                    job.answer.set_exception(LateError())
            self._waiting[kind] = [job for job in jobs if not job.answer.done()]
        quick, slow = self._waiting[QUICK], self._waiting[SLOW]
        if slow and (not quick or self._since_slow >= TURN - 1):
            self._since_slow = 0
            batch = choose(slow, max(BATCH_TOKENS, int(self.speed(SLOW) * SLOW_SECONDS)))
            self._waiting[SLOW] = [job for job in slow if job not in batch]
        else:
            self._since_slow += bool(slow)
            batch = choose(quick, BATCH_TOKENS)
            self._waiting[QUICK] = [job for job in quick if job not in batch]
        if not self._waiting[QUICK] and not self._waiting[SLOW]:
            self._something.clear()
        return batch


def choose(waiting: list[Job], budget: int) -> list[Job]:
    """Choose jobs of like length, the shortest first, whose rectangle keeps to a budget of padded tokens.

    Args:
        waiting: in the order in which they came. Those that are passed over by a younger one are told so.
        budget: padded tokens; a job that has more goes alone.
    """
    if not waiting:
        return []
    ordered = sorted(waiting, key=lambda job: job.length)
    patient = next((job for job in waiting if job.overtaken >= OVERTAKEN), None)
    chosen = [patient or ordered[0]]
    ordered.remove(chosen[0])
    for job in ordered:
        length = max(job.length, chosen[0].length)
        if length * (sum(each.count for each in chosen) + job.count) > budget:
            break
        chosen.append(job)
    youngest = max(waiting.index(job) for job in chosen)
    for job in waiting[:youngest]:
        job.overtaken += job not in chosen
    return chosen
