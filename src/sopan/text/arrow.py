"""Texts as one Arrow array, whose buffers the kernels read directly, shared out among the cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from numbers import Real
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError
from sopan.types import Array, Bytes, Int64Array

Texts: TypeAlias = "pa.Array | pa.ChunkedArray | Iterable[str]"
"""N texts: a list, a tuple, an object array, a pandas or polars Series, or Arrow's."""

Share = TypeVar("Share")
Result = TypeVar("Result")
Number = TypeVar("Number", bound=np.generic)


def as_texts(X: Texts) -> pa.LargeStringArray:
    """Return N texts as one Arrow array.

    Raises:
        DataError: they are a table or no texts at all, or one of them is missing, is not a string, or holds a
            lone surrogate.
    """
    if isinstance(X, pa.Array | pa.ChunkedArray):
        return _arrow_texts(X)
    refuse_tables(X)
    try:
        texts = list(X)
    except TypeError as error:
        raise DataError(f"{kind_of(X)} was given where a list of texts is needed") from error
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            what = "is missing" if is_missing(text) else f"must be a string, not {type(text).__name__}"
            raise DataError(f"a text {what}", where=f"row {row}")
    try:
        encoded = [text.encode() for text in texts]
    except UnicodeEncodeError as error:
        raise DataError("a text holds a lone surrogate and is not valid Unicode") from error
    # `pa.array` would import pandas to see whether these are its own: half a second before a first answer.
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    data = pa.py_buffer(b"".join(encoded))
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets), data)


def _arrow_texts(array: pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    """Return Arrow's strings of any kind, in one piece, as its largest kind."""
    if array.null_count:
        row = int(np.flatnonzero(pc.is_null(array).to_numpy(zero_copy_only=False))[0])
        raise DataError("a text is missing", where=f"row {row}")
    if len(array) and not is_kind(array.type, _STRINGS):
        raise DataError(f"a text must be a string, not {array.type}", where="row 0")
    return as_strings(one_array(array))


_STRINGS = ("string", "large_string", "string_view")
BYTES = ("binary", "large_binary", "binary_view", "fixed_size_binary")
"""Kinds of Arrow's that may hold text in UTF-8."""


def is_kind(kind: pa.DataType, kinds: Iterable[str]) -> bool:
    """Tell whether a type, or that of a dictionary's values, is one of these kinds of Arrow's."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(getattr(pa.types, f"is_{one}")(kind) for one in kinds)


def as_strings(array: pa.Array) -> pa.LargeStringArray:
    """Return values of any plain kind as texts; of bytes it is not checked that they are UTF-8."""
    if pa.types.is_dictionary(array.type):
        return as_strings(array.dictionary).take(array.indices)
    if not is_kind(array.type, BYTES):
        if pa.types.is_floating(array.type):
            array = pc.if_else(pc.is_nan(array), None, array)  # not a number is no value
        return pc.cast(array, pa.large_string())
    raw = pc.cast(array, pa.large_binary())
    valid, *held = raw.buffers()
    return pa.LargeStringArray.from_buffers(len(raw), *held, valid, raw.null_count, raw.offset)


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def refuse_tables(X: object) -> None:
    """Refuse what is iterable and yet no sequence of texts: its items would be taken for texts.

    Raises:
        DataError: naming what it is, and what to give instead.
    """
    what, advice = kind_of(X), None
    if isinstance(X, str):
        what, advice = "one string", "wrap it: [text]"
    elif isinstance(X, bytes | bytearray):
        advice = "decode it and wrap it: [text.decode()]"
    elif isinstance(X, Set):
        advice = "a set has no order, and no repeated texts: give a list"
    elif isinstance(X, Mapping):
        advice = "give the texts alone" + (f": d[{next(iter(X))!r}]" if X else "")
    elif len(shape := getattr(X, "shape", (0,))) != 1:
        columns = [str(name) for name in getattr(X, "column_names", getattr(X, "columns", ()))]
        what += f" of shape {tuple(shape)}"
        best = "text" if "text" in columns or not columns else columns[0]
        advice = f"give one column: df[{best!r}]" if columns else "give one column: X[:, 0]"
    else:
        return
    raise DataError(f"{what} was given where a list of texts is needed", next_step=advice)


def kind_of(value: object) -> str:
    """Say what a value is, and whose: `a pandas DataFrame`, `a list`."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    name = kind.__name__ if library == "builtins" else f"{library} {kind.__name__}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def is_missing(value: object) -> bool:
    """Tell None, NaN, and pandas' and NumPy's marks of a missing value."""
    if value is None or type(value).__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return True
    return isinstance(value, Real) and bool(value != value)  # noqa: PLR0124  # NaN is what differs from itself


def as_labels(y: object) -> Array:
    """Return N labels as an array of one dimension, or of as many as a table has.

    Raises:
        DataError: a label is missing.
    """
    if isinstance(y, pa.Array | pa.ChunkedArray):
        y = y.to_pylist()
    elif isinstance(y, str | bytes | Set | Mapping):
        raise DataError(f"{kind_of(y)} was given where a list of labels is needed")
    held = y if isinstance(y, list | tuple) else np.asarray(y)
    if not isinstance(held, np.ndarray) or held.dtype.kind in "Of":
        for row, label in enumerate(held):
            if is_missing(label):
                raise DataError("a label is missing", where=f"row {row}")
    return np.asarray(held)


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
