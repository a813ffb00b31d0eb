"""A corpus as piece ids on the disk, and as rows without padding: what a language model is trained on.

    documents -> ids in a file, larger than memory -> sequences of at most T - 2 pieces
    -> rows of exactly T, several short sequences to a row

A row's sequences do not see each other: `Rows.blocks` numbers them, and attention keeps to one number.
Source: M. Krell et al., "Efficient Sequence Packing without Cross-contamination" (2021), best fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Listing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sopan.errors import ModelFolderError
from sopan.storage.atomic import write_atomic
from sopan.storage.strict_json import dump_json, read_json
from sopan.text.piece_tokenizer import MARKS, PieceTokenizer
from sopan.types import Int32Array, Int64Array

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
        """Return the SHA-256 of the documents' offsets and ids."""
        found = hashlib.sha256(self.offsets.tobytes())
        first, last = int(self.offsets[0]), int(self.offsets[-1])
        for start in range(first, last, _AT_ONCE):
            found.update(self.ids[start : min(start + _AT_ONCE, last)].astype(np.int32).tobytes())
        return found.hexdigest()


def write_store(
    folder: Path, texts: Iterable[pa.LargeStringArray], wordpiece: PieceTokenizer, about: Mapping[str, object]
) -> PieceStore:
    """Encode texts into a folder, or open what is there if it was made of the same.

    Args:
        folder: made if need be. `store.json` is written last: without it the rest does not count.
        texts: batches of documents, read once.
        wordpiece: cuts them.
        about: identifies the corpus and the vocabulary, as JSON values.
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


def open_store(folder: Path, about: Mapping[str, object]) -> PieceStore | None:
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


LEAST = 8
"""A sequence of fewer pieces than this teaches nothing and is left out."""


class Sequences(NamedTuple):
    """Where S sequences stand in a corpus of piece ids.

    Args:
        starts: (S,) int64.
        lengths: (S,) int64, pieces of each.
    """

    starts: Int64Array
    lengths: Int64Array


class Rows(NamedTuple):
    """B rows of T pieces.

    Args:
        ids: (B, T) int32.
        blocks: (B, T) int32, which sequence of its row a piece belongs to, from 1; 0 where there is none.
        places: (B, T) int32, the piece's place in its sequence, `[CLS]` being 0.
        segments: (B, T) int32, 1 in the second text of a pair.
    """

    ids: Int32Array
    blocks: Int32Array
    places: Int32Array
    segments: Int32Array


def cut_sequences(offsets: Int64Array, length: int, rng: np.random.Generator) -> Sequences:
    """Cut N documents into sequences of at most `length - 2` pieces.

    Where the first cut falls is drawn for each document, so that epochs see different sequences.

    Args:
        offsets: (N + 1,) of the documents in the ids.
        length: T of a row.
        rng: draws the cuts.
    """
    most = length - MARKS
    sizes = np.diff(offsets)
    first = np.where(sizes > most, rng.integers(1, most + 1, len(sizes)), sizes)
    rest = -(-(sizes - first) // most)  # sequences after the first
    counts = 1 + rest
    of = np.repeat(np.arange(len(sizes)), counts)
    number = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = np.where(number == 0, 0, first[of] + (number - 1) * most)
    ends = np.minimum(first[of] + number * most, sizes[of])
    lengths = ends - starts
    keep = lengths >= LEAST
    return Sequences((offsets[:-1][of] + starts)[keep], lengths[keep])


def pack_rows(lengths: Int64Array, length: int, rng: np.random.Generator) -> list[Int64Array]:
    """Share sequences out into rows: into each the longest that still fits, again and again.

    Args:
        lengths: (S,) pieces of each sequence, at most `length - 2`.
        length: T of a row.
        rng: decides which of equally long sequences come together, and the order of the rows.

    Returns:
        For each row the sequences in it.
    """
    order = rng.permutation(len(lengths))
    waiting: list[list[int]] = [[] for _ in range(length + 1)]  # by room that they need
    for index in order:
        waiting[int(lengths[index]) + MARKS].append(int(index))
    rows: list[Int64Array] = []
    fits = _Longest(waiting)
    while (need := fits.at_most(length)) >= 0:
        row, room = [], length
        while need >= 0:
            row.append(waiting[need].pop())
            room -= need
            need = fits.at_most(room)
        rows.append(np.array(row, np.int64))
    return [rows[i] for i in rng.permutation(len(rows))]


class _Longest:
    """Finds the longest waiting sequence that fits; lists that ran empty are skipped from then on."""

    def __init__(self, waiting: Listing[list[int]]):
        self._waiting = waiting
        self._below = list(range(len(waiting)))  # where to look next when a length has none left

    def at_most(self, room: int) -> int:
        """Return the greatest length <= room that waits, or -1."""
        path = []
        while room >= 0 and not self._waiting[room]:
            path.append(room)
            room = min(self._below[room], room - 1)
        for passed in path:
            self._below[passed] = room
        return room


def fill_rows(
    ids: Int32Array, sequences: Sequences, rows: Listing[Int64Array], length: int, cls: int, sep: int
) -> Rows:
    """Write sequences into rows, each between `[CLS]` and `[SEP]`.

    Args:
        ids: (T,) of the whole corpus, perhaps mapped from a file.
        sequences: all of them.
        rows: the sequences of each of B rows.
        length: T of a row.
        cls, sep: the ids of the marks.
    """
    found = Rows(*(np.zeros((len(rows), length), np.int32) for _ in Rows._fields))
    for row, members in enumerate(rows):
        at = 0
        for block, index in enumerate(members, start=1):
            start, size = int(sequences.starts[index]), int(sequences.lengths[index])
            end = at + size + MARKS
            found.ids[row, at], found.ids[row, end - 1] = cls, sep
            found.ids[row, at + 1 : end - 1] = ids[start : start + size]
            found.blocks[row, at:end] = block
            found.places[row, at:end] = np.arange(size + MARKS)
            at = end
    return found
