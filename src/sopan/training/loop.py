"""The training loop of every neural classifier.

    each epoch: a seeded permutation -> batches of like length -> a step each -> the validation score
    keep the best epoch; stop when no epoch gets better; go on after a stop as if there had been none

All chance is drawn anew from (seed, epoch, batch) or lives in the network's own seeded variables, so that
a position and the variables are all that a snapshot needs.
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from sopan.text.batch import Batch, Clipped, batches, drop_words, padding_share, plan, row_weights
from sopan.training.backend import Arrays, Stepper, make_forward, make_stepper
from sopan.training.forward import read_all
from sopan.training.optimizer import WarmUpDecay, adamw
from sopan.training.recipe import (
    DivergedError,
    Epoch,
    Examples,
    Monitor,
    Position,
    Recipe,
    Score,
    Snapshot,
    Trained,
)
from sopan.training.snapshot import Variables, run_digest
from sopan.training.watch import Watch

SNAPSHOT_SECONDS = 60.0
"""A snapshot is kept so often, and at the end of every epoch."""


def cross_entropy(label_smoothing: float) -> Any:
    """Return the weighted mean cross-entropy of a batch as a loss of `make_stepper`.

    The targets are class indices (B,) int32 and weights (B,) float32.
    """

    def loss(outputs: Any, targets: Arrays) -> Any:
        labels, weights = targets
        logits = ops.cast(outputs["logits"], "float32")
        truth = ops.one_hot(labels, logits.shape[-1])
        truth = truth * (1 - label_smoothing) + label_smoothing / logits.shape[-1]
        each = -ops.sum(truth * ops.log_softmax(logits), axis=-1)
        return ops.sum(each * weights) / ops.sum(weights)

    return loss


class _Run(NamedTuple):
    """What does not change while a run goes on."""

    network: keras.Model
    optimizer: keras.optimizers.Optimizer
    stepper: Stepper
    examples: Examples
    recipe: Recipe
    buckets: tuple[int, ...]
    seed: int
    epochs: int


def train(
    network: keras.Model,
    examples: Examples,
    recipe: Recipe,
    buckets: tuple[int, ...],
    *,
    seed: int,
    validation: tuple[Clipped, Score] | None = None,
    monitor: Monitor | None = None,
) -> Trained:
    """Train a classifier; afterwards the network holds the weights of the best epoch.

    Args:
        network: from `[ids (B, T), mask (B, T)]` to a dict with `logits` (B, C).
        examples: what to learn from.
        recipe: how.
        buckets: lengths of rectangles.
        seed: decides the order of texts and which words are hidden.
        validation: texts to stop by, and how to score their logits; without them the last epoch counts.
        monitor: who watches, and where snapshots are kept. A snapshot there is gone on from.

    Raises:
        DivergedError: the loss became infinite or NaN in the first epoch.
        ConfigError: the snapshot is of another run.
        KeyboardInterrupt: Ctrl-C, before the first epoch was over.
    """
    monitor = monitor or Monitor()
    first = _planned(examples, recipe, buckets, seed, 0)
    epochs = max(recipe.epochs, math.ceil(recipe.min_steps / len(first)))
    schedule = WarmUpDecay(recipe.learning_rate, epochs * len(first), recipe.warm_up, recipe.decay)
    optimizer = adamw(schedule, recipe.weight_decay, recipe.rates)
    stepper = make_stepper(network, cross_entropy(recipe.label_smoothing), optimizer)
    run = _Run(network, optimizer, stepper, examples, recipe, buckets, seed, epochs)
    keeper = _Keeper(run, monitor, validation)
    interrupted, diverged = False, ""
    try:
        _learn(run, keeper, Watch(monitor, epochs, len(first)), validation)
    except KeyboardInterrupt:
        if keeper.position.best_epoch < 0:
            raise
        interrupted = True
    except DivergedError as error:
        if keeper.position.best_epoch < 0:
            raise
        diverged = error.what
    keeper.restore_best()
    padding = padding_share(examples.texts.lengths, first)
    position = keeper.position
    return Trained(tuple(position.epochs), position.best_epoch, padding, interrupted, diverged)


def _planned(
    examples: Examples, recipe: Recipe, buckets: tuple[int, ...], seed: int, epoch: int
) -> list[tuple[Any, int, int]]:
    rng = np.random.default_rng([seed, epoch])
    lengths = examples.texts.lengths
    return plan(lengths, buckets, words=recipe.batch_words, most=recipe.batch_texts, rng=rng)


def _learn(run: _Run, keeper: _Keeper, watch: Watch, validation: tuple[Clipped, Score] | None) -> None:
    """Go through the epochs that are left."""
    position, forward = keeper.position, make_forward(run.network, ["logits"])
    stretch = math.ceil(run.epochs / run.recipe.epochs)  # epochs of few batches: patience with more of them
    patience = run.recipe.patience * stretch
    while position.epoch < run.epochs and position.epoch - position.best_epoch <= patience:
        planned = _planned(run.examples, run.recipe, run.buckets, run.seed, position.epoch)
        for batch in batches(run.examples.texts, planned[position.batch :]):
            loss = run.stepper.step(*_prepared(run, position, batch))
            _check(loss, position)
            position.batch, position.step = position.batch + 1, position.step + 1
            position.loss += (loss - position.loss) / position.batch
            watch.step(position, int(batch.mask.sum()), loss)
            keeper.now_and_then()
        run.stepper.settle()
        score, log_loss = math.nan, math.nan
        if validation is not None:
            score, log_loss = validation[1](
                read_all(forward, validation[0], run.buckets, run.network.output["logits"].shape[-1])
            )
        position.epochs.append(Epoch(position.loss, score, log_loss))
        keeper.end_of_epoch()
        watch.epoch(position)


def _prepared(run: _Run, position: Position, batch: Batch) -> tuple[Arrays, Arrays]:
    """Hide words, look labels and weights up: inputs and targets of one step."""
    labels = np.zeros(len(batch.ids), np.int32)
    labels[: len(batch.rows)] = run.examples.labels[batch.rows]
    weights = row_weights(batch, run.examples.weights)
    if run.recipe.word_dropout:
        rng = np.random.default_rng([run.seed, position.epoch, position.batch])
        batch = drop_words(batch, run.recipe.word_dropout, rng)
    return (batch.ids, batch.mask), (labels, weights)


def _check(loss: float, position: Position) -> None:
    if not math.isfinite(loss):
        place = f"step {position.step + 1} (epoch {position.epoch + 1}, batch {position.batch + 1})"
        raise DivergedError(f"the loss was {loss} at {place}", next_step="lower learning_rate")


class _Keeper:
    """Holds the position and the best weights of a run, and keeps snapshots."""

    def __init__(self, run: _Run, monitor: Monitor, validation: tuple[Clipped, Score] | None):
        self.run = run
        self.checkpoint = monitor.checkpoint
        self.judged = validation is not None
        self.position = Position()
        self.best: list[np.ndarray] = []
        self._last = time.monotonic()
        self._variables = Variables(run.network, run.optimizer, run.stepper)
        self._identity = "" if self.checkpoint is None else _identity(run, validation)
        self._resume()

    def now_and_then(self) -> None:
        if self.checkpoint is not None and time.monotonic() - self._last >= SNAPSHOT_SECONDS:
            self._write()

    def end_of_epoch(self) -> None:
        """Note whether the epoch was the best; step into the next."""
        position = self.position
        scores = [(epoch.score, -epoch.log_loss) for epoch in position.epochs]
        if not self.judged or position.best_epoch < 0 or scores[-1] > scores[position.best_epoch]:
            position.best_epoch = position.epoch
            self.best = [np.array(array) for array in self.run.network.get_weights()]
        position.epoch, position.batch, position.loss = position.epoch + 1, 0, 0.0
        if self.checkpoint is not None:
            self._write()

    def restore_best(self) -> None:
        self.run.network.set_weights(self.best)

    def _write(self) -> None:
        assert self.checkpoint is not None
        arrays = self._variables.arrays()
        arrays |= {f"best.{i}": array for i, array in enumerate(self.best)}
        self.checkpoint.write(Snapshot(arrays, {"run": self._identity} | self.position.as_json()))
        self._last = time.monotonic()

    def _resume(self) -> None:
        snapshot = self.checkpoint.read() if self.checkpoint else None
        if snapshot is None:
            return
        self._variables.go_on(snapshot, self._identity)
        position = {name: value for name, value in snapshot.position.items() if name != "run"}
        self.position = Position.of_json(position)
        self.best = [
            snapshot.arrays[f"best.{i}"]
            for i in range(len(self.run.network.weights))
            if self.position.best_epoch >= 0
        ]


def _identity(run: _Run, validation: tuple[Clipped, Score] | None) -> str:
    """Return a digest of all that decides how a run goes, but for the machine."""
    parts = [run.examples.texts] + ([validation[0]] if validation else [])
    arrays: list[np.ndarray] = [array for part in parts for array in (part.encoded.ids, part.encoded.offsets)]
    arrays += [run.examples.labels, run.examples.weights]
    settings = (run.recipe, run.buckets, run.seed, run.epochs)
    return run_digest(run.network, settings, *(array.tobytes() for array in arrays))
