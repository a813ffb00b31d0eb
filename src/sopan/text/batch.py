"""Word ids as rectangles for neural networks: the only place where padding exists.

    Encoded -> network ids, long texts clipped -> buckets of like length -> Batch (B, T)

A network sees 0 for padding, 1 for a word that it does not know, and i + 2 for word i of the vocabulary.
Rectangles come in few shapes, so that a compiler that makes one program for each shape makes few of them,
and their lengths are chosen so that they hold little padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sopan.types import BoolArray, Encoded, Float32Array, Int32Array, Int64Array

PADDING, UNKNOWN, FIRST_WORD = 0, 1, 2
"""What the ids of a network mean; the vocabulary's words begin at `FIRST_WORD`."""

LENGTHS = 12
"""How many lengths of rectangles there are."""
MULTIPLE = 8
"""Lengths are multiples of this, the width of a vector register in float32."""
READ_WORDS, READ_TEXTS = 16_384, 256
"""Words of a rectangle, padding included, and texts, at most, where nothing is learnt."""
NEAR = 1.3
"""A longer rectangle takes in shorter texts if it is at most so many times as long."""


class Clipped(NamedTuple):
    """N texts as a network reads them.

    Args:
        encoded: network ids, all at least `UNKNOWN`; at most `max_length` a text.
        truncated: (N,) bool, words of the text were left out.
    """

    encoded: Encoded
    truncated: BoolArray

    @property
    def lengths(self) -> Int64Array:
        """Words of each text, (N,)."""
        return np.diff(self.encoded.offsets)

    def rows(self, start: int, stop: int) -> Clipped:
        """Return the texts from `start` to `stop`."""
        bounds = self.encoded.offsets[start : stop + 1]
        ids = self.encoded.ids[bounds[0] : bounds[-1]]
        return Clipped(Encoded(ids, bounds - bounds[0]), self.truncated[start:stop])


class Batch(NamedTuple):
    """B texts as a rectangle; the last rows may be empty, to keep the shape.

    Args:
        ids: (B, T) int32 network ids, `PADDING` after a text's end.
        mask: (B, T) bool, True where there is a word.
        rows: (n,) int64, n <= B, which texts these are.
    """

    ids: Int32Array
    mask: BoolArray
    rows: Int64Array


def kept_words(length: int, max_length: int) -> tuple[int, int]:
    """Say how many words of a text are read from its start and how many from its end.

    A text that is too long loses its middle: openings name the subject, endings the judgement (Sun et al.
    2019, "How to Fine-Tune BERT for Text Classification?", section 5.3.1).
    """
    if length <= max_length:
        return length, 0
    return max_length - max_length // 2, max_length // 2


def without_middle(lengths: Int64Array, first: int, last: int) -> BoolArray:
    """Say which words of N texts are read: (T,) bool.

    Args:
        lengths: (N,) words of each text, T together.
        first, last: how many are read from the start, and from the end, of a text that has more.
    """
    own = np.repeat(lengths, lengths)
    place = np.arange(len(own)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return (own <= first + last) | (place < first) | (place >= own - last)


def clip(encoded: Encoded, n_words: int, max_length: int) -> Clipped:
    """Turn the ids of a vocabulary into those of a network and leave out the middle of long texts.

    Raises:
        DataError: an id out of range.
    """
    encoded.check(n_words)
    lengths = np.diff(encoded.offsets)
    kept = without_middle(lengths, *kept_words(max_length + 1, max_length))
    ids = np.where(encoded.ids < 0, UNKNOWN, encoded.ids + FIRST_WORD).astype(np.int32)[kept]
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, max_length))])
    return Clipped(Encoded(ids, offsets), lengths > max_length)


def bucket_lengths(lengths: Int64Array, max_length: int, n: int = LENGTHS) -> tuple[int, ...]:
    """Choose the lengths of rectangles that hold N texts with the least padding.

    Exact, by dynamic programming over the distinct rounded lengths: the best k lengths up to one of them
    are the best k - 1 up to an earlier one, and it. Beyond the longest text, lengths double.

    Args:
        lengths: (N,) words of each text, N > 0.
        max_length: the most words of any text to come.
        n: at most so many for these texts.

    Returns:
        Rising multiples of `MULTIPLE`; the last is at least `max_length`.
    """
    sizes, counts = np.unique(_rounded(np.maximum(lengths, 1)), return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])
    slots = np.full((n + 1, len(sizes) + 1), np.inf)
    cut = np.zeros(slots.shape, np.int64)
    slots[0, 0] = 0
    for k in range(1, n + 1):
        for end in range(1, len(sizes) + 1):
            total = slots[k - 1, :end] + sizes[end - 1] * (below[end] - below[:end])
            cut[k, end] = total.argmin()
            slots[k, end] = total[cut[k, end]]
    k, end, chosen = int(slots[:, -1].argmin()), len(sizes), []
    while end:
        chosen.append(int(sizes[end - 1]))
        k, end = k - 1, int(cut[k, end])
    chosen.reverse()
    while chosen[-1] < max_length:
        chosen.append(int(min(2 * chosen[-1], _rounded(max_length))))
    return tuple(chosen)


def _rounded(lengths: npt.NDArray[np.int64] | int) -> npt.NDArray[np.int64] | int:
    return -(-lengths // MULTIPLE) * MULTIPLE


def open_length(length: int) -> int:
    """Return the length of rectangle for so many words, where any may come: one of 18 up to 512.

    It is a multiple of 16, beyond 64 of 32.
    """
    multiple = 2 * MULTIPLE if length <= 8 * MULTIPLE else 4 * MULTIPLE
    return max(2 * MULTIPLE, -(-length // multiple) * multiple)


def plan(
    lengths: Int64Array,
    buckets: tuple[int, ...],
    *,
    words: int = READ_WORDS,
    most: int = READ_TEXTS,
    rng: np.random.Generator | None = None,
) -> list[tuple[Int64Array, int, int]]:
    """Share N texts out into rectangles of about equally many words.

    What is left over in one bucket, too little to fill a rectangle, goes to the next longer one if that is
    not much longer.

    Args:
        lengths: (N,) words of each text.
        buckets: from `bucket_lengths`.
        words: B · T of a rectangle, at most (but for one text longer than that).
        most: B, at most.
        rng: shuffles the texts within a bucket and the rectangles; without it, shortest texts come first.

    Returns:
        For each rectangle its texts (n,), B and T.
    """
    order = np.argsort(lengths, kind="stable") if rng is None else rng.permutation(len(lengths))
    bucket = np.searchsorted(buckets, np.maximum(lengths, 1))[order]
    found, left = [], np.empty(0, np.int64)
    for place, length in enumerate(buckets):
        rows = np.concatenate([left, order[bucket == place]])
        full = max(1, min(most, words // length))
        whole = len(rows) // full * full
        found += [(part, full, length) for part in rows[:whole].reshape(-1, full)]
        left = rows[whole:]
        near = place + 1 < len(buckets) and buckets[place + 1] <= NEAR * length
        if len(left) and not near:
            found.append((left, 1 << int(len(left) - 1).bit_length(), length))  # few heights: powers of two
            left = left[:0]
    return found if rng is None else [found[i] for i in rng.permutation(len(found))]


def batches(clipped: Clipped, planned: list[tuple[Int64Array, int, int]]) -> Iterator[Batch]:
    """Fill the planned rectangles one by one."""
    offsets, lengths = clipped.encoded.offsets, clipped.lengths
    for rows, height, length in planned:
        sizes = np.zeros(height, np.int64)
        sizes[: len(rows)] = lengths[rows]
        mask = np.arange(length) < sizes[:, None]
        ids = np.zeros((height, length), np.int32)
        starts = np.repeat(offsets[rows], lengths[rows])
        ids[mask] = clipped.encoded.ids[starts + np.nonzero(mask)[1]]
        yield Batch(ids, mask, rows)


def padding_share(lengths: Int64Array, planned: list[tuple[Int64Array, int, int]]) -> float:
    """Return which share of the planned rectangles is padding."""
    slots = sum(height * length for _, height, length in planned)
    return 1 - float(lengths.sum()) / max(1, slots)


def drop_words(batch: Batch, rate: float, rng: np.random.Generator) -> Batch:
    """Hide each word with probability `rate` behind the unknown word (word dropout; Iyyer et al. 2015)."""
    hidden = batch.mask & (rng.random(batch.mask.shape, dtype=np.float32) < rate)
    return batch._replace(ids=np.where(hidden, np.int32(UNKNOWN), batch.ids))


def row_weights(batch: Batch, weights: Float32Array) -> Float32Array:
    """Return each row's weight (B,): the text's own, 0 for the empty rows that keep the shape."""
    filled = np.zeros(len(batch.ids), np.float32)
    filled[: len(batch.rows)] = weights[batch.rows]
    return filled
