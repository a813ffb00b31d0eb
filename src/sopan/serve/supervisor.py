"""Keep a model child alive: start it, watch its heartbeat, replace it, and swap it for a new one.

A child is replaced when it dies, when it is silent or overruns its time, and when it has grown too large.
While there is none, `ready` is false and questions wait for the next one, each until its deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sopan.errors import InputError, SopanError
from sopan.serve.channel import Batch, BrokenMessageError, ChildMessage, StartedChild, pack, read_message
from sopan.usecases.served import About, Question

SILENT = 5.0
"""Seconds without a heartbeat after which a child is taken for dead."""
OVERRUN = 30.0
"""Seconds that a batch may take."""
LOADING = 180.0
"""Seconds that a child may load."""
GROWTH = 512 << 20
"""Bytes by which a child may grow after it was ready."""
BACKOFF = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a child is started again, the longer the more of them failed to load in a row."""
DRAIN = 10.0
"""Seconds that an old child has to finish."""
GOLDEN = Question("predict", {"texts": ["It was not good, it was wonderful."], "steps": None})
"""What a new child must answer before it takes over."""


class ChildGoneError(Exception):
    """The child died, or was killed, before it answered."""


class RawAnswer(NamedTuple):
    """One answer: its HTTP status and its JSON text, which nobody has parsed."""

    status: int
    content: bytes


class Child:
    """A model child as the server sees it.

    Attributes:
        about: what it serves, once it is ready.
        rss, ready_rss: bytes of memory, now, and when it was ready or, a little later, had settled.
    """

    def __init__(self, started: StartedChild) -> None:
        self.process, self._connection, self._scratch = started
        self.about: About | None = None
        self.rss = self.ready_rss = 0
        self.beat = time.monotonic()
        self.gone = asyncio.Event()
        self._ready: asyncio.Future[About] = asyncio.get_running_loop().create_future()
        self._waiting: dict[int, asyncio.Future[list[RawAnswer]]] = {}
        self._number = 0
        self._listening = asyncio.create_task(self._listen())

    @property
    def busy(self) -> bool:
        """Whether it owes an answer."""
        return bool(self._waiting)

    async def ready(self) -> None:
        """Wait until it has loaded.

        Raises:
            SopanError: it cannot load what it is to serve.
            ChildGoneError: it died.
        """
        try:
            self.about = await asyncio.wait_for(asyncio.shield(self._ready), LOADING)
        except TimeoutError as error:
            await self.kill()
            raise ChildGoneError from error
        self.ready_rss = self.rss

    async def ask(self, questions: Sequence[Question]) -> list[RawAnswer]:
        """Send a batch of questions and wait for the answers.

        Raises:
            ChildGoneError: it died before it answered, or took so long that it was killed.
        """
        if self.gone.is_set():
            raise ChildGoneError
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._writer.write(pack(Batch(number, list(questions))._asdict()))
        try:
            return await asyncio.wait_for(answer, OVERRUN)
        except TimeoutError as error:
            await self.kill()
            raise ChildGoneError from error
        finally:
            self._waiting.pop(number, None)

    async def kill(self) -> None:
        """End it now, and wait until it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.gone.wait()

    async def _listen(self) -> None:
        reader, self._writer = await asyncio.open_connection(sock=self._connection, limit=1 << 20)
        try:
            while True:
                self._take(*await read_message(reader))
        except (EOFError, OSError, BrokenMessageError, ValueError):
            pass
        finally:
            self._writer.close()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            await asyncio.to_thread(self.process.wait)
            if self._scratch is not None:
                await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)
            self.gone.set()
            every: list[asyncio.Future[About] | asyncio.Future[list[RawAnswer]]] = [
                self._ready,
                *self._waiting.values(),
            ]
            for waiting in every:
                if not waiting.done():
                    waiting.set_exception(ChildGoneError())
                    waiting.exception()  # it may be that nobody waits any more

    def _take(self, message: ChildMessage, body: bytes) -> None:
        self.beat = time.monotonic()
        if message["type"] == "answers":
            self._answer(message["batch"], message["items"], body)
        elif message["type"] == "failed":
            kind = InputError if message["exit_code"] == InputError.exit_code else SopanError
            self._ready.set_exception(kind(message["error"]))
        else:
            self.rss = message["rss"]
            if message["type"] == "ready":
                self._ready.set_result(message["about"])
            elif message["type"] == "settled":
                self.ready_rss = self.rss

    def _answer(self, batch: int, items: Sequence[tuple[int, int]], body: bytes) -> None:
        """Cut a batch's answers out of a message's body."""
        answers, start = [], 0
        for status, size in items:
            answers.append(RawAnswer(status, body[start : start + size]))
            start += size
        if (waiting := self._waiting.get(batch)) and not waiting.done():
            waiting.set_result(answers)


class Supervisor:
    """Keeps one child that is ready, as well as it can.

    Args:
        start: starts a child; called again for each further one.
        first: one that was started before there was an event loop.
    """

    def __init__(self, start: Callable[[], StartedChild], first: StartedChild) -> None:
        self._start, self._first = start, first
        self.child: Child | None = None
        self.about: About | None = None
        self.restarts = 0
        self.failed: asyncio.Future[SopanError] = asyncio.get_running_loop().create_future()
        self._there = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._tasks = [asyncio.create_task(self._keep()), asyncio.create_task(self._watch())]

    @property
    def ready(self) -> bool:
        """Whether there is a child that answers."""
        return self.child is not None

    @property
    def hash(self) -> str:
        """Of what is served; empty before anything is."""
        return "" if self.about is None else self.about["model"]

    @property
    def rss(self) -> int:
        """Bytes of memory of the child."""
        return 0 if self.child is None else self.child.rss

    async def wait_ready(self) -> Child:
        """Return the child, as soon as there is one."""
        while self.child is None:
            self._there.clear()
            await self._there.wait()
        return self.child

    async def reload(self) -> tuple[str, str]:
        """Load the same folder in a second child, try it, swap; return the hashes before and after.

        Raises:
            SopanError: the new child cannot load or does not answer; the old one goes on.
        """
        async with self._reloading:
            before = self.hash
            new = Child(self._start())
            try:
                await new.ready()
                (golden,) = await new.ask([GOLDEN])
                if golden.status != 200:
                    raise SopanError("the new models do not answer")
            except (SopanError, ChildGoneError) as error:
                await new.kill()
                raise SopanError("the new models cannot be loaded, the old ones go on") from error
            old, self.child = self.child, None
            self._set(new)
            if old is not None:
                self._retire(old)
            return before, self.hash

    async def close(self) -> None:
        """End the children."""
        for task in (*self._tasks, *self._closing):
            task.cancel()
        if self.child is not None:
            await self.child.kill()

    # ---- keeping -------------------------------------------------------------------------

    def _set(self, child: Child) -> None:
        self.child, self.about = child, child.about
        self._there.set()

    def _retire(self, old: Child) -> None:
        task = asyncio.create_task(self._finish(old))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _finish(self, old: Child) -> None:
        """Let an old child answer what it has, then end it."""
        until = time.monotonic() + DRAIN
        while old.busy and time.monotonic() < until:
            await asyncio.sleep(0.02)
        await old.kill()

    async def _keep(self) -> None:
        """Start a child whenever there is none."""
        started: StartedChild | None = self._first
        failures = 0
        while True:
            child = Child(started or self._start())
            started = None
            try:
                await child.ready()
            except (SopanError, ChildGoneError) as error:
                await child.kill()
                if self.about is None and not self.failed.done():  # the very first: nothing was ever served
                    why = error if isinstance(error, SopanError) else SopanError("the model process died")
                    self.failed.set_result(why)
                    return
                failures += 1
                await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
                continue
            failures = 0
            if self.child is None:
                self._set(child)
            else:  # a reload was faster
                self._retire(child)
            await self._until_none()
            self.restarts += 1

    async def _until_none(self) -> None:
        """Wait until the child that serves is gone; another may take its place meanwhile."""
        while (child := self.child) is not None:
            await child.gone.wait()
            if self.child is child:
                self.child = None

    async def _watch(self) -> None:
        """Kill a child that is silent, and replace one that has grown."""
        while True:
            await asyncio.sleep(0.25)
            child = self.child
            if child is None:
                continue
            if time.monotonic() - child.beat > SILENT:
                await child.kill()
            elif child.rss > child.ready_rss + GROWTH and not self._reloading.locked():
                with contextlib.suppress(SopanError):
                    await self.reload()
