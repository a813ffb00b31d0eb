"""Whatever the `csv` module writes, sopan reads back; whatever it refuses to parse, sopan refuses too."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from sopan.errors import DataError
from sopan.options.data import ReadOptions, TextOptions
from sopan.text.parquet import write_parquet
from sopan.text.read import read_corpus, read_texts

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=4, max_size=12)
"""Every character there is, NUL, quotes, delimiters and line ends among them, but no lone surrogates."""


def roundtrip(name: str, content: bytes, **options: object) -> list[str]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        corpus = read_corpus(path, ReadOptions(text="text", label="label", **options))
    assert [corpus.classes[i] for i in corpus.labels] == ["xy"[i % 2] for i in range(len(corpus))]
    return corpus.texts.to_pylist()


@given(texts, st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_delimited_files_come_back(values, delimiter, end, quote_all):
    out = io.StringIO()
    lone_return = any("\r" in value for value in values)  # which Python's writer forgets to quote
    quoting = csv.QUOTE_ALL if quote_all or lone_return else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([("text", "label"), *((value, "xy"[i % 2]) for i, value in enumerate(values))])
    assert roundtrip("a.csv", out.getvalue().encode()) == values


@given(texts, st.booleans())
def test_json_lines_come_back(values, ascii_only):
    lines = [
        json.dumps({"text": t, "label": "xy"[i % 2]}, ensure_ascii=ascii_only) for i, t in enumerate(values)
    ]
    assert roundtrip("a.jsonl", "\n".join(lines).encode()) == values


@given(texts)
def test_parquet_comes_back(values):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        write_parquet(pa.table({"text": values}), path)
        assert read_texts(path)[0].to_pylist() == values


pieces = st.lists(
    st.sampled_from(["a", "é", ",", '"', '""', "\n", " ", '",', ',"', "x,y\n", '"q",z\n']), max_size=25
)


@settings(max_examples=300)
@given(pieces)
def test_no_row_is_lost_unseen(parts):
    """A file is read exactly as a strict reading has it, or refused: never less, never something else."""
    content = "text,label\n" + "".join(parts)
    try:
        strict = [row for row in csv.reader(io.StringIO(content, newline=""), strict=True) if row][1:]
    except csv.Error:
        strict = None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_text(content, encoding="utf-8")
        try:
            found = read_texts(path, TextOptions(text="text"))[0].to_pylist()
        except DataError:
            found = None
    if strict and all(len(row) == 2 for row in strict):
        assert found == [row[0] for row in strict]
    else:
        assert found is None
