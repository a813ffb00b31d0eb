"""Weigh the entries of a count matrix, row by row."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sopan.kernels.segment import kernel
from sopan.types import Float32Array, FloatArray, Int64Array


@kernel
def weigh_rows(
    bounds: Int64Array,
    indices: npt.NDArray,  # type: ignore[type-arg]
    counts: Int64Array,
    weights: FloatArray,
    idf: Float32Array,
    values: Float32Array,
) -> None:
    """Weigh the counts of N rows by number and by column, and bring each row to length 1.

    Args:
        bounds: (N + 1,) int64: row i is what lies between bounds[i] and bounds[i + 1] of the next three.
        indices: (entries,) columns.
        counts: (entries,) int64, 1 or more.
        weights: (most,) float64, what each count weighs: that of n is weights[n - 1].
        idf: (V,) float32.
        values: (entries,) written.
    """
    for row in range(len(bounds) - 1):
        squares = 0.0
        for i in range(bounds[row], bounds[row + 1]):
            value = weights[counts[i] - 1] * np.float64(idf[indices[i]])
            squares += value * value
        length = math.sqrt(squares)
        for i in range(bounds[row], bounds[row + 1]):
            value = weights[counts[i] - 1] * np.float64(idf[indices[i]])
            values[i] = np.float32(value / length)
