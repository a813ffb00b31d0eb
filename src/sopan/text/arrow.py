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
        encoded = [text.encode() for text in texts]
    except UnicodeEncodeError as error:
        raise DataError("a text holds a lone surrogate and is not valid Unicode") from error
    # `pa.array` would import pandas to see whether these are its own: half a second before a first answer.
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    data = pa.py_buffer(b"".join(encoded))
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets), data)
