"""Which format a file is in, told by its bytes and helped by its name: the same for whoever reads it.

A command that wants labels and one that wants none see the same table in the same file. Otherwise texts
would be read with their labels in front where nobody asked for these.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from sopan.options.data import TextOptions
from sopan.text.columns import LABEL_NAMES, TEXT_NAMES
from sopan.text.delimited import DELIMITERS, SEPARATOR, DelimitedTable
from sopan.text.encodings import as_utf8
from sopan.text.files import CHUNK_BYTES, PlainFile
from sopan.text.foreign import SPREADSHEETS
from sopan.text.formats import (
    FASTTEXT,
    SAMPLE_ROWS,
    LabelledLinesTable,
    LinesTable,
    Table,
    decode_line,
    lines_of,
    split_label,
)
from sopan.text.json_table import JsonArrayTable, JsonLinesTable
from sopan.text.parquet import ParquetTable
from sopan.text.spreadsheet import SpreadsheetTable

_PARQUET, _JSON, _DELIMITED = (".parquet", ".pq"), (".json", ".jsonl", ".ndjson"), (".csv", ".tsv", ".tab")
_JSON_ARRAY, _JSON_OBJECT = re.compile(rb"\[\s*[{\]]"), re.compile(rb'\{\s*["}]')

_NAME = re.compile(r"\s*[\w.:+-]+\s*")

MOST_LABELS = 100
"""First words of lines are labels only if there are at most so many of them,"""
LEAST_PER_LABEL = 5
"""each begins so many lines on average and at least two,"""
MOST_IN_TEXT = 0.2
"""and at most this share of the lines holds one of them further on, as prose that begins with `what` does."""
MOST_MARKED = 0.5
"""A file that begins with fastText's mark is in its format if more than this share of the lines does."""
_CODE = re.compile(r"[+-]?\d+|[A-Za-z]+[:_][\w:-]+")
"""What no line of prose begins with: a number, or a name in two parts, such as `DESC:manner`."""


def open_table(file: PlainFile, options: TextOptions) -> Table:
    """Open a file as the table that its bytes, and then its name, say it is.

    Raises:
        DataError: it holds no table, or a damaged one.
    """
    with file.path.open("rb") as content:
        head = content.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"PAR1") or file.suffix in _PARQUET:
        return ParquetTable(file.path, file.name)
    if file.suffix in SPREADSHEETS:
        return SpreadsheetTable(file, header=options.header)
    if _JSON_ARRAY.match(head) or (file.suffix == ".json" and head.startswith(b"[")):
        return JsonArrayTable(file, encoding=options.encoding)
    if _JSON_OBJECT.match(head) or file.suffix in _JSON:
        return JsonLinesTable(file, encoding=options.encoding)
    return _open_lines(file, options, fasttext=head.startswith(FASTTEXT.encode()))


def _open_lines(file: PlainFile, options: TextOptions, *, fasttext: bool) -> Table:
    """Open a file of text: a delimited table, lines behind their labels, or lines alone."""
    encoding, delimited = options.encoding, file.suffix in _DELIMITED
    lines = [] if delimited and not fasttext else _sample(file, encoding)
    if fasttext and sum(line.startswith(FASTTEXT) for line in lines) > MOST_MARKED * len(lines):
        return LabelledLinesTable(file, encoding=encoding, fasttext=True)
    if delimited or _is_delimited(lines, header=options.header):
        return DelimitedTable(file, header=options.header, encoding=encoding)
    if _is_labelled([*lines, *_last(file, encoding)] if len(lines) > SAMPLE_ROWS // 2 else lines):
        return LabelledLinesTable(file, encoding=encoding, fasttext=False)
    return LinesTable(file, encoding=encoding)


def _sample(file: PlainFile, encoding: str) -> list[str]:
    """Return the first lines that are not blank, and can be read."""
    found = []
    for _, raw in islice(lines_of(as_utf8(file, encoding)), SAMPLE_ROWS):
        try:
            found.append(decode_line(raw))
        except ValueError:
            continue  # `read` refuses the line, and says why
    return found


def _last(file: PlainFile, encoding: str) -> list[str]:
    """Return the last lines of a long file, which may be sorted by its labels."""
    path = as_utf8(file, encoding)
    with path.open("rb") as content:
        content.seek(max(0, path.stat().st_size - CHUNK_BYTES))
        content.readline(CHUNK_BYTES)  # what is left of the line in which the reading began
        lines = content.read(CHUNK_BYTES).split(b"\n")[-SAMPLE_ROWS:]
    return [line.decode("utf-8", "replace") for line in lines if line.strip()]


def _is_delimited(lines: Sequence[str], *, header: bool) -> bool:
    """Tell a table from a list of texts, whatever the file is called.

    Tabs make a table where every record has as many; other delimiters do, which prose has too, only under
    a header that names a text or a label, or whose fields are single words.
    """
    if not lines:
        return False
    if SEPARATOR.fullmatch(lines[0]):
        return True
    for delimiter in DELIMITERS:
        try:
            records = list(csv.reader(lines, delimiter=delimiter, strict=True))
        except csv.Error:
            records = [line.split(delimiter) for line in lines]
        whole = records[:-1] if len(lines) == SAMPLE_ROWS and len(records) > 1 else records
        width = len(whole[0])
        if width < 2 or len(whole) < 2:
            continue
        fitting = sum(len(record) == width for record in whole) / len(whole)
        named = {field.strip().lower() for field in whole[0]} & {*TEXT_NAMES, *LABEL_NAMES}
        plain = not header or (len(whole) > 2 and all(map(_NAME.fullmatch, whole[0])))
        if (header and named and fitting >= 0.5) or (fitting >= 0.99 and (plain or delimiter == "\t")):
            return True
    return False


def _is_labelled(lines: Sequence[str]) -> bool:
    """Tell whether the first words of lines are labels: few, repeated, and no words of the texts."""
    pairs = [split_label(line) for line in lines]
    counts = Counter(label for label, _ in pairs)
    if not all(map(_NAME.fullmatch, counts)):  # `pos,a film` is something else
        return False
    if len(counts) < 2 or len(counts) > MOST_LABELS or not all(text for _, text in pairs):
        return False
    if all(_CODE.fullmatch(label) for label in counts):
        return len(pairs) >= 2 * len(counts)
    if len(pairs) < LEAST_PER_LABEL * len(counts) or min(counts.values()) < 2:
        return False
    labels = {label.casefold() for label in counts}
    inside = sum(not labels.isdisjoint(re.findall(r"\w+", text.casefold())) for _, text in pairs)
    return inside <= MOST_IN_TEXT * len(pairs)
