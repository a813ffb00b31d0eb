"""Texts and labels from a file, a folder or a named data set: `read_corpus`, `read_texts`, `stream_texts`.

Text stays text: `NA`, `null`, `001` and `1.0` are the characters they are, an empty field is an empty
text, and NUL is an ordinary control character, the same in training as in predicting. What cannot
be read is refused by line; `max_rejects` rows may be lost that way, by default none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from sopan.errors import DataError
from sopan.options.data import ReadOptions, TextOptions
from sopan.storage.manifest import sha256_of
from sopan.text.columns import MAX_TEXT_CHARS, Roles, choose_columns, cut_long, judge, loss_notes, usable_rows
from sopan.text.datasets import fetch, named
from sopan.text.delimited import DelimitedTable
from sopan.text.files import PlainFile, plain_file
from sopan.text.formats import ROW, FolderTable, JsonLinesTable, LinesTable, Table
from sopan.text.labels import encode_labels, normalise_split
from sopan.text.parquet import ParquetTable
from sopan.types import Corpus, Reject, Source

__all__ = ["MAX_TEXT_CHARS", "TextStream", "check_unchanged", "read_corpus", "read_texts", "stream_texts"]

_BATCH_ROWS = 16_384
_PARQUET, _JSON_LINES, _LINES = (".parquet", ".pq"), (".jsonl", ".ndjson", ".json"), (".txt",)


def read_corpus(data: str | Path, options: ReadOptions = ReadOptions()) -> Corpus:
    """Read labelled texts.

    Args:
        data: CSV, TSV, JSON lines or Parquet, plain or compressed (`.gz`, `.zst`, `.zip`), a folder of
            class folders, or a name: `imdb`, `imdb:talk`, `imdb:official`, `snippets`. A name
            wins over a file of that name; write `./imdb` for the file.
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
    text, label, split_column = options.text, options.label, options.split_column
    header, max_rejects = options.header, options.max_rejects
    wanted = named(data)
    if wanted:
        text, label = text or wanted.text, label or wanted.label
        split_column = split_column or wanted.split_column
    with _opened(data, options) as (table, source):
        sample = _sample(table, max_rejects)
        roles = choose_columns(
            sample, table.name, text=text, label=label, split_column=split_column, header=header
        )
        rejects: list[Reject] = []
        parts = []
        for batch in table.read(roles.columns, _BATCH_ROWS):
            usable, refused = usable_rows(batch, roles)
            parts.append(usable)
            rejects += refused
        rejects = judge([*table.rejects, *rejects], max_rejects, table.name)
        rows = pa.Table.from_batches(parts)
        if not rows.num_rows:
            raise DataError("no row has both a text and a label", where=table.name)
        texts, cut = cut_long(_column(rows, roles.text))
        labels, classes = encode_labels(_column(rows, str(roles.label)), table.name)
        split = normalise_split(_column(rows, roles.split), roles.split, table.name) if roles.split else None
        notes = [*source.notes, *table.notes, *_column_notes(roles), *loss_notes(int(cut.sum()), rejects)]
    return Corpus(
        texts=texts,
        labels=labels,
        classes=classes,
        rows=_column(rows, ROW).to_numpy(),
        source=Source(source.name, source.sha256, source.bytes, tuple(notes)),
        split=split,
        rejects=tuple(rejects),
    )


def read_texts(data: str | Path, options: TextOptions = TextOptions()) -> tuple[pa.LargeStringArray, Source]:
    """Read N texts without labels into memory; a `.txt` file holds one text a line.

    Args and errors: as `read_corpus`. What was lost or cut is told in the source's notes.
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

    def _stream(self, data: str | Path, options: TextOptions, batch_rows: int) -> Iterator[pa.RecordBatch]:
        wanted = named(data)
        text = options.text or (wanted.text if wanted else None)
        with _opened(data, options, lines=True) as (table, source):
            self.source = source
            sample = _sample(table, options.max_rejects)
            roles = choose_columns(sample, table.name, text=text, header=options.header, labelled=False)
            missing: list[Reject] = []
            for batch in table.read(roles.columns, batch_rows):
                usable, refused = usable_rows(batch, roles)
                missing += refused
                self.rejects = tuple(judge([*table.rejects, *missing], options.max_rejects, table.name))
                texts, cut = cut_long(usable.column(roles.text))
                self.cut_rows += usable.column(ROW).filter(pa.array(cut)).to_pylist()
                yield pa.RecordBatch.from_arrays([usable.column(ROW), texts], ["row", "text"])
            self.rejects = tuple(judge([*table.rejects, *missing], options.max_rejects, table.name))
            notes = (*source.notes, *table.notes, *loss_notes(len(self.cut_rows), self.rejects))
            self.source = Source(source.name, source.sha256, source.bytes, notes)


def check_unchanged(source: Source) -> None:
    """Hold that an input is still what was read before, as a resumed run must.

    Raises:
        DataError: the file or folder is gone, or its contents differ.
    """
    path = fetch(source.name) if named(source.name) else Path(source.name)
    if path.is_dir():
        found = FolderTable(path, source.name, encoding="utf-8").checksum()
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
def _opened(data: str | Path, options: TextOptions, *, lines: bool = False) -> Iterator[tuple[Table, Source]]:
    """Open whatever `data` is as a table; `lines` takes `.txt` as one text a line."""
    name = str(data)
    path = fetch(name) if named(data) else Path(data).expanduser()
    if path.is_dir():
        folder = FolderTable(path, name, encoding=options.encoding)
        yield folder, Source(name, *folder.checksum())
        return
    with plain_file(path) as file:
        table = _table(file, options, lines=lines)
        yield table, Source(name, sha256_of(path), path.stat().st_size)


def _table(file: PlainFile, options: TextOptions, *, lines: bool) -> Table:
    """Choose the format by the file's name, else by its first bytes."""
    with file.path.open("rb") as content:
        head = content.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if file.suffix in _PARQUET or head.startswith(b"PAR1"):
        return ParquetTable(file.path, file.name)
    if file.suffix in _JSON_LINES or head.startswith(b'{"'):
        return JsonLinesTable(file, encoding=options.encoding)
    if file.suffix in _LINES and lines:
        return LinesTable(file, encoding=options.encoding)
    return DelimitedTable(file, header=options.header, encoding=options.encoding)


def _sample(table: Table, max_rejects: int) -> pa.RecordBatch:
    """Return the first rows, of which there must be some."""
    sample = table.sample()
    if not sample.num_rows:
        judge(table.rejects, max_rejects, table.name)
        raise DataError("the file has no rows", where=table.name)
    return sample


def _column(rows: pa.Table, name: str) -> pa.Array:
    column = rows.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _column_notes(roles: Roles) -> list[str]:
    split = f", split {roles.split!r}" if roles.split else ""
    return [f"columns: text {roles.text!r}, label {roles.label!r}{split}"]
