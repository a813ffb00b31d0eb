"""What every file format becomes: named columns of text, streamed in batches, with the rows it refused.

The plainest formats are here: one text a line, and one text a line behind its label.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from sopan.text.display import printable
from sopan.text.encodings import as_utf8
from sopan.text.files import PlainFile
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
        columns: names of the columns, in order; what several columns are called is left out.
        repeated: what several columns are called, none of which can be read.
        unusable: other columns, which hold no texts, each with what it holds: `struct<a: string>`.
        path: the file's text in UTF-8, where it has one.
        rejects: rows refused so far by the reading under way.
        notes: what a reader should know of how the file was understood.
    """

    columns: tuple[str, ...]
    repeated: tuple[str, ...] = ()
    unusable: Mapping[str, str] = MappingProxyType({})
    path: Path | None = None

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

    def refusal(self, row: int, line: int | None, reason: str, excerpt: str) -> Reject:
        """Return the note of a row that cannot be used, with its place as a reader will look for it."""
        return Reject(line, reason if line else f"row {row}: {reason}", excerpt)

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


def unique_names(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that one column has, and those that several have, in order."""
    counts = Counter(names)
    return tuple(n for n in counts if counts[n] == 1), tuple(n for n in counts if counts[n] > 1)


class LinesTable(RowTable):
    """A file of texts, one a line; its only column is `text`. Blank lines are passed over."""

    columns: tuple[str, ...] = ("text",)

    def __init__(self, file: PlainFile, *, encoding: str):
        super().__init__(file.name)
        self.path: Path = as_utf8(file, encoding)

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the lines that can be read."""
        for row, (line, raw) in enumerate(lines_of(self.path)):
            try:
                values = self._values(decode_line(raw), columns)
            except ValueError as error:
                self.rejects.append(Reject(line, str(error), printable(raw[:200].decode("utf-8", "replace"))))
            else:
                yield row, line, values

    def _values(self, line: str, columns: Sequence[str]) -> list[str | None]:
        """Return one line's values, or raise ValueError with the reason to refuse it."""
        return [line.rstrip("\r\n")]


FASTTEXT = "__label__"


class LabelledLinesTable(LinesTable):
    """A file of lines that begin with their label: `pos a fine film`, or fastText's `__label__pos a film`.

    A blank, or a tab, ends the label. A line with several of fastText's labels, or none, is refused.
    """

    columns = ("text", "label")

    def __init__(self, file: PlainFile, *, encoding: str, fasttext: bool):
        super().__init__(file, encoding=encoding)
        self._fasttext = fasttext
        mark = f"{FASTTEXT}LABEL" if fasttext else "a label"
        self.notes.append(f"each line was read as {mark} and a text")

    def _values(self, line: str, columns: Sequence[str]) -> list[str | None]:
        label, text = split_label(line)
        if self._fasttext:
            if not label.startswith(FASTTEXT):
                raise ValueError(f"no {FASTTEXT} at the start of the line")
            if text.startswith(FASTTEXT):
                raise ValueError("several labels, where each text has one")
            label = label.removeprefix(FASTTEXT)
        return [text if column == "text" else label for column in columns]


def split_label(line: str) -> tuple[str, str]:
    """Cut a line after its first word: a label, and the rest."""
    label, *rest = re.split(r"[ \t]+", line.strip("\r\n \t\ufeff"), maxsplit=1)
    return label, rest[0] if rest else ""


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, numbered from 1; one beyond the limit comes cut in front."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            while len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
                rest = file.readline(MAX_LINE_BYTES)
                if not rest or rest.endswith(b"\n"):
                    break
            if raw.strip():
                yield number, raw


def decode_line(raw: bytes) -> str:
    """Return a line as text, without a byte order mark.

    Raises:
        ValueError: it is too long, or not UTF-8.
    """
    if len(raw) > MAX_LINE_BYTES:
        raise ValueError(f"a line longer than {MAX_LINE_BYTES >> 20} MB")
    try:
        return raw.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise ValueError("not valid UTF-8") from error
