"""A corpus as piece ids on the disk, written once, text by text, and then mapped: larger than memory is fine.

ids.bin      uint16 or int32, all documents end to end
offsets.bin  int64, N + 1
store.json   what it was made of
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from sopan.errors import ModelFolderError
from sopan.storage.atomic import write_atomic
from sopan.storage.strict_json import dump_json, read_json
from sopan.text.wordpiece import WordPiece
from sopan.types import Int64Array

IDS, OFFSETS, ABOUT = "ids.bin", "offsets.bin", "store.json"
_AT_ONCE = 1 << 22


class PieceStore(NamedTuple):
    """N documents as piece ids.

    Args:
        ids: (T,) uint16 or int32, mapped from the file.
        offsets: (N + 1,) int64.
    """

    ids: np.ndarray
    offsets: Int64Array

    def part(self, start: int, stop: int) -> PieceStore:
        """Return documents `start` to `stop`; the ids stay where they are."""
        return PieceStore(self.ids, self.offsets[start : stop + 1])

    def digest(self) -> str:
        """Return what tells these documents from any others."""
        found = hashlib.sha256(self.offsets.tobytes())
        first, last = int(self.offsets[0]), int(self.offsets[-1])
        for start in range(first, last, _AT_ONCE):
            found.update(self.ids[start : min(start + _AT_ONCE, last)].astype(np.int32).tobytes())
        return found.hexdigest()


def write_store(
    folder: Path, texts: Iterable[pa.LargeStringArray], wordpiece: WordPiece, about: dict[str, Any]
) -> PieceStore:
    """Encode texts into a folder, or open what is there if it was made of the same.

    Args:
        folder: made if need be. `store.json` is written last: without it the rest does not count.
        texts: batches of documents, read once.
        wordpiece: cuts them.
        about: tells this corpus and vocabulary from others, as JSON values.
    """
    if (found := open_store(folder, about)) is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).unlink(missing_ok=True)
    kind = np.uint16 if len(wordpiece) <= np.iinfo(np.uint16).max else np.int32
    end = 0
    with (folder / IDS).open("wb") as ids, (folder / OFFSETS).open("wb") as offsets:
        np.zeros(1, np.int64).tofile(offsets)
        for batch in texts:
            encoded = wordpiece.encode(batch)
            encoded.ids.astype(kind).tofile(ids)
            (encoded.offsets[1:] + end).tofile(offsets)
            end += len(encoded.ids)
    write_atomic(folder / ABOUT, dump_json({"kind": np.dtype(kind).name, "about": about}))
    return _opened(folder, np.dtype(kind).name)


def open_store(folder: Path, about: dict[str, Any]) -> PieceStore | None:
    """Open what a folder holds if it is whole, and of the same corpus and vocabulary, else return None."""
    try:
        written = read_json(folder / ABOUT)
        if written.get("about") != about:
            return None
        found = _opened(folder, written["kind"])
    except (ModelFolderError, FileNotFoundError, ValueError):  # not there, or not what it should be
        return None
    return found if found.offsets[-1:].tolist() == [len(found.ids)] else None


def _opened(folder: Path, kind: str) -> PieceStore:
    size = (folder / IDS).stat().st_size
    ids = np.memmap(folder / IDS, kind, "r") if size else np.empty(0, kind)
    return PieceStore(ids, np.fromfile(folder / OFFSETS, np.int64))
