"""A network made ready by some runtime, and how texts of any length are led through it.

Clipped -> rectangles, longest texts first, each of about as many words -> program -> (N, K)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from sopan.text.batch import MULTIPLE, Batch, Clipped, batches
from sopan.types import Float32Array, FloatArray, Int64Array

WORDS = 2048
"""Of a rectangle, padding included; from 1,024 to 4,096 all are alike: docs/adr/0009-runtime.md."""


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
        found[batch.rows] = outputs[0]
    return found


def plan_sorted(lengths: Int64Array, words: int = WORDS) -> list[tuple[Int64Array, int, int]]:
    """Share N texts out into rectangles of neighbours in length, the longest texts first.

    Unlike `sopan.text.batch.plan`, which keeps to few shapes because a compiler makes a program of each, this
    takes as many as there are multiples of 8: what runs here makes a shape ready in some milliseconds.

    Args:
        lengths: (N,) words of each text.
        words: B · T of a rectangle, at most (but for one text longer than that).

    Returns:
        As `plan`: for each rectangle its texts (n,), B = n, and T, a multiple of 8.
    """
    order = np.argsort(-lengths, kind="stable")
    found, start = [], 0
    while start < len(order):
        longest = max(MULTIPLE, -(-int(lengths[order[start]]) // MULTIPLE) * MULTIPLE)
        rows = order[start : start + max(1, words // longest)]
        found.append((rows, len(rows), longest))
        start += len(rows)
    return found
