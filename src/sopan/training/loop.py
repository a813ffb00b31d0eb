"""The training loop of every network here. What is learnt is a `Task`'s affair.

    until the task is done:  batches -> a step of the optimiser each -> an evaluation

A run may be stopped at any moment and goes on from its last snapshot to the very bits that it would have
reached undisturbed: all chance is drawn anew for each batch or lives in the network's own seeded variables,
so that a position and the variables are all that a snapshot needs.
"""

from __future__ import annotations

import hashlib
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
from keras import ops

from sopan.errors import ConfigError
from sopan.training.backend import Loss, Stepper, Tensors, make_stepper
from sopan.training.checkpoint import Snapshot
from sopan.training.recipe import DivergedError, Evaluation, Monitor, TrainingProgress

SNAPSHOT_SECONDS = 60.0
"""A snapshot is kept so often, and after every evaluation."""
PROGRESS_SECONDS = 0.5
"""Progress is reported at most so often."""
SMOOTHING = 0.95
"""How much the reported loss leans on the past."""


class TrainingBatch(NamedTuple):
    """What one step learns from.

    Args:
        inputs: of the network, as NumPy arrays.
        targets: of the loss, likewise.
        words: how many it has, for the record.
    """

    inputs: Tensors
    targets: Tensors
    words: int


@dataclass(slots=True)
class Position:
    """Where a run is: changes as it goes, and is written into snapshots.

    Args:
        batch: so many batches were learnt.
        since: so many of them since the last evaluation.
        loss: mean over these.
        words: so many were read.
        seconds: spent on learning.
        best: which evaluation's weights are kept; -1: none.
        evaluations: what each found.
    """

    batch: int = 0
    since: int = 0
    loss: float = 0.0
    words: int = 0
    seconds: float = 0.0
    best: int = -1
    evaluations: list[Evaluation] = field(default_factory=list)


class Task(ABC):
    """What a network learns: which batches, which loss, how it is judged, and when it is done."""

    network: keras.Model
    loss: Loss
    accumulate: int = 1
    """Batches of one step of the optimiser."""
    length: tuple[int, int] = (0, 0)
    """Batches of the run, and after how many the rate falls: until then a run that was kept can be longer."""
    unit: ClassVar[str]
    """What `progress` counts: `epoch` or `step`."""
    shown: ClassVar[str]
    """Which of the values of `evaluate` is reported with the progress."""

    @property
    def learner(self) -> keras.Model:
        """What batches are led through: the network, or the part of it that learns."""
        return self.network

    @abstractmethod
    def batches(self, at: Position) -> Iterator[TrainingBatch]:
        """Return the batches that are left until the next evaluation; a position decides them."""

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Measure the network on held-out text."""

    @abstractmethod
    def is_done(self, at: Position) -> bool:
        """Tell whether nothing is left to learn, or nothing gained by it."""

    @abstractmethod
    def progress(self, at: Position) -> tuple[int, int, int]:
        """Return which unit this is, of how many, and how many batches are left at most."""

    @abstractmethod
    def identity(self) -> Iterable[bytes]:
        """Yield all that decides how a run goes, but for the network and the machine."""

    def is_best(self, at: Position) -> bool:
        """Tell whether the last evaluation is the best, so that its weights count if none is better."""
        return False


def train_network(
    task: Task,
    optimizer: keras.optimizers.Optimizer,
    *,
    monitor: Monitor | None = None,
    xla: bool = False,
    shared: bool = False,
) -> tuple[Position, KeyboardInterrupt | DivergedError | None]:
    """Train a task's network, or go on with a run that was kept.

    Afterwards the network holds the weights of the best evaluation, or the last ones if none is the best.

    Args:
        task: what is learnt.
        optimizer: with its schedule.
        monitor: who watches, and where snapshots are kept. A snapshot there is gone on from.
        xla, shared: see `make_stepper`.

    Returns:
        How the run went, and what ended it early, if there were best weights to go back to.

    Raises:
        DivergedError: the loss became infinite or NaN.
        ConfigError: the snapshot is of another run.
        KeyboardInterrupt: Ctrl-C.
    """
    stepper = make_stepper(task.learner, task.loss, optimizer, xla=xla, shared=shared)
    run = _Run(task, optimizer, stepper, monitor or Monitor())
    stopped: KeyboardInterrupt | DivergedError | None = None
    try:
        with ThreadPoolExecutor(1) as ahead:  # the next batch is made while this one is learnt
            while not task.is_done(run.at):
                batches = task.batches(run.at)
                waiting = ahead.submit(next, batches, None)
                while (batch := waiting.result()) is not None:
                    waiting = ahead.submit(next, batches, None)
                    run.learn(batch)
                run.evaluate()
    except (KeyboardInterrupt, DivergedError) as error:
        if run.at.best < 0:
            raise
        stopped = error
    if run.best_weights:
        task.network.set_weights(run.best_weights)
    return run.at, stopped


class _Run:
    """One run: where it is, its best weights, its snapshots."""

    def __init__(self, task: Task, optimizer: keras.optimizers.Optimizer, stepper: Stepper, monitor: Monitor):
        self.task, self.stepper, self.checkpoint = task, stepper, monitor.checkpoint
        self.at = Position()
        self.best_weights: list[np.ndarray] = []
        self._variables = [*task.network.variables, *optimizer.variables]
        self._identity = "" if self.checkpoint is None else _digest(task)
        self._resume()
        self._watch = _Watch(task, self.at, monitor)
        self._written = time.monotonic()

    def learn(self, batch: TrainingBatch) -> None:
        """Make one step of the optimiser."""
        at, started = self.at, time.monotonic()
        loss = self.stepper.step(batch.inputs, batch.targets)
        if not math.isfinite(loss):
            done, total, _ = self.task.progress(at)
            place = f"batch {at.batch + 1} ({self.task.unit} {done} of {total})"
            raise DivergedError(f"the loss was {loss} at {place}", next_step="lower the learning rate")
        at.batch, at.since, at.words = at.batch + 1, at.since + 1, at.words + batch.words
        at.loss += (loss - at.loss) / at.since
        at.seconds += time.monotonic() - started
        self._watch.step(loss)
        if time.monotonic() - self._written >= SNAPSHOT_SECONDS:
            self._write()

    def evaluate(self) -> None:
        """Judge the network, and keep its weights if they are the best."""
        at = self.at
        self.stepper.settle()
        step, held_out = at.batch // self.task.accumulate, self.task.evaluate()
        at.evaluations.append(Evaluation(step, at.words, at.seconds, at.loss, held_out))
        if self.task.is_best(at):
            at.best = len(at.evaluations) - 1
            self.best_weights = [np.array(array) for array in self.task.network.get_weights()]
        at.since, at.loss = 0, 0.0
        self._write()
        self._watch.evaluation()

    def _write(self) -> None:
        if self.checkpoint is None:
            return
        self.stepper.settle()
        arrays = {f"now.{i}": np.array(ops.convert_to_numpy(v.value)) for i, v in enumerate(self._variables)}
        arrays |= {f"best.{i}": array for i, array in enumerate(self.best_weights)}
        described = {"run": self._identity, "length": self.task.length, "at": asdict(self.at)}
        self.checkpoint.write(Snapshot(arrays, described))
        self._written = time.monotonic()

    def _resume(self) -> None:
        snapshot = self.checkpoint.read() if self.checkpoint else None
        if snapshot is None:
            return
        if snapshot.position["run"] != self._identity:
            raise ConfigError(
                "the checkpoint is of another run: its texts, settings, seed or versions differ",
                next_step="run the command as it was, or name another folder",
            )
        found = snapshot.position["at"]
        evaluations = [Evaluation(*values) for values in found["evaluations"]]
        self.at = Position(**{**found, "evaluations": evaluations})
        length, stable = snapshot.position["length"]
        if (length, stable) != self.task.length and self.at.batch > min(stable, self.task.length[1]):
            raise ConfigError(
                f"the rate has begun to fall, towards step {length // self.task.accumulate}",
                next_step="only a run whose rate is still stable can be made longer or shorter",
            )
        for i, variable in enumerate(self._variables):
            variable.assign(snapshot.arrays[f"now.{i}"])
        self.stepper.renew()
        kept = len(self.task.network.weights) if self.at.best >= 0 else 0
        self.best_weights = [snapshot.arrays[f"best.{i}"] for i in range(kept)]


def _digest(task: Task) -> str:
    """Return a digest of a network's shapes, the versions at work, and what decides a task."""
    shapes = [tuple(variable.shape) for variable in task.network.variables]
    digest = hashlib.sha256(repr((keras.__version__, keras.backend.backend(), shapes)).encode())
    for part in task.identity():
        digest.update(part)
    return digest.hexdigest()


class _Watch:
    """Reports how a run goes: to whoever watches, and to TensorBoard."""

    def __init__(self, task: Task, at: Position, monitor: Monitor):
        self._task, self._at, self._monitor = task, at, monitor
        self._loss = 0.0
        self._batch, self._words = at.batch, at.words
        self._reported = self._since = time.monotonic()
        self._writer = None
        if monitor.logs is not None:
            import tensorflow as tf  # noqa: PLC0415  # TensorBoard's file format, whatever the backend

            self._writer = tf.summary.create_file_writer(str(monitor.logs))

    def step(self, loss: float) -> None:
        """Note one step."""
        keep = SMOOTHING if self._at.batch > self._batch + 1 else 0.0
        self._loss = keep * self._loss + (1 - keep) * loss
        self._log("train/loss", loss)
        if time.monotonic() - self._reported >= PROGRESS_SECONDS:
            self._report()

    def evaluation(self) -> None:
        """Note the evaluation that was appended to the position."""
        for name, value in self._at.evaluations[-1].held_out.items():
            self._log(f"validation/{name}", value)
        self._monitor.on_evaluation(self._at.evaluations[-1])
        self._report()
        if self._writer is not None:
            self._writer.flush()

    def _report(self) -> None:
        at, now = self._at, time.monotonic()
        seconds = max(1e-9, now - self._since)
        speed, each = (at.words - self._words) / seconds, seconds / max(1, at.batch - self._batch)
        done, total, left = self._task.progress(at)
        score = at.evaluations[-1].held_out.get(self._task.shown) if at.evaluations else None
        self._monitor.on_progress(
            TrainingProgress(done, total, self._loss, speed, left * each, score, self._task.unit)
        )
        self._reported = now

    def _log(self, name: str, value: float) -> None:
        if self._writer is not None:
            import tensorflow as tf  # noqa: PLC0415

            with self._writer.as_default():
                tf.summary.write(name, tf.constant(value, tf.float32), self._at.batch, _scalars())


def _scalars() -> Any:
    """Return what marks a value as a scalar; TensorBoard itself, whose helper does this, need not be here."""
    import tensorflow as tf  # noqa: PLC0415

    kind = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    return tf.compat.v1.SummaryMetadata(plugin_data=kind)
