"""The training of every neural classifier: batches of texts of like length, early stopping.

    each epoch: a seeded permutation -> batches -> a step each -> the validation score

The best epoch is kept, and training stops when no epoch gets better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple, TypeAlias

import keras
import numpy as np
from keras import ops
from scipy.special import log_softmax
from sklearn.metrics import f1_score

from sopan.text.batch import Batch, Clipped, batches, drop_words, padding_share, plan, row_weights
from sopan.text.facts import tuned_for
from sopan.training.backend import Loss, Tensors, make_forward, read_all
from sopan.training.kept import Halves, Source
from sopan.training.loop import Position, Task, TrainingBatch, train_network
from sopan.training.optimizer import WarmUpDecay, adamw
from sopan.training.recipe import DivergedError, Epoch, Monitor, Recipe, TrainingReport
from sopan.types import Float32Array, FloatArray, Int64Array, Labels, Tensor

Score: TypeAlias = Callable[[FloatArray], tuple[float, float]]
"""From validation logits (N, C) to a score to maximise and the log-loss that decides between equals."""
Validation: TypeAlias = tuple[Clipped, Score]
"""Texts to stop by, and how to score their logits."""


class Examples(NamedTuple):
    """N texts to learn from.

    Args:
        texts: as the network reads them.
        labels: (N,) class indices, or (N, C) float32 probabilities of the classes.
        weights: (N,) float32, what each counts.
    """

    texts: Clipped
    labels: Labels | Float32Array
    weights: Float32Array


def cross_entropy(label_smoothing: float) -> Loss:
    """Return the weighted mean cross-entropy of a batch as a loss of `make_stepper`.

    The targets are class indices (B,) int32, or probabilities of the classes (B, C) float32; and weights (B,)
    float32.
    """

    def loss(outputs: Mapping[str, Tensor], targets: Tensors) -> Tensor:
        labels, weights = targets
        logits = ops.cast(outputs["logits"], "float32")
        truth = ops.one_hot(labels, logits.shape[-1]) if len(labels.shape) == 1 else labels
        truth = truth * (1 - label_smoothing) + label_smoothing / logits.shape[-1]
        each = -ops.sum(truth * ops.log_softmax(logits), axis=-1)
        return ops.sum(each * weights) / ops.sum(weights)

    return loss


def scorer(labels: Int64Array) -> Score:
    """Return how to score the logits (N, C) of validation texts with these labels (N,).

    Accuracy, or macro-F1 where the classes are imbalanced; and the log-loss.
    """
    imbalanced = tuned_for(np.bincount(labels)) == "macro_f1"

    def score(logits: FloatArray) -> tuple[float, float]:
        best = logits.argmax(axis=1)
        reached = f1_score(labels, best, average="macro") if imbalanced else (best == labels).mean()
        log_loss = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()
        return float(reached), float(log_loss)

    return score


def train_classifier(
    network: keras.Model,
    examples: Examples,
    recipe: Recipe,
    buckets: tuple[int, ...],
    *,
    seed: int,
    validation: Validation | None = None,
    monitor: Monitor | None = None,
    halves: Halves | None = None,
) -> TrainingReport:
    """Train a classifier; afterwards the network holds the weights of the best epoch.

    Args:
        network: from `[ids (B, T), mask (B, T)]` to a dict with `logits` (B, C).
        examples: what to learn from.
        recipe: how.
        buckets: lengths of rectangles.
        seed: decides the order of texts and which words are hidden.
        validation: what to stop by; without it the last epoch counts.
        monitor: who watches, and where snapshots are kept. A snapshot there is gone on from.
        halves: the network in two, if its lower layers do not learn: texts go through these once.

    Raises:
        DivergedError: the loss became infinite or NaN in the first epoch.
        ConfigError: the snapshot is of another run.
        KeyboardInterrupt: Ctrl-C, before the first epoch was over.
    """
    task = Classification(network, examples, recipe, buckets, seed, validation, halves)
    steps = task.epochs * len(task.first)
    schedule = WarmUpDecay(recipe.learning_rate, steps, recipe.warm_up, recipe.decay)
    optimizer = adamw(schedule, recipe.weight_decay, recipe.rates)
    at, stopped = train_network(task, optimizer, monitor=monitor)
    return TrainingReport(
        epochs=tuple(
            Epoch(each.loss, each.held_out.get("score"), each.held_out.get("log_loss"))
            for each in at.evaluations
        ),
        best_epoch=at.best + 1,
        padding=padding_share(examples.texts.lengths, task.first),
        interrupted=isinstance(stopped, KeyboardInterrupt),
        diverged=stopped.what if isinstance(stopped, DivergedError) else "",
    )


class Classification(Task):
    """Learning to tell classes apart; see `train_classifier` for the arguments."""

    unit, shown = "epoch", "score"

    def __init__(
        self,
        network: keras.Model,
        examples: Examples,
        recipe: Recipe,
        buckets: tuple[int, ...],
        seed: int,
        validation: Validation | None,
        halves: Halves | None = None,
    ):
        self.network, self.examples, self.validation = network, examples, validation
        self.recipe, self.buckets, self.seed = recipe, buckets, seed
        self.first = self.plan(0)
        self.epochs = max(recipe.epochs, math.ceil(recipe.min_steps / len(self.first)))
        self.patience = recipe.patience * math.ceil(self.epochs / recipe.epochs)  # of epochs of few batches
        self.loss = cross_entropy(recipe.label_smoothing)
        self._halves, self._classes = halves, network.output["logits"].shape[-1]
        self._forward = make_forward(self.learner, ["logits"])

    @property
    def learner(self) -> keras.Model:
        """The network, or its upper half."""
        return self.network if self._halves is None else self._halves.above

    @cached_property
    def _learnt(self) -> Source:
        """The texts to learn from; read when they are first asked for: a snapshot may come before."""
        return Source.of(self.examples.texts, self._halves, self.buckets)

    @cached_property
    def _judged(self) -> Source:
        """The validation texts, likewise."""
        assert self.validation is not None
        return Source.of(self.validation[0], self._halves, self.buckets)

    def plan(self, epoch: int) -> list[tuple[Int64Array, int, int]]:
        """Return the rectangles of an epoch in their order."""
        rng = np.random.default_rng([self.seed, epoch])
        sizes = {"words": self.recipe.batch_words, "most": self.recipe.batch_texts}
        return plan(self.examples.texts.lengths, self.buckets, **sizes, rng=rng)

    def batches(self, at: Position) -> Iterator[TrainingBatch]:
        """Return the batches that are left of the epoch."""
        epoch, start = len(at.evaluations), at.since
        left = batches(self._learnt.clipped, self.plan(epoch)[start:])
        return (self._prepared(batch, [self.seed, epoch, number]) for number, batch in enumerate(left, start))

    def _prepared(self, batch: Batch, seed: list[int]) -> TrainingBatch:
        """Hide words, look labels and weights up."""
        known = self.examples.labels
        labels = np.zeros((len(batch.ids), *known.shape[1:]), np.int32 if known.ndim == 1 else np.float32)
        labels[: len(batch.rows)] = known[batch.rows]
        weights = row_weights(batch, self.examples.weights)
        if self.recipe.word_dropout:
            batch = drop_words(batch, self.recipe.word_dropout, np.random.default_rng(seed))
        return TrainingBatch(self._learnt.inputs(batch), (labels, weights), int(batch.mask.sum()))

    def evaluate(self) -> dict[str, float]:
        """Score the validation texts."""
        if self.validation is None:
            return {}
        texts, forward = self._judged, self._judged.forward(self._forward)
        found, log_loss = self.validation[1](read_all(forward, texts.clipped, self.buckets, self._classes))
        return {"score": found, "log_loss": log_loss}

    def is_best(self, at: Position) -> bool:
        """Tell whether the last epoch has the best score, or there is none to go by."""
        if self.validation is None or at.best < 0:
            return True
        last, best = at.evaluations[-1].held_out, at.evaluations[at.best].held_out
        return (last["score"], -last["log_loss"]) > (best["score"], -best["log_loss"])

    def is_done(self, at: Position) -> bool:
        """Tell whether all epochs are over, or too many since the best."""
        done = len(at.evaluations)
        return done >= self.epochs or done - at.best > self.patience

    def progress(self, at: Position) -> tuple[int, int, int]:
        """Return which epoch this is, of how many, and how many batches are left at most."""
        done = len(at.evaluations)
        return min(done + 1, self.epochs), self.epochs, (self.epochs - done) * len(self.first) - at.since

    def identity(self) -> Iterator[bytes]:
        """Yield settings, texts, labels and weights."""
        yield repr((self.recipe, self.buckets, self.seed, self.epochs)).encode()
        for texts in [self.examples.texts, *([self.validation[0]] if self.validation else [])]:
            yield texts.encoded.ids.tobytes()
            yield texts.encoded.offsets.tobytes()
        yield self.examples.labels.tobytes()
        yield self.examples.weights.tobytes()
