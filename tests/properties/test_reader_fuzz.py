"""Readers on anything: what was written is read back, what is broken is refused in a line or by its rows."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sopan.errors import InputError
from sopan.options.data import ReadOptions, TextOptions
from sopan.text.read import read_corpus, read_texts, stream_texts

Rows = list[tuple[str, str]]


def csv_of(rows: Rows, delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "label"), *rows])
    return out.getvalue().encode()


def records(rows: Rows) -> list[dict[str, str]]:
    return [{"text": text, "label": label} for text, label in rows]


def parquet_of(rows: Rows) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records(rows)), out, write_page_checksum=True)
    return out.getvalue()


def excel_of(rows: Rows) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in [("text", "label"), *rows]:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


WRITERS: dict[str, Callable[[Rows], bytes]] = {
    ".csv": csv_of,
    ".tsv": lambda rows: csv_of(rows, "\t"),
    ".jsonl": lambda rows: "".join(json.dumps(r) + "\n" for r in records(rows)).encode(),
    ".json": lambda rows: json.dumps(records(rows)).encode(),
    ".parquet": parquet_of,
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}
character = st.characters(codec="utf-8", exclude_characters="\r")
text = st.text(character, min_size=1, max_size=30)


@given(st.lists(text, min_size=4, max_size=8), st.sampled_from([*WRITERS]), st.sampled_from([*PACKERS]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_read_back(tmp_path, texts, suffix, packed):
    rows = [(t, "ab"[i % 2]) for i, t in enumerate(texts)]
    path = tmp_path / f"t{suffix}{packed}"
    path.write_bytes(PACKERS[packed](WRITERS[suffix](rows)))
    corpus = read_corpus(path)
    assert corpus.texts.to_pylist() == texts
    assert [corpus.classes[i] for i in corpus.labels] == [label for _, label in rows]
    assert read_texts(path)[0].to_pylist() == texts


SUFFIXES = ("", ".txt", ".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx", ".gz", ".bz2", ".xz", ".zip")


@given(st.binary(min_size=1, max_size=300) | text.map(str.encode), st.sampled_from(SUFFIXES), st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path, content, suffix, header):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    for read, options in (
        (read_corpus, ReadOptions(header=header, max_rejects=10)),
        (read_texts, TextOptions(header=header, max_rejects=10)),
    ):
        try:
            read(path, options)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # nothing is left beside it
    path.unlink()


# ---- two hundred broken files ------------------------------------------------------------------------------

ROWS: Rows = [(f"text {i}, of wörds and signs \U0001f600", "good" if i % 3 else "bad") for i in range(60)]
FORMATS = {
    **{suffix: write(ROWS) for suffix, write in WRITERS.items()},
    ".xlsx": excel_of(ROWS),
    ".txt": "".join(f"{label} {text}\n" for text, label in ROWS).encode(),
    ".csv.gz": gzip.compress(csv_of(ROWS)),
    ".jsonl.xz": lzma.compress(WRITERS[".jsonl"](ROWS)),
    ".tsv.bz2": bz2.compress(csv_of(ROWS, "\t")),
}


def truncated(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(1, len(content))]


def flipped(content: bytes, rng: random.Random) -> bytes:
    broken = bytearray(content)
    for _ in range(rng.choice((1, 3, 20))):
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    return bytes(broken)


def spliced(content: bytes, rng: random.Random) -> bytes:
    at, other = rng.randrange(len(content)), rng.choice([*FORMATS.values()])
    return content[:at] + other[rng.randrange(len(other)) :]


def repeated(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    return b"\n".join([*lines[:at], *lines[at : at + 3] * 2, *lines[at + 3 :]])


def recoded(content: bytes, rng: random.Random) -> bytes:
    encoding = rng.choice(("utf-16", "cp1252", "utf-8-sig", "utf-32"))
    return content.decode("utf-8", "replace").encode(encoding, "replace")


BREAKERS = (truncated, flipped, spliced, repeated, recoded)


@pytest.mark.parametrize("suffix", FORMATS)
def test_broken_files_lose_nothing_unseen(tmp_path, suffix):
    """Twenty broken files of each format: each is refused in a line, or its rows are read or named."""
    for seed in range(20):
        rng = random.Random(seed)
        path = tmp_path / f"t{suffix}"
        path.write_bytes(BREAKERS[seed % len(BREAKERS)](FORMATS[suffix], rng))
        for most in (0, 1000):
            options = TextOptions(max_rejects=most)
            try:
                stream = stream_texts(path, options)
                read = [row for batch in stream for row in batch["row"].to_pylist()]
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017
                continue
            assert len(set(read)) == len(read)  # a row is read once
            if read and suffix not in (".parquet", ".xlsx"):
                assert max(read) + 1 <= len(read) + len(stream.rejects)  # and none between is lost unseen
        assert [p.name for p in tmp_path.iterdir()] == [path.name]
