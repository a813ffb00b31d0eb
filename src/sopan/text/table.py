"""What every file format becomes: named columns of text, streamed in batches, with the rows it refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from sopan.types import Int64Array, Reject

SAMPLE_ROWS = 2_000
"""How many rows are looked at to tell the text from the label."""

MAX_LINE_BYTES = 16 << 20
"""No row of a text file may be longer; the text in it is cut far earlier (`MAX_TEXT_CHARS`)."""


ROW = "sopan:row"
"""Name of the column of row numbers, which no file's own column takes."""


class Table(ABC):
    """A table on disk whose every value is read as text.

    Attributes:
        name: the file as the user named it.
        columns: names of the columns, in order.
        rejects: rows refused so far by the reading under way.
        notes: what a reader should know of how the file was understood.
    """

    columns: tuple[str, ...]

    def __init__(self, name: str):
        self.name = name
        self.rejects: list[Reject] = []
        self.notes: list[str] = []

    @abstractmethod
    def read(self, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the rows of some columns.

        Args:
            columns: which, in the order wanted.
            batch_rows: at most so many rows a batch.

        Yields:
            `ROW` (int64, the 0-based data row in the file, refused rows counted), then the columns
            as `large_string`; null where the file has no value.
        """

    def sample(self) -> pa.RecordBatch:
        """Return the first rows of all columns."""
        batches = self.read(self.columns, SAMPLE_ROWS)
        first = next(batches, None)
        self.rejects.clear()
        return first if first is not None else pa.RecordBatch.from_pylist([], text_schema(self.columns))

    def lines_of(self, rows: Int64Array) -> list[int | None]:
        """Return the 1-based line on which each data row starts, or None where lines mean nothing."""
        return [None] * len(rows)


def text_schema(columns: Sequence[str]) -> pa.Schema:
    """Return the schema of what `Table.read` yields."""
    return pa.schema([(ROW, pa.int64()), *((name, pa.large_string()) for name in columns)])


def duplicates(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once."""
    return [repr(name) for name, count in Counter(names).items() if count > 1]


def rows_around(rejected: Int64Array, first: int, count: int) -> Int64Array:
    """Number accepted rows as they stand in the file, the rejected ones left out.

    Args:
        rejected: sorted data rows that were refused.
        first: how many rows were accepted before these.
        count: how many to number.
    """
    accepted = np.arange(first, first + count, dtype=np.int64)
    accepted_before = rejected - np.arange(len(rejected))
    return accepted + np.searchsorted(accepted_before, accepted, side="right")
