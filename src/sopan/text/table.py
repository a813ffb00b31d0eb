"""What every file format becomes: named columns of text, streamed in batches, with the rows it refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from sopan.types import Reject

SAMPLE_ROWS = 2_000
"""How many rows are looked at to tell the text from the label."""

MAX_LINE_BYTES = 16 << 20
"""No row of a text file may be longer; the text in it is cut far earlier (`MAX_TEXT_CHARS`)."""

ROW, LINE = "sopan:row", "sopan:line"
"""Names of the columns that say where a row stands, which no file's own column takes."""

Row = tuple[int, int | None, Sequence[str | None]]
"""A row's number, its line, and its values."""


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
        """Stream the rows of some columns, from the start.

        Args:
            columns: which, in the order wanted.
            batch_rows: at most so many rows a batch.

        Yields:
            `ROW` (int64, the 0-based data row in the file, refused rows counted), `LINE` (int64, the
            1-based line on which it starts, null where lines mean nothing), then the columns as
            `large_string`, null where the file has no value.
        """

    def sample(self) -> pa.RecordBatch:
        """Return the first rows of all columns."""
        return next(self.read(self.columns, SAMPLE_ROWS), _batch([], self.columns))


class RowTable(Table):
    """A table that is parsed row by row."""

    @abstractmethod
    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows that can be read, and append the others to `rejects`."""

    def read(self, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the rows, gathered into batches."""
        self.rejects.clear()
        held: list[Row] = []
        for row in self.rows(columns):
            held.append(row)
            if len(held) == batch_rows:
                yield _batch(held, columns)
                held = []
        if held:
            yield _batch(held, columns)


def _batch(held: Sequence[Row], columns: Sequence[str]) -> pa.RecordBatch:
    values = list(zip(*(values for *_, values in held), strict=True)) or [()] * len(columns)
    rows, lines = (pa.array([row[i] for row in held], pa.int64()) for i in (0, 1))
    texts = [pa.array(column, pa.large_string()) for column in values]
    return pa.RecordBatch.from_arrays([rows, lines, *texts], [ROW, LINE, *columns])


def duplicates(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once."""
    return [repr(name) for name, count in Counter(names).items() if count > 1]
