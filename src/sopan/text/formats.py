"""What every file format becomes: named columns of text, streamed in batches, with the rows it refused.

The plain formats are here: one text a line (`.txt`), one JSON object a line (`.jsonl`), and a folder of class
folders: `pos/1.txt`, `neg/2.txt`, maybe under `train/`, `val/` and `test/`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from sopan.errors import DataError
from sopan.storage.strict_json import parse_json
from sopan.text.display import printable
from sopan.text.files import PlainFile, as_utf8, encoding_name
from sopan.text.labels import PART_NAMES
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


def _parse(line: str) -> dict[str, object]:
    """Parse one JSON object, strictly: no repeated key, no NaN."""
    record = parse_json(line, parse_int=str, parse_float=str)
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    return record


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


_UNLABELLED = ("unsup",)
"""Class folders of well-known corpora that hold no class."""


class FolderTable(RowTable):
    """Text files, each in a folder named after its class; columns `text`, `label` and maybe `split`.

    Files are taken in the order of their paths. Only `*.txt` counts; hidden files and links do not.
    """

    def __init__(self, root: Path, name: str, *, encoding: str):
        super().__init__(name)
        self._encoding = encoding_name(encoding).replace("utf-8", "utf-8-sig")
        self._root = root
        tops = _folders(root)
        parts = [folder for folder in tops if folder.name.lower() in PART_NAMES]
        self.columns = ("text", "label", "split") if parts else ("text", "label")
        classes = [c for part in parts for c in _folders(part)] if parts else tops
        self.files = tuple(file for folder in classes for file in self._texts(folder))
        if not self.files:
            raise DataError(
                "no class folders with .txt files were found",
                where=name,
                next_step="lay it out as CLASS/*.txt or train/CLASS/*.txt, or name a file",
            )

    def _texts(self, folder: Path) -> list[Path]:
        if folder.name in _UNLABELLED:
            self.notes.append(f"{folder.relative_to(self._root)} holds no class and was left out")
            return []
        return sorted(
            f for f in folder.glob("*.txt") if f.is_file() and not f.is_symlink() and f.name[0] != "."
        )

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the files that can be read."""
        for row, file in enumerate(self.files):
            place = file.relative_to(self._root)
            try:
                text = self._text_of(file)
            except (OSError, ValueError) as error:
                self.rejects.append(Reject(None, f"{place.as_posix()}: {error}"))
            else:
                values = {"text": text, "label": place.parts[-2], "split": place.parts[0]}
                yield row, None, [values[column] for column in columns]

    def _text_of(self, file: Path) -> str:
        if file.stat().st_size > MAX_LINE_BYTES:
            raise ValueError(f"larger than {MAX_LINE_BYTES >> 20} MB")
        try:
            return file.read_bytes().decode(self._encoding)
        except UnicodeDecodeError as error:
            raise ValueError(f"not valid {self._encoding.removesuffix('-sig').upper()}") from error

    def checksum(self) -> tuple[str, int]:
        """Return the SHA-256 over every file's place and digest, in order, and their bytes together."""
        whole, size = hashlib.sha256(), 0
        for file in self.files:
            content = file.read_bytes()
            size += len(content)
            whole.update(file.relative_to(self._root).as_posix().encode("utf-8", "surrogateescape"))
            whole.update(hashlib.sha256(content).digest())
        return whole.hexdigest(), size


def _folders(root: Path) -> list[Path]:
    return sorted(f for f in root.iterdir() if f.is_dir() and not f.is_symlink() and f.name[0] != ".")
