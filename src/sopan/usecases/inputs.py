"""What several use cases do first: check folders, read and split texts, stream corpora."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import ConfigError, DataError
from sopan.options.classify import CompareOptions, DistillOptions, TrainOptions, TuneOptions
from sopan.options.data import PartOptions, SplitOptions, TextOptions, TokenRule
from sopan.text.audit import CleanData, audit_corpus, remove_leaks
from sopan.text.columns import NO_HEADER
from sopan.text.duplicates import canonical
from sopan.text.files import is_stream
from sopan.text.memory import data_name, in_memory
from sopan.text.read import read_corpus, read_texts, stream_texts
from sopan.text.split import check_parts, dedupe_unlabelled, make_split
from sopan.types import Corpus, Source, Split

if TYPE_CHECKING:  # brings the library tokenizers in
    from sopan.text.piece_tokenizer import PieceTokenizer

TRAINED_ON = 200_000
"""Documents that a vocabulary is made from, at most: the first ones of each file, in equal shares."""


def split_corpus(corpus: Corpus, options: SplitOptions) -> Split:
    """Split a corpus, reproducibly."""
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(0,)))
    return make_split(corpus, train=options.train, val=options.val, test=options.test, rng=rng)


def clean_data(corpus: Corpus, options: SplitOptions, rule: TokenRule = "words") -> CleanData:
    """Split a corpus, audit it, and keep from the training texts what leaked into the others.

    Raises:
        DataError: too few texts are left.
    """
    split = split_corpus(corpus, options)
    audit = audit_corpus(corpus, split, rule=rule)
    clean = remove_leaks(split, audit)
    check_parts(corpus, clean)
    return CleanData(corpus, split, audit, clean)


def input_name(options: PartOptions) -> str:
    """Return what the data are called before they are read."""
    data = getattr(options, "data", None)
    return data_name(options.train_file if data is None else data)


def without_tables(options: CompareOptions, stand_ins: Mapping[str, str]) -> CompareOptions:
    """Replace every table in memory among the options, by its name in `stand_ins` or else by what it is.

    Options are written into files and sent to other processes, as a table cannot be.
    """

    def named(name: str) -> object:
        value = getattr(options, name)
        if value is None or not in_memory(value):
            return value
        return stand_ins.get(name, data_name(value))

    return replace(
        options,
        data=named("data"),
        train_file=named("train_file"),
        val_file=named("val_file"),
        test_file=named("test_file"),
        unlabelled=named("unlabelled"),
    )


def tuning_data(options: CompareOptions | DistillOptions | TrainOptions) -> CleanData:
    """Read what steps are tuned, fitted and measured on.

    Raises:
        SopanError: it cannot be read or split, or too few texts are left.
    """
    options.progress("read", {"stage": input_name(options)})
    corpus = read_corpus(options.data, options)
    options.progress("audit", {"stage": "duplicates, leaks, lengths, balance"})
    return _with_unlabelled(clean_data(corpus, options, options.tokens), options)


def _with_unlabelled(data: CleanData, options: TuneOptions) -> CleanData:
    """Read further texts, drop those that are held out, and note both numbers on the corpus."""
    if options.unlabelled is None:
        return data
    options.progress("read", {"stage": data_name(options.unlabelled)})
    texts, about = read_unlabelled(options)
    corpus, given = data.corpus, data.given
    held_out = corpus.texts.take(pa.array(np.concatenate([given.val, given.test])))
    kept, dropped = dedupe_unlabelled(texts, held_out, options.tokens)
    note = f"{len(kept):,} unlabelled texts, {dropped:,} dropped whose words stand in validation or test"
    told = [f"unlabelled: {each}" for each in about.notes]
    source = replace(corpus.source, notes=(*corpus.source.notes, *told, note))
    return data._replace(corpus=replace(corpus, source=source), unlabelled=kept)


def read_unlabelled(options: TuneOptions) -> tuple[pa.LargeStringArray, Source]:
    """Read the unlabelled texts: their file has its own column, and its own header or none."""
    reading = TextOptions(
        text=options.unlabelled_text, encoding=options.encoding, max_rejects=options.max_rejects
    )
    try:
        return read_texts(options.unlabelled, reading)
    except DataError as error:
        if error.next_step != NO_HEADER:
            raise
        return read_texts(options.unlabelled, replace(reading, header=False))


def check_out(out: str | Path) -> Path:
    """Hold that a folder can be written, before any work is done for it.

    Raises:
        ConfigError: a file is in the way, or the place is not writable.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ConfigError("this is a file, not a folder", where=str(folder), next_step="choose another --out")
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not os.access(there, os.W_OK):
        raise ConfigError("cannot be written", where=str(there), next_step="choose another --out")
    return folder


# ---- corpora of language models ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CorpusReading:
    """A corpus of files, and which part of it is held out.

    Args:
        paths: CSV, TSV, JSONL, Parquet or text files, plain or compressed; each row or line is a document.
        reading: how to read them; its `text` names the column.
        held_out: share of the documents that teach nothing; which ones, their own text decides, so that two
            equal documents are on the same side.
        barred: texts on neither side, as those that a task is tested on; spaces and case make no difference.
    """

    paths: tuple[str, ...]
    reading: TextOptions = TextOptions()
    held_out: float = 0.005
    barred: pa.LargeStringArray | None = None

    def __post_init__(self) -> None:
        if not self.paths:
            raise ConfigError("no corpus was named")
        if any(map(is_stream, self.paths)):
            raise ConfigError(
                "a corpus is read several times, and standard input only once", next_step="write it to a file"
            )
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

    def about(self, wordpiece: PieceTokenizer) -> dict[str, object]:
        """Return what tells a store of this corpus from others."""
        pieces = zlib.crc32("\n".join(wordpiece.pieces).encode())
        rules = [*wordpiece.rules, pieces]
        return {**self.made_of(), "rules": rules}

    def made_of(self) -> dict[str, object]:
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
