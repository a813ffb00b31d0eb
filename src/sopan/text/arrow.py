"""Texts as one Arrow array, whose buffers the kernels read directly, shared out among the cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError
from sopan.types import Bytes, Int64Array

Texts: TypeAlias = "pa.LargeStringArray | Sequence[str] | npt.NDArray[np.object_]"
"""N texts, as Arrow, a list or an object array."""

Share = TypeVar("Share")
Result = TypeVar("Result")
Number = TypeVar("Number", bound=np.generic)


def as_texts(X: Texts | Iterable[str]) -> pa.LargeStringArray:
    """Return N texts as one Arrow array.

    Raises:
        DataError: an element is missing, is not a string, or holds a lone surrogate.
    """
    if isinstance(X, pa.ChunkedArray):
        X = X.combine_chunks()
    if isinstance(X, pa.Array):
        if X.null_count:
            row = int(np.flatnonzero(pc.is_null(X).to_numpy(zero_copy_only=False))[0])
            raise DataError("a text is missing", where=f"row {row}")
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


class Buffers(NamedTuple):
    """An Arrow array of N strings as the kernels see it: (bytes,) uint8 and (N + 1,) int64, read-only."""

    data: Bytes
    offsets: Int64Array

    @classmethod
    def of(cls, texts: pa.LargeStringArray) -> Buffers:
        """View an array's buffers without copying them."""
        _, offsets, data = texts.buffers()
        if len(texts) == 0:
            return cls(read_only(np.empty(0, np.uint8)), read_only(np.zeros(1, np.int64)))
        view = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        raw = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
        return cls(read_only(raw), read_only(view))


def read_only(array: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Return a read-only view, so that a kernel is compiled for one kind of array and not for two."""
    view = array.view()
    view.flags.writeable = False
    return view


def strings(data: Bytes, offsets: Int64Array) -> pa.LargeStringArray:
    """Return UTF-8 bytes (offsets[-1],) and offsets (N + 1,) as N strings, without copying."""
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_every_core(work: Callable[[Share], Result], shares: list[Share]) -> list[Result]:
    """Do the work on each share, in threads if there are several; kernels let go of the GIL."""
    if len(shares) < 2:
        return [work(share) for share in shares]
    with ThreadPoolExecutor(len(shares)) as pool:
        return list(pool.map(work, shares))


def shares_of(offsets: Int64Array, least: int, most_shares: int | None = None) -> list[slice]:
    """Cut N texts into consecutive slices of about equal size, each of at least about `least` bytes.

    Args:
        offsets: (N + 1,) int64.
        least: size of a share that is worth having.
        most_shares: no more than so many.
    """
    size = int(offsets[-1] - offsets[0])
    n = max(1, size // least)
    n = n if most_shares is None else min(n, most_shares)
    cuts = np.searchsorted(offsets, offsets[0] + size * np.arange(1, n) // n)
    edges = np.unique(np.concatenate([[0], cuts, [len(offsets) - 1]]))
    return [slice(int(a), int(b)) for a, b in pairwise(edges)] or [slice(0, 0)]
