"""What each text counts in learning, checked: scikit-learn's `sample_weight`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sopan.errors import DataError
from sopan.types import FloatArray


def check_sample_weight(given: npt.ArrayLike, n_texts: int) -> FloatArray:
    """Return what each of N texts counts, (N,) float64.

    Args:
        given: a number for all, or one for each text: 0 or more, not all of them 0.
        n_texts: N.

    Raises:
        DataError: another shape, or numbers that cannot be weights.
    """
    try:
        weights = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("sample_weight must be numbers") from error
    if weights.ndim == 0:
        weights = np.full(n_texts, float(weights))
    if weights.shape != (n_texts,):
        raise DataError(f"{n_texts} texts came with sample_weight of shape {weights.shape}")
    bad = ~((weights >= 0) & np.isfinite(weights))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"a weight must be 0 or more, not {weights[row]:g}", where=f"row {row}")
    if not weights.any():
        raise DataError("sample_weight is 0 for every text: there is nothing to learn from")
    return np.asarray(weights)
