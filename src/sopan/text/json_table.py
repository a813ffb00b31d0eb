"""JSON objects as rows: one a line, or all of them in one array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pyarrow as pa

from sopan.errors import DataError
from sopan.storage.strict_json import JsonError, parse_json
from sopan.text.display import printable
from sopan.text.encodings import as_utf8, encoding_hint
from sopan.text.files import PlainFile
from sopan.text.formats import SAMPLE_ROWS, LinesTable, Row, RowTable, decode_line, lines_of
from sopan.types import Reject

LARGEST_ARRAY = 1 << 30
"""Bytes of a JSON array, which is held whole while it is read."""


class _ObjectsTable(RowTable):
    """A table of JSON objects, whatever they stand in."""

    _strict = True

    def sample(self) -> pa.RecordBatch:
        """Return the first rows of all columns; what is no text in them is missing."""
        self._strict = False
        try:
            return super().sample()
        finally:
            self._strict = True

    def _texts(self, value: object, columns: Sequence[str]) -> list[str | None]:
        """Return an object's values as texts.

        Raises:
            ValueError: it is no object, or one of them is no text; in a sample such a one is missing.
        """
        record = _object(value)
        found: list[str | None] = []
        for column in columns:
            try:
                found.append(_as_text(record.get(column), column))
            except ValueError:
                if self._strict:
                    raise
                found.append(None)
        return found


class JsonLinesTable(_ObjectsTable, LinesTable):
    """A file of JSON objects, one a line; numbers keep their spelling (`1.0` stays `1.0`)."""

    def __init__(self, file: PlainFile, *, encoding: str):
        super().__init__(file, encoding=encoding)
        self.columns, self.unusable = _columns(self._first_objects())

    def _first_objects(self) -> Iterator[dict[str, object]]:
        """Yield the objects of the first lines; `read` refuses the other lines, and says why."""
        for _, raw in islice(lines_of(self.path), SAMPLE_ROWS):
            with suppress(ValueError):
                yield _object(_parse(decode_line(raw)))

    def _values(self, line: str, columns: Sequence[str]) -> list[str | None]:
        return self._texts(_parse(line), columns)


class JsonArrayTable(_ObjectsTable):
    """A file that is one JSON array of objects; rows have no lines, and are known by their number.

    Raises:
        DataError: it is no strict JSON, or too large to be read whole.
    """

    def __init__(self, file: PlainFile, *, encoding: str):
        super().__init__(file.name)
        self.path: Path = as_utf8(file, encoding)
        self._records = self._parsed()
        objects = (record for record in self._records[:SAMPLE_ROWS] if isinstance(record, dict))
        self.columns, self.unusable = _columns(objects)

    def _parsed(self) -> list[object]:
        if self.path.stat().st_size > LARGEST_ARRAY:
            raise DataError(
                f"a JSON array of more than {LARGEST_ARRAY >> 30} GB is not read",
                where=self.name,
                next_step="write one object a line: jq -c '.[]' FILE",
            )
        try:
            found = _parse(self.path.read_text("utf-8-sig"))
        except UnicodeDecodeError as error:
            hint = encoding_hint(self.path)
            raise DataError("this is not valid UTF-8", where=self.name, next_step=hint) from error
        except JsonError as error:
            raise DataError(str(error), where=self.name, next_step="mend the file") from error
        return found if isinstance(found, list) else [found]

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the objects that can be read."""
        for row, found in enumerate(self._records):
            try:
                values = self._texts(found, columns)
            except ValueError as error:
                self.rejects.append(Reject(None, f"row {row}: {error}", printable(str(found)[:200])))
            else:
                yield row, None, values


def _columns(objects: Iterable[dict[str, object]]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the keys of some objects that hold texts, and what the others hold, in order of appearance."""
    scalar: dict[str, bool] = {}
    kinds: dict[str, str] = {}
    for record in objects:
        for key, value in record.items():
            nested = isinstance(value, list | dict)
            scalar[key] = scalar.get(key, False) or not (nested or value is None)
            if nested:
                kinds[key] = "a list" if isinstance(value, list) else "an object"
    unusable = {key: kind for key, kind in kinds.items() if not scalar[key]}
    return tuple(key for key in scalar if key not in unusable), unusable


def _parse(text: str) -> object:
    """Parse one JSON value, strictly: no repeated key, no NaN."""
    return parse_json(text, parse_int=str, parse_float=str)


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _as_text(value: object, column: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        raise ValueError(f"{column} is {'a list' if isinstance(value, list) else 'an object'}, not a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{column} holds a lone surrogate, which is no character") from error
    return value
