"""A folder of class folders: `pos/1.txt`, `neg/2.txt`, maybe under `train/`, `val/` and `test/`."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from sopan.errors import ConfigError, DataError
from sopan.text.labels import PARTS
from sopan.text.table import MAX_LINE_BYTES, Row, RowTable
from sopan.types import Reject

_UNLABELLED = ("unsup",)
"""Class folders of well-known corpora that hold no class."""


class FolderTable(RowTable):
    """Text files, each in a folder named after its class; columns `text`, `label` and maybe `split`.

    Files are taken in the order of their paths. Only `*.txt` counts; hidden files and links do not.
    """

    def __init__(self, root: Path, name: str, *, encoding: str):
        super().__init__(name)
        try:
            self._encoding = codecs.lookup(encoding).name.replace("utf-8", "utf-8-sig")
        except LookupError as error:
            raise ConfigError(f"no encoding is called {encoding!r}", next_step="try latin-1") from error
        self._root = root
        tops = _folders(root)
        parts = [folder for folder in tops if folder.name.lower() in PARTS]
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
