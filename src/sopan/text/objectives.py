"""Training objectives of language models over rows of pieces: hidden pieces, next pieces, and pairs of texts.

Masked: J. Devlin et al., "BERT" (2019), section 3.1: of the chosen pieces 80% become `[MASK]`, 10% another
piece and 10% stay. Drawn for every batch (Liu et al. 2019, "RoBERTa": dynamic masking).
Causal: every piece is predicted from those before it.
Pairs: does the second text follow the first? Next sentence: "BERT", section 3.1. Sentence order: Z. Lan et
al., "ALBERT" (2020), section 3.1, which is harder: both halves are of one text, and in half of the pairs they
are swapped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sopan.text.packing import Rows
from sopan.types import BoolArray, Float32Array, Int32Array

HIDDEN, REPLACED = 0.8, 0.1
"""Shares of the chosen pieces; the rest stay as they are."""


class Blanks(NamedTuple):
    """Pieces for a language model to predict.

    Args:
        ids: (B, T) int32, with blanks.
        at: (P,) int32, places in B · T to predict.
        truth: (P,) int32, the pieces that belong there.
        weights: (P,) float32, 0 for places that only keep the shape.
    """

    ids: Int32Array
    at: Int32Array
    truth: Int32Array
    weights: Float32Array


def mask_pieces(
    rows: Rows,
    rng: np.random.Generator,
    *,
    rate: float,
    special: BoolArray,
    continues: BoolArray | None,
    mask: int,
) -> Blanks:
    """Hide a share of the pieces.

    P is the same for every batch of a shape: `rate` of B · T, rounded. Where fewer pieces can be hidden, or
    the last word drawn has more than are left to hide, the last places have weight 0.

    Args:
        rows: B rows of T pieces.
        rng: draws which.
        rate: share of all places that are predicted.
        special: (V,) bool, pieces that are never hidden, nor put in another's place.
        continues: (V,) bool, pieces that go on with a word: whole words are hidden. None: single pieces.
        mask: id of `[MASK]`.
    """
    flat = rows.ids.ravel()
    may = (rows.blocks.ravel() > 0) & ~special[flat]
    goal = max(1, round(rate * flat.size))
    draw = rng.random(flat.size, dtype=np.float32)
    if continues is not None:  # every piece of a word takes the draw of its first
        first = ~(continues[flat] & may)
        draw = draw[np.maximum.accumulate(np.where(first, np.arange(flat.size), 0))]
    draw = np.where(may, draw, np.float32(2))
    order = np.argsort(draw, kind="stable")
    at = order[:goal]
    if continues is not None and goal < len(order):  # a word that does not go in whole stays out
        at = at[draw[at] < draw[order[goal]]]
    at = np.sort(at[draw[at] < 2])
    ids = flat.copy()
    fate = rng.random(len(at), dtype=np.float32)
    others = np.flatnonzero(~special)
    ids[at[fate < HIDDEN]] = mask
    replaced = at[(fate >= HIDDEN) & (fate < HIDDEN + REPLACED)]
    ids[replaced] = others[rng.integers(0, len(others), len(replaced))]
    return _padded(ids.reshape(rows.ids.shape), at, flat[at], goal)


def next_pieces(rows: Rows) -> Blanks:
    """Ask at every piece for the next one of its sequence; P = B · T, the last of each has weight 0."""
    following = np.roll(rows.ids, -1, axis=1)
    inside = (rows.blocks > 0) & (np.roll(rows.blocks, -1, axis=1) == rows.blocks)
    inside[:, -1] = False
    at = np.arange(rows.ids.size, dtype=np.int32)
    return Blanks(rows.ids, at, following.ravel().astype(np.int32), inside.ravel().astype(np.float32))


def _padded(ids: Int32Array, at: np.ndarray, truth: np.ndarray, goal: int) -> Blanks:
    empty = goal - len(at)
    return Blanks(
        ids,
        np.concatenate([at, np.zeros(empty, at.dtype)]).astype(np.int32),
        np.concatenate([truth, np.zeros(empty, truth.dtype)]).astype(np.int32),
        np.concatenate([np.ones(len(at), np.float32), np.zeros(empty, np.float32)]),
    )


SHORTEST = 16
"""A shorter sequence is not split."""


class Pairs(NamedTuple):
    """Pairs to classify, S = B · T / 16 of them; those that are no pair have weight 0.

    Args:
        firsts: (S,) int32, places of `[CLS]` in B · T.
        truth: (S,) int32, 1 where the second text does not follow the first.
        weights: (S,) float32.
    """

    firsts: Int32Array
    truth: Int32Array
    weights: Float32Array


def make_pairs(rows: Rows, rng: np.random.Generator, *, sep: int, swap: bool) -> tuple[Rows, Pairs]:
    """Split each sequence in two with a `[SEP]` between; in half of the pairs the second does not follow.

    The sequence keeps its length: the `[SEP]` takes the place of one piece.

    Args:
        rows: of single sequences.
        rng: draws the cuts, and in which pairs the second text does not follow.
        sep: id of `[SEP]`.
        swap: there the halves are swapped; else the second is that of another sequence of the batch.
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
    negative = rng.random(len(found)) < 0.5
    tails = [rows.ids[row, cut + 1 : end - 1].copy() for row, _, cut, end in found]
    for number, (row, start, cut, end) in enumerate(found):
        first, second = rows.ids[row, start + 1 : cut], tails[number]
        if negative[number] and swap:
            first, second = second, first
        elif negative[number]:
            other = tails[(number + 1 + int(rng.integers(max(len(found) - 1, 1)))) % len(found)]
            second = np.resize(other, len(second)) if len(found) > 1 else second[::-1]
        middle = start + 1 + len(first)
        ids[row, start + 1 : middle], ids[row, middle], ids[row, middle + 1 : end - 1] = first, sep, second
        segments[row, middle + 1 : end] = 1
    room = height * length // SHORTEST
    firsts, truth, weights = np.zeros(room, np.int32), np.zeros(room, np.int32), np.zeros(room, np.float32)
    firsts[: len(found)] = [row * length + start for row, start, _, _ in found]
    truth[: len(found)], weights[: len(found)] = negative, 1
    return rows._replace(ids=ids, segments=segments), Pairs(firsts, truth, weights)
