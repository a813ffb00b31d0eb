"""Texts without labels bring nothing of validation and test along: no text, and no label."""

from __future__ import annotations

from pathlib import Path

import corpora
import pytest

from sopan.options.classify import TrainOptions
from sopan.usecases.inputs import tuning_data


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.txt"
    rows = [f"{text}\t{'pos' if i % 2 else 'neg'}\n" for i, text in enumerate(corpora.sentences(60))]
    path.write_text("review\tverdict\n" + "".join(rows))
    return path


def test_the_labelled_file_given_again_leaks_neither_texts_nor_labels(labelled: Path, tmp_path: Path) -> None:
    data = tuning_data(TrainOptions("cbow", labelled, tmp_path / "m", unlabelled=labelled, label="verdict"))
    assert data.unlabelled is not None
    train = set(data.corpus.texts.take(data.given.train).to_pylist())
    assert set(data.unlabelled.to_pylist()) <= train
    assert "unlabelled: " not in str(data.corpus.source.notes[-1])
    assert "dropped whose words stand in validation or test" in data.corpus.source.notes[-1]


def test_lines_that_hold_a_label_and_a_test_text_are_dropped(labelled: Path, tmp_path: Path) -> None:
    plain = tmp_path / "more.csv"
    lines = labelled.read_text().splitlines()[1:]
    plain.write_text("body\n" + "".join(f"{line.replace(chr(9), ' ')} and so on\n" for line in lines))
    options = TrainOptions("cbow", labelled, tmp_path / "m", unlabelled=plain, label="verdict")
    data = tuning_data(options)
    assert data.unlabelled is not None
    kept = " ".join(data.unlabelled.to_pylist())
    held_out = data.corpus.texts.take([*data.given.val, *data.given.test]).to_pylist()
    assert not [text for text in held_out if text in kept]


def test_the_unlabelled_file_has_a_column_of_its_own(labelled: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("review,words of it\nsomething long enough to be the text,the real one\n")
    options = TrainOptions(
        "cbow", labelled, tmp_path / "m", text="review", unlabelled=other, unlabelled_text="words of it"
    )
    data = tuning_data(options)
    assert data.unlabelled is not None
    assert data.unlabelled.to_pylist() == ["the real one"]


@pytest.mark.parametrize("header", [True, False])
def test_the_unlabelled_file_has_a_header_or_none_of_its_own(tmp_path: Path, header: bool) -> None:
    rows = [(text, "pos" if i % 2 else "neg") for i, text in enumerate(corpora.sentences(60))]
    lines = "".join(f"{text}\t{label}\n" for text, label in rows)
    with_names, without = tmp_path / "with.tsv", tmp_path / "without.tsv"
    with_names.write_text("review\tverdict\n" + lines)
    without.write_text(lines)
    first, other = (with_names, without) if header else (without, with_names)
    options = TrainOptions("cbow", first, tmp_path / "m", header=header, unlabelled=other)
    data = tuning_data(options)
    assert data.unlabelled is not None
    held_out = len(data.given.val) + len(data.given.test)
    assert len(data.unlabelled) == 60 - held_out
