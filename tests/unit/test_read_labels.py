"""FAULTS.md, "Text and labels": the rows that reading must answer, each with its test."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sopan.errors import DataError
from sopan.options.data import ReadOptions, TextOptions
from sopan.text.display import printable
from sopan.text.read import read_corpus, read_texts, stream_texts


def table(folder, rows, name="a.csv"):
    path = folder / name
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return path


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        read_corpus(path, ReadOptions(**options))
    return str(caught.value)


def test_lone_surrogates_are_row_errors(tmp_path):
    path = tmp_path / "a.jsonl"
    good = '{"text": "fine \\ud83d\\ude00", "label": "x"}\n{"text": "fine", "label": "y"}\n'
    path.write_text(good * 2 + '{"text": "half \\ud83d", "label": "x"}\n', encoding="utf-8")
    assert f"{path}:5: 1 row cannot be used: line 5: text holds a lone surrogate" in refusal(path)
    corpus = read_corpus(path, ReadOptions(max_rejects=1))
    assert corpus.texts[0].as_py() == "fine 😀"
    assert len(corpus) == 4


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_invalid_utf_8_rows_are_counted(tmp_path, name):
    path = tmp_path / name
    lines = [f"{i} word,{'xy'[i % 2]}" for i in range(8)]
    if name == "a.jsonl":
        lines = [json.dumps(dict(zip(("text", "label"), line.split(","), strict=True))) for line in lines]
    content = ("text,label\n" if name == "a.csv" else "") + "\n".join(lines) + "\n"
    path.write_bytes(content.encode().replace(b"2 word", b"2 w\xf6rd").replace(b"4 word", b"4 \xff"))
    first = 4 if name == "a.csv" else 3
    message = refusal(path)
    assert f"{path}:{first}: 2 rows cannot be used: line {first}: not valid UTF-8" in message
    assert f"line {first + 2}: not valid UTF-8" in message
    corpus = read_corpus(path, ReadOptions(max_rejects=2))
    assert corpus.rows.tolist() == [0, 1, 3, 5, 6, 7]
    assert [reject.line for reject in corpus.rejects] == [first, first + 2]


def test_invalid_utf_8_in_parquet(tmp_path):
    texts = pa.array([b"fine", b"br\xffken", b"fine", b"fine"], pa.binary())
    broken = pa.StringArray.from_buffers(4, *texts.buffers()[1:])
    pq.write_table(pa.table({"text": broken, "label": ["x", "y", "y", "x"]}), tmp_path / "a.parquet")
    assert "row 1: text is not valid UTF-8" in refusal(tmp_path / "a.parquet", label="label")
    stream = stream_texts(tmp_path / "a.parquet", TextOptions(max_rejects=1))
    assert [batch.column("row").to_pylist() for batch in stream] == [[0, 2, 3]]
    assert len(stream.rejects) == 1


def test_nul_is_kept_in_training_and_in_predicting(tmp_path):
    texts = ["a\x00b", "\x00", "plain", "c\x00"]
    csv = table(tmp_path, [(text, "xy"[i % 2]) for i, text in enumerate(texts)])
    jsonl = tmp_path / "a.jsonl"
    jsonl.write_text(
        "".join(json.dumps({"text": t, "label": "xy"[i % 2]}) + "\n" for i, t in enumerate(texts))
    )
    parquet = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": texts, "label": ["x", "y", "x", "y"]}), parquet)
    for path in (csv, jsonl, parquet):
        assert read_corpus(path).texts.to_pylist() == texts
        assert read_texts(path)[0].to_pylist() == texts
        assert [t for batch in stream_texts(path) for t in batch.column("text").to_pylist()] == texts


def test_empty_and_blank_texts_are_kept(tmp_path):
    texts = ["", "  ", "word", "\u200b", '""', "word"]
    path = table(tmp_path, [(text, "xy"[i % 2]) for i, text in enumerate(texts)])
    assert read_corpus(path).texts.to_pylist() == ["", "  ", "word", "\u200b", "", "word"]


def test_missing_text_is_not_an_empty_text(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "", "label": "x"}\n{"text": null, "label": "y"}\n{"label": "y"}\n')
    assert "2 rows cannot be used: line 2: no text; line 3: no text" in refusal(path)


def test_texts_that_are_no_texts(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text": ["a"], "label": "x"}\n{"text": {"b": 1}, "label": "y"}\n'
        'nonsense\n[1]\n{"text": NaN}\n{"text": "a"}\n'
    )
    message = refusal(path, text="text", label="label")
    assert "6 rows cannot be used: line 1: text is a list, not a text" in message
    for reason in (
        "line 2: text is an object",
        "line 3: not valid JSON",
        "line 4: not a JSON object",
        "line 5: NaN",
    ):
        assert reason in message


def test_null_labels_are_listed(tmp_path):
    rows = [("one", "x"), ("two", ""), ('"three\nlines"', "y"), ("four", "  "), ("five", "x"), ("six", "y")]
    path = table(tmp_path, rows)
    assert f"{path}:3: 2 rows cannot be used: line 3: no label (two); line 6: no label (four)" in refusal(
        path
    )
    corpus = read_corpus(path, ReadOptions(max_rejects=2))
    assert corpus.rows.tolist() == [0, 2, 4, 5]
    assert corpus.classes == ("x", "y")
    parquet = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": list("abcd"), "label": ["x", None, "x", "y"]}), parquet)
    assert "1 row cannot be used: row 1: no label (b)" in refusal(parquet)


def test_many_rejects_are_counted_and_a_few_shown(tmp_path):
    path = table(tmp_path, [("text", ""), ("text", "x")] * 50)
    message = refusal(path)
    assert "50 rows cannot be used" in message
    assert "and 45 more" in message
    assert message.endswith("--max-rejects 50")


@pytest.mark.parametrize(
    ("spellings", "said"),
    [
        (["a", "a "], "'a' and 'a '"),
        (["1", "1.0"], "'1' and '1.0'"),
        (["1", "01", "1e0"], "'01' and '1' and '1e0'"),
        (["new york", "new  york"], "'new  york' and 'new york'"),
        (["caf\u00e9", "cafe\u0301"], "'cafe\u0301' and 'caf\u00e9'"),
    ],
)
def test_labels_that_differ_only_in_spelling(tmp_path, spellings, said):
    path = table(tmp_path, [("text", label) for label in [*spellings, "other"] * 2])
    assert f"labels that differ only in spelling: {said}; write each class in one way" in refusal(path)


def test_labels_that_differ_are_left_alone(tmp_path):
    labels = ["1", "2", "1.5", "A", "a", "n/a", "é", "e"]
    path = table(tmp_path, [("text", label) for label in labels * 2])
    assert read_corpus(path).classes == tuple(sorted(labels))


def test_one_class(tmp_path):
    assert "every text has the same label, 'x'" in refusal(table(tmp_path, [("one", "x"), ("two", "x")]))


def test_class_with_one_example(tmp_path):
    path = table(tmp_path, [("a", "x"), ("b", "x"), ("c", "rare"), ("d", "y"), ("e", "y")])
    assert "the class 'rare' has a single example: it could be learned or tested, not both" in refusal(path)
    path = table(tmp_path, [(f"t{i}", f"class {i}") for i in range(20)] + [("a", "z"), ("b", "z")])
    assert "classes with a single example each: 'class 0', 'class 1'" in refusal(path, label="label")
    assert "and 12 more" in refusal(path, label="label")


def test_display_escapes_what_would_mislead():
    assert printable("safe\u202etxt.exe") == "safe⟨U+202E⟩txt.exe"
    assert printable("zero\u200bwidth\x07") == "zero⟨U+200B⟩width⟨U+0007⟩"
    assert printable("two\nlines") == "two lines"
    assert printable("x" * 100) == "x" * 60 + "…"
    assert printable("আমি বাংলায় গান গাই") == "আমি বাংলায় গান গাই"


def test_labels_index_the_classes(tmp_path):
    corpus = read_corpus(table(tmp_path, [("a", "zebra"), ("b", "ant"), ("c", "zebra"), ("d", "ant")]))
    assert corpus.classes == ("ant", "zebra")
    assert corpus.labels.dtype == np.int32
    assert corpus.labels.tolist() == [1, 0, 1, 0]
