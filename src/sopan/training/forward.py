"""Use a network: read texts batch by batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sopan.text.batch import Clipped, batches, plan
from sopan.types import FloatArray

READ_WORDS = 16_384
"""Words of a batch when nothing is learnt, padding included."""
READ_TEXTS = 256
"""Texts of such a batch, at most."""


def read_all(
    forward: Callable[..., tuple[np.ndarray, ...]], clipped: Clipped, buckets: tuple[int, ...], width: int
) -> FloatArray:
    """Apply the first output of a forward pass to N texts: (N, `width`) float64, in their order."""
    found = np.zeros((len(clipped.lengths), width))
    planned = plan(clipped.lengths, buckets, words=READ_WORDS, most=READ_TEXTS)
    for batch in batches(clipped, planned):
        found[batch.rows] = forward(batch.ids, batch.mask)[0][: len(batch.rows)]
    return found
