"""Hand each step to a worker process, listen to its progress, and collect its outcome."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from safetensors.numpy import load_file

from sopan import errors
from sopan.errors import SopanError
from sopan.options.base import ProgressCallback
from sopan.types import BoolArray, FloatArray, Json

COMMAND = """
import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)
from sopan.comparison.worker import main; main()
"""
"""What a worker does; that Ctrl-C does not end one that still loads comes first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker found out about one step.

    Args:
        scores: the measured entries of a `steps` item in results.json, and the raw learning curve.
        probabilities: (N, C) of the test texts.
        truncated: (N,) bool.
        correct_with_leaks: (N,) bool, where the step was also trained with the leaks put back.
    """

    scores: dict[str, Json]
    probabilities: FloatArray
    truncated: BoolArray
    correct_with_leaks: BoolArray | None


class Worker:
    """One step in a process of its own, which loads what the step needs at once and begins when told to.

    Args:
        step: a step's name, maybe with a variant.
        job: the folder that will hold `job.json` and the texts.
    """

    def __init__(self, step: str, job: Path) -> None:
        self._step, self._folder = step, job / step.replace(":", "-")
        self._folder.mkdir()
        self._log = self._folder / "stderr.txt"
        with self._log.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, str(self._folder), step],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def run(
        self, settings: dict[str, Json], progress: ProgressCallback, measured: Callable[[], None]
    ) -> Outcome:
        """Let it begin, and wait for its outcome.

        Ctrl-C reaches the worker too. It then stops tuning and goes on with its best setting; one that has
        tried none yet is ended, and so are both by a second Ctrl-C.

        Args:
            settings: what is particular to this step, put beside `job.json`.
            progress: told what the worker says.
            measured: called when what it still does is part of no cost.

        Raises:
            SopanError: of the kind and with the words that the worker gave.
        """
        (self._folder / "step.json").write_text(json.dumps({"step": self._step} | settings))
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
        arrays = load_file(self._folder / "arrays.safetensors")
        return Outcome(
            json.loads((self._folder / "outcome.json").read_text()),
            arrays["probabilities"],
            arrays["truncated"],
            arrays.get("correct_with_leaks"),
        )

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
                        failure = _as_error(message)
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


class Workers:
    """The workers of a comparison, one after the other: each loads while the last does what is no cost.

    The first begins to load at once. At the end of the `with` block none is left.

    Args:
        steps: in the order in which they will run.
        job: as for a `Worker`.
    """

    def __init__(self, steps: Sequence[str], job: Path) -> None:
        self._steps, self._job = list(steps), job
        self._started: dict[str, Worker] = {}

    def __enter__(self) -> Self:
        self._start(self._steps[0])
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._started.values():
            worker.end()

    def run(self, step: str, settings: dict[str, Json], progress: ProgressCallback) -> Outcome:
        """Run a step; see `Worker.run`."""
        following = self._steps[self._steps.index(step) + 1 :][:1]

        def start_following() -> None:
            for each in following:
                self._start(each)

        return self._start(step).run(settings, progress, start_following)

    def _start(self, step: str) -> Worker:
        if step not in self._started:
            self._started[step] = Worker(step, self._job)
        return self._started[step]


def _as_error(message: dict[str, Any]) -> SopanError:
    kind = getattr(errors, message["kind"], SopanError)
    error: SopanError = kind(message["error"])
    return error
