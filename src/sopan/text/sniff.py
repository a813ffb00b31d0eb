"""Which delimiter a table uses, and what its first line says: judged on a sample, before it is all read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sopan.errors import DataError
from sopan.text.table import MAX_LINE_BYTES, duplicates

DELIMITERS = ("\t", "|", ";", ",")
"""The rarer a character is in prose, the more it says; the first of equals wins."""
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
    first = _first_record(path, delimiter, name)
    if not header:
        return Dialect(delimiter, '"', False, tuple(f"column{i}" for i in range(len(first))))
    return Dialect(delimiter, '"', True, _column_names(first, name))


@contextmanager
def open_reader(path: Path, delimiter: str, quote: str, *, strict: bool) -> Iterator[Any]:
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


def _sample(path: Path, delimiter: str) -> list[list[str]]:
    """Return the first records under a delimiter, up to the first that is beyond reading."""
    sample: list[list[str]] = []
    with open_reader(path, delimiter, '"', strict=False) as reader, suppress(csv.Error):
        sample.extend(islice(filter(None, reader), _SNIFF_RECORDS))
    return sample


def _first_record(path: Path, delimiter: str, name: str) -> list[str]:
    with open_reader(path, delimiter, '"', strict=True) as reader:
        try:
            first: list[str] | None = next(filter(None, reader), None)
        except csv.Error as error:
            raise DataError(f"the first line cannot be read ({error})", where=f"{name}:1") from error
    if first is None:
        raise DataError("the file has no rows", where=name)
    return first


def _agreement(sample: list[list[str]]) -> float:
    """Return the share of records that are as wide as the first one."""
    return sum(len(fields) == len(sample[0]) for fields in sample) / len(sample)


def _column_names(first: list[str], name: str) -> tuple[str, ...]:
    if any(0xDC80 <= ord(character) <= 0xDCFF for character in "".join(first)):
        raise DataError(
            "the header is not valid UTF-8",
            where=f"{name}:1",
            next_step="use --encoding, say latin-1 or cp1252",
        )
    names = tuple(field.strip() or f"column{i}" for i, field in enumerate(first))
    if repeated := duplicates(names):
        raise DataError(f"several columns are called {', '.join(repeated)}", where=f"{name}:1")
    return names
