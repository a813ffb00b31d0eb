"""Columns that come with a type, as texts: what a Parquet file and a table in memory have in common."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopan.text.arrow import BYTES, as_strings, is_kind
from sopan.text.formats import LINE, ROW, Table, unique_names
from sopan.types import Reject

_SCALARS = ("string", "large_string", "string_view", "integer", "floating", "boolean", "decimal")
TRIED = 200
"""So many values of a column of bytes are looked at, to tell text from pictures and the like."""


class TypedTable(Table):
    """A table whose columns have types: strings, numbers and booleans are texts, as are bytes of UTF-8."""

    def __init__(self, name: str, schema: pa.Schema):
        super().__init__(name)
        self._labels = class_labels(schema)
        usable, self.unusable = [], {}
        unique, self.repeated = unique_names(schema.names)
        for field in (one for one in schema if one.name in unique):
            if is_kind(field.type, _SCALARS):
                usable.append(field.name)
            elif not is_kind(field.type, BYTES):
                self.unusable[field.name] = _short(field.type)
            elif _are_texts(self._first(field.name)):
                usable.append(field.name)
            else:
                self.unusable[field.name] = f"{field.type} that is not UTF-8"
        self.columns = tuple(usable)

    @abstractmethod
    def _first(self, column: str) -> pa.Array:
        """Return the first values of a column, `TRIED` at most."""

    @abstractmethod
    def _batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Stream some columns as they are."""

    def read(self, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the columns as text."""
        self.rejects.clear()
        row = 0
        for batch in self._batches(columns, batch_rows):
            yield self._as_text(batch, row)
            row += batch.num_rows

    def _as_text(self, batch: pa.RecordBatch, first_row: int) -> pa.RecordBatch:
        rows = pa.array(np.arange(first_row, first_row + batch.num_rows, dtype=np.int64))
        arrays, broken = [], set()
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            names = self._labels.get(name)
            arrays.append(as_strings(array if names is None else _named(array, names)))
            for i in _invalid_utf8(arrays[-1]):
                broken.add(i)
                self.rejects.append(Reject(None, f"row {first_row + i}: {name} is not valid UTF-8"))
        lines = pa.nulls(len(rows), pa.int64())
        table = pa.RecordBatch.from_arrays([rows, lines, *arrays], [ROW, LINE, *batch.schema.names])
        if not broken:
            return table
        keep = np.ones(len(rows), bool)
        keep[list(broken)] = False
        return table.filter(pa.array(keep))


def class_labels(schema: pa.Schema) -> dict[str, Sequence[str]]:
    """Return the names of the classes of those columns that Hugging Face `datasets` wrote as `ClassLabel`."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"].items()
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
    return {
        column: list(map(str, feature["names"]))
        for column, feature in features
        if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel" and feature.get("names")
    }


def _named(ids: pa.Array, names: Sequence[str]) -> pa.Array:
    """Return names for ids; -1 is how `datasets` writes that there is no label."""
    if not pa.types.is_integer(ids.type):
        return ids
    places = pc.cast(ids, pa.int64())
    return pa.array(names, pa.large_string()).take(
        pc.if_else(pc.and_(pc.greater_equal(places, 0), pc.less(places, len(names))), places, None)
    )


def _short(kind: pa.DataType) -> str:
    return "empty" if pa.types.is_null(kind) else str(kind)


def _are_texts(array: pa.Array) -> bool:
    """Tell whether most values are UTF-8."""
    strings = as_strings(array)
    return 2 * len(_invalid_utf8(strings)) <= len(strings) - int(strings.null_count)


def _invalid_utf8(array: pa.LargeStringArray) -> list[int]:
    """Return the places whose bytes are not UTF-8; Arrow itself loads them without a word."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return [i for i, value in enumerate(array.cast(pa.large_binary())) if not _decodes(value.as_py())]
    return []


def _decodes(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
