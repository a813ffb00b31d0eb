"""Batches for a language model, each decided by its number alone, so that a kept run goes on exactly.

epoch: documents cut into sequences -> packed into rows -> B rows a batch -> blanks
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sopan.errors import ConfigError, DataError
from sopan.options.language import PairTask
from sopan.text.masking import mask_pieces, next_pieces
from sopan.text.packing import Rows, Sequences, cut_sequences, fill_rows, pack
from sopan.text.pairs import Pairs, make_pairs
from sopan.text.piece_store import PieceStore
from sopan.text.wordpiece import CLS, MASK, SEP, SPECIALS, WordPiece
from sopan.training.backend import Arrays
from sopan.types import Int32Array


@dataclass(frozen=True, slots=True)
class Task:
    """What a language model is asked, on rows of which shape.

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
            asked = f"rows of {self.length} pieces, {self.rows} at a time, shifted by up to {self.shift}"
            raise ConfigError(f"{asked}, cannot work")
        if self.causal and self.pairs != "none":
            raise ConfigError("a causal model is not asked about pairs", next_step="leave one of them out")


@dataclass(frozen=True, slots=True)
class _Epoch:
    """One pass over the corpus: its number, its sequences, which of them each row holds, its first batch."""

    number: int
    sequences: Sequences
    rows: list[np.ndarray]
    first: int

    def batches(self, height: int) -> int:
        return len(self.rows) // height


class Batches:
    """Draws the batches of a corpus: called with a number, it returns that batch's inputs and targets.

    Args:
        store: the corpus.
        wordpiece: what it was cut with.
        task: what is asked.
        seed: decides cuts, packing and blanks.

    Attributes:
        batches_an_epoch: how many batches the first pass over the corpus gives.

    Raises:
        DataError: the corpus does not fill one batch.
    """

    def __init__(self, store: PieceStore, wordpiece: WordPiece, task: Task, seed: int):
        self.store, self.task, self.seed = store, task, seed
        self.marks = {name: wordpiece.specials[name] for name in (CLS, SEP, MASK)}
        self.special = np.zeros(len(wordpiece), bool)
        self.special[[wordpiece.specials[name] for name in SPECIALS]] = True
        self.continues = wordpiece.continues if task.whole_words else None
        self._epoch = self._plan(0, 0)
        self.batches_an_epoch = self._epoch.batches(task.rows)
        if self.batches_an_epoch == 0:
            raise DataError(
                f"the corpus fills {len(self._epoch.rows)} rows of {task.length} pieces, "
                f"and a batch takes {task.rows}",
                next_step="give more text, or smaller batches",
            )

    def _plan(self, number: int, first: int) -> _Epoch:
        rng = np.random.default_rng([self.seed, number])
        sequences = cut_sequences(self.store.offsets, self.task.length, rng)
        return _Epoch(number, sequences, pack(sequences.lengths, self.task.length, rng), first)

    def _epoch_of(self, batch: int) -> _Epoch:
        """Return the epoch that a batch is in; one epoch at a time is kept."""
        epoch = self._epoch if batch >= self._epoch.first else self._plan(0, 0)
        while batch >= (end := epoch.first + epoch.batches(self.task.rows)):
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

    def __call__(self, batch: int) -> tuple[Arrays, Arrays]:
        """Return inputs and targets of a batch, as `build_language_model` and `language_loss` take them."""
        rows, pairs = self.rows(batch)
        rng = np.random.default_rng([self.seed, batch, 0])
        blanks = (
            next_pieces(rows)
            if self.task.causal
            else mask_pieces(
                rows,
                rng,
                rate=self.task.mask_rate,
                special=self.special,
                continues=self.continues,
                mask=self.marks[MASK],
            )
        )
        inputs: Arrays = (blanks.ids, rows.blocks, rows.places, rows.segments, blanks.at)
        targets: Arrays = (blanks.truth, blanks.weights)
        if pairs is None:
            return inputs, targets
        return (*inputs, pairs.firsts), (*targets, pairs.truth, pairs.weights)
