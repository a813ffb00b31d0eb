"""Parquet in and out, with a checksum on every page: one flipped bit is an error, not a changed number."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sopan.errors import DataError
from sopan.storage.atomic import atomic_file
from sopan.text.formats import LINE, ROW, Table, unique_names
from sopan.types import Reject

_NOTES = b"sopan.notes"
_BINARIES = ("binary", "large_binary", "binary_view", "fixed_size_binary")
_SCALARS = ("string", "large_string", "string_view", *_BINARIES, "integer", "floating", "boolean", "decimal")


def write_parquet(table: pa.Table, path: str | os.PathLike[str]) -> None:
    """Write a table with page checksums, whole or not at all.

    Args:
        table: any Arrow table.
        path: its file; a previous one is replaced in one step, and kept if anything fails.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    with atomic_file(Path(path)) as new:
        pq.write_table(table, new, compression="zstd", write_page_checksum=True)


def open_parquet(path: Path, name: str) -> pq.ParquetFile:
    """Open a Parquet file so that pages are checked as they are read.

    Raises:
        DataError: not Parquet, or its footer is damaged.
    """
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"this is not a readable Parquet file ({_first_line(error)})", where=name) from error


def with_notes(table: pa.Table, notes: Sequence[str]) -> pa.Table:
    """Keep remarks in a table's metadata, for `notes_of` to find."""
    return table.replace_schema_metadata({_NOTES: json.dumps(list(notes))})


def notes_of(schema: pa.Schema) -> tuple[str, ...]:
    """Return the remarks that `with_notes` left."""
    return tuple(json.loads((schema.metadata or {}).get(_NOTES, b"[]")))


class ParquetTable(Table):
    """The columns of a Parquet file that can be texts or labels: strings, bytes, numbers and booleans."""

    def __init__(self, path: Path, name: str):
        super().__init__(name)
        self._file = open_parquet(path, name)
        schema = self._file.schema_arrow
        self.notes += notes_of(schema)
        unique, self.repeated = unique_names(schema.names)
        fields = [field for field in schema if field.name in unique]
        self.columns = tuple(field.name for field in fields if _is_scalar(field.type))
        self.unusable = {field.name: str(field.type) for field in fields if not _is_scalar(field.type)}
        if not self._file.metadata.num_rows:
            raise DataError("the file has no rows", where=name)

    def read(self, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the columns as text."""
        self.rejects.clear()
        row = 0
        try:
            for groups in self._row_groups(batch_rows):
                options = {"row_groups": groups, "columns": list(columns), "use_threads": False}
                for batch in self._file.iter_batches(batch_rows, **options):
                    yield self._as_text(batch.select(list(columns)), row)
                    row += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"the Parquet file is damaged near row {row} ({_first_line(error)})", where=self.name
            ) from error

    def _row_groups(self, rows: int) -> Iterator[list[int]]:
        """Give few row groups at a time, of so many rows: Arrow keeps hold of all it reads in one go."""
        groups: list[int] = []
        held = 0
        for group in range(self._file.num_row_groups):
            groups.append(group)
            held += self._file.metadata.row_group(group).num_rows
            if held >= rows:
                yield groups
                groups, held = [], 0
        if groups:
            yield groups

    def _as_text(self, batch: pa.RecordBatch, first_row: int) -> pa.RecordBatch:
        rows = pa.array(np.arange(first_row, first_row + batch.num_rows, dtype=np.int64))
        arrays = [_to_strings(array) for array in batch.columns]
        broken = set()
        for name, array in zip(batch.schema.names, arrays, strict=True):
            for i in _invalid_utf8(array):
                broken.add(i)
                self.rejects.append(Reject(None, f"row {first_row + i}: {name} is not valid UTF-8"))
        lines = pa.nulls(len(rows), pa.int64())
        table = pa.RecordBatch.from_arrays([rows, lines, *arrays], [ROW, LINE, *batch.schema.names])
        if not broken:
            return table
        keep = np.ones(len(rows), bool)
        keep[list(broken)] = False
        return table.filter(pa.array(keep))


def _is_scalar(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return _is_one_of(kind, _SCALARS)


def _is_one_of(kind: pa.DataType, names: Sequence[str]) -> bool:
    return any(getattr(pa.types, f"is_{name}")(kind) for name in names)


def _to_strings(array: pa.Array) -> pa.LargeStringArray:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if _is_one_of(array.type, _BINARIES):
        return pc.cast(array, pa.large_binary()).view(pa.large_string())  # checked by `_invalid_utf8`
    return pc.cast(array, pa.large_string())


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


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
