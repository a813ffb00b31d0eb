"""Streaming predictions: names, probabilities and flags, in bounded memory, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_step import LABELS, TEXTS, trained

from sopan.errors import ConfigError, DataError
from sopan.fit.predict import evaluate_model, predict_stream, write_predictions
from sopan.text.read import MAX_TEXT_CHARS, stream_texts
from sopan.types import Corpus, Source

NEW = ["a warm and fine story", "", "zzz yyy", "dull and noisy talk", "a film"]


def batches_of(texts, size=2, first_row=0):
    for start in range(0, len(texts), size):
        part = texts[start : start + size]
        rows = np.arange(first_row + start, first_row + start + len(part))
        yield pa.record_batch({"row": pa.array(rows), "text": pa.array(part, pa.large_string())})


def read_rows(path):
    if path.suffix == ".parquet":
        return pq.read_table(path, page_checksum_verification=True).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    with path.open(newline="", encoding="utf-8") as stream:
        kinds = {"row": int, "predicted": lambda s: s.removeprefix("'")}
        flags = {"truncated": "true".__eq__, "no_known_words": "true".__eq__}
        return [
            {key: ({**kinds, **flags}).get(key, float)(value) for key, value in row.items()}
            for row in csv.DictReader(stream)
        ]


# ---- what is predicted -----------------------------------------------------------------------------


def test_every_row_gets_a_name_probabilities_and_flags():
    estimator = trained()
    table = pa.Table.from_batches(predict_stream(estimator, batches_of(NEW, first_row=100)))
    assert table.column_names == ["row", "predicted", "p_good", "p_poor", "truncated", "no_known_words"]
    assert table["row"].to_pylist() == [100, 101, 102, 103, 104]
    assert table["predicted"].to_pylist() == estimator.predict(NEW).tolist()
    probabilities = np.column_stack([table["p_good"], table["p_poor"]])
    np.testing.assert_array_equal(probabilities, estimator.predict_proba(NEW))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert table["no_known_words"].to_pylist() == [False, True, True, False, False]


def test_numbers_as_labels_are_written_as_names():
    estimator = trained(labels=[1, -5] * 4)
    batch = next(predict_stream(estimator, batches_of(NEW)))
    assert batch.schema.names[2:4] == ["p_-5", "p_1"]
    assert set(batch.column("predicted").to_pylist()) <= {"1", "-5"}


def test_a_text_cut_by_the_reader_is_marked(tmp_path):
    path = tmp_path / "texts.jsonl"
    texts = ["a warm film", "dull " * (MAX_TEXT_CHARS // 5 + 1), "a lost story"]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    stream = stream_texts(path, batch_rows=2)
    rows = pa.Table.from_batches(predict_stream(trained(), stream))
    assert rows["truncated"].to_pylist() == [False, True, False]


# ---- the three formats -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".CSV"])
def test_what_is_written_is_what_was_predicted(tmp_path, suffix):
    expected = pa.Table.from_batches(predict_stream(trained(), batches_of(NEW))).to_pylist()
    path = tmp_path / "deep" / f"predictions{suffix}"
    assert write_predictions(predict_stream(trained(), batches_of(NEW)), path) == 5
    assert read_rows(path.rename(path.with_suffix(suffix.lower()))) == expected
    assert len(list(path.parent.iterdir())) == 1


DANGEROUS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "'quoted'",
    '"=1"',
    "a=1",
    "ভালো, খারাপ",
    "two\nlines",
]


def test_no_cell_of_a_csv_begins_a_formula_and_all_can_be_read_back(tmp_path):
    path = tmp_path / "p.csv"
    texts = [f"word{n}" for n in range(len(DANGEROUS))]
    estimator = trained(texts, DANGEROUS)
    write_predictions(predict_stream(estimator, batches_of(texts)), path)
    with path.open(newline="", encoding="utf-8") as stream:
        cells = [row["predicted"] for row in csv.DictReader(stream)]
    assert all(cell[0] not in "=+-@\t\r" for cell in cells)
    assert [cell.removeprefix("'") for cell in cells] == DANGEROUS
    with path.open(newline="", encoding="utf-8") as stream:
        assert all(name[0].isalpha() for name in next(csv.reader(stream)))


def test_parquet_pages_carry_checksums_and_small_batches_share_a_row_group(tmp_path):
    path = tmp_path / "p.parquet"
    write_predictions(predict_stream(trained(), batches_of(NEW * 200, size=7)), path)
    assert pq.ParquetFile(path).metadata.num_row_groups == 1
    content = bytearray(path.read_bytes())
    content[200] ^= 1  # inside the first column's pages
    path.write_bytes(content)
    with pytest.raises(OSError, match="CRC checksum"):
        pq.read_table(path, page_checksum_verification=True)


@pytest.mark.parametrize("name", ["p.xlsx", "predictions"])
def test_another_suffix_is_refused_before_anything_is_read(tmp_path, name):
    def never():
        raise AssertionError("was read")
        yield

    with pytest.raises(ConfigError, match=r"end the name in one of: .parquet, .csv, .jsonl"):
        write_predictions(never(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_no_texts_are_refused(tmp_path):
    with pytest.raises(DataError, match="no texts to predict"):
        write_predictions(iter([]), tmp_path / "p.csv")
    assert not list(tmp_path.iterdir())


# ---- nothing half-written -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("error", [DataError("row 3 is unreadable"), KeyboardInterrupt()])
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path, suffix, error):
    path = tmp_path / f"p{suffix}"
    path.write_text("the old file")

    def failing():
        yield from predict_stream(trained(), batches_of(NEW * 1000, size=500))
        raise error

    with pytest.raises(type(error)):
        write_predictions(failing(), path)
    assert path.read_text() == "the old file"
    assert list(tmp_path.iterdir()) == [path]


ENDLESS = """
import sys
import pyarrow as pa
from small_step import trained
from sopan.fit.predict import predict_stream, write_predictions
def endless():
    while True:
        yield pa.record_batch({"row": pa.array([0]), "text": pa.array(["a film"], pa.large_string())})
        print("going", flush=True)
write_predictions(predict_stream(trained(), endless()), sys.argv[1])
"""


def test_ctrl_c_leaves_nothing_half_written(tmp_path):
    path = tmp_path / "p.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        assert process.stdout.readline() == b"going\n"
        assert list(tmp_path.iterdir()) != []
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in errors
    assert not list(tmp_path.iterdir())


# ---- memory -----------------------------------------------------------------------------------------------

PREDICT_FILE = """
import sys
from pathlib import Path
from small_step import LABELS, TEXTS
from sopan.fit.predict import predict_stream, write_predictions
from sopan.steps import make_step
from sopan.text.read import stream_texts

def peak_mb():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024

def watched(batches):
    for batch in batches:
        yield batch
        print(batch.column("row")[-1].as_py(), peak_mb(), file=sys.stderr)

estimator = make_step("bow").fit(TEXTS * 5, LABELS * 5)
write_predictions(watched(predict_stream(estimator, stream_texts(sys.argv[1]))), sys.argv[2])
"""


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_memory_does_not_grow_with_the_file(tmp_path, suffix):
    source = tmp_path / "texts.csv"
    with source.open("w") as stream:
        stream.write("text\n")
        stream.writelines(f"a warm film no {n} with several words\n" for n in range(400_000))
    done = subprocess.run(
        [sys.executable, "-c", PREDICT_FILE, str(source), str(tmp_path / f"out{suffix}")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    peaks = [tuple(map(int, line.split())) for line in done.stderr.splitlines()]
    assert peaks[-1][0] == 399_999
    early = next(peak for row, peak in peaks if row > 200_000)  # by then the writers' pools are full
    assert peaks[-1][1] - early < 16, f"(row, peak memory in MB): {peaks}"


# ---- evaluate ---------------------------------------------------------------------------------------------


def corpus(texts, labels, classes):
    return Corpus(
        texts=pa.array(texts, pa.large_string()),
        labels=np.array(labels, np.int32),
        classes=classes,
        rows=np.arange(len(texts)),
        source=Source("made.csv", "0" * 64, 1),
    )


def test_labels_are_matched_by_name_whatever_their_order():
    estimator = trained()
    own = evaluate_model(estimator, corpus(TEXTS, [0] * 4 + [1] * 4, ("good", "poor")))
    other = evaluate_model(estimator, corpus(TEXTS, [2] * 4 + [0] * 4, ("poor", "unused", "good")))
    assert own == other
    assert own.accuracy == np.mean(estimator.predict(TEXTS) == np.array(LABELS)) == 1.0
    low, high = own.accuracy_ci
    assert 0.6 < low < high <= 1.0
    assert own.confusion == ((4, 0), (0, 4))
    json.dumps(own.as_json(), allow_nan=False)


def test_a_label_that_was_not_learned_is_listed():
    data = corpus(TEXTS, [0, 1, 1, 2, 0, 0, 0, 0], ("good", "middling", "odd"))
    message = r"does not know 2 of the labels: 'middling' \(2 texts\), 'odd' \(1 text\); it knows good, poor"
    with pytest.raises(DataError, match=message):
        evaluate_model(trained(), data)


def test_numeric_labels_match_their_names():
    estimator = trained(labels=[10, 9] * 4)
    scores = evaluate_model(estimator, corpus(TEXTS, [0, 1] * 4, ("10", "9")))
    assert scores.accuracy == np.mean(estimator.predict(TEXTS) == np.array([10, 9] * 4))


def test_texts_without_known_words_are_counted():
    scores = evaluate_model(trained(), corpus(["zzz", "a film", ""], [0, 1, 1], ("good", "poor")))
    assert scores.no_known_words == 2
    assert scores.truncated == 0


def test_evaluating_is_reproducible():
    data = corpus(TEXTS, [0, 1] * 4, ("good", "poor"))
    assert evaluate_model(trained(), data) == evaluate_model(trained(), data)
