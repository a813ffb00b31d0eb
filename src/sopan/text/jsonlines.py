"""One record a line: JSON objects (`.jsonl`), or plain texts (`.txt`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sopan.errors import DataError
from sopan.storage.strict_json import parse_json
from sopan.text.files import PlainFile, as_utf8, printable
from sopan.text.table import MAX_LINE_BYTES, SAMPLE_ROWS, Row, RowTable
from sopan.types import Reject


class LinesTable(RowTable):
    """A file of texts, one a line; its only column is `text`. Blank lines are passed over."""

    columns: tuple[str, ...] = ("text",)

    def __init__(self, file: PlainFile, *, encoding: str):
        super().__init__(file.name)
        self._path = as_utf8(file, encoding)

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the lines that can be read."""
        for row, (line, raw) in enumerate(_lines(self._path)):
            try:
                values = self._values(_decode(raw), columns)
            except ValueError as error:
                self.rejects.append(Reject(line, str(error), printable(raw[:200].decode("utf-8", "replace"))))
            else:
                yield row, line, values

    def _values(self, line: str, columns: Sequence[str]) -> list[str | None]:
        """Return one line's values, or raise ValueError with the reason to refuse it."""
        return [line.rstrip("\r\n")]


class JsonLinesTable(LinesTable):
    """A file of JSON objects, one a line; numbers keep their spelling (`1.0` stays `1.0`)."""

    def __init__(self, file: PlainFile, *, encoding: str):
        super().__init__(file, encoding=encoding)
        self.columns = self._keys()

    def _keys(self) -> tuple[str, ...]:
        """Return the keys of the first objects, in order of appearance."""
        keys: dict[str, None] = {}
        for number, (line, raw) in enumerate(_lines(self._path)):
            if number == 0 and raw.lstrip(b"\xef\xbb\xbf \t").startswith(b"["):
                raise DataError(
                    "a JSON array where one object a line is expected",
                    where=f"{self.name}:{line}",
                    next_step="write it as JSON lines: jq -c '.[]' FILE",
                )
            if number == SAMPLE_ROWS:
                break
            try:
                keys.update(dict.fromkeys(_parse(_decode(raw))))
            except ValueError:
                continue  # `read` refuses the line, and says why
        return tuple(keys)

    def _values(self, line: str, columns: Sequence[str]) -> list[str | None]:
        record = _parse(line)
        return [_as_text(record.get(column), column) for column in columns]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
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


def _decode(raw: bytes) -> str:
    if len(raw) > MAX_LINE_BYTES:
        raise ValueError(f"a line longer than {MAX_LINE_BYTES >> 20} MB")
    try:
        return raw.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise ValueError("not valid UTF-8") from error


def _parse(line: str) -> dict[str, Any]:
    """Parse one JSON object, strictly: no repeated key, no NaN."""
    record = parse_json(line, parse_int=str, parse_float=str)
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    return record


def _as_text(value: Any, column: str) -> str | None:
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
