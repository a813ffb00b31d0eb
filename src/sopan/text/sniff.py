"""Which delimiter a table uses, and what its first line says: judged on a sample, before it is all read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sopan.errors import DataError
from sopan.text.table import MAX_LINE_BYTES, duplicates

DELIMITERS = (",", "\t", ";", "|")
NO_DELIMITER = "\x1f"
"""ASCII's unit separator: what a table of one column is split at, since no text holds it."""
_SUFFIX_DELIMITERS = {".tsv": "\t", ".tab": "\t"}
_SNIFF_RECORDS = 200


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a delimited file is written.

    Args:
        delimiter: one character.
        quote: the quote character, or "" where quotes are ordinary text.
        header: whether the first line names the columns.
        columns: the names, or column0, column1 … where there is no header.
    """

    delimiter: str
    quote: str
    header: bool
    columns: tuple[str, ...]


def sniff(path: Path, name: str, suffix: str, *, header: bool) -> Dialect:
    """Tell a delimited file's dialect from its first records.

    Args:
        path: the file, in UTF-8.
        name: what to call it in errors.
        suffix: `.tsv` fixes the delimiter; others leave it open.
        header: whether the first line names the columns.

    Raises:
        DataError: no records, a repeated column name, or a header that is not UTF-8.
    """
    fixed = _SUFFIX_DELIMITERS.get(suffix)
    samples = {d: _sample(path, d) for d in ((fixed,) if fixed else DELIMITERS)}
    wide = {d: records for d, records in samples.items() if records and len(records[0]) > 1}
    delimiter = max(wide, key=lambda d: _agreement(wide[d])) if wide else NO_DELIMITER
    first = (wide.get(delimiter) or _sample(path, NO_DELIMITER) or [[]])[0]
    if not first:
        raise DataError("the file has no rows", where=name)
    if not header:
        return Dialect(delimiter, '"', False, tuple(f"column{i}" for i in range(len(first))))
    return Dialect(delimiter, '"', True, _column_names(first, name))


def records(path: Path, delimiter: str, quote: str = '"') -> Iterator[tuple[int, list[str]]]:
    """Walk through the records of a delimited file in pure Python, for samples and for line numbers.

    Yields:
        the 1-based line on which a record starts, and its fields; blank lines are passed over,
        except in a table of one column, where a blank line is an empty text.
    """
    limit = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            plain = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
            reader = csv.reader(file, delimiter=delimiter, quotechar=quote) if quote else plain
            line = 1
            for fields in reader:
                if fields or delimiter == NO_DELIMITER:
                    yield line, fields or [""]
                line = reader.line_num + 1
    finally:
        csv.field_size_limit(limit)


def _sample(path: Path, delimiter: str) -> list[list[str]]:
    sample = []
    try:
        for _, fields in islice(records(path, delimiter), _SNIFF_RECORDS):
            sample.append(fields)
    except csv.Error:  # a field beyond every limit: judge by what came before it
        pass
    return sample


def _agreement(sample: list[list[str]]) -> tuple[float, int]:
    """Return the share of records as wide as the first one, then that width."""
    width = len(sample[0])
    return sum(len(fields) == width for fields in sample) / len(sample), width


def _column_names(first: list[str], name: str) -> tuple[str, ...]:
    if any("\ufffd" in field for field in first):
        raise DataError(
            "the header is not valid UTF-8",
            where=f"{name}:1",
            next_step="use --encoding, say latin-1 or cp1252",
        )
    names = tuple(field.strip() or f"column{i}" for i, field in enumerate(first))
    if repeated := duplicates(names):
        raise DataError(f"several columns are called {', '.join(repeated)}", where=f"{name}:1")
    return names
