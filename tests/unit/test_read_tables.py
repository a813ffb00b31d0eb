"""Any labelled table works at the first try: columns found, delimiters told, folders walked."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sopan.errors import DataError
from sopan.options.data import ReadOptions, TextOptions
from sopan.text.read import check_unchanged, read_corpus, read_texts, stream_texts

BENGALI = ["ছবিটা খুব ভালো লেগেছে", "গল্পটা একদম ভালো নয়", "অভিনয় চমৎকার, আবার দেখব", "সময় নষ্ট হলো"]
HINDI = ["फ़िल्म बहुत अच्छी थी", "कहानी बिल्कुल बेकार है", "संगीत सुनकर मन खुश हो गया", "दो घंटे बर्बाद हो गए"]


def written(rows, delimiter=",", end="\n", header=None):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows([header, *rows] if header else rows)
    return out.getvalue().encode()


def labels_of(corpus):
    return [corpus.classes[i] for i in corpus.labels]


# ---- tables made for the purpose -------------------------------------------------------------


def test_three_classes_five_to_one(tmp_path):
    rng = np.random.default_rng(0)
    names = rng.permutation(["neutral"] * 500 + ["good"] * 100 + ["bad"] * 100)
    rows = [(f"comment {i} about a thing, {'long ' * 9}", name) for i, name in enumerate(names)]
    path = tmp_path / "a.csv"
    path.write_bytes(written(rows, header=("comment", "opinion")))
    corpus = read_corpus(path)
    assert corpus.classes == ("bad", "good", "neutral")
    assert np.bincount(corpus.labels).tolist() == [100, 100, 500]


def test_seventy_seven_classes(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        (f"how do I {' '.join(map(str, rng.integers(1000, 9999, 8)))}?", f"intent_{i % 77}")
        for i in range(77 * 130)
    ]
    path = tmp_path / "a.csv"
    path.write_bytes(written(rows, header=("utterance", "kind")))
    corpus = read_corpus(path)
    assert len(corpus.classes) == 77
    assert set(np.bincount(corpus.labels)) == {130}


@pytest.mark.parametrize("texts", [BENGALI, HINDI], ids=["bengali", "hindi"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_bengali_and_hindi(tmp_path, texts, name):
    rows = [(text, "ভালো" if i % 2 else "খারাপ") for i, text in enumerate(texts)]
    path = tmp_path / name
    if name == "a.jsonl":
        path.write_text(
            "".join(
                json.dumps({"পাঠ": t, "label": c}, ensure_ascii=i % 2 == 0) + "\n"
                for i, (t, c) in enumerate(rows)
            )
        )
    else:
        path.write_bytes(written(rows, "\t" if name == "a.tsv" else ",", header=("পাঠ", "label")))
    corpus = read_corpus(path)
    assert corpus.texts.to_pylist() == texts
    assert corpus.classes == ("খারাপ", "ভালো")


@pytest.mark.parametrize("order", [("text", "label"), ("label", "text")])
@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.txt", "a"])
def test_tab_separated_without_header(tmp_path, order, name):
    rows = [{"text": f"some text, number {i}", "label": str(i % 3)} for i in range(30)]
    path = tmp_path / name
    path.write_bytes(written([[row[c] for c in order] for row in rows], "\t"))
    corpus = read_corpus(path, ReadOptions(header=False))
    assert corpus.texts.to_pylist() == [row["text"] for row in rows]
    assert labels_of(corpus) == [row["label"] for row in rows]
    by_place = read_corpus(
        path, ReadOptions(header=False, text=str(order.index("text")), label=f"column{order.index('label')}")
    )
    assert by_place.texts.equals(corpus.texts)
    assert (by_place.labels == corpus.labels).all()


def test_a_missing_no_header_is_noticed(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(written([(f"a longer text {i}", "xy"[i % 2]) for i in range(10)], "\t"))
    for read in (read_corpus, read_texts):  # who wants no labels would lose a text
        with pytest.raises(DataError, match=r"the first line looks like data.*use --no-header"):
            read(path)


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n", "\r"])
def test_delimiters_and_line_ends(tmp_path, delimiter, end):
    rows = [(f"one, two; three | four\tfive {i}", "xy"[i % 2], str(i)) for i in range(10)]
    path = tmp_path / "a.csv"
    path.write_bytes(written(rows, delimiter, end, ("text", "label", "id")))
    corpus = read_corpus(path)
    assert corpus.texts.to_pylist() == [row[0] for row in rows]
    assert labels_of(corpus) == [row[1] for row in rows]


def test_mixed_line_ends_inside_quotes_are_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'text,label\r\n"a\nb",x\r\n"c\r\nd",y\n"e\rf",x\r\n,y\n')
    assert read_corpus(path).texts.to_pylist() == ["a\nb", "c\r\nd", "e\rf", ""]


def test_quotes_in_a_tab_separated_file_are_text_where_nothing_else_fits(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"Great" film\tx\n5" disk\ty\n"open\tx\nplain\ty\n')
    corpus = read_corpus(path)
    assert corpus.texts.to_pylist() == ['"Great" film', '5" disk', '"open', "plain"]
    assert any("quotes are ordinary" in note for note in corpus.source.notes)
    path.write_text('text\tlabel\n"Great" film\tx\n"open\ty\nplain\tx\none\ttoo\tmany\nplain\ty\n')
    corpus = read_corpus(path, ReadOptions(max_rejects=1))
    assert corpus.texts.to_pylist() == ['"Great" film', '"open', "plain", "plain"]
    path.write_text('text\tlabel\n"a ""b"" c"\tx\n"two\nlines"\ty\nplain\tx\nplain\ty\n')
    assert read_corpus(path).texts.to_pylist() == ['a "b" c', "two\nlines", "plain", "plain"]


def test_numeric_labels_and_categories_in_parquet(tmp_path):
    for labels in (
        pa.array([0, 1, 0, 1], pa.int8()),
        pa.array([True, False] * 2),
        pa.array(["a", "b"] * 2).dictionary_encode(),
    ):
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"id": [1, 2, 3, 4], "words": ["some text here"] * 4, "label": labels}), path)
        corpus = read_corpus(path)
        assert len(corpus.classes) == 2
        assert corpus.texts[0].as_py() == "some text here"


def test_columns_called_row_and_line_are_ordinary(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(
        written([("first text", "x", 9), ("second text", "y", 8)] * 2, header=("row", "line", "text_id"))
    )
    corpus = read_corpus(path, ReadOptions(text="row", label="line"))
    assert corpus.texts.to_pylist() == ["first text", "second text"] * 2
    assert corpus.rows.tolist() == [0, 1, 2, 3]


# ---- which column is which -------------------------------------------------------------------


def columns_used(tmp_path, header, rows, **options):
    path = tmp_path / "a.csv"
    path.write_bytes(written(rows, header=header))
    return read_corpus(path, ReadOptions(**options)).source.notes[0]


@pytest.mark.parametrize(
    ("header", "text", "label"),
    [
        (("id", "text", "label"), "text", "label"),
        (("label", "Review", "title"), "Review", "label"),
        (("x", "SENTENCE", "Category"), "SENTENCE", "Category"),
        (("a", "b", "c"), "b", "c"),
        (("", "b", "stars"), "b", "stars"),
    ],
)
def test_columns_are_found(tmp_path, header, text, label):
    values = {0: str, 1: lambda i: f"this is the long text of row {i}", 2: lambda i: "pn"[i % 2]}
    order = (2, 1, 0) if label == header[0] else (0, 1, 2)
    rows = [[values[k](i) for k in order] for i in range(20)]
    assert columns_used(tmp_path, header, rows) == f"columns: text {text!r}, label {label!r}"


def test_two_texts_are_ambiguous(tmp_path):
    rows = [(f"a first sentence {i}", f"a second sentence {i}", "xy"[i % 2]) for i in range(10)]
    with pytest.raises(DataError, match=r"several columns could be the text: .*; say which: --text COLUMN"):
        columns_used(tmp_path, ("left", "right", "label"), rows)
    assert "text 'right'" in columns_used(tmp_path, ("left", "right", "label"), rows, text="right")
    assert "text 'text'" in columns_used(tmp_path, ("sentence", "text", "label"), rows)


def test_two_labels_are_ambiguous(tmp_path):
    rows = [(f"a sentence {i}", "en" if i % 2 else "de", "xyz"[i % 3]) for i in range(12)]
    with pytest.raises(
        DataError, match=r"several columns could be the label: lang, kind; say which: --label"
    ):
        columns_used(tmp_path, ("text", "lang", "kind"), rows)
    assert "label 'kind'" in columns_used(tmp_path, ("text", "lang", "kind"), rows, label="kind")


def test_no_label_in_sight(tmp_path):
    rows = [(f"a sentence {i}", i) for i in range(12)]
    with pytest.raises(DataError, match=r"no column is plainly the label \(number is all there is\)"):
        columns_used(tmp_path, ("text", "number"), rows)


def test_a_misspelt_column_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(
        DataError, match=r"no column is called 'lable'; did you mean 'label'\? --label takes one of"
    ):
        columns_used(tmp_path, ("text", "label"), [("a", "x")], label="lable")


def test_one_column_cannot_be_both(tmp_path):
    with pytest.raises(DataError, match="one column cannot be both"):
        columns_used(tmp_path, ("text", "label"), [("a", "x")], text="label", label="label")


# ---- splits ----------------------------------------------------------------------------------


def test_split_column_by_name_and_by_flag(tmp_path):
    parts = ["train", "Training", "dev", "validation", "VALID", "val", "test", "testing"]
    rows = [(f"text {i}", "xy"[i % 2], part) for i, part in enumerate(parts)]
    path = tmp_path / "a.csv"
    path.write_bytes(written(rows, header=("text", "label", "split")))
    assert read_corpus(path).split.tolist() == ["train"] * 2 + ["val"] * 4 + ["test"] * 2
    path.write_bytes(written(rows, header=("text", "label", "part")))
    assert read_corpus(path, ReadOptions(label="label")).split is None
    assert (
        read_corpus(path, ReadOptions(split_column="part")).split.tolist()
        == ["train"] * 2 + ["val"] * 4 + ["test"] * 2
    )


def test_strange_splits_are_listed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(written([("a", "x", "fold1"), ("b", "y", "")] * 2, header=("text", "label", "split")))
    with pytest.raises(
        DataError, match=r"the split column 'split' holds '', 'fold1'; its values must be among train,"
    ):
        read_corpus(path)


# ---- folders ---------------------------------------------------------------------------------


def folder_of(tmp_path, files):
    for place, content in files.items():
        path = tmp_path / "data" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path / "data"


def test_folder_of_class_folders(tmp_path):
    files = {
        "neg/2.txt": "dull",
        "neg/1.txt": "flat\n",
        "pos/1.txt": "warm",
        "pos/2.txt": "",
        "pos/notes.md": "no",
        "readme.txt": "no",
    }
    corpus = read_corpus(folder_of(tmp_path, files))
    assert corpus.texts.to_pylist() == ["flat\n", "dull", "warm", ""]
    assert labels_of(corpus) == ["neg", "neg", "pos", "pos"]
    assert corpus.split is None
    check_unchanged(corpus.source)
    (tmp_path / "data/pos/1.txt").write_text("cold")
    with pytest.raises(DataError, match="the input has changed"):
        check_unchanged(corpus.source)


def test_folder_with_parts(tmp_path):
    files = {
        f"{part}/{name}/{i}.txt": f"{part} {name} {i}"
        for part in ("train", "dev", "test")
        for name in ("neg", "pos")
        for i in (1, 2)
    }
    corpus = read_corpus(
        folder_of(
            tmp_path, files | {"train/unsup/1.txt": "unlabelled", "train/urls.txt": "x", "extra/a/1.txt": "x"}
        )
    )
    assert len(corpus) == 12
    assert corpus.classes == ("neg", "pos")
    for text, label, part in zip(corpus.texts.to_pylist(), labels_of(corpus), corpus.split, strict=True):
        assert text.startswith({"val": "dev"}.get(part, part) + " " + label)
    assert any("unsup holds no class" in note for note in corpus.source.notes)


def test_folder_with_an_unreadable_file(tmp_path):
    folder = folder_of(
        tmp_path, {"a/1.txt": "x", "a/2.txt": b"\xff", "a/3.txt": "x", "b/1.txt": "y", "b/2.txt": "y"}
    )
    with pytest.raises(DataError, match=r"1 row cannot be used: a/2.txt: not valid UTF-8"):
        read_corpus(folder)
    assert read_corpus(folder, ReadOptions(max_rejects=1)).rows.tolist() == [0, 2, 3, 4]


def test_folder_links_are_not_followed(tmp_path):
    folder = folder_of(tmp_path, {"a/1.txt": "x", "a/2.txt": "x", "b/1.txt": "y", "b/2.txt": "y"})
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "a" / "3.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "c").symlink_to(folder / "a")
    assert "secret" not in read_corpus(folder).texts.to_pylist()
    assert read_corpus(folder).classes == ("a", "b")


def test_folder_of_something_else(tmp_path):
    with pytest.raises(DataError, match=r"no class folders with .txt files were found"):
        read_corpus(folder_of(tmp_path, {"README.md": "what this is"}))


# ---- texts without labels --------------------------------------------------------------------


def test_read_texts_of_every_kind(tmp_path):
    texts = ["one text, with a comma", "another text", "", "a third"]
    (tmp_path / "a.csv").write_bytes(written([(t, i) for i, t in enumerate(texts)], header=("text", "n")))
    (tmp_path / "one.csv").write_bytes(b"body\n" + b"".join(f"{t}\n".encode() for t in texts))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    for name in ("a.csv", "one.csv", "a.jsonl", "a.parquet"):
        found, source = read_texts(tmp_path / name)
        assert found.type == pa.large_string()
        assert found.to_pylist() == texts, name
        check_unchanged(source)
    (tmp_path / "a.txt").write_text("\n".join(texts))
    assert read_texts(tmp_path / "a.txt")[0].to_pylist() == [text for text in texts if text]


def test_stream_is_in_order_and_in_batches(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(written([(f"text {i}", "x") for i in range(10_000)], header=("text", "label")))
    batches = list(stream_texts(path, batch_rows=999))
    assert max(batch.num_rows for batch in batches) == 999
    assert batches[0].schema == pa.schema([("row", pa.int64()), ("text", pa.large_string())])
    table = pa.Table.from_batches(batches)
    assert table["row"].to_pylist() == list(range(10_000))
    assert table["text"].to_pylist() == [f"text {i}" for i in range(10_000)]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_stream_of_a_large_file_takes_little_memory(tmp_path, name):
    """64 MB of text pass through without more than a fraction of it being held at once."""
    import gzip

    rng = np.random.default_rng(0)
    n, text = 16_000, " ".join(f"word{i}" for i in rng.integers(10**9, size=280))
    path = tmp_path / name
    if name == "a.parquet":
        pq.write_table(pa.table({"text": [f"{i} {text}" for i in range(n)]}), path, row_group_size=1000)
    else:
        with gzip.open(path, "wt", 1) if name.endswith("gz") else path.open("w") as out:
            out.write("" if name == "a.jsonl" else "text\n")
            for i in range(n):
                out.write(f'{{"text": "{i} {text}"}}\n' if name == "a.jsonl" else f"{i} {text}\n")
    tracemalloc.start()
    arrow_before, peak, rows = pa.total_allocated_bytes(), 0, 0
    for batch in stream_texts(path, batch_rows=256):
        rows += batch.num_rows
        peak = max(peak, pa.total_allocated_bytes() - arrow_before)
    python_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == n
    assert python_peak + peak < 40_000_000


# ---- columns that hold no texts -----------------------------------------------------------------


def test_bytes_of_utf_8_in_parquet_are_text(tmp_path):
    texts, labels = ["süß", "bitter"] * 2, ["a", "b"] * 2
    for kind in (pa.binary(), pa.large_binary()):
        table = pa.table({"text": pa.array([t.encode() for t in texts], kind), "label": labels})
        pq.write_table(table, tmp_path / "t.parquet")
        assert read_corpus(tmp_path / "t.parquet").texts.to_pylist() == texts
    pq.write_table(pa.table({"text": [b"ok", b"\xff"], "label": ["a", "b"]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"row 1: text is not valid UTF-8"):
        read_texts(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("column", "kind"), [([{"en": "x"}] * 2, "struct<en: string>"), ([["x"]] * 2, "list<")]
)
def test_a_column_that_is_no_text_is_never_replaced(tmp_path, column, kind):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": column, "title": ["a b", "c"], "label": ["a", "b"]}), path)
    for read in (read_corpus, read_texts):
        with pytest.raises(DataError) as caught:
            read(path)
        assert f"the column 'text' is {kind}" in str(caught.value)
        assert "not text; name another: --text COLUMN" in str(caught.value)
    assert read_texts(path, TextOptions(text="title"))[0].to_pylist() == ["a b", "c"]
    pq.write_table(pa.table({"text": ["a b", "c"], "label": column}), path)
    with pytest.raises(DataError, match="the column 'label' is"):
        read_corpus(path)
    assert read_texts(path)[0].to_pylist() == ["a b", "c"]
