"""The training of language models: filling blanks or predicting the next piece, in rows without padding.

each batch: documents cut into sequences -> packed into rows -> blanks -> a step each
now and then: an evaluation on held-out text
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import keras
import numpy as np
from keras import ops

from sopan.errors import ConfigError, DataError
from sopan.options.language import PairTask
from sopan.text.objectives import Pairs, make_pairs, mask_pieces, next_pieces
from sopan.text.packing import PieceStore, Rows, Sequences, cut_sequences, fill_rows, pack_rows
from sopan.text.piece_tokenizer import CLS, MASK, SEP, SPECIALS, PieceTokenizer
from sopan.training.backend import Tensors
from sopan.training.loop import Position, Task, TrainingBatch, train_network
from sopan.training.optimizer import make_optimizer
from sopan.training.recipe import Evaluation, LanguageRecipe, Monitor
from sopan.types import Int32Array, Tensor

Draw: TypeAlias = Callable[[int], tuple[Tensors, Tensors]]
"""From a batch's number to its inputs and targets: the same number, the same batch."""
Judge: TypeAlias = Callable[[], dict[str, float]]
"""Measures the network on held-out text."""


# ---- Batches -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PretrainingTask:
    """What a language model learns to predict, and on rows of which shape.

    Args:
        causal: predict each piece; else fill blanks.
        length: T of a row.
        rows: B of a batch.
        mask_rate: share of the pieces that are blanks.
        whole_words: hide whole words, else single pieces.
        pairs: see `PairTask`.
        shift: the furthest place that a sequence begins at, drawn anew for each, so that short rows teach far
            places, too (Kiyono et al. 2021, "SHAPE").
    """

    causal: bool = False
    length: int = 128
    rows: int = 64
    mask_rate: float = 0.15
    whole_words: bool = True
    pairs: PairTask = "none"
    shift: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.mask_rate < 1:
            raise ConfigError(f"mask_rate={self.mask_rate} cannot work", next_step="0.15 is usual, 0.4 a lot")
        if self.length < 16 or self.rows < 1 or self.shift < 0:
            given = f"rows of {self.length} pieces, {self.rows} at a time, shifted by up to {self.shift}"
            raise ConfigError(f"{given}, cannot work")
        if self.causal and self.pairs != "none":
            raise ConfigError("a causal model does not learn about pairs", next_step="leave one of them out")


class _Epoch(NamedTuple):
    """One pass over the corpus.

    Args:
        number: from 0.
        sequences: of the corpus.
        rows: which sequences each row holds.
        first: the number of its first batch.
    """

    number: int
    sequences: Sequences
    rows: list[np.ndarray]
    first: int


class Batches:
    """Draws the batches of a corpus: called with a number, it returns that batch's inputs and targets.

    Args:
        store: the corpus.
        wordpiece: what it was cut with.
        task: what is to be predicted.
        seed: decides cuts, packing and blanks.

    Attributes:
        batches_an_epoch: how many batches the first pass over the corpus gives.

    Raises:
        DataError: the corpus does not fill one batch.
    """

    def __init__(self, store: PieceStore, wordpiece: PieceTokenizer, task: PretrainingTask, seed: int):
        self.store, self.task, self.seed = store, task, seed
        self.marks = {name: wordpiece.specials[name] for name in (CLS, SEP, MASK)}
        self.special = np.zeros(len(wordpiece), bool)
        self.special[[wordpiece.specials[name] for name in SPECIALS]] = True
        self.continues = wordpiece.continues if task.whole_words else None
        self._epoch = self._plan(0, 0)
        rows = len(self._epoch.rows)
        self.batches_an_epoch = rows // task.rows
        if self.batches_an_epoch == 0:
            raise DataError(
                f"the corpus fills {rows} rows of {task.length} pieces, and a batch takes {task.rows}",
                next_step="give more text, or smaller batches",
            )

    def _plan(self, number: int, first: int) -> _Epoch:
        rng = np.random.default_rng([self.seed, number])
        sequences = cut_sequences(self.store.offsets, self.task.length, rng)
        return _Epoch(number, sequences, pack_rows(sequences.lengths, self.task.length, rng), first)

    def _epoch_of(self, batch: int) -> _Epoch:
        """Return the epoch that a batch is in; one epoch at a time is kept."""
        epoch = self._epoch if batch >= self._epoch.first else self._plan(0, 0)
        while batch >= (end := epoch.first + len(epoch.rows) // self.task.rows):
            epoch = self._plan(epoch.number + 1, end)
        self._epoch = epoch
        return epoch

    def rows(self, batch: int) -> tuple[Rows, Pairs | None]:
        """Return the rows of a batch, before any blanks."""
        epoch, height = self._epoch_of(batch), self.task.rows
        start = (batch - epoch.first) * height
        members = epoch.rows[start : start + height]
        cls, sep = self.marks[CLS], self.marks[SEP]
        rows = fill_rows(self.store.ids, epoch.sequences, members, self.task.length, cls, sep)
        if self.task.shift:
            rows = rows._replace(places=rows.places + self._shifts(batch, rows.blocks))
        if self.task.pairs == "none":
            return rows, None
        rng = np.random.default_rng([self.seed, batch, 1])
        return make_pairs(rows, rng, sep=sep, swap=self.task.pairs == "order")

    def _shifts(self, batch: int, blocks: Int32Array) -> Int32Array:
        """Draw where each sequence of a batch begins: (B, T) int32; 0 where there is no sequence."""
        rng = np.random.default_rng([self.seed, batch, 2])
        drawn = rng.integers(0, self.task.shift + 1, (len(blocks), blocks.max() + 1), dtype=np.int32)
        drawn[:, 0] = 0
        return np.take_along_axis(drawn, blocks, axis=1)

    def __call__(self, batch: int) -> tuple[Tensors, Tensors]:
        """Return inputs and targets of a batch, as `build_language_model` and `language_loss` take them."""
        rows, pairs = self.rows(batch)
        if self.task.causal:
            blanks = next_pieces(rows)
        else:
            rng = np.random.default_rng([self.seed, batch, 0])
            blanks = mask_pieces(
                rows,
                rng,
                rate=self.task.mask_rate,
                special=self.special,
                continues=self.continues,
                mask=self.marks[MASK],
            )
        inputs: Tensors = (blanks.ids, rows.blocks, rows.places, rows.segments, blanks.at)
        targets: Tensors = (blanks.truth, blanks.weights)
        if pairs is None:
            return inputs, targets
        return (*inputs, pairs.firsts), (*targets, pairs.truth, pairs.weights)


# ---- The loss ----------------------------------------------------------------------------------


def language_loss(outputs: Mapping[str, Tensor], targets: Tensors) -> Tensor:
    """Return the weighted mean cross-entropy of the predicted pieces, as a loss of `make_stepper`.

    The targets are truth (P,) int32 and weights (P,) float32; with pairs, also which order (S,) int32 is true
    and weights (S,) float32, whose mean cross-entropy is added (Devlin et al. 2019, section 3.1).
    """
    value = _mean_cross_entropy(outputs["logits"], *targets[:2])
    return value if len(targets) == 2 else value + _mean_cross_entropy(outputs["order"], *targets[2:])


def _mean_cross_entropy(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    each = ops.sparse_categorical_crossentropy(truth, ops.cast(logits, "float32"), from_logits=True)
    return ops.sum(each * weights) / ops.maximum(ops.sum(weights), 1.0)


# ---- The run -----------------------------------------------------------------------------------


def train_language_model(
    network: keras.Model,
    draw: Draw,
    recipe: LanguageRecipe,
    *,
    identity: str = "",
    judge: Judge | None = None,
    monitor: Monitor | None = None,
    xla: bool = False,
    shared: bool = False,
) -> list[Evaluation]:
    """Train a language model, or go on with a run that was kept; afterwards the network holds its weights.

    Args:
        network: from `build_language_model`.
        draw: gives the batches, one for each of `recipe.accumulate` parts of a step.
        recipe: how.
        identity: distinguishes this run's data and settings from others', for its snapshots.
        judge: measures on held-out text; None: there is nothing but the training loss.
        monitor: who watches, and where snapshots are kept. A snapshot there is gone on from.
        xla, shared: see `make_stepper`.

    Returns:
        The evaluations, from the very beginning of the run.

    Raises:
        DivergedError: the loss became infinite or NaN.
        ConfigError: the snapshot is of another run.
    """
    task = LanguageModelling(network, draw, recipe, identity, judge)
    optimizer = make_optimizer(recipe)
    at, _ = train_network(task, optimizer, monitor=monitor, xla=xla, shared=shared)
    return at.evaluations


class LanguageModelling(Task):
    """Learning to predict pieces; see `train_language_model` for the arguments."""

    unit, shown = "step", "accuracy"
    loss = staticmethod(language_loss)

    def __init__(
        self, network: keras.Model, draw: Draw, recipe: LanguageRecipe, data: str, judge: Judge | None
    ):
        self.network, self.draw, self.recipe, self.data, self.judge = network, draw, recipe, data, judge
        self.accumulate = recipe.accumulate
        self.total, self.every = recipe.steps * recipe.accumulate, recipe.judge_every * recipe.accumulate
        self.length = self.total, recipe.stable_until * recipe.accumulate

    def batches(self, at: Position) -> Iterator[TrainingBatch]:
        """Return the batches that are left until the next evaluation."""
        end = ((at.batch - at.since) // self.every + 1) * self.every
        return map(self._batch, range(at.batch, min(end, self.total)))

    def _batch(self, number: int) -> TrainingBatch:
        inputs, targets = self.draw(number)
        return TrainingBatch(inputs, targets, inputs[0].size)

    def evaluate(self) -> dict[str, float]:
        """Measure on held-out text."""
        return {} if self.judge is None else self.judge()

    def is_done(self, at: Position) -> bool:
        """Tell whether all steps were made and evaluated."""
        return at.batch >= self.total and not at.since

    def progress(self, at: Position) -> tuple[int, int, int]:
        """Return how many steps were made, of how many, and how many batches are left."""
        return at.batch // self.accumulate, self.recipe.steps, self.total - at.batch

    def identity(self) -> Iterator[bytes]:
        """Yield the recipe, but for the run's length, and what distinguishes the data."""
        yield repr(replace(self.recipe, steps=0, decay=0.0)).encode()
        yield self.data.encode()
