"""Parquet in and out, with a checksum on every page: one flipped bit is an error, not a changed number."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sopan.errors import DataError
from sopan.storage.atomic import atomic_file
from sopan.text.typed import TRIED, TypedTable

_NOTES = b"sopan.notes"


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


class ParquetTable(TypedTable):
    """The columns of a Parquet file that can be texts or labels."""

    def __init__(self, path: Path, name: str):
        self._file = open_parquet(path, name)
        schema = self._file.schema_arrow
        super().__init__(name, schema)
        self.notes += notes_of(schema)
        if not self._file.metadata.num_rows:
            raise DataError("the file has no rows", where=name)

    def _first(self, column: str) -> pa.Array:
        batch = next(self._batches([column], TRIED), None)
        return pa.array([]) if batch is None else batch.column(0)

    def _batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        row = 0
        try:
            for groups in self._row_groups(batch_rows):
                options = {"row_groups": groups, "columns": list(columns), "use_threads": False}
                for batch in self._file.iter_batches(batch_rows, **options):
                    yield batch.select(list(columns))
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


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
