"""Tables in memory: data frames of pandas and polars, Arrow's, data sets of Hugging Face, dicts of columns.

None of these libraries is imported: a table is known by what it can do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError
from sopan.text.arrow import Buffers, as_strings, kind_of, one_array
from sopan.text.typed import TRIED, TypedTable


def in_memory(data: object) -> bool:
    """Tell a table in memory from the name of a file or of a data set."""
    return not isinstance(data, str | PathLike)


def data_name(data: object) -> str:
    """Return what data are called: the name of a file as it was given, `a pandas DataFrame of 200 rows`."""
    if isinstance(data, str | PathLike):
        return str(data)
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple) and len(shape) == 2:
        rows = int(shape[0])
    elif isinstance(data, Mapping):
        column = next(iter(data.values()), ())
        rows = len(column) if hasattr(column, "__len__") else 0
    else:
        rows = len(data) if hasattr(data, "__len__") else 0
    return f"{kind_of(data)} of {rows:,} row{'' if rows == 1 else 's'}"


class MemoryTable(TypedTable):
    """A table in memory.

    Args:
        data: a data frame of pandas or polars, an Arrow table or batch, a data set of `datasets`, a dict of
            columns, or a list of dicts.

    Raises:
        DataError: it is none of these.
    """

    def __init__(self, data: object):
        name = data_name(data)
        self._table, unusable = _as_arrow(data)
        super().__init__(name, self._table.schema)
        self.unusable = {**self.unusable, **unusable}
        self.notes.append(f"read from memory: {name}")

    def checksum(self) -> tuple[str, int]:
        """Return the SHA-256 over the columns' names, lengths and texts, and how many bytes the texts are."""
        whole, size = hashlib.sha256(), 0
        for name in self.columns:
            chunks = [as_strings(chunk) for chunk in self._table[name].chunks]
            strings = one_array(pa.chunked_array(chunks, pa.large_string()))
            lengths = pc.fill_null(pc.binary_length(strings), -1).to_numpy(zero_copy_only=False)
            held = Buffers.of(pc.fill_null(strings, ""))
            texts = held.data[held.offsets[0] : held.offsets[-1]]
            whole.update(name.encode() + b"\0" + lengths.astype("<i8").tobytes())
            whole.update(texts.tobytes())
            size += len(texts)
        return whole.hexdigest(), size

    def _first(self, column: str) -> pa.Array:
        return one_array(self._table[column].slice(0, TRIED))

    def _batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        yield from self._table.select(list(columns)).to_batches(batch_rows)


def _as_arrow(data: Any) -> tuple[pa.Table, dict[str, str]]:
    """Return a table as Arrow's, and why those columns are left out that Arrow cannot hold."""
    if isinstance(data, pa.Table | pa.RecordBatch):
        return (data if isinstance(data, pa.Table) else pa.Table.from_batches([data])), {}
    if hasattr(data, "iloc") and hasattr(data, "columns"):  # pandas
        return _of_columns([str(c) for c in data.columns], [data.iloc[:, i] for i in range(data.shape[1])])
    if isinstance(data, Mapping) and data:
        return _of_columns([str(c) for c in data], list(data.values()))
    if isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
        columns = list(dict.fromkeys(key for row in data for key in row))
        return _of_columns(list(map(str, columns)), [[row.get(c) for row in data] for c in columns])
    if len(getattr(data, "shape", ())) == 2:
        if hasattr(data, "with_format"):  # datasets, whose rows may be a choice of those that it holds
            return data.with_format("arrow")[:], {}
        if hasattr(data, "__arrow_c_stream__"):
            return pa.table(data), {}
    raise DataError(
        f"data must be a path, a name or a table, not {kind_of(data)}",
        next_step="collect it first: frame.collect()"
        if hasattr(data, "collect")
        else "give a file, or a DataFrame with a column of texts and one of labels",
    )


def _of_columns(names: Sequence[str], columns: Sequence[Any]) -> tuple[pa.Table, dict[str, str]]:
    """Make a table of columns, each as it can be."""
    held: list[tuple[str, pa.Array | pa.ChunkedArray]] = []
    unusable: dict[str, str] = {}
    for name, column in zip(names, columns, strict=True):
        try:
            arrow = isinstance(column, pa.Array | pa.ChunkedArray)
            held.append((name, column if arrow else pa.array(column, from_pandas=True)))
        except UnicodeEncodeError:
            unusable[name] = "text with a lone surrogate"
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            unusable[name] = "a mixture of kinds of values"
    if len({len(array) for _, array in held}) > 1:
        said = ", ".join(f"{name} {len(array):,}" for name, array in held[:4])
        raise DataError(f"the columns differ in length: {said}")
    return pa.Table.from_arrays([array for _, array in held], [name for name, _ in held]), unusable
