"""A job for each step, in a folder: what goes in, who does it, and the one file that comes out.

The job folder holds `job.json` and the texts as Arrow files; below it each step has a folder of its own, in
which its worker writes `outcome.safetensors`, whole or not at all. These files are the ledger: an outcome
that is there is done.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

import cloudpickle
import numpy as np
import pyarrow as pa

from sopan import errors
from sopan.comparison.contenders import Contender
from sopan.comparison.results import DataSummary, StepScores, checked
from sopan.errors import ConfigError, SopanError
from sopan.options.base import ProgressCallback
from sopan.options.classify import CompareOptions
from sopan.steps.base import Settings
from sopan.storage.atomic import replacing_file
from sopan.storage.strict_json import dump_json, read_json
from sopan.storage.tensors import read_tensors, write_tensors
from sopan.text.audit import CleanData
from sopan.text.split import PARTS
from sopan.types import Array, BoolArray, FloatArray, Int64Array, Json, Labelled, path_name

COMMAND = """
import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)
from sopan.comparison.worker import main; main()
"""
"""What a worker does; that Ctrl-C does not end one that still loads comes first."""
OUTCOME, ESTIMATOR = "outcome.safetensors", "estimator.pickle"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker found out about one step.

    Args:
        scores: its item of `steps` in results.json.
        probabilities: (N, C) of the test texts.
        validation: (M, C) of the validation texts.
        truncated: (N,) bool.
        curve: (P, 3) int64, points of a learning curve: texts trained on, right, and tested on.
        correct_with_leaks: (N,) bool, where the step was also trained with the leaks put back.
    """

    scores: StepScores
    probabilities: FloatArray
    validation: FloatArray
    truncated: BoolArray
    curve: Int64Array
    correct_with_leaks: BoolArray | None = None

    def write(self, path: Path) -> None:
        """Write it as one file."""
        arrays: dict[str, Array] = {
            name: getattr(self, name)
            for name in ("probabilities", "validation", "truncated", "curve", "correct_with_leaks")
            if getattr(self, name) is not None
        }
        arrays["scores"] = np.frombuffer(json.dumps(self.scores.as_json()).encode(), np.uint8)
        with replacing_file(path) as new:
            write_tensors(arrays, new)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        arrays = read_tensors(memoryview(path.read_bytes()), path)
        return cls(checked(StepScores, arrays.pop("scores").tobytes(), path), **arrays)


# ---- the job folder ------------------------------------------------------------------------------


def write_job(
    folder: Path,
    options: CompareOptions,
    contenders: Sequence[Contender],
    data: CleanData,
    summary: DataSummary,
) -> None:
    """Write what every worker reads: texts, what is said of them, options, and each one's settings."""
    parts = dict(zip(PARTS, data.parts(), strict=True))
    if len(data.given.train) != len(data.split.train):
        parts["leaky"] = data.corpus.take(data.given.train)
    for name, part in parts.items():
        _write_table(folder, name, {"text": part.texts, "label": pa.array(part.labels, pa.int32())})
    if data.unlabelled is not None:
        _write_table(folder, "unlabelled", {"text": data.unlabelled})
    settings = {one.name: dict(one.settings) for one in contenders}
    job = {"options": options.as_json(), "data": summary.as_json(), "settings": settings}
    (folder / "job.json").write_bytes(dump_json(job))


def _write_table(folder: Path, name: str, columns: dict[str, pa.Array]) -> None:
    """Write an Arrow file that a worker maps instead of copying."""
    table = pa.table(columns)
    with (
        pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)


class Job(NamedTuple):
    """What a worker reads of the job folder.

    Args:
        options: how to compare; steps and folder are named.
        data: what `config.json` of a model says of the data.
        settings: those given to each contender.
        train, val, test: the texts, the leaks taken out.
        leaky: training texts with the leaks put back, where there are any.
        unlabelled: further texts.
    """

    options: CompareOptions
    data: dict[str, Json]
    settings: dict[str, Settings]
    train: Labelled
    val: Labelled
    test: Labelled
    leaky: Labelled | None
    unlabelled: pa.LargeStringArray | None


def read_job(folder: Path) -> Job:
    """Map what `write_job` wrote."""
    job = read_json(folder / "job.json")
    classes = tuple(job["data"]["classes"])

    def table(name: str) -> pa.Table:
        with pa.memory_map(str(folder / f"{name}.arrow")) as source:
            return pa.ipc.open_file(source).read_all().combine_chunks()

    def part(name: str) -> Labelled:
        columns = table(name)
        return Labelled(columns["text"].combine_chunks(), columns["label"].to_numpy(), classes)

    return Job(
        CompareOptions(**job["options"]),
        job["data"],
        {name: _values(settings) for name, settings in job["settings"].items()},
        train=part("train"),
        val=part("val"),
        test=part("test"),
        leaky=part("leaky") if (folder / "leaky.arrow").exists() else None,
        unlabelled=table("unlabelled")["text"].combine_chunks()
        if (folder / "unlabelled.arrow").exists()
        else None,
    )


def _values(settings: Mapping[str, Json]) -> Settings:
    """Return settings as they were given: what JSON has as a list was a tuple."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


# ---- workers -------------------------------------------------------------------------------------


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
        contenders: in the order in which they will run.
    """

    def __init__(self, contenders: Sequence[Contender]) -> None:
        self._contenders = list(contenders)
        self._workers: list[Worker] = []
        self._job = tempfile.TemporaryDirectory(prefix="sopan-")

    def __enter__(self) -> Self:
        try:
            self._load(0)
        except BaseException:
            self._job.cleanup()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()
        self._job.cleanup()

    def run(self, options: CompareOptions, data: CleanData, summary: DataSummary) -> dict[str, Outcome]:
        """Do every step's job; return the outcomes by step.

        Raises:
            SopanError: what a worker gave up for.
        """
        write_job(Path(self._job.name), options, self._contenders, data, summary)
        outcomes, progress = {}, options.progress
        for place, contender in enumerate(self._contenders):
            progress(contender.name, {"stage": "start"})
            self._load(place)
            outcomes[contender.name] = self._workers[place].run(progress, partial(self._load, place + 1))
        return outcomes

    def _load(self, place: int) -> None:
        """Start the worker in this place of the order, if there is one and it has not started."""
        if len(self._workers) <= place < len(self._contenders):
            self._workers.append(Worker(self._contenders[place], Path(self._job.name)))
