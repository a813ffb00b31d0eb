"""CSV and TSV under strict rules: every row that breaks them is named by its line, none is lost unseen.

The parser is Python's own, in strict mode. DuckDB's reads up to twice as fast, but on the files of
`bench/csv_readers.py` it swallows an unclosed quote without a word when single-threaded, and otherwise
invents rows where a quoted line break meets the edge of a buffer (DuckDB 2.0).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from sopan.errors import DataError
from sopan.text.files import CHUNK_BYTES, PlainFile, as_utf8, printable
from sopan.text.sniff import Dialect, open_reader, sniff
from sopan.text.table import MAX_LINE_BYTES, Row, RowTable
from sopan.types import Reject


class DelimitedTable(RowTable):
    """A CSV, TSV or otherwise delimited file.

    Quoted fields may hold line breaks. Blank lines are passed over, except in a table of one
    column, where each is an empty text. In a tab-separated file whose rows fit the columns better
    when quotes are ordinary characters, they are.
    """

    def __init__(self, file: PlainFile, *, header: bool, encoding: str):
        super().__init__(file.name)
        self._path = as_utf8(file, encoding)
        self._dialect = sniff(self._path, file.name, file.suffix, header=header)
        self.columns = self._dialect.columns
        if self._dialect.delimiter == "\t" and _holds_quotes(self._path):
            literal = replace(self._dialect, quote="")
            if _misfit_lines(self._path, literal) < _misfit_lines(self._path, self._dialect):
                self._dialect = literal
                self.notes.append("quotes are ordinary characters in this tab-separated file")

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows that keep the rules.

        Raises:
            DataError: a quote is not closed, so that the rows after it cannot be told apart.
        """
        wanted = [self.columns.index(name) for name in columns]
        for row, (line, last_line, fields) in enumerate(_records(self._path, self._dialect)):
            if isinstance(fields, csv.Error):
                self._refuse_broken(fields, line, last_line)
            elif len(fields) != len(self.columns):
                count = f"{len(fields)} field{'s' * (len(fields) != 1)}"
                self._refuse(line, f"{count} where the table has {len(self.columns)} columns", fields)
            elif not _is_unicode(values := [fields[i] for i in wanted]):
                self._refuse(line, "not valid UTF-8", fields)
            else:
                yield row, line, values

    def _refuse(self, line: int, reason: str, fields: Sequence[str]) -> None:
        self.rejects.append(Reject(line, reason, printable(self._dialect.delimiter.join(fields))))

    def _refuse_broken(self, error: csv.Error, line: int, last_line: int) -> None:
        """Refuse a row whose quotes are wrong, or the file if that row ate others."""
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


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[int, int, list[str] | csv.Error]]:
    """Yield each data record's first and last line, and its fields or what is wrong with it."""
    with open_reader(path, dialect.delimiter, dialect.quote, strict=True) as reader:
        if dialect.header:
            next(filter(None, reader))  # blank lines before the header do not count
        one_column = len(dialect.columns) == 1
        while True:
            line = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, reader.line_num, error
                continue
            if fields:
                yield line, reader.line_num, fields
            elif one_column:
                yield line, line, [""]


def _holds_quotes(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b'"' in chunk for chunk in iter(partial(file.read, CHUNK_BYTES), b""))


def _misfit_lines(path: Path, dialect: Dialect) -> int:
    """Count the lines of the records that have more or fewer fields than there are columns."""
    return sum(
        last - first + 1
        for first, last, fields in _records(path, dialect)
        if isinstance(fields, csv.Error) or len(fields) != len(dialect.columns)
    )


def _is_unicode(values: Sequence[str]) -> bool:
    """Tell whether texts hold no trace of bytes that did not decode."""
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return False
    return True
