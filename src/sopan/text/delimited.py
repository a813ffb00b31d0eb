"""CSV and TSV under strict rules: every row that breaks them is named by its line, none is lost unseen.

The delimiter and the columns are inferred from a sample, before all is read. The parser is Python's own, in
strict mode. DuckDB's reads up to twice as fast, but on the files of `bench/csv_readers.py` it swallows an
unclosed quote without a word when single-threaded, and otherwise invents rows where a quoted line break
meets the edge of a buffer (DuckDB 2.0).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from sopan.errors import DataError
from sopan.text.display import printable
from sopan.text.files import CHUNK_BYTES, PlainFile, as_utf8
from sopan.text.formats import MAX_LINE_BYTES, Row, RowTable, duplicates
from sopan.types import Reject

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = ("\t", "|", ";", ",")
"""The rarer a character is in prose, the more it says; the first of equals wins."""
NO_DELIMITER = "\x1f"
"""ASCII's unit separator: what a table of one column is split at, since no text holds it."""
_SUFFIX_DELIMITERS = {".tsv": "\t", ".tab": "\t"}
_SNIFF_RECORDS = 200


class DelimitedTable(RowTable):
    """A CSV, TSV or otherwise delimited file.

    Quoted fields may hold line breaks. Blank lines are passed over, except in a table of one
    column, where each is an empty text. In a tab-separated file whose rows fit the columns better
    when quotes are ordinary characters, they are.

    Args:
        file: what is read; `.tsv` fixes the delimiter, other suffixes leave it open.
        header: whether the first line names the columns; else they are column0, column1 …
        encoding: of the file.

    Raises:
        DataError: no records, a repeated column name, or a header that is not UTF-8.
    """

    def __init__(self, file: PlainFile, *, header: bool, encoding: str):
        super().__init__(file.name)
        self._path, self._header, self._quote = as_utf8(file, encoding), header, '"'
        self._delimiter = _find_delimiter(self._path, _SUFFIX_DELIMITERS.get(file.suffix, DELIMITERS))
        first = self._first_record()
        self.columns = self._names(first) if header else tuple(f"column{i}" for i in range(len(first)))
        if self._delimiter == "\t" and _holds_quotes(self._path) and self._misfits("") < self._misfits('"'):
            self._quote = ""
            self.notes.append("quotes are ordinary characters in this tab-separated file")

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows that keep the rules.

        Raises:
            DataError: a quote is not closed, so that it is not certain where the rows after it begin.
        """
        wanted = [self.columns.index(name) for name in columns]
        for row, (line, last_line, fields) in enumerate(self._records(self._quote)):
            if isinstance(fields, csv.Error):
                self._refuse_broken(fields, line, last_line)
            elif len(fields) != len(self.columns):
                count = f"{len(fields)} field{'s' * (len(fields) != 1)}"
                self._refuse(line, f"{count} where the table has {len(self.columns)} columns", fields)
            elif not _is_unicode(values := [fields[i] for i in wanted]):
                self._refuse(line, "not valid UTF-8", fields)
            else:
                yield row, line, values

    def _records(self, quote: str) -> Iterator[tuple[int, int, list[str] | csv.Error]]:
        """Yield each data record's first and last line, and its fields or what is wrong with it."""
        with _open_reader(self._path, self._delimiter, quote) as reader:
            if self._header:
                next(filter(None, reader))  # blank lines before the header do not count
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
                elif len(self.columns) == 1:
                    yield line, line, [""]

    def _misfits(self, quote: str) -> int:
        """Count the lines of the records that have more or fewer fields than there are columns."""
        return sum(
            last - first + 1
            for first, last, fields in self._records(quote)
            if isinstance(fields, csv.Error) or len(fields) != len(self.columns)
        )

    def _first_record(self) -> list[str]:
        with _open_reader(self._path, self._delimiter, self._quote) as reader:
            try:
                first: list[str] | None = next(filter(None, reader), None)
            except csv.Error as error:
                where = f"{self.name}:1"
                raise DataError(f"the first line cannot be read ({error})", where=where) from error
        if first is None:
            raise DataError("the file has no rows", where=self.name)
        return first

    def _names(self, first: list[str]) -> tuple[str, ...]:
        """Take the first record as the columns' names."""
        if not _is_unicode(first):
            raise DataError(
                "the header is not valid UTF-8",
                where=f"{self.name}:1",
                next_step="use --encoding, say latin-1 or cp1252",
            )
        names = tuple(field.strip() or f"column{i}" for i, field in enumerate(first))
        if repeated := duplicates(names):
            raise DataError(f"several columns are called {', '.join(repeated)}", where=f"{self.name}:1")
        return names

    def _refuse(self, line: int, reason: str, fields: Sequence[str]) -> None:
        self.rejects.append(Reject(line, reason, printable(self._delimiter.join(fields))))

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


def _find_delimiter(path: Path, delimiters: Sequence[str]) -> str:
    """Find the delimiter under which most of the first records are as wide as the first one."""
    agreement = {}
    for delimiter in delimiters:
        sample: list[list[str]] = []
        with _open_reader(path, delimiter, '"', strict=False) as reader, suppress(csv.Error):
            sample.extend(islice(filter(None, reader), _SNIFF_RECORDS))
        if sample and len(sample[0]) > 1:
            agreement[delimiter] = sum(len(fields) == len(sample[0]) for fields in sample) / len(sample)
    return max(agreement, key=agreement.__getitem__, default=NO_DELIMITER)


@contextmanager
def _open_reader(path: Path, delimiter: str, quote: str, *, strict: bool = True) -> Iterator[Reader]:
    """Open a file for the `csv` module; bytes that are not UTF-8 come as lone surrogates.

    Args:
        path: the file, in UTF-8.
        delimiter: one character.
        quote: the quote character, or "" where quotes are ordinary text.
        strict: whether misplaced quotes are errors.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = iter(partial(file.readline, MAX_LINE_BYTES + 1), "")
        if quote:
            yield csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=strict)
        else:
            yield csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)


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
