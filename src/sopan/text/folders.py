"""Folders as tables: class folders of text files, a file for each class or part, or shards of one table."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError
from sopan.text.encodings import encoding_name
from sopan.text.files import COMPRESSED, PlainFile, plain_file
from sopan.text.formats import LINE, MAX_LINE_BYTES, ROW, LinesTable, Row, RowTable, Table
from sopan.text.labels import PART_NAMES
from sopan.types import Reject

_UNLABELLED = ("unsup",)
"""Class folders of well-known corpora that hold no class."""
_TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", ".pq", ".xlsx", ".xls", ".ods")
_ABOUT = (
    "readme",
    "license",
    "licence",
    "changelog",
    "citation",
    "dataset_info",
    "dataset_infos",
    "metadata",
)
"""What a file about the data, and not of them, is called."""
_LAYOUTS = (
    "lay it out as CLASS/*.txt or train/CLASS/*.txt, as CLASS.txt with a text a line, as train.csv and "
    "test.csv, or as shards of one table; or name a file"
)


def checksum_files(root: Path, files: Sequence[Path]) -> tuple[str, int]:
    """Return the SHA-256 over every file's place and digest, in order, and their bytes together."""
    whole, size = hashlib.sha256(), 0
    for file in files:
        content = file.read_bytes()
        size += len(content)
        whole.update(file.relative_to(root).as_posix().encode("utf-8", "surrogateescape"))
        whole.update(hashlib.sha256(content).digest())
    return whole.hexdigest(), size


class FolderTable(RowTable):
    """Text files, each in a folder named after its class; columns `text`, `label` and maybe `split`.

    Files are taken in the order of their paths: the `*.txt`, or where there are none, those without an
    ending (or whose ending is a number, as in 20 Newsgroups). Hidden files and links do not count; others are
    counted in a note.
    """

    def __init__(self, root: Path, name: str, *, encoding: str):
        super().__init__(name)
        self._encoding = encoding_name(encoding).replace("utf-8", "utf-8-sig")
        self._root = root
        tops = _folders(root)
        parts = [folder for folder in tops if folder.name.lower() in PART_NAMES]
        self.columns = ("text", "label", "split") if parts else ("text", "label")
        classes = [c for part in parts for c in _folders(part)] if parts else tops
        there = {folder: _files(folder) for folder in classes if not self._is_unlabelled(folder)}
        every = [file for files in there.values() for file in files]
        wanted = _is_txt if any(map(_is_txt, every)) else _has_no_ending
        self.files = tuple(filter(wanted, every))
        left = Counter(file.suffix or "no ending" for file in every if not wanted(file))
        if left and self.files:
            listed = ", ".join(f"{count:,} with {suffix}" for suffix, count in sorted(left.items()))
            self.notes.append(f"files that were not read: {listed}")

    def _is_unlabelled(self, folder: Path) -> bool:
        if folder.name not in _UNLABELLED:
            return False
        self.notes.append(f"{folder.relative_to(self._root)} holds no class and was left out")
        return True

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


class GatheredTable(Table):
    """Several tables of the same columns, one after the other, each with what its place says of its rows.

    Args:
        name: of the whole.
        members: each file's name, its table, and the columns that are the same in all its rows.

    Their other columns may differ: see `read`.
    """

    def __init__(self, name: str, members: Sequence[tuple[str, Table, Mapping[str, str]]]):
        super().__init__(name)
        self._members = members
        self._starts = [0]
        _, first, added = members[0]
        self.columns = (*(c for c in first.columns if c not in added), *added)
        self.repeated, self.unusable = first.repeated, first.unusable
        for member, table, _ in members:
            self.notes += [f"{member}: {note}" for note in table.notes if note not in first.notes]
        self.notes += first.notes

    def read(self, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the rows of every member; their numbers go on from one to the next.

        Raises:
            DataError: a member lacks one of the columns.
        """
        self.rejects.clear()
        self._starts = []
        self._check_columns(columns)
        start = 0
        for member, table, added in self._members:
            self._starts.append(start)
            own, last = [c for c in columns if c not in added], -1
            for batch in table.read(own, batch_rows):
                last = batch.column(ROW)[-1].as_py() if len(batch) else last
                numbered = batch.set_column(0, ROW, pc.add(batch.column(ROW), start))
                yield _with_constants(numbered, added, columns)
            self.rejects += [_placed(reject, member) for reject in table.rejects]
            start += last + 1

    def sample(self) -> pa.RecordBatch:
        """Return the first rows of the first member, all columns."""
        _, table, added = self._members[0]
        return _with_constants(table.sample(), added, self.columns)

    def refusal(self, row: int, line: int | None, reason: str, excerpt: str) -> Reject:
        """Name the member that a row stands in, and its place there."""
        number = max(i for i, start in enumerate(self._starts) if start <= row)
        place = Reject(line, reason if line else f"row {row - self._starts[number]}: {reason}", excerpt)
        return _placed(place, self._members[number][0])

    def _check_columns(self, columns: Sequence[str]) -> None:
        """Hold that every member has the columns that are read."""
        first_name, first, _ = self._members[0]
        for member, table, added in self._members[1:]:
            lacking = [c for c in columns if c not in table.columns and c not in added]
            if lacking:
                differing = sorted(set(table.columns) ^ set(first.columns))
                raise DataError(
                    f"{member} and {first_name} differ in their columns ({', '.join(differing[:5])})",
                    where=self.name,
                    next_step=f"give each of them a column {lacking[0]!r}, or name one file",
                )


def _with_constants(
    batch: pa.RecordBatch, added: Mapping[str, str], columns: Sequence[str]
) -> pa.RecordBatch:
    """Return the columns in the order wanted, those that are the same in all rows among them."""
    constant = {c: pa.repeat(pa.scalar(v, pa.large_string()), len(batch)) for c, v in added.items()}
    values = [constant[c] if c in added else batch.column(c) for c in (ROW, LINE, *columns)]
    return pa.RecordBatch.from_arrays(values, [ROW, LINE, *columns])


def _placed(reject: Reject, member: str) -> Reject:
    """Say in which file of several a row was refused."""
    place = f"{member}:{reject.line}" if reject.line else member
    return Reject(None, f"{place}: {reject.reason}", reject.excerpt)


def folder_files(root: Path, name: str) -> tuple[Path, ...]:
    """Return the files that a folder's table is made of, in order.

    Raises:
        DataError: there are none.
    """
    classes = FolderTable(root, name, encoding="utf-8").files
    return classes or tuple(_data_files(root, name))


def open_folder(
    root: Path, name: str, stack: ExitStack, open_file: Callable[[PlainFile], Table], encoding: str
) -> tuple[Table, Sequence[Path]]:
    """Open whatever table a folder holds, and return it with the files that it is made of.

    Args:
        root, name: the folder, and what messages call it.
        stack: keeps what is opened until the reading ends.
        open_file: opens one file of it.
        encoding: of text files.

    Raises:
        DataError: none that is known.
    """
    table = FolderTable(root, name, encoding=encoding)
    if table.files:
        return table, table.files
    files = _data_files(root, name)
    parts = [part_of(file) for file in files]
    members = [(f.name, open_file(stack.enter_context(plain_file(f, f"{name}/{f.name}")))) for f in files]
    if all(parts):
        noted = "the split comes from the files' names: " + ", ".join(f.name for f in files)
        added = [{"split": str(part)} for part in parts]
    elif len(files) > 1 and all(
        isinstance(table, LinesTable) and table.columns == ("text",) for _, table in members
    ):
        labels = _labels_of(files)
        noted = "each file is a class, with a text a line: " + ", ".join(labels)
        added = [{"label": label} for label in labels]
    else:
        noted = f"{len(files)} file{'s' * (len(files) > 1)} read as one table"
        added = [{} for _ in files]
    gathered = GatheredTable(name, [(*member, each) for member, each in zip(members, added, strict=True)])
    gathered.notes.insert(0, noted)
    return gathered, files


def _data_files(root: Path, name: str) -> list[Path]:
    """Return the files of a folder that hold data: tables if there are any, else texts."""
    there = [file for file in _files(root) if file.stem.lower() not in _ABOUT]
    tables = [file for file in there if _suffix(file) in _TABLES]
    found = tables or there
    if not found:
        raise DataError(
            "no class folders with .txt files were found, and no tables", where=name, next_step=_LAYOUTS
        )
    return found


def part_of(file: Path) -> str | None:
    """Return the part that a file's name speaks of: `train.csv`, `test-00000-of-00001.parquet`, `x.dev`."""
    words = re.split(r"[^A-Za-z]+", file.name.lower())
    parts = {PART_NAMES[word] for word in words if word in PART_NAMES}
    return parts.pop() if len(parts) == 1 else None


def _labels_of(files: Sequence[Path]) -> list[str]:
    """Return the classes that files are named after: `pos.txt`, or by their endings, `rt-polarity.pos`."""
    stems = [file.stem for file in files]
    if len(set(stems)) == 1:
        return [file.suffix.removeprefix(".") for file in files]
    return stems


def _suffix(file: Path) -> str:
    """Return the ending of a file's name, lower-case, compression taken off."""
    return (Path(file.stem) if file.suffix.lower() in COMPRESSED else file).suffix.lower()


def _is_txt(file: Path) -> bool:
    return file.suffix.lower() == ".txt"


def _has_no_ending(file: Path) -> bool:
    return not file.suffix or file.suffix[1:].isdecimal()


def _folders(root: Path) -> list[Path]:
    return sorted(f for f in root.iterdir() if f.is_dir() and not f.is_symlink() and f.name[0] != ".")


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_file() and not f.is_symlink() and f.name[0] not in "._")
