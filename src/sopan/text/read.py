"""Texts and labels from a file, a folder or a named data set: `read_corpus`, `read_texts`, `stream_texts`.

Text stays text: `NA`, `null`, `001` and `1.0` are the characters they are, an empty field is an empty
text, and NUL is an ordinary control character, the same in training as in predicting. What cannot
be read is refused by line; `max_rejects` rows may be lost that way, by default none.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from sopan.errors import DataError
from sopan.options.data import ReadOptions, TextOptions
from sopan.storage.manifest import sha256_of
from sopan.text.arrow import one_array
from sopan.text.datasets import fetch, named
from sopan.text.files import is_stream, plain_file, regular_file
from sopan.text.folders import checksum_files, folder_files, open_folder
from sopan.text.formats import ROW, Table
from sopan.text.labels import encode_labels, normalise_split
from sopan.text.memory import MemoryTable, data_name
from sopan.text.parts import find_parts, gather_parts
from sopan.text.sniff import open_table
from sopan.text.usable import MAX_TEXT_CHARS, UsableRows
from sopan.types import Corpus, Reject, Source

__all__ = ["MAX_TEXT_CHARS", "TextStream", "check_unchanged", "read_corpus", "read_texts", "stream_texts"]

_BATCH_ROWS = 16_384


def read_corpus(
    data: object,
    options: ReadOptions = ReadOptions(),
    *,
    learning: bool = True,
    trained_on: str | None = None,
) -> Corpus:
    """Read labelled texts.

    Args:
        data: a file, plain or compressed (`.gz`, `.bz2`, `.xz`, `.zst`, `.zip`): CSV, TSV, JSON (an array, or
            an object a line), Parquet, a spreadsheet (`.xlsx`, `.xls`, `.ods`), or lines that begin with
            their label (`pos a fine film`, fastText's `__label__pos a fine film`). A folder: of class
            folders, a file for each class with a text a line, files called after the three parts, or shards;
            a glob of such files. `-`: standard input. A table in memory (see `sopan.text.memory`), or a dict
            of one for each part. Or a name: `imdb`, `imdb:talk`, `imdb:official`, `snippets`, which wins over
            a file of that name; write `./imdb` for the file.
        options: columns that are not given are inferred; a column called `split` is used by itself.
            Columns are positions (`0`, `1`) where there is no header. An encoding is always strict. Files
            of parts that they name are read instead of `data`.
        learning: from these texts; to measure on them one class is enough, and one text of a class.
        trained_on: the column that a model's texts stood in; it is read if it is there and none is named.

    Raises:
        DataError: one line that names the file, the row and what to do.
        DownloadError: no source of a named data set could be reached.
    """
    with _opened(data, options, labelled=True, trained_on=trained_on) as (rows, source):
        table = pa.Table.from_batches(list(rows.batches(_BATCH_ROWS)))
        rejects, name, roles = rows.rejects(), rows.table.name, rows.roles
        if not table.num_rows:
            raise DataError("no row has both a text and a label", where=name)
        coded = encode_labels(_column(table, str(roles.label)), name, options, learning=learning)
        split = normalise_split(_column(table, roles.split), roles.split, name) if roles.split else None
        return Corpus(
            texts=_column(table, roles.text),
            labels=coded.indices,
            classes=coded.classes,
            rows=_column(table, ROW).to_numpy(),
            source=replace(source, notes=(*rows.notes(), *coded.notes)),
            split=split,
            rejects=rejects,
        )


def read_texts(data: object, options: TextOptions = TextOptions()) -> tuple[pa.LargeStringArray, Source]:
    """Read N texts without labels into memory, from what `read_corpus` reads or a file of one text a line.

    Args and errors: as `read_corpus`. The source's notes say what was refused or cut.
    """
    stream = stream_texts(data, options)
    batches = [batch.column("text") for batch in stream]
    if not sum(map(len, batches)):
        raise DataError("there are no texts in the file", where=data_name(data))
    return pa.chunked_array(batches).combine_chunks(), stream.source


def stream_texts(
    data: object,
    options: TextOptions = TextOptions(),
    *,
    batch_rows: int = 4096,
    trained_on: str | None = None,
) -> TextStream:
    """Stream texts from a file of any size in bounded memory.

    Args and errors: as `read_corpus`; errors come up while iterating.
        batch_rows: at most so many texts a batch.

    Returns:
        an iterator of record batches: `row` (int64, the 0-based data row in the file) and
        `text` (large_string).
    """
    return TextStream(data, options, batch_rows, trained_on)


class TextStream(Iterator[pa.RecordBatch]):
    """The iterator that `stream_texts` returns, with an account of what it met.

    Attributes:
        rejects: rows refused so far.
        cut_rows: data rows whose text was longer than `MAX_TEXT_CHARS`, so far.
        source: where the texts came from, complete once the stream has ended.
    """

    def __init__(
        self, data: object, options: TextOptions, batch_rows: int, trained_on: str | None = None
    ) -> None:
        self.rejects: tuple[Reject, ...] = ()
        self.cut_rows: list[int] = []
        self.source = Source(data_name(data), "", 0)
        self._batches = self._stream(data, options, batch_rows, trained_on)

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)

    def close(self) -> None:
        """Let go of the file before its end, as whoever reads no further must."""
        self._batches.close()

    def _stream(
        self, data: object, options: TextOptions, batch_rows: int, trained_on: str | None
    ) -> Generator[pa.RecordBatch, None, None]:
        with _opened(data, options, labelled=False, trained_on=trained_on) as (rows, source):
            self.source = source
            self.cut_rows = rows.cut_rows
            for batch in rows.batches(batch_rows):
                self.rejects = rows.rejects()
                yield pa.RecordBatch.from_arrays([batch[ROW], batch[rows.roles.text]], ["row", "text"])
            self.rejects = rows.rejects()
            self.source = replace(source, notes=rows.notes())


def check_unchanged(source: Source) -> None:
    """Hold that an input is still what was read before, as a resumed run must.

    Raises:
        DataError: the file or folder is gone, or its contents differ.
    """
    path = fetch(source.name) if named(source.name) else Path(source.name)
    if path.is_dir():
        found = checksum_files(path, folder_files(path, source.name))
    elif path.is_file():
        size = path.stat().st_size
        found = (sha256_of(path) if size == source.bytes else "another size", size)
    else:
        raise DataError("the input is no longer there", where=source.name)
    if found != (source.sha256, source.bytes):
        raise DataError(
            "the input has changed since it was first read",
            where=source.name,
            next_step="start anew with another --out, or bring the old input back",
        )


# ---- opening -----------------------------------------------------------------------------


@contextmanager
def _opened(
    data: object, options: TextOptions, *, labelled: bool, trained_on: str | None
) -> Iterator[tuple[UsableRows, Source]]:
    """Open whatever `data` is, and find the columns to read."""
    known = named(data) if isinstance(data, str | Path) and not is_stream(data) else None
    if known and isinstance(options, ReadOptions):
        options = replace(
            options,
            label=options.label or known.label,
            split_column=options.split_column or known.split_column,
        )
    if known:
        options = replace(options, text=options.text or known.text)
    with ExitStack() as stack:
        parts = find_parts(data, options)
        if parts:
            opened = {
                part: [stack.enter_context(_one_opened(one, options)) for one in each]
                for part, each in parts.items()
            }
            table, source = gather_parts(data, opened)
        else:
            table, source = stack.enter_context(_one_opened(data, options))
        rows = UsableRows(table, options, labelled=labelled, trained_on=trained_on)
        yield rows, replace(source, text=rows.roles.text if options.header else None)


@contextmanager
def _one_opened(data: object, options: TextOptions) -> Iterator[tuple[Table, Source]]:
    """Open a file, a folder, a named data set, or a table in memory, as one table."""
    if not isinstance(data, str | Path):
        held = MemoryTable(data)
        yield held, Source(held.name, *held.checksum())
        return
    name, known = str(data), not is_stream(data) and named(data)
    path = fetch(name) if known else Path(data).expanduser()
    if not is_stream(data) and path.is_dir():
        with ExitStack() as stack:
            open_file = partial(open_table, options=options)
            folder, files = open_folder(path, name, stack, open_file, options.encoding)
            yield folder, Source(name, *checksum_files(path, files))
        return
    with regular_file(path if known else data) as (path, spelled), plain_file(path, spelled) as file:
        source = Source(spelled if is_stream(data) else name, sha256_of(path), path.stat().st_size)
        yield open_table(file, options), source


def _column(rows: pa.Table, name: str) -> pa.Array:
    return one_array(rows.column(name))
