"""Pairs of texts in one sequence: does the second follow the first?

Next sentence: J. Devlin et al., "BERT" (2019), section 3.1. Sentence order: Z. Lan et al., "ALBERT" (2020),
section 3.1, which is harder: both halves are of one text, and in half of the pairs they are swapped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sopan.text.packing import Rows
from sopan.types import Float32Array, Int32Array

SHORTEST = 16
"""A shorter sequence is not split."""


class Pairs(NamedTuple):
    """What is asked of S = B · T / 16 places; those that are no pair have weight 0.

    Args:
        firsts: (S,) int32, places of `[CLS]` in B · T.
        truth: (S,) int32, 1 where the second text does not follow the first.
        weights: (S,) float32.
    """

    firsts: Int32Array
    truth: Int32Array
    weights: Float32Array


def make_pairs(rows: Rows, rng: np.random.Generator, *, sep: int, swap: bool) -> tuple[Rows, Pairs]:
    """Split each sequence in two with a `[SEP]` between; spoil half of the pairs.

    The sequence keeps its length: the `[SEP]` takes the place of one piece.

    Args:
        rows: of single sequences.
        rng: draws the cuts, and which pairs are spoilt.
        sep: id of `[SEP]`.
        swap: spoil by swapping the halves; else by the second half of another sequence of the batch.
    """
    ids, segments = rows.ids.copy(), rows.segments.copy()
    height, length = ids.shape
    found: list[tuple[int, int, int, int]] = []  # row, start, cut, end
    for row in range(height):
        starts = np.flatnonzero(np.diff(rows.blocks[row], prepend=0))
        ends = np.append(starts[1:], np.count_nonzero(rows.blocks[row]))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            if end - start >= SHORTEST:
                found.append((row, start, int(rng.integers(start + 5, end - 5)), end))
    spoilt = rng.random(len(found)) < 0.5
    tails = [rows.ids[row, cut + 1 : end - 1].copy() for row, _, cut, end in found]
    for number, (row, start, cut, end) in enumerate(found):
        first, second = rows.ids[row, start + 1 : cut], tails[number]
        if spoilt[number] and swap:
            first, second = second, first
        elif spoilt[number]:
            other = tails[(number + 1 + int(rng.integers(max(len(found) - 1, 1)))) % len(found)]
            second = np.resize(other, len(second)) if len(found) > 1 else second[::-1]
        middle = start + 1 + len(first)
        ids[row, start + 1 : middle], ids[row, middle], ids[row, middle + 1 : end - 1] = first, sep, second
        segments[row, middle + 1 : end] = 1
    room = height * length // SHORTEST
    firsts, truth, weights = np.zeros(room, np.int32), np.zeros(room, np.int32), np.zeros(room, np.float32)
    firsts[: len(found)] = [row * length + start for row, start, _, _ in found]
    truth[: len(found)], weights[: len(found)] = spoilt, 1
    return rows._replace(ids=ids, segments=segments), Pairs(firsts, truth, weights)
