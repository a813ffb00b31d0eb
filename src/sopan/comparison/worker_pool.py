"""The processes of a comparison: each contender has one of its own, so that its memory is its own.

One works at a time; the next loads its libraries while the last does what is no cost.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

import cloudpickle

from sopan import errors
from sopan.comparison.contenders import Contender
from sopan.comparison.jobs import ESTIMATOR, OUTCOME, Outcome, write_job
from sopan.comparison.ledger import Ledger
from sopan.comparison.results import DataSummary
from sopan.errors import ConfigError, SopanError
from sopan.options.base import ProgressCallback
from sopan.options.classify import CompareOptions
from sopan.options.names import path_name
from sopan.text.audit import CleanData

COMMAND = """
import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)
from sopan.comparison.worker import main; main()
"""
"""What a worker does; that Ctrl-C does not end one that still loads comes first."""


class Worker:
    """One contender in a process of its own, which loads what it needs at once and begins when told to.

    An estimator from outside goes to its process by pickle, as to any process pool's; it is kept nowhere.

    Args:
        contender: who it is.
        job: the folder that will hold the job.

    Raises:
        ConfigError: an estimator that cannot be pickled.
    """

    def __init__(self, contender: Contender, job: Path) -> None:
        step = contender.name
        self._step, self._folder = step, job / path_name(step)
        self._folder.mkdir()
        if contender.estimator is not None:
            (self._folder / ESTIMATOR).write_bytes(_pickled(contender))
        self._log = self._folder / "stderr.txt"
        with self._log.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, str(self._folder), step],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def run(self, progress: ProgressCallback, measured: Callable[[], None]) -> Outcome:
        """Let it begin, and wait for its outcome.

        Ctrl-C reaches the worker too. It then stops tuning and goes on with its best setting; one that has
        tried none yet is ended, and so are both by a second Ctrl-C.

        Args:
            progress: told what the worker says.
            measured: called when what it still does is part of no cost.

        Raises:
            SopanError: of the kind and with the words that the worker gave.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: its messages say why
            self._process.stdin.write("begin\n")
            self._process.stdin.flush()
        if failure := self._listen(progress, measured):
            raise failure
        if self._process.returncode:
            last = self._log.read_text().strip().splitlines()[-1:] or ["no message"]
            raise SopanError(
                f"the step {self._step!r} stopped (exit code {self._process.returncode}): {last[0]}"
            )
        return Outcome.read(self._folder / OUTCOME)

    def end(self) -> None:
        """End it, whatever it does; nothing happens if it has ended."""
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()

    def _listen(self, progress: ProgressCallback, measured: Callable[[], None]) -> SopanError | None:
        """Pass the worker's messages on until it ends; return the error that it named, if any."""
        assert self._process.stdout is not None
        failure, interrupts = None, 0
        while True:
            try:
                for line in self._process.stdout:
                    message = json.loads(line)
                    if "error" in message:
                        failure = getattr(errors, message["kind"], SopanError)(message["error"])
                    elif "measured" in message:
                        measured()
                    else:
                        progress(self._step, message)
                self._process.wait()
                break
            except KeyboardInterrupt:
                interrupts += 1
                if interrupts > 1:
                    raise
        if self._process.returncode and interrupts and not failure:
            raise KeyboardInterrupt  # the worker had nothing yet to keep
        return failure


def _pickled(contender: Contender) -> bytes:
    try:
        return bytes(cloudpickle.dumps(contender.estimator))
    except Exception as error:  # whatever an object does when it is pickled
        raise ConfigError(
            f"{contender.name} cannot be sent to a process of its own ({error})",
            next_step="give an estimator that can be pickled",
        ) from error


class Workers:
    """The workers of a comparison, one after the other: each loads while the last does what is no cost.

    The first begins to load at once. At the end of the `with` block none is left, nor the job folder.

    Args:
        first: who will run first, if that is known before the data are read.
    """

    def __init__(self, first: Contender | None) -> None:
        self._first = first
        self._workers: dict[str, Worker] = {}
        self._job = tempfile.TemporaryDirectory(prefix="sopan-")

    def __enter__(self) -> Self:
        try:
            if self._first is not None:
                self._load([self._first])
        except BaseException:
            self._job.cleanup()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.end()
        self._job.cleanup()

    def run(
        self,
        contenders: Sequence[Contender],
        options: CompareOptions,
        data: CleanData,
        summary: DataSummary,
    ) -> dict[str, Outcome]:
        """Do every contender's job; return the outcomes by name.

        Args:
            contenders: in the order in which they run.
            options: how is compared; with `resume`, what the run's ledger has is taken over.
            data, summary: what is trained and measured on.

        Raises:
            SopanError: what a worker gave up for.
        """
        job, ledger = Path(self._job.name), Ledger(options, contenders, data, summary)
        write_job(job, options, contenders, data, summary)
        outcomes = ledger.found() if options.resume else {}
        left = [one for one in contenders if one.name not in outcomes]
        for outcome in outcomes.values():
            (job / path_name(outcome.scores.step)).mkdir()
            outcome.write(job / path_name(outcome.scores.step) / OUTCOME)
        for place, contender in enumerate(left):
            options.progress(contender.name, {"stage": "start"})
            self._load([contender])
            worker, following = self._workers[contender.name], left[place + 1 : place + 2]
            outcomes[contender.name] = worker.run(options.progress, partial(self._load, following))
            ledger.keep(contender, outcomes[contender.name])
        return {one.name: outcomes[one.name] for one in contenders}

    def _load(self, contenders: Sequence[Contender]) -> None:
        """Start the workers of these contenders, where they have not started."""
        for contender in contenders:
            if contender.name not in self._workers:
                self._workers[contender.name] = Worker(contender, Path(self._job.name))
