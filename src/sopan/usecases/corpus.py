"""Corpora for language models: files of texts, and which of the texts are held out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import ConfigError, DataError
from sopan.options.data import TextOptions
from sopan.text.duplicates import canonical
from sopan.text.read import stream_texts
from sopan.text.wordpiece import WordPiece
from sopan.types import Json

TRAINED_ON = 200_000
"""Documents that a vocabulary is made from, at most: the first ones of each file, in equal shares."""


@dataclass(frozen=True, slots=True)
class CorpusReading:
    """A corpus of files, and which part of it is held out.

    Args:
        paths: CSV, TSV, JSONL, Parquet or text files, plain or compressed; each row or line is a document.
        reading: how to read them; its `text` names the column.
        held_out: share of the documents that teach nothing; which ones, their own text decides, so that two
            equal documents are on the same side.
        barred: texts that stand on neither side, as texts of an exam; spaces and case make no difference.
    """

    paths: tuple[str, ...]
    reading: TextOptions = TextOptions()
    held_out: float = 0.005
    barred: pa.LargeStringArray | None = None

    def __post_init__(self) -> None:
        if not self.paths:
            raise ConfigError("no corpus was named")
        if not 0 <= self.held_out <= 0.5:
            raise ConfigError(f"a share of {self.held_out} cannot be held out", next_step="0.005 is usual")

    def batches(self, *, held_out: bool) -> Iterator[pa.LargeStringArray]:
        """Stream the documents of one side, some thousands at a time."""
        barred = None if self.barred is None else _folded(self.barred)
        for path in self.paths:
            for batch in stream_texts(path, self.reading):
                texts = batch.column("text")
                if barred is not None:
                    known = pc.is_in(_folded(texts), value_set=barred)
                    texts = texts.filter(pc.invert(known))
                mine = [_apart(text, self.held_out) == held_out for text in texts.to_pylist()]
                yield texts.filter(pa.array(mine, pa.bool_()))

    def texts(self, most: int = TRAINED_ON) -> Iterator[str]:
        """Stream the documents that teach, at most so many, in equal shares of the files."""
        share = -(-most // len(self.paths))
        for path in self.paths:
            one, left = replace(self, paths=(path,)), share
            for batch in one.batches(held_out=False):
                yield from batch.slice(0, left).to_pylist()
                left -= len(batch)
                if left <= 0:
                    break

    def about(self, wordpiece: WordPiece) -> dict[str, Json]:
        """Return what tells a store of this corpus from others."""
        pieces = zlib.crc32("\n".join(wordpiece.pieces).encode())
        rules = [*wordpiece.rules, pieces]
        return {**self.made_of(), "rules": rules}

    def made_of(self) -> dict[str, Json]:
        """Return what tells this corpus from others, without a look into the files.

        Raises:
            DataError: a file is missing.
        """
        files = []
        for path in self.paths:
            try:
                status = Path(path).stat()
            except OSError as error:
                raise DataError(f"cannot be read ({error.strerror})", where=path) from error
            files.append([path, status.st_size, status.st_mtime_ns])
        barred = None if self.barred is None else zlib.crc32("\n".join(self.barred.to_pylist()).encode())
        return {"files": files, "text": self.reading.text, "held_out": self.held_out, "barred": barred}


def _folded(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return texts in canonical form and lower case: an uncased model reads no others."""
    return pc.utf8_lower(canonical(texts))


def _apart(text: str, share: float) -> bool:
    """Say whether a document is held out."""
    return zlib.crc32(text.encode()) < share * 2**32
