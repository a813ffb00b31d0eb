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
from sopan.text.columns import MAX_TEXT_CHARS, UsableRows
from sopan.text.datasets import fetch, named
from sopan.text.files import is_stream, plain_file, regular_file
from sopan.text.folders import checksum_files, folder_files, open_folder
from sopan.text.formats import ROW
from sopan.text.labels import encode_labels, normalise_split
from sopan.text.sniff import open_table
from sopan.types import Corpus, Reject, Source

__all__ = ["MAX_TEXT_CHARS", "TextStream", "check_unchanged", "read_corpus", "read_texts", "stream_texts"]

_BATCH_ROWS = 16_384


def read_corpus(data: str | Path, options: ReadOptions = ReadOptions()) -> Corpus:
    """Read labelled texts.

    Args:
        data: a file, plain or compressed (`.gz`, `.bz2`, `.xz`, `.zst`, `.zip`): CSV, TSV, JSON (an array, or
            an object a line), Parquet, a spreadsheet (`.xlsx`, `.xls`, `.ods`), or lines that begin with
            their label (`pos a fine film`, fastText's `__label__pos a fine film`). A folder: of class
            folders, a file for each class with a text a line, files called after the three parts, or shards.
            `-`: standard input. Or a name: `imdb`, `imdb:talk`, `imdb:official`, `snippets`, which wins
            over a file of that name; write `./imdb` for the file.
        options: columns that are not given are inferred; a column called `split` is used by itself.
            Columns are positions (`0`, `1`) where there is no header. An encoding is always strict.

    Raises:
        DataError: one line that names the file, the row and what to do.
        DownloadError: no source of a named data set could be reached.
    """
    if not isinstance(data, str | Path):
        raise DataError(
            f"data must be a path or a name, not a {type(data).__name__}",
            next_step="write it to a file first, such as table.to_parquet('reviews.parquet')",
        )
    with _opened(data, options, labelled=True) as (rows, source):
        table = pa.Table.from_batches(list(rows.batches(_BATCH_ROWS)))
        rejects, name, roles = rows.rejects(), rows.table.name, rows.roles
        if not table.num_rows:
            raise DataError("no row has both a text and a label", where=name)
        labels, classes = encode_labels(_column(table, str(roles.label)), name)
        split = normalise_split(_column(table, roles.split), roles.split, name) if roles.split else None
        return Corpus(
            texts=_column(table, roles.text),
            labels=labels,
            classes=classes,
            rows=_column(table, ROW).to_numpy(),
            source=replace(source, notes=rows.notes()),
            split=split,
            rejects=rejects,
        )


def read_texts(data: str | Path, options: TextOptions = TextOptions()) -> tuple[pa.LargeStringArray, Source]:
    """Read N texts without labels into memory, from what `read_corpus` reads or a file of one text a line.

    Args and errors: as `read_corpus`. The source's notes say what was refused or cut.
    """
    stream = stream_texts(data, options)
    batches = [batch.column("text") for batch in stream]
    if not sum(map(len, batches)):
        raise DataError("there are no texts in the file", where=str(data))
    return pa.chunked_array(batches).combine_chunks(), stream.source


def stream_texts(
    data: str | Path, options: TextOptions = TextOptions(), *, batch_rows: int = 4096
) -> TextStream:
    """Stream texts from a file of any size in bounded memory.

    Args and errors: as `read_corpus`; errors come up while iterating.
        batch_rows: at most so many texts a batch.

    Returns:
        an iterator of record batches: `row` (int64, the 0-based data row in the file) and
        `text` (large_string).
    """
    return TextStream(data, options, batch_rows)


class TextStream(Iterator[pa.RecordBatch]):
    """The iterator that `stream_texts` returns, with an account of what it met.

    Attributes:
        rejects: rows refused so far.
        cut_rows: data rows whose text was longer than `MAX_TEXT_CHARS`, so far.
        source: where the texts came from, complete once the stream has ended.
    """

    def __init__(self, data: str | Path, options: TextOptions, batch_rows: int):
        self.rejects: tuple[Reject, ...] = ()
        self.cut_rows: list[int] = []
        self.source = Source(str(data), "", 0)
        self._batches = self._stream(data, options, batch_rows)

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)

    def close(self) -> None:
        """Let go of the file before its end, as whoever reads no further must."""
        self._batches.close()

    def _stream(
        self, data: str | Path, options: TextOptions, batch_rows: int
    ) -> Generator[pa.RecordBatch, None, None]:
        with _opened(data, options, labelled=False) as (rows, source):
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
def _opened(data: str | Path, options: TextOptions, *, labelled: bool) -> Iterator[tuple[UsableRows, Source]]:
    """Open whatever `data` is, and find the columns to read."""
    name, known = str(data), None if is_stream(data) else named(data)
    if known and isinstance(options, ReadOptions):
        options = replace(
            options,
            label=options.label or known.label,
            split_column=options.split_column or known.split_column,
        )
    if known:
        options = replace(options, text=options.text or known.text)
    path = fetch(name) if known else Path(data).expanduser()
    if not is_stream(data) and path.is_dir():
        with ExitStack() as stack:
            folder = open_folder(path, name, stack, partial(open_table, options=options), options.encoding)
            checksum = checksum_files(path, folder_files(path, name))
            yield UsableRows(folder, options, labelled=labelled), Source(name, *checksum)
        return
    with regular_file(path if known else data) as (path, spelled), plain_file(path, spelled) as file:
        rows = UsableRows(open_table(file, options), options, labelled=labelled)
        yield rows, Source(spelled if is_stream(data) else name, sha256_of(path), path.stat().st_size)


def _column(rows: pa.Table, name: str) -> pa.Array:
    column = rows.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
