"""Which format a file is in: the same for every reader, recognised by its bytes, or refused by name."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import sqlite3
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from sopan.errors import DataError
from sopan.options.data import ReadOptions, TextOptions
from sopan.text.read import read_corpus, read_texts

ROWS = [("a warm, funny film", "good"), ("two dull hours", "bad"), ("a joy", "good"), ("a bore", "bad")]
TEXTS = [text for text, _ in ROWS]
TSV = "review\tverdict\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS)
PROSE = ["I liked it, mostly.", "What a film; what a bore!", "The end", "I slept | she left"] * 30


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def labelled(path: Path, **options: object) -> list[tuple[str, str]]:
    corpus = read_corpus(path, ReadOptions(**options))
    return [(t, corpus.classes[i]) for t, i in zip(corpus.texts.to_pylist(), corpus.labels, strict=True)]


def refusal(path: Path, **options: object) -> str:
    said = []
    for read, chosen in ((read_corpus, ReadOptions(**options)), (read_texts, TextOptions(**options))):
        with pytest.raises(DataError) as caught:
            read(path, chosen)
        assert "\n" not in str(caught.value)
        said.append(str(caught.value))
    assert said[0] == said[1]  # whoever reads it hears the same
    return said[0]


# ---- one sniffing (items 4 and 19) -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.txt", "t", "t.data", "t.tsv"])
def test_a_table_of_tabs_is_one_for_every_reader(tmp_path, name):
    path = put(tmp_path / name, TSV)
    assert labelled(path) == ROWS
    assert read_texts(path)[0].to_pylist() == TEXTS


def test_a_comma_separated_txt_is_a_table_under_a_header_that_says_so(tmp_path):
    path = put(tmp_path / "t.txt", "text,label\n" + "".join(f'"{t}",{c}\n' for t, c in ROWS))
    assert labelled(path) == ROWS
    assert read_texts(path)[0].to_pylist() == TEXTS
    headless = put(tmp_path / "h.txt", "headline,verdict\n" + "a,b\nc,d\n" * 3)
    assert len(read_texts(headless, TextOptions(text="headline"))[0]) == 6


@pytest.mark.parametrize("name", ["t.txt", "t"])
def test_prose_stays_one_text_a_line(tmp_path, name):
    assert read_texts(put(tmp_path / name, "\n".join(PROSE)))[0].to_pylist() == PROSE


def test_lines_that_begin_with_their_label(tmp_path):
    for rows in (
        [(text, str(int(label == "good"))) for text, label in ROWS],
        [(text, f"TONE:{label}") for text, label in ROWS],
        [(text, "pos" if label == "good" else "neg") for text, label in ROWS * 3],
    ):
        path = put(tmp_path / "t.all", "".join(f"{label} {text}\n" for text, label in rows))
        assert labelled(path) == rows
        texts, source = read_texts(path)
        assert texts.to_pylist() == [text for text, _ in rows]
        assert "each line was read as a label and a text" in source.notes


def test_questions_are_no_labels(tmp_path):
    lines = ["what is a film", "how long is it", "what do you say of how it ends", "is it what I like"] * 10
    assert read_texts(put(tmp_path / "q.txt", "\n".join(lines)))[0].to_pylist() == lines


def test_labelled_lines_in_the_order_of_their_labels(tmp_path):
    """As the classic benchmark files are, some of whose lines are no UTF-8."""
    rows = [f"{label} text number {i}" for label in "01" for i in range(2_500)]
    path = put(tmp_path / "t.all", "\n".join(rows))
    corpus = read_corpus(path)
    assert [corpus.classes[i] for i in corpus.labels] == ["0"] * 2_500 + ["1"] * 2_500
    assert corpus.texts[0].as_py() == "text number 0"
    put(path, "\n".join(rows).replace("number 9", "num\xe9ro 9").encode("latin-1"))
    assert "not valid UTF-8" in refusal(path)
    assert read_corpus(path, ReadOptions(encoding="latin-1")).texts[9].as_py() == "text num\xe9ro 9"


@pytest.mark.parametrize("delimiter", [",", "|"])
def test_first_words_that_hold_a_delimiter_are_no_labels(tmp_path, delimiter):
    lines = [f"{'ab'[i % 2]}{delimiter}sentence number {i}, or so" for i in range(40)]
    assert read_texts(put(tmp_path / "t.txt", "\n".join(lines)))[0].to_pylist() == lines


def test_numbered_lines_are_no_labels(tmp_path):
    lines = [f"{i} eggs and some milk" for i in range(40)]
    assert read_texts(put(tmp_path / "q.txt", "\n".join(lines)))[0].to_pylist() == lines


def test_fasttext_lines(tmp_path):
    path = put(tmp_path / "t.csv", "".join(f"__label__{label} {text}\n" for text, label in ROWS))
    assert labelled(path) == ROWS
    put(path, path.read_text() + "__label__a __label__b two labels\n")
    with pytest.raises(DataError, match=r"t.csv:5: 1 row cannot be used: line 5: several labels"):
        read_corpus(path)
    put(path, path.read_text().replace("__label__a __label__b ", ""))
    assert "t.csv:5: 1 row cannot be used: line 5: no __label__" in refusal(path)


def test_excel_says_its_delimiter(tmp_path):
    content = "sep=;\r\ntext;label;row\r\n" + "".join(f"{t};{c};{i}\r\n" for i, (t, c) in enumerate(ROWS))
    for name in ("t.csv", "t.txt"):
        path = put(tmp_path / name, content)
        assert labelled(path) == ROWS
        assert read_corpus(path).rows.tolist() == [0, 1, 2, 3]
    broken = put(tmp_path / "b.csv", content + "one field\r\n")
    with pytest.raises(DataError, match=r"b.csv:7: .*line 7: 1 field where the table has 3 columns"):
        read_corpus(broken)


def test_a_title_above_the_header(tmp_path):
    path = put(
        tmp_path / "t.csv", "Reviews of 2024\n\ntext,label\n" + "".join(f'"{t}",{c}\n' for t, c in ROWS)
    )
    assert labelled(path) == ROWS
    assert "lines 1 to 1" not in str(read_corpus(path).source.notes)
    assert "line 1 stands above the table, which was read from the next on" in read_corpus(path).source.notes
    put(path, path.read_text() + "x\n")
    with pytest.raises(DataError, match="8"):  # a ragged table has no title: it is refused by its lines
        read_corpus(path)


def test_blanks_after_the_delimiter(tmp_path):
    path = put(tmp_path / "t.csv", "text, label\n" + "".join(f'"{t}", {c}\n' for t, c in ROWS))
    assert labelled(path) == ROWS
    one = put(tmp_path / "one.csv", "label,text\ngood, a blank first\nbad,none\n" * 1 + "good,x\nbad,y\n")
    assert labelled(one)[0] == (" a blank first", "good")


def test_carriage_returns_end_lines(tmp_path):
    assert read_texts(put(tmp_path / "t.txt", "one\rtwo\rthree"))[0].to_pylist() == ["one", "two", "three"]
    assert labelled(put(tmp_path / "t.tsv", TSV.replace("\n", "\r"))) == ROWS


def test_names_that_several_unused_columns_have(tmp_path):
    rows = "".join(f'"{t}",{c},1,2\n' for t, c in ROWS)
    assert labelled(put(tmp_path / "t.csv", "text,label,n,n\n" + rows)) == ROWS
    path = put(tmp_path / "u.csv", "text,label,text,n\n" + rows)
    with pytest.raises(DataError, match=r"u.csv:1: several columns are called 'text'; rename all but one"):
        read_corpus(path)
    with pytest.raises(DataError, match="several columns are called"):
        read_texts(path)


@pytest.mark.parametrize(("encoding", "offered"), [("latin-1", "latin-1"), ("cp1252", "cp1252")])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.txt"])
def test_the_encoding_to_try_is_named(tmp_path, encoding, offered, name):
    text = "un café" if encoding == "latin-1" else "“un café”"
    lines = {
        "t.csv": f"text,label\n{text},a\n",
        "t.jsonl": json.dumps({"text": text, "label": "a"}, ensure_ascii=False) + "\n" + '{"text": "b"}',
        "t.txt": f"{text}\nb\n",
    }
    path = put(tmp_path / name, lines[name].encode(encoding))
    with pytest.raises(DataError, match=f"use --encoding {offered}"):
        read_texts(path)
    assert read_texts(path, TextOptions(encoding=offered))[0][0].as_py() == text


# ---- other formats -------------------------------------------------------------------------------


def test_a_json_array(tmp_path):
    records = [{"text": t, "label": c, "n": 1.0, "more": [1]} for t, c in ROWS]
    path = put(tmp_path / "t.json", json.dumps(records, indent=1))
    assert labelled(path) == ROWS
    assert labelled(path, text="n")[0][0] == "1.0"
    with pytest.raises(
        DataError, match=r"t.json: the column 'more' is a list, not text; name another: --text"
    ):
        read_texts(path, TextOptions(text="more"))
    put(path, json.dumps([*records, 5, {"text": ["a"]}]))
    with pytest.raises(DataError, match=r"row 4: not a JSON object .5.; row 5: text is a list, not a text"):
        read_corpus(path)
    with pytest.raises(DataError, match=r"t.json: not valid JSON"):
        read_corpus(put(path, "[{"))


def sheet(path: Path, rows: list[list[object]], second: list[list[object]] = []) -> Path:  # noqa: B006
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for row in second:
        book.create_sheet("more").append(row)
    book.save(path)
    return path


def test_a_spreadsheet(tmp_path):
    path = sheet(tmp_path / "t.xlsx", [["text", "label", "stars"], *[[t, c, 4] for t, c in ROWS]])
    assert labelled(path) == ROWS
    assert labelled(path, label="label", text="stars")[0] == ("4", "good")
    assert read_texts(path)[0].to_pylist() == TEXTS
    two = sheet(tmp_path / "two.xlsx", [["text", "label"], ["a", "b"]], [["c", "d"]])
    assert "the sheets Sheet, more all hold rows" in refusal(two)
    assert "not a readable spreadsheet" in refusal(put(tmp_path / "b.xlsx", path.read_bytes()[:-100]))


def test_a_spreadsheet_that_unfolds_without_end(tmp_path):
    path = sheet(tmp_path / "t.xlsx", [["text"], ["a"]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/more.xml", bytes(65 << 20))
    assert "compressed bytes unfold to more than 67,108,864" in refusal(path)


def test_a_spreadsheet_without_its_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    path = sheet(tmp_path / "t.xlsx", [["text"], ["a"]])
    with pytest.raises(Exception, match=r'pip install "sopan\[excel\]"'):
        read_texts(path)


def test_a_spreadsheet_is_known_by_its_bytes(tmp_path):
    """A workbook under another name is one; a table of text that is called .xls is text."""
    book = openpyxl.Workbook()
    for row in [("text", "label"), *[(f"text {i}", "ab"[i % 2]) for i in range(6)]]:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    (tmp_path / "t.xlsx").rename(tmp_path / "t.csv")
    rows = "text\tlabel\n" + "".join(f"text {i}\t{'ab'[i % 2]}\n" for i in range(6))
    for path in (tmp_path / "t.csv", put(tmp_path / "t.xls", rows)):
        corpus = read_corpus(path)
        assert corpus.texts.to_pylist() == [f"text {i}" for i in range(6)]
        assert [corpus.classes[i] for i in corpus.labels] == list("ababab")


@pytest.mark.parametrize("given", ["-", "/dev/stdin"])
def test_standard_input(monkeypatch, given):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TSV.encode())))
    corpus = read_corpus(given)
    assert corpus.texts.to_pylist() == TEXTS
    assert corpus.source.name == "standard input"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"a\nb"))))
    assert read_texts(given)[0].to_pylist() == ["a", "b"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(DataError, match="standard input: the file is empty"):
        read_texts(given)


# ---- what is no table (item 4) -------------------------------------------------------------------


def tar(mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    return out.getvalue()


def npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.arange(3))
    return out.getvalue()


def sqlite(folder: Path) -> bytes:
    with sqlite3.connect(folder / "x.db") as base:
        base.execute("create table t (a text)")
    base.close()
    return (folder / "x.db").read_bytes()


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


FOREIGN = {
    "a tar archive": ("t.tar.gz", lambda _: tar("w:gz")),
    "a tar archive ": ("t.txt", lambda _: tar("w")),
    "a Git LFS pointer": (
        "t.csv",
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n",
    ),
    "a git-annex pointer": ("t.parquet", lambda _: b"/annex/objects/SHA256E-s1--abc.parquet\n"),
    "a page of HTML or XML": ("t.csv", lambda _: b"\n<!DOCTYPE html><html><body>Not found</body></html>"),
    "a page of HTML or XML ": ("t.txt", lambda _: b'<?xml version="1.0"?><rss/>'),
    "a PDF document": ("t.csv", lambda _: b"%PDF-1.7\n%\xe2\xe3\n"),
    "an old Office document": ("t.doc", lambda _: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(60)),
    "an SQLite database": ("t.csv", sqlite),
    "a NumPy array": ("t.npy", lambda _: npy()),
    "a Python pickle": ("t.pkl", lambda _: pickle.dumps([("text", "label")])),
    "a Word document": ("t.docx", lambda _: zipped("[Content_Types].xml", "word/document.xml")),
    "an archive of NumPy arrays": ("t.npz", lambda _: zipped("a.npy", "b.npy")),
    "a page of HTML or XML  ": ("t.html", lambda _: b"<!-- saved -->\n<html><body>Not found</body></html>"),
    "filled with NULs": ("t.csv", lambda _: bytes(1000)),
    "an image": ("t.csv", lambda _: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    "a file compressed twice": ("t.csv.gz", lambda _: gzip.compress(gzip.compress(b"text\na\n"))),
    "a binary file of an unknown kind": ("t.csv", lambda _: bytes(range(8)) * 200),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_no_table_is_refused_by_name(tmp_path, what):
    name, make = FOREIGN[what]
    path = put(tmp_path / name, make(tmp_path))
    assert f"{path}: this is {what.strip()}" in refusal(path)


@pytest.mark.parametrize("text", ["ORCs and elves", "RIFF raff", "GIF89 is a format", "Rare <br> things"])
def test_prose_that_begins_like_a_format(tmp_path, text):
    assert read_texts(put(tmp_path / "t.txt", f"{text}\nmore\n"))[0].to_pylist() == [text, "more"]
