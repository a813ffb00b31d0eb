"""Texts and tables in memory, of every library that has them: a column of texts is read, all else named."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import ENGLISH, opinions

from sopan import usecases
from sopan.errors import DataError
from sopan.options.data import ReadOptions, TextOptions
from sopan.steps.bow import BagOfWords
from sopan.steps.training_data import check_labels
from sopan.text.arrow import as_labels, as_texts
from sopan.text.read import read_corpus, read_texts, stream_texts

TEXTS = ["a good film", "", "भालो film", "bad"]
VIEW = pa.array(TEXTS, pa.string_view())
COLUMNS = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "iterator": iter(TEXTS),
    "object array": np.array(TEXTS, object),
    "array of strings": np.array(TEXTS),
    "NumPy's own strings": np.array(TEXTS, np.dtypes.StringDType()),
    "pandas Series": pd.Series(TEXTS, index=[7, 7, 1, 0]),
    "pandas Series of objects": pd.Series(TEXTS, dtype=object),
    "pandas Series of Arrow's": pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.string())),
    "pandas categorical": pd.Series(TEXTS, dtype="category"),
    "pandas Index": pd.Index(TEXTS),
    "polars Series": pl.Series(TEXTS),
    "polars categorical": pl.Series(TEXTS, dtype=pl.Categorical),
    "Arrow array": pa.array(TEXTS),
    "chunked array": pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    "no chunks": pa.chunked_array([pa.array(TEXTS, pa.large_string())]),
    "string view": VIEW,
    "dictionary": pa.array(TEXTS).dictionary_encode(),
    "chunked dictionary": pa.chunked_array([TEXTS[:2], TEXTS[2:]]).dictionary_encode(),
    "dictionary of views": pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3], pa.uint32()), VIEW),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_kind_of_column_gives_the_same_texts(kind):
    found = as_texts(COLUMNS[kind])
    assert found.type == pa.large_string()
    assert found.to_pylist() == TEXTS


def test_no_texts_are_no_texts():
    for nothing in (
        [],
        np.array([]),
        pa.array([]),
        pd.Series([], dtype=float),
        pa.chunked_array([], "string"),
    ):
        assert as_texts(nothing).to_pylist() == []


FRAME = {"text": TEXTS, "label": list("abab")}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            pd.DataFrame({"text": TEXTS}),
            r"a pandas DataFrame of shape (4, 1) was given.*give one column: df['text']",
        ),
        (pd.DataFrame(FRAME), r"shape (4, 2).*df['text']"),
        (pd.DataFrame({"words": TEXTS, "label": 1}), r"df['words']"),
        (pl.DataFrame(FRAME), r"a polars DataFrame of shape (4, 2).*df['text']"),
        (pa.table(FRAME), r"a pyarrow Table of shape (4, 2).*df['text']"),
        (pa.RecordBatch.from_pydict(FRAME), r"a pyarrow RecordBatch of shape (4, 2).*df['text']"),
        (np.array([TEXTS]), r"a numpy ndarray of shape (1, 4).*X[:, 0]"),
        (np.array("one"), r"a numpy ndarray of shape ()"),
        (FRAME, r"a dict was given.*d['text']"),
        (set(TEXTS), r"a set was given where a list of texts is needed; a set has no order"),
        (b"bytes", r"a bytes was given where a list of texts is needed; decode it"),
        ("words", r"one string was given where a list of texts is needed; wrap it: [text]"),
        (5, r"an int was given where a list of texts is needed"),
        (None, r"a NoneType was given"),
        (pl.DataFrame(FRAME).lazy(), r"a polars LazyFrame was given"),
        ((n for n in (1, 2)), r"row 0: a text must be a string, not int"),
        (["a", b"b"], r"row 1: a text must be a string, not bytes"),
        ([["a"], ["b"]], r"row 0: a text must be a string, not list"),
        (pa.array([1, 2]), r"row 0: a text must be a string, not int64"),
        (pa.array([["a"]]), r"row 0: a text must be a string, not list"),
        (pd.Series([1.5, 2.0]), r"row 0: a text must be a string, not float"),
        (["a", "b", None], r"row 2: a text is missing"),
        (["a", float("nan")], r"row 1: a text is missing"),
        (pd.Series(["a", pd.NA], dtype="string"), r"row 1: a text is missing"),
        (pd.Series(["a", None], index=[5, 6]), r"row 1: a text is missing"),
        (np.ma.array(["a", "b"], mask=[False, True]), r"row 1: a text is missing"),
        (pl.Series(["a", None]), r"row 1: a text is missing"),
        (pa.array([None, "a"]), r"row 0: a text is missing"),
        (pa.chunked_array([["a"], [None]]), r"row 1: a text is missing"),
        (["fine", "half \ud83d"], r"a text holds a lone surrogate"),
    ],
)
def test_what_is_no_column_of_texts_is_refused(given, said):
    with pytest.raises(DataError) as caught:
        as_texts(given)
    before, _, after = said.partition(".*")
    assert before in str(caught.value)
    assert after in str(caught.value)


LABELS = ["x", "y", "x", "y"]


@pytest.mark.parametrize(
    "given",
    [
        LABELS,
        tuple(LABELS),
        np.array(LABELS),
        pd.Series(LABELS),
        pd.Series(LABELS, dtype="category"),
        pd.Series(LABELS, dtype="string"),
        pl.Series(LABELS),
        pl.Series(LABELS, dtype=pl.Categorical),
        pa.array(LABELS),
        pa.array(LABELS).dictionary_encode(),
        pa.chunked_array([LABELS[:1], LABELS[1:]]),
    ],
)
def test_labels_of_every_kind(given):
    classes, index = check_labels(4, given)
    assert classes.tolist() == ["x", "y"]
    assert index.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "given",
    [
        ["x", "y", None],
        ["x", "y", float("nan")],  # NumPy alone makes of it the label 'nan'
        np.array([0, 1, np.nan]),
        pd.Series(["x", "y", None]),
        pd.Series(["x", "y", pd.NA], dtype="category"),
        pd.Series([0, 1, pd.NA], dtype="Int64"),
        pl.Series([0, 1, None]),
        pl.Series(["x", "y", None]),
        pa.array(["x", "y", None]),
    ],
)
def test_a_missing_label_is_named_by_its_row(given):
    with pytest.raises(DataError, match="row 2: a label is missing"):
        as_labels(given)


def test_a_step_learns_from_columns_and_answers_for_columns():
    texts, labels = ["good film", "bad film"] * 4, ["pos", "neg"] * 4
    model = BagOfWords().fit(pd.Series(texts), pl.Series(labels))
    answers = model.predict(texts).tolist()
    assert answers == labels
    for given in (pd.Series(texts), pl.Series(texts), pa.chunked_array([texts]), tuple(texts)):
        assert model.predict(given).tolist() == answers
        assert model.predict_proba(given).shape == (8, 2)
    frame = pd.DataFrame({"text": texts})
    for call in (model.predict, model.predict_proba, model.transform, model.predict_texts):
        with pytest.raises(DataError, match=r"shape \(8, 1\).*give one column: df\['text'\]"):
            call(frame)
    with pytest.raises(DataError, match="give one column"):
        BagOfWords().fit(frame, labels)


# ---- tables --------------------------------------------------------------------------------------

ROWS = opinions({"good": 40, "bad": 40, "mixed": 20}, ENGLISH)
TABLE = {
    "id": list(range(len(ROWS))),
    "review": [text for text, _ in ROWS],
    "stars": [3.0 if label == "mixed" else 5.0 for _, label in ROWS],
    "verdict": [label for _, label in ROWS],
}


def the_dataset():
    datasets = pytest.importorskip("datasets")
    held = datasets.Dataset.from_dict({name: [*values, values[0]] for name, values in TABLE.items()})
    return held.select(range(len(ROWS)))


TABLES = {
    "a pandas DataFrame": lambda: pd.DataFrame(TABLE, index=range(100, 0, -1)),
    "a polars DataFrame": lambda: pl.DataFrame(TABLE),
    "a pyarrow Table": lambda: pa.table(TABLE),
    "a pyarrow RecordBatch": lambda: pa.RecordBatch.from_pydict(TABLE),
    "a dict": lambda: TABLE,
    "a list": lambda: pl.DataFrame(TABLE).to_dicts(),
    "a datasets Dataset": the_dataset,
}
CHOSEN = ReadOptions(text="review", label="verdict")


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_in_memory_reads_as_from_a_file(kind, tmp_path):
    table = TABLES[kind]()
    pq.write_table(pa.table(TABLE), tmp_path / "a.parquet")
    ours, theirs = read_corpus(table, CHOSEN), read_corpus(tmp_path / "a.parquet", CHOSEN)
    assert ours.texts.equals(theirs.texts)
    assert (ours.labels == theirs.labels).all()
    assert (ours.rows == theirs.rows).all()
    assert ours.classes == theirs.classes
    assert ours.source.name == f"{kind} of 100 rows"
    assert ours.source.notes[0] == f"read from memory: {kind} of 100 rows"
    assert read_texts(table, TextOptions(text="review"))[0].equals(theirs.texts)
    told, expected = (
        usecases.audit(data, text="review", label="verdict") for data in (table, tmp_path / "a.parquet")
    )
    assert told == expected


def test_the_checksum_is_of_the_contents():
    whole = read_corpus(pl.DataFrame(TABLE), CHOSEN).source
    for same in (
        pa.table(TABLE),
        pd.DataFrame(TABLE),
        pa.concat_tables([pa.table(TABLE).slice(0, 30), pa.table(TABLE).slice(30)]),
    ):
        assert read_corpus(same, CHOSEN).source.sha256 == whole.sha256
    moved = {**TABLE, "review": [*TABLE["review"][1:], TABLE["review"][0]]}
    assert read_corpus(moved, CHOSEN).source.sha256 != whole.sha256
    assert whole.bytes == sum(
        len(str(v).removesuffix(".0").encode()) for column in TABLE.values() for v in column
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.zeros((2, 2)), "not a numpy ndarray; give a file, or a DataFrame"),
        (pd.Series(["a"]), "not a pandas Series"),
        (pl.DataFrame(TABLE).lazy(), "not a polars LazyFrame; collect it first: frame.collect()"),
        ({"a", "b"}, "not a set"),
        ([], "not a list"),
        ({}, "not a dict"),
        ({"text": ["a"], "label": ["x", "y"]}, "the columns differ in length: text 1, label 2"),
        (
            pd.DataFrame({"text": ["a", None, "c"], "label": ["x", "y", "x"]}),
            "1 row cannot be used: row 1: no text",
        ),
        (
            pd.DataFrame({"text": list("abcd"), "label": ["x", np.nan, "x", pd.NA]}),
            "2 rows cannot be used: row 1: no label (b); row 3: no label (d)",
        ),
        (pl.DataFrame({"text": list("ab"), "label": [1.0, float("nan")]}), "row 1: no label (b)"),
        (
            pd.DataFrame({"text": list("ab"), "label": [1, "a"]}),
            "the column 'label' is a mixture of kinds of values, not text",
        ),
        (
            pd.DataFrame({"text": ["a", 1], "label": list("xy")}),
            "the column 'text' is a mixture of kinds of values, not text",
        ),
        (
            pd.DataFrame({"text": [["a"], ["b"]], "label": list("xy"), "title": list("ab")}),
            "the column 'text' is list<",
        ),
        (
            pd.DataFrame({"text": list("ab"), "label": pd.to_datetime([datetime.date(2020, 1, 1)] * 2)}),
            "the column 'label' is timestamp[",
        ),
        (pd.DataFrame({"text": [None, None], "label": list("xy")}), "the column 'text' is empty, not text"),
    ],
)
def test_tables_that_cannot_be_used(data, said):
    with pytest.raises(DataError) as caught:
        read_corpus(data)
    assert said in str(caught.value)


def test_columns_of_any_name_and_of_one_name():
    frame = pd.DataFrame([["a b c d", "x", "x"], ["e f g h", "y", "y"]] * 2, columns=[0, "label", "label"])
    with pytest.raises(DataError, match="several columns are called 'label'"):
        read_corpus(frame, ReadOptions(text="0"))
    assert read_texts(frame)[0].to_pylist() == ["a b c d", "e f g h"] * 2
    corpus = read_corpus(frame.set_axis([0, "label", 2], axis=1), ReadOptions(text="0"))
    assert corpus.classes == ("x", "y")


def test_a_stream_over_a_table():
    batches = list(stream_texts(pl.DataFrame(TABLE), TextOptions(text="review"), batch_rows=60))
    assert [len(batch) for batch in batches] == [60, 40]
    assert batches[1].column("row")[0].as_py() == 60


def test_train_evaluate_and_distil_from_memory(tmp_path):
    def frame(seed: int, **columns: object) -> pl.DataFrame:
        signs = {label: ENGLISH[label] for label in ("good", "bad")}
        rows = opinions(dict.fromkeys(signs, 30), signs, seed=seed)
        return pl.DataFrame({"words": [text for text, _ in rows], "label": [label for _, label in rows]})

    chosen = {"text": "words", "budget": "1trials"}
    trained = usecases.train("bow", frame(0), tmp_path / "model", **chosen)
    config = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["data"]["name"] == "a polars DataFrame of 60 rows"
    assert config["data"]["text_column"] == "words"
    pq.write_table(frame(0).to_arrow(), tmp_path / "a.parquet")
    assert usecases.train("bow", tmp_path / "a.parquet", tmp_path / "other", **chosen) == trained
    more = frame(1)
    measured = usecases.evaluate(tmp_path / "model", more)
    assert measured == usecases.evaluate(tmp_path / "model", more.to_pandas(), text="words", label="label")
    right = usecases.load(tmp_path / "model").predict(more["words"]) == more["label"].to_numpy()
    assert measured.accuracy == right.mean()
    taught = usecases.distill(
        tmp_path / "model", frame(0), tmp_path / "student", unlabelled=more.select("words"), **chosen
    )
    assert 0 <= taught.accuracy <= 1
