"""Which column is read: by name, by what it holds, or as a model has learnt; never another instead."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import ENGLISH, opinions, write_csv

from sopan import usecases
from sopan.errors import DataError
from sopan.fit.saved import text_column
from sopan.options.data import ReadOptions, TextOptions
from sopan.text.read import read_corpus, read_texts

TEXTS = [f"text number {i} says something" for i in range(6)]
LABELS = list("xyxyxy")


def parquet(folder, name="a.parquet", **columns):
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def refusal(path, read=read_corpus, **options):
    kind = ReadOptions if read is read_corpus else TextOptions
    with pytest.raises(DataError) as caught:
        read(path, kind(**options))
    return str(caught.value)


@pytest.mark.parametrize(
    "kind",
    [pa.binary(), pa.large_binary(), pa.binary_view(), pa.dictionary(pa.int8(), pa.binary()), pa.binary(31)],
    ids=str,
)
def test_bytes_of_utf_8_are_text(tmp_path, kind):
    texts = [f"সংখ্যা {i} good film"[:19].ljust(19, "!") for i in range(6)]
    raw = [text.encode()[:31] for text in texts]
    whole = [text.decode() for text in raw] if kind == pa.binary(31) else texts
    held = pa.array(raw if kind == pa.binary(31) else [text.encode() for text in texts], pa.binary())
    held = held.dictionary_encode() if pa.types.is_dictionary(kind) else held.cast(kind)
    path = parquet(tmp_path, text=held, label=[label.encode() for label in LABELS], other=["a b c d"] * 6)
    assert read_corpus(path).texts.to_pylist() == whole
    assert read_corpus(path).classes == ("x", "y")
    assert read_texts(path)[0].to_pylist() == whole


def test_bytes_that_are_no_text_are_no_column_of_texts(tmp_path):
    pictures = [bytes([0xFF, 0xD8, i] * 100) for i in range(6)]
    path = parquet(tmp_path, image=pictures, caption=TEXTS, label=LABELS)
    assert read_corpus(path).texts.to_pylist() == TEXTS
    assert "the column 'image' is binary that is not UTF-8, not text" in refusal(path, text="image")
    one = [*[text.encode() for text in TEXTS[:5]], b"br\xffken"]
    assert "1 row cannot be used: row 5: text is not valid UTF-8" in refusal(
        parquet(tmp_path, text=one, label=LABELS)
    )


NESTED = {
    "struct<en: string, bn: string>": [{"en": text, "bn": "পাঠ"} for text in TEXTS],
    "list<": [[text] for text in TEXTS],
    "timestamp[": np.array(["2020-01-01"] * 6, "datetime64[ms]"),
}


@pytest.mark.parametrize("what", NESTED)
def test_an_unusable_column_is_never_replaced_by_another(tmp_path, what):
    longer = [text * 3 for text in TEXTS]
    path = parquet(tmp_path, text=pa.array(NESTED[what]), title=longer, label=LABELS)
    for read in (read_corpus, read_texts):
        for options in ({}, {"text": "text"}):
            assert f"{path}: the column 'text' is {what}" in refusal(path, read, **options)
        assert read(path, ReadOptions(text="title"))
    path = parquet(tmp_path, words=longer, label=pa.array(NESTED[what]), kind=LABELS)
    for options in ({}, {"label": "label"}):
        assert f"{path}: the column 'label' is {what}" in refusal(path, **options)
    assert read_corpus(path, ReadOptions(label="kind")).classes == ("x", "y")


def test_where_no_name_speaks_the_text_may_be_in_the_nested_column(tmp_path):
    path = parquet(
        tmp_path,
        payload=pa.array(NESTED["struct<en: string, bn: string>"]),
        uuid=[f"{i:032x}" for i in range(6)],
    )
    assert "the column 'payload' is struct<en: string, bn: string>, not text" in refusal(path, read_texts)
    assert len(read_texts(path, TextOptions(text="uuid"))[0]) == 6


# ---- the evident column --------------------------------------------------------------------------


def test_of_several_that_could_be_the_label_the_evident_one_is_taken_and_said(tmp_path):
    """The columns of a well-known table of tweets about airlines."""
    header = ("tweet_id", "airline_sentiment", "airline_sentiment_confidence", "negativereason")
    header += ("airline", "airline_sentiment_gold", "retweet_count", "text")
    rows = [
        (
            i,
            said,
            "1.0",
            "late" if i % 3 else "",
            f"air{i % 2}",
            said * (i == 1),
            i % 2,
            f"@air{i % 2} what a flight, {i}",
        )
        for i, said in enumerate(["positive", "negative", "negative"] * 20)
    ]
    corpus = read_corpus(write_csv(tmp_path / "tweets.csv", rows, header))
    assert corpus.classes == ("negative", "positive")
    assert corpus.texts[0].as_py().startswith("@air0 what a flight")
    (said,) = [note for note in corpus.source.notes if "was taken" in note]
    assert said.startswith("'airline_sentiment' was taken for the label, as its name says, not ")
    assert "airline" in said


@pytest.mark.parametrize(
    "name", ["Review Sentiment", "reviewSentiment", "review_sentiment", "SENTIMENT_CLASS"]
)
def test_the_words_of_a_name(tmp_path, name):
    rows = [(f"a text of some length, number {i}", "pn"[i % 2], "ab"[i % 3 // 2]) for i in range(20)]
    corpus = read_corpus(write_csv(tmp_path / "a.csv", rows, ("words", name, "group")))
    assert corpus.classes == ("n", "p")


def test_several_that_are_alike_are_still_asked_about(tmp_path):
    rows = [(f"a text of some length, number {i}", "pn"[i % 2], "ab"[i % 3 // 2]) for i in range(20)]
    path = write_csv(tmp_path / "a.csv", rows, ("words", "group", "colour"))
    assert "several columns could be the label: group, colour; say which: --label COLUMN" in refusal(path)
    path = write_csv(tmp_path / "a.csv", rows, ("words", "user_label", "our_label"))
    assert "several columns could be the label: user_label, our_label" in refusal(path)


# ---- headers and rejected rows -------------------------------------------------------------------


@pytest.mark.parametrize("texts", [("you are an idiot", "have a nice day"), ("boo", "hey")])
@pytest.mark.parametrize("header", [("message", "toxic"), ("tweet_text", "toxic"), ("Review Text", "fine")])
def test_a_column_may_be_called_as_one_of_its_values(tmp_path, header, texts):
    rows = [(f"{texts[i % 2]} {i}", ("toxic", "fine")[i % 2]) for i in range(10)]
    corpus = read_corpus(write_csv(tmp_path / "a.csv", rows, header))
    assert len(corpus) == 10
    assert corpus.classes == ("fine", "toxic")


@pytest.mark.parametrize("first", [("you are an idiot 10", "toxic"), ("boo to you, 11", "fine")])
def test_a_first_line_of_data_is_still_noticed(tmp_path, first):
    rows = [first, *((f"you are an idiot {i}", ("toxic", "fine")[i % 2]) for i in range(10))]
    path = write_csv(tmp_path / "a.csv", rows, None)
    if len(first[0]) < len(rows[1][0]):
        rows[1] = ("boo", "fine")
        write_csv(path, rows, None)
    assert "the first line looks like data, not like column names" in refusal(path)


@pytest.mark.parametrize(
    ("rows", "label", "hint"),
    [
        (
            ["text,label,note", *["a,b,c,d"] * 9],
            None,
            "see whether its delimiter stands in texts without quotes",
        ),
        (
            ["text,label", *["some words,"] * 9],
            "label",
            "name the columns if others are meant: --text COLUMN",
        ),
        (["text,label", *["some words,"] * 9, "a,x", "b,y"], "label", "name the columns if others are meant"),
    ],
)
def test_to_go_on_without_most_rows_is_not_offered(tmp_path, rows, label, hint):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    said = refusal(path, text="text", label=label)
    assert "9 rows" in said
    assert hint in said
    assert "--max-rejects" not in said


def test_a_file_of_json_lists_is_told_what_to_do(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": [t], "label": "x"}) + "\n" for t in TEXTS), encoding="utf-8")
    said = refusal(path, text="text", label="label")
    assert said == f"{path}: the column 'text' is a list, not text; name another: --text COLUMN"


# ---- what a model has learnt from ----------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    rows = opinions({"good": 30, "bad": 30}, {name: ENGLISH[name] for name in ("good", "bad")})
    data = write_csv(folder / "a.csv", rows, ("blurb", "label"))
    usecases.train("bow", data, folder / "model", text="blurb", budget="1trials")
    return folder / "model"


def test_the_column_is_kept_with_the_model(model, tmp_path):
    assert text_column(model) == "blurb"
    assert json.loads((model / "config.json").read_text())["data"]["text_column"] == "blurb"
    assert text_column(tmp_path) is None


def test_the_column_that_was_trained_on_is_read(model, tmp_path):
    good, bad = "warm funny lovely", "dull clumsy tedious"
    titles = [f"{bad} and a much, much longer title of text {i}" for i in range(4)]
    path = parquet(tmp_path, text=titles, blurb=[good] * 4, label=["good"] * 4)
    usecases.predict(model, file=path, out=tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["predicted"].to_pylist() == ["good"] * 4
    assert usecases.evaluate(model, path).accuracy == 1
    usecases.predict(model, file=path, out=tmp_path / "out.parquet", text="text")
    assert pq.read_table(tmp_path / "out.parquet")["predicted"].to_pylist() == ["bad"] * 4
    path = parquet(tmp_path, "b.parquet", text=titles)  # where it is missing, as ever
    usecases.predict(model, file=path, out=tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["predicted"].to_pylist() == ["bad"] * 4
    path = parquet(tmp_path, "c.parquet", text=titles, blurb=[[good]] * 4)
    with pytest.raises(DataError, match=r"the column 'blurb' is list<.*>, not text"):
        usecases.predict(model, file=path, out=tmp_path / "never.parquet")
    assert not (tmp_path / "never.parquet").exists()
