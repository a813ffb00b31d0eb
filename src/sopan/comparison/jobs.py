"""Hand each step to a worker process, listen to its progress, and collect its outcome."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from sopan import errors
from sopan.errors import SopanError
from sopan.types import BoolArray, FloatArray, Json

Progress = Callable[[str, dict[str, Json]], None]
"""Told the step's name and what its worker just said."""


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


def run_worker(step: str, job: Path, settings: dict[str, Json], progress: Progress) -> Outcome:
    """Run one step in a process of its own and wait for it.

    Ctrl-C reaches the worker too. It then stops tuning and goes on with its best setting; one that has
    tried none yet is ended, and so are both by a second Ctrl-C.

    Args:
        step: a step's name, maybe with a variant.
        job: the folder with `job.json` and the texts.
        settings: what is particular to this step, put beside `job.json`.

    Raises:
        SopanError: of the kind and with the words that the worker gave.
    """
    folder = job / step.replace(":", "-")
    folder.mkdir()
    (folder / "step.json").write_text(json.dumps({"step": step} | settings))
    command = [sys.executable, "-m", "sopan.comparison.worker", str(folder)]
    log = folder / "stderr.txt"
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as worker,
    ):
        try:
            failure = _listen(worker, step, progress)
        except BaseException:
            worker.kill()
            raise
    if failure:
        raise failure
    if worker.returncode:
        last = log.read_text().strip().splitlines()[-1:] or ["no message"]
        raise SopanError(f"the step {step!r} stopped (exit code {worker.returncode}): {last[0]}")
    arrays = load_file(folder / "arrays.safetensors")
    return Outcome(
        json.loads((folder / "outcome.json").read_text()),
        arrays["probabilities"],
        arrays["truncated"],
        arrays.get("correct_with_leaks"),
    )


def _listen(worker: subprocess.Popen[str], step: str, progress: Progress) -> SopanError | None:
    """Pass the worker's messages on until it ends; return the error that it named, if any."""
    assert worker.stdout is not None
    failure, interrupts = None, 0
    while True:
        try:
            for line in worker.stdout:
                message = json.loads(line)
                if "error" in message:
                    failure = _as_error(message)
                else:
                    progress(step, message)
            worker.wait()
            break
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > 1:
                raise
    if worker.returncode and interrupts and not failure:
        raise KeyboardInterrupt  # the worker had nothing yet to keep
    return failure


def _as_error(message: dict[str, Any]) -> SopanError:
    kind = getattr(errors, message["kind"], SopanError)
    error: SopanError = kind(message["error"])
    return error
