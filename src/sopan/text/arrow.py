"""Texts as one Arrow array: contiguous UTF-8 bytes and offsets, which the kernels read directly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sopan.errors import DataError

Texts: TypeAlias = "pa.LargeStringArray | Sequence[str] | npt.NDArray[np.object_]"
"""N texts, as Arrow, a list or an object array."""


def as_texts(X: Texts | Iterable[str]) -> pa.LargeStringArray:
    """Return N texts as one Arrow array.

    Raises:
        DataError: an element is missing, is not a string, or holds a lone surrogate.
    """
    if isinstance(X, pa.ChunkedArray):
        X = X.combine_chunks()
    if isinstance(X, pa.Array):
        return X.cast(pa.large_string())
    if isinstance(X, str):
        raise DataError("one string was given where a list of texts is needed", next_step="wrap it: [text]")
    texts = list(X)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"a text must be a string, not {type(text).__name__}", where=f"row {row}")
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError as error:
        raise DataError("a text holds a lone surrogate and is not valid Unicode") from error
