"""A network made ready by some runtime, and how texts of any length are led through it.

Clipped -> rectangles, longest texts first, each of about as many words -> program -> (N, K)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from sopan.text.batch import UNKNOWN, Batch, Clipped, batches, open_length
from sopan.types import Float32Array, FloatArray, Int64Array

WORDS = 2048
"""Of a rectangle at most, padding included; from 1,024 to 4,096 all are alike: docs/adr/0009-runtime.md."""


class Program(Protocol):
    """A compiled network."""

    def run(self, rectangles: Iterable[Batch]) -> Iterator[tuple[Batch, tuple[Float32Array, ...]]]:
        """Lead rectangles of ids (B, T) and mask (B, T) through the network.

        Yields:
            Each with its outputs, those that the program was made for, in whichever order they are done.
            They may be taken one by one: no more than a few rectangles are held at a time.
        """


def read_texts(program: Program, clipped: Clipped, width: int) -> FloatArray:
    """Return the first output of a program for N texts: (N, `width`) float64, in their order."""
    found = np.zeros((len(clipped.lengths), width))
    for batch, outputs in program.run(batches(clipped, plan_sorted(clipped.lengths))):
        found[batch.rows] = outputs[0][: len(batch.rows)]
    return found


def plan_sorted(lengths: Int64Array, words: int = WORDS) -> list[tuple[Int64Array, int, int]]:
    """Share N texts out into rectangles of neighbours in length, the longest texts first.

    A runtime makes a new shape ready in some milliseconds, and holds a megabyte or two for it ever after. So
    there are more shapes than in `sopan.text.batch.plan`, whose compiler makes a program of each, but few
    enough that a server has soon met them all.

    Args:
        lengths: (N,) words of each text.
        words: B · T of a rectangle, at most (but for one text longer than that).

    Returns:
        As `plan`: for each rectangle its texts (n,), B, a power of two, and T.
    """
    order = np.argsort(-lengths, kind="stable")
    found, start = [], 0
    while start < len(order):
        length = open_length(int(lengths[order[start]]))
        height = _height(len(order) - start, words // length)
        rows = order[start : start + height]
        found.append((rows, height, length))
        start += len(rows)
    return found


def shapes(most: int, words: int = WORDS) -> Iterator[tuple[int, int]]:
    """Yield B and T of all rectangles that `plan_sorted` makes of texts of at most `most` words."""
    length = 0
    while length < most:
        length = open_length(length + 1)
        for bits in range(max(1, words // length).bit_length()):
            yield 1 << bits, length


def settle(program: Program, most: int) -> Iterator[None]:
    """Make a program ready for all shapes of texts of at most `most` words, alone or not; one shape a turn.

    What a runtime holds for a shape it holds from the first time on: after this, its memory stays as it is.
    """
    for height, length in shapes(most):
        ids = np.full((height, length), UNKNOWN, np.int32)
        batch = Batch(ids, np.ones(ids.shape, bool), np.arange(height))
        for rectangles in ([batch], [batch, batch]):
            for _ in program.run(rectangles):
                pass
            yield


def _height(rows: int, most: int) -> int:
    """Return a power of two, at most `most` (or 1), so that at most a quarter of its rows stay empty."""
    height = 1 << max(0, most.bit_length() - 1)
    while 3 * height > 4 * rows:
        height //= 2
    return height
