"""CSV and TSV under strict rules: every row that breaks them is named by its line, none is lost unseen.

The delimiter and the columns are inferred from a sample, before all is read. The parser is Python's own, in
strict mode. DuckDB's reads up to twice as fast, but on the files of `bench/csv_readers.py` it swallows an
unclosed quote without a word when single-threaded, and otherwise invents rows where a quoted line break
meets the edge of a buffer (DuckDB 2.0).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from sopan.errors import DataError
from sopan.text.display import printable
from sopan.text.encodings import as_utf8, encoding_hint
from sopan.text.files import CHUNK_BYTES, PlainFile
from sopan.text.formats import MAX_LINE_BYTES, Row, RowTable, unique_names
from sopan.types import Reject

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = ("\t", "|", ";", ",")
"""The rarer a character is in prose, the more it says; the first of equals wins."""
NO_DELIMITER = "\x1f"
"""ASCII's unit separator: what a table of one column is split at, since no text holds it."""
_SUFFIX_DELIMITERS = {".tsv": "\t", ".tab": "\t"}
_SNIFF_RECORDS = 200
SEPARATOR = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)
"""What Excel writes above a table, and reads there: the delimiter."""
_MOST_TITLES = 3
"""How many lines may stand above a table's header,"""
_ALIKE = 0.8
"""where more than this share of the records are as wide as the header."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is cut into fields.

    Args:
        delimiter: one character.
        quote: the quote character, or "" where quotes are ordinary text.
        blank: whether a blank after a delimiter belongs to it, and not to the field.
        above: lines that stand above the table.
    """

    delimiter: str
    quote: str = '"'
    blank: bool = False
    above: int = 0


class DelimitedTable(RowTable):
    """A CSV, TSV or otherwise delimited file.

    Quoted fields may hold line breaks. Blank lines are passed over, except in a table of one
    column, where each is an empty text. In a tab-separated file whose rows fit the columns better
    when quotes are ordinary characters, they are. Excel's `sep=;` and titles above the header, which are
    narrower than all else, are passed over, and so are blanks after the delimiter, where every row has them.

    Args:
        file: what is read; `.tsv` fixes the delimiter, other suffixes leave it open.
        header: whether the first line names the columns; else they are column0, column1 …
        encoding: of the file.

    Raises:
        DataError: no records, or a header that is not UTF-8.
    """

    def __init__(self, file: PlainFile, *, header: bool, encoding: str):
        super().__init__(file.name)
        self.path: Path = as_utf8(file, encoding)
        self._header = header
        self._dialect = _find_dialect(self.path, _SUFFIX_DELIMITERS.get(file.suffix, DELIMITERS))
        first = self._first_record()
        self._names = self._read_names(first) if header else tuple(f"column{i}" for i in range(len(first)))
        self.columns, self.repeated = unique_names(self._names)
        self._note_dialect()

    def _note_dialect(self) -> None:
        """Find what quotes mean, and say what is not plain of how the file is cut."""
        plain = replace(self._dialect, quote="")
        tabs = self._dialect.delimiter == "\t"
        if tabs and _holds_quotes(self.path) and self._misfits(plain) < self._misfits(self._dialect):
            self._dialect = plain
            self.notes.append("quotes are ordinary characters in this tab-separated file")
        if self._dialect.above:
            lines = "line 1 stands" if self._dialect.above == 1 else f"lines 1 to {self._dialect.above} stand"
            self.notes.append(f"{lines} above the table, which was read from the next on")
        if self._dialect.blank:
            self.notes.append("blanks after the delimiter are no part of the fields")

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows that keep the rules.

        Raises:
            DataError: a quote is not closed, so that it is not certain where the rows after it begin.
        """
        wanted = [self._names.index(name) for name in columns]
        for row, (line, last_line, fields) in enumerate(self._records(self._dialect)):
            if isinstance(fields, csv.Error):
                self._refuse_broken(fields, line, last_line)
            elif len(fields) != len(self._names):
                count = f"{len(fields)} field{'s' * (len(fields) != 1)}"
                self._refuse(line, f"{count} where the table has {len(self._names)} columns", fields)
            elif not _is_unicode(values := [fields[i] for i in wanted]):
                self._refuse(line, "not valid UTF-8", fields)
            else:
                yield row, line, values

    def _records(self, dialect: Dialect) -> Iterator[tuple[int, int, list[str] | csv.Error]]:
        """Yield each data record's first and last line, and its fields or what is wrong with it."""
        above = dialect.above
        with _open_reader(self.path, dialect) as reader:
            if self._header:
                next(filter(None, reader))  # blank lines before the header do not count
            while True:
                line = above + reader.line_num + 1
                try:
                    fields = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield line, above + reader.line_num, error
                    continue
                if fields:
                    yield line, above + reader.line_num, fields
                elif len(self._names) == 1:
                    yield line, line, [""]

    def _misfits(self, dialect: Dialect) -> int:
        """Count the lines of the records that have more or fewer fields than there are columns."""
        return sum(
            last - first + 1
            for first, last, fields in self._records(dialect)
            if isinstance(fields, csv.Error) or len(fields) != len(self._names)
        )

    def _first_record(self) -> list[str]:
        with _open_reader(self.path, self._dialect) as reader:
            try:
                first: list[str] | None = next(filter(None, reader), None)
            except csv.Error as error:
                where = f"{self.name}:1"
                raise DataError(f"the first line cannot be read ({error})", where=where) from error
        if first is None:
            raise DataError("the file has no rows", where=self.name)
        return first

    def _read_names(self, first: list[str]) -> tuple[str, ...]:
        """Take the first record as the columns' names."""
        if not _is_unicode(first):
            raise DataError(
                "the header is not valid UTF-8",
                where=f"{self.name}:1",
                next_step=encoding_hint(self.path),
            )
        return tuple(field.strip() or f"column{i}" for i, field in enumerate(first))

    def _refuse(self, line: int, reason: str, fields: Sequence[str]) -> None:
        self.rejects.append(Reject(line, reason, printable(self._dialect.delimiter.join(fields))))

    def _refuse_broken(self, error: csv.Error, line: int, last_line: int) -> None:
        """Refuse a row whose quotes are wrong, or the file if that row may have swallowed others."""
        if "limit" in str(error):
            reason = f"a field over {MAX_LINE_BYTES >> 20} MB, or a quote that is not closed"
        elif "unexpected end" in str(error):
            reason = "a quote opened here is not closed"
        else:
            reason = "a quote is not closed, or text follows the closing quote"
        if last_line == line and "limit" not in str(error):
            self.rejects.append(Reject(line, reason))
            return
        raise DataError(
            f"{reason}; the rows from here to line {last_line} cannot be told apart",
            where=f"{self.name}:{line}",
            next_step="close the quote, or double it if it is part of the text",
        )


def _find_dialect(path: Path, delimiters: Sequence[str]) -> Dialect:
    """Find the delimiter under which most records are as wide as the first, and what is above the table."""
    above = 0
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        if told := SEPARATOR.fullmatch(file.readline(16)):
            above, delimiters = 1, (told[1],)
    found, best = Dialect(NO_DELIMITER, above=above), 0.0
    for delimiter in delimiters:
        dialect = Dialect(delimiter, above=above)
        sample = _sample(path, dialect)
        titles = 0 if above else _titles([fields for _, fields in sample])
        records = [fields for _, fields in sample[titles:]]
        if records and len(records[0]) > 1:
            agreement = sum(len(fields) == len(records[0]) for fields in records) / len(records)
            if agreement > best:
                blank = all(field[:1] in ("", " ") for fields in records for field in fields[1:])
                lines = sample[titles - 1][0] if titles else above
                found, best = replace(dialect, blank=blank and any(records[0][1:]), above=lines), agreement
    return found


def _sample(path: Path, dialect: Dialect) -> list[tuple[int, list[str]]]:
    """Return the first records that are not blank, each with the line on which it ends."""
    found: list[tuple[int, list[str]]] = []
    with _open_reader(path, dialect, strict=False) as reader, suppress(csv.Error):
        records = islice(filter(None, reader), _SNIFF_RECORDS)
        found.extend((dialect.above + reader.line_num, fields) for fields in records)
    return found


def _titles(records: Sequence[Sequence[str]]) -> int:
    """Count the records above the header: of one field, where hardly any other is not as wide as it."""
    above = next((i for i, fields in enumerate(records) if len(fields) > 1), 0)
    alike = sum(len(fields) == len(records[above]) for fields in records[above:])
    return above if above <= _MOST_TITLES and alike > max(2, _ALIKE * (len(records) - above)) else 0


@contextmanager
def _open_reader(path: Path, dialect: Dialect, *, strict: bool = True) -> Iterator[Reader]:
    """Open a file for the `csv` module; bytes that are not UTF-8 come as lone surrogates.

    Args:
        path: the file, in UTF-8.
        dialect: how it is cut.
        strict: whether misplaced quotes are errors.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        for _ in range(dialect.above):
            file.readline()
        lines = iter(partial(file.readline, MAX_LINE_BYTES + 1), "")
        if dialect.quote:
            yield csv.reader(
                lines,
                delimiter=dialect.delimiter,
                quotechar=dialect.quote,
                skipinitialspace=dialect.blank,
                strict=strict,
            )
        else:
            yield csv.reader(
                lines,
                delimiter=dialect.delimiter,
                quoting=csv.QUOTE_NONE,
                skipinitialspace=dialect.blank,
            )


def _holds_quotes(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b'"' in chunk for chunk in iter(partial(file.read, CHUNK_BYTES), b""))


def _is_unicode(values: Sequence[str]) -> bool:
    """Tell whether texts hold no trace of bytes that did not decode."""
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return False
    return True
