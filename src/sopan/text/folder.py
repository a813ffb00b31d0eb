"""A folder of class folders: `pos/1.txt`, `neg/2.txt`, maybe under `train/`, `val/` and `test/`."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from sopan.errors import ConfigError, DataError
from sopan.text.labels import PARTS
from sopan.text.table import MAX_LINE_BYTES, ROW, Table, text_schema
from sopan.types import Reject

_UNLABELLED = ("unsup",)
"""Class folders of well-known corpora that hold no class."""


class FolderTable(Table):
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

    def read(self, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the files that can be read, with `ROW` before the columns."""
        self.rejects.clear()
        for start in range(0, len(self.files), batch_rows):
            held = []
            for row, file in enumerate(self.files[start : start + batch_rows], start):
                text = self._read_text(file)
                if text is not None:
                    place = file.relative_to(self._root).parts
                    held.append({ROW: row, "text": text, "label": place[-2], "split": place[0]})
            yield pa.RecordBatch.from_pylist(held, text_schema(columns))

    def _read_text(self, file: Path) -> str | None:
        shown = file.relative_to(self._root).as_posix()
        try:
            if file.stat().st_size > MAX_LINE_BYTES:
                raise ValueError(f"larger than {MAX_LINE_BYTES >> 20} MB")
            return file.read_bytes().decode(self._encoding)
        except UnicodeDecodeError:
            reason = f"not valid {self._encoding.removesuffix('-sig').upper()}"
        except (OSError, ValueError) as error:
            reason = str(error)
        self.rejects.append(Reject(None, f"{shown}: {reason}"))
        return None

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
