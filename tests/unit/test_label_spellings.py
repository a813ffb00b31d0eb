"""One value, one name across formats; spellings of a class are said, merged or kept; what measuring asks."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import ENGLISH, opinions, write_csv

from sopan import usecases
from sopan.errors import ConfigError, DataError
from sopan.options.data import ReadOptions
from sopan.text.read import read_corpus


def labels_of(data: object, **options: object) -> tuple[str, ...]:
    return read_corpus(data, ReadOptions(text="text", label="label", **options)).classes


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([1.0, 2.0, 1.0, 2.0], ("1", "2")),
        ([1, 2, 1, 2], ("1", "2")),
        ([1.0, 2.5, 1.0, 2.5], ("1", "2.5")),
        ([True, False, True, False], ("false", "true")),
        ([-1.0, 0.0, -1.0, 0.0], ("-1", "0")),
    ],
)
def test_one_value_has_one_name_in_every_format(tmp_path: Path, values: list[object], names: tuple[str, ...]):
    frame = pd.DataFrame({"text": list("abcd"), "label": values})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    for data in (
        frame,
        pl.from_pandas(frame),
        *(tmp_path / f"a.{kind}" for kind in ("csv", "parquet", "jsonl")),
    ):
        assert labels_of(data) == names


def test_numbers_that_a_missing_value_made_floats_have_their_own_names(tmp_path: Path):
    frame = pd.DataFrame({"text": list("abcde"), "label": [0, 1, 0, 1, None]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert labels_of(frame, max_rejects=1) == labels_of(tmp_path / "a.csv", max_rejects=1) == ("0", "1")


def test_names_that_no_program_writes_for_a_value_stay(tmp_path: Path):
    rows = [(f"text {i}", ("1.10", "2.5")[i % 2]) for i in range(8)]
    assert labels_of(write_csv(tmp_path / "a.csv", rows)) == ("1.10", "2.5")
    rows = [(f"text {i}", ("1.0", "2.0")[i % 2]) for i in range(8)]
    assert labels_of(write_csv(tmp_path / "a.csv", rows), keep_labels=True) == ("1.0", "2.0")


@pytest.mark.parametrize("pair", [("1.1", "1.10"), ("007", "7"), ("a", "a  ")])
def test_spellings_are_refused_with_two_ways_out(tmp_path: Path, pair: tuple[str, str]):
    rows = [(f"text {i}", (*pair, "other")[i % 3]) for i in range(9)] + [("one more", pair[1])]
    path = write_csv(tmp_path / "a.csv", rows)
    with pytest.raises(DataError, match=r"only in spelling.*--merge-labels.*--keep-labels"):
        labels_of(path)
    assert labels_of(path, merge_labels=True) == tuple(sorted((pair[1], "other")))
    assert labels_of(path, keep_labels=True) == tuple(sorted((*pair, "other")))
    with pytest.raises(ConfigError, match="merged or kept, not both"):
        ReadOptions(merge_labels=True, keep_labels=True)


def test_labels_that_differ_in_case_are_a_finding_with_counts(tmp_path: Path):
    rows = [(f"text number {i} {'x' * (i % 7)}", ("Pos", "pos", "pos", "neg")[i % 4]) for i in range(40)]
    path = write_csv(tmp_path / "a.csv", rows)
    (found,) = [one for one in usecases.audit(path).findings if one.code == "labels_alike"]
    assert found.level == "warning"
    assert found.count == 2
    assert "'Pos' (10 texts) and 'pos' (20 texts)" in found.message
    assert "--merge-labels" in found.message
    merged = read_corpus(path, ReadOptions(merge_labels=True))
    assert merged.classes == ("neg", "pos")
    assert "labels merged into 'pos' (20): 'Pos' (10)" in merged.source.notes
    assert not [one for one in usecases.audit(path, merge_labels=True).findings if one.code == "labels_alike"]


def test_names_of_classes_come_from_hugging_face_metadata(tmp_path: Path):
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    about = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    table = pa.table({"text": list("abcde"), "label": [0, 1, 0, 1, -1]}).replace_schema_metadata(about)
    pq.write_table(table, tmp_path / "a.parquet")
    for data in (table, tmp_path / "a.parquet"):
        corpus = read_corpus(data, ReadOptions(max_rejects=1))
        assert corpus.names.tolist() == ["neg", "pos", "neg", "pos"]
        with pytest.raises(DataError, match=r"row 4: no label"):
            read_corpus(data)


def test_names_of_classes_come_from_a_dataset_in_memory():
    datasets = pytest.importorskip("datasets")
    kinds = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["n", "p"])}
    )
    held = datasets.Dataset.from_dict({"text": list("abcd"), "label": [0, 1, 0, 1]}, features=kinds)
    assert read_corpus(held.select([3, 1, 2, 0])).names.tolist() == ["p", "p", "n", "n"]


# ---- measuring -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    rows = opinions(dict.fromkeys(("good", "bad", "mixed"), 20), ENGLISH)
    usecases.train("bow", write_csv(folder / "a.csv", rows), folder / "model", budget="1trials")
    return folder / "model"


def test_one_class_is_measured_and_said(model: Path):
    scores = usecases.evaluate(model, {"text": ["warm funny lovely", "dull stale"], "label": ["good"] * 2})
    assert scores.accuracy == 0.5
    assert [row.support for row in scores.per_class] == [0, 2, 0]
    absent, only = scores.notes
    assert absent.startswith(
        "no text has the label 'bad', 'mixed': its precision, recall and F1 are not measured"
    )
    assert only.startswith("every text has the same label")


def test_one_text_of_a_class_is_measured_and_said(model: Path):
    table = {
        "text": ["warm funny", "lovely honest", "dull stale", "uneven patchy"],
        "label": ["good", "good", "bad", "mixed"],
    }
    (note,) = usecases.evaluate(model, table).notes
    assert note.startswith("one text alone has the label 'bad', 'mixed'")


def test_labels_written_otherwise_are_matched_and_said(model: Path):
    table = {
        "text": ["warm funny", "lovely honest", "dull stale", "dull empty"] * 2,
        "label": ["Good", "good", "BAD", "bad"] * 2,
    }
    scores = usecases.evaluate(model, table)
    assert scores.accuracy == 1
    assert "labels written otherwise than the model's: 'BAD' is 'bad', 'Good' is 'good'" in scores.notes
    with pytest.raises(
        DataError, match=r"the model does not know 2 of the labels: 'BAD' \(2 texts\), 'Good' \(2 texts\)"
    ):
        usecases.evaluate(model, table, keep_labels=True)


def test_unknown_labels_are_one_line(model: Path):
    with pytest.raises(
        DataError, match=r"the model does not know 1 of the labels: 'awful' \(1 text\); it knows bad"
    ):
        usecases.evaluate(model, {"text": ["warm", "dull"], "label": ["good", "awful"]})


# ---- files of parts ------------------------------------------------------------------------------


def part(path: Path, texts: str) -> Path:
    return write_csv(path, [(f"{text} text", "xy"[i % 2]) for i, text in enumerate(texts)])


def test_files_of_parts_by_flags(tmp_path: Path):
    train, test = part(tmp_path / "train.csv", "abcdefgh"), part(tmp_path / "t.csv", "ijkl")
    found = usecases.audit(train_file=train, test_file=test)
    assert (found.parts.train + found.parts.val, found.parts.test) == (8, 4)
    val = part(tmp_path / "v.tsv", "mnop")
    assert usecases.audit(train_file=train, val_file=val, test_file=test).parts.in_order == (8, 4, 4)
    frames = {name: pd.read_csv(path) for name, path in (("train", train), ("test", test))}
    assert usecases.audit(frames).parts == found.parts
    assert usecases.audit(train_file=frames["train"], test_file=frames["test"]).parts == found.parts
    for options, said in (
        ({"val_file": val}, "a file of one part asks for the training texts too"),
        ({"data": train, "train_file": train}, "give either DATA, or --train-file"),
        ({}, "give either DATA, or --train-file"),
    ):
        with pytest.raises(ConfigError, match=said):
            usecases.audit(**options)


def test_a_glob_of_parts_and_rows_that_keep_their_number(tmp_path: Path):
    for name, texts in (("train", "abcd"), ("dev", "ef"), ("test", "gh")):
        part(tmp_path / f"x.{name}.csv", texts)
    corpus = read_corpus(str(tmp_path / "x.*.csv"))
    assert corpus.split.tolist() == ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    assert corpus.rows.tolist() == list(range(8))
    assert corpus.source.notes[0] == "parts: train x.train.csv; val x.dev.csv; test x.test.csv"


def test_errors_in_files_of_parts_name_the_file_and_the_row(tmp_path: Path):
    train, test = part(tmp_path / "train.csv", "abcd"), tmp_path / "test.csv"
    test.write_text("text,label\ne text,x\nf text,\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"test.csv:3: no label \(f text\)"):
        usecases.audit(train_file=train, test_file=test)
    test.write_text("text,id\ne text,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"test.csv and train.csv differ in their columns \(id, label\)"):
        usecases.audit(train_file=train, test_file=test)
