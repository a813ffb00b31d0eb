"""Splits: exact sizes, named splits kept, no leak of our own, and nonsense refused in one line."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from corpora import corpus, sentences

from sopan.errors import ConfigError, DataError
from sopan.text.duplicates import duplicate_groups
from sopan.text.split import Size, dedupe_unlabelled, make_split
from sopan.types import Corpus, Split


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sizes(split: Split) -> tuple[int, int, int]:
    return len(split.train), len(split.val), len(split.test)


@pytest.fixture(scope="module")
def thousand() -> Corpus:
    """1,000 texts of three classes, 5 : 3 : 2."""
    return corpus(sentences(1000), ["good"] * 500 + ["bad"] * 300 + ["so-so"] * 200)


@pytest.fixture(scope="module")
def official() -> Corpus:
    """600 training and 400 test texts of two classes, and no validation part."""
    return corpus(sentences(1000), ["good", "bad"] * 500, ["train"] * 600 + ["test"] * 400)


@pytest.mark.parametrize(
    ("train", "val", "test", "expected"),
    [
        (None, None, None, (600, 200, 200)),
        (100, 50, 850, (100, 50, 850)),
        (100, 50, 60, (100, 50, 60)),
        (0.5, 0.25, 0.25, (500, 250, 250)),
        (0.1, 0.1, 0.1, (100, 100, 100)),
        (0.8, None, None, (800, 100, 100)),
        (None, None, 0.2, (600, 200, 200)),
        (100, None, 0.5, (100, 400, 500)),
        (997, 1, 1, (997, 1, 1)),
        (0.9989, 0.0001, 0.001, (998, 1, 1)),
    ],
)
def test_sizes_are_exact(
    thousand: Corpus, train: Size, val: Size, test: Size, expected: tuple[int, int, int]
) -> None:
    assert sizes(make_split(thousand, train=train, val=val, test=test, rng=rng())) == expected


def test_every_part_has_the_classes_in_proportion(thousand: Corpus) -> None:
    split = make_split(thousand, train=100, val=50, test=200, rng=rng())
    for rows in (split.train, split.val, split.test):
        counts = np.bincount(thousand.labels[rows])  # classes are sorted: bad, good, so-so
        np.testing.assert_allclose(counts / len(rows), [0.3, 0.5, 0.2], atol=1 / len(rows))


def test_parts_are_sorted_and_disjoint(thousand: Corpus) -> None:
    split = make_split(thousand, rng=rng())
    for rows in (split.train, split.val, split.test):
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()
    assert len(np.unique(np.concatenate([split.train, split.val, split.test]))) == 1000


def test_the_seed_decides(thousand: Corpus) -> None:
    one, again, other = (make_split(thousand, rng=rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.train, again.train)
    np.testing.assert_array_equal(one.test, again.test)
    assert not np.array_equal(one.train, other.train)


def test_copies_of_a_text_stay_in_one_part() -> None:
    different = sentences(200)
    texts = different + [f"  {text}" for text in different[:60]] + different[:20]
    made = corpus(texts, ["good", "bad"] * 140)
    split = make_split(made, rng=rng())
    groups = duplicate_groups(made.texts)
    parts = [set(groups[rows].tolist()) for rows in (split.train, split.val, split.test)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert sizes(split) == (168, 56, 56)


def test_a_class_of_one_or_two_texts_is_in_training() -> None:
    made = corpus(sentences(40), ["rare"] + ["scarce"] * 2 + ["usual"] * 37)
    split = make_split(made, train=4, val=6, test=30, rng=rng())
    assert set(made.labels[split.train].tolist()) == {0, 1, 2}


def test_77_classes_of_a_few_texts_each() -> None:
    made = corpus(sentences(77 * 5), [f"intent-{i:02d}" for i in range(77)] * 5)
    split = make_split(made, rng=rng())
    assert len(set(made.labels[split.train].tolist())) == 77
    assert sizes(split) == (231, 77, 77)


def test_a_class_whose_texts_are_all_one_text_is_in_training() -> None:
    made = corpus(["the same words"] * 8 + sentences(92), ["copied"] * 8 + ["own"] * 92)
    for seed in range(10):
        split = make_split(made, train=5, val=45, test=50, rng=rng(seed))
        assert set(range(8)) <= set(split.train.tolist())


# ---- splits that the source names ----------------------------------------------------------


def test_a_named_split_is_kept() -> None:
    parts = ["train", "val", "test", "test"] * 25
    split = make_split(
        corpus(sentences(100), ["a", "b", "b", "a"] * 24 + ["b", "a", "a", "b"], parts), rng=rng()
    )
    for name in ("train", "val", "test"):
        assert getattr(split, name).tolist() == [i for i, part in enumerate(parts) if part == name]


def test_a_missing_validation_part_is_cut_from_training(official: Corpus) -> None:
    split = make_split(official, rng=rng())
    assert sizes(split) == (480, 120, 400)
    assert split.test.tolist() == list(range(600, 1000))
    assert set(split.val.tolist()) < set(range(600))
    assert np.bincount(official.labels[split.val]).tolist() == [60, 60]


def test_copies_in_training_stay_together_when_validation_is_cut() -> None:
    texts = sentences(100)
    made = corpus(texts + texts + sentences(50, seed=9), ["a", "b"] * 125, ["train"] * 200 + ["test"] * 50)
    split = make_split(made, rng=rng())
    groups = duplicate_groups(made.texts)
    assert not set(groups[split.train].tolist()) & set(groups[split.val].tolist())
    assert sizes(split) == (160, 40, 50)


@pytest.mark.parametrize(
    ("train", "val", "test", "expected"),
    [(100, None, None, (100, 120, 400)), (0.5, 60, 0.25, (270, 60, 100)), (None, 0.5, 10, (300, 300, 10))],
)
def test_sizes_draw_from_the_named_parts(
    official: Corpus, train: Size, val: Size, test: Size, expected: tuple[int, int, int]
) -> None:
    split = make_split(official, train=train, val=val, test=test, rng=rng())
    assert sizes(split) == expected
    assert set(split.test.tolist()) <= set(range(600, 1000))
    assert set(split.train.tolist()) | set(split.val.tolist()) <= set(range(600))
    assert abs(int(np.diff(np.bincount(official.labels[split.train]))[0])) <= 1


def test_a_drawn_training_part_keeps_rare_classes() -> None:
    labels = ["rare"] + ["usual"] * 99 + ["rare", "usual"] * 50
    made = corpus(sentences(200), labels, ["train"] * 100 + ["val"] * 50 + ["test"] * 50)
    for seed in range(10):
        assert 0 in make_split(made, train=3, rng=rng(seed)).train


# ---- what cannot be --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        {"train": 0},
        {"train": -5},
        {"val": 0.0},
        {"test": -0.1},
        {"train": 1.5},
        {"train": float("nan")},
        {"train": float("inf")},
        {"train": True},
        {"train": 1001},
        {"train": 600, "val": 300, "test": 200},
        {"train": 0.6, "val": 0.3, "test": 0.2},
        {"train": 0.7, "test": 400},
        {"train": 1000},
        {"train": 2},
    ],
)
def test_sizes_that_cannot_be_are_refused_in_one_line(thousand: Corpus, asked: dict[str, Size]) -> None:
    with pytest.raises(ConfigError) as refusal:
        make_split(thousand, rng=rng(), **asked)
    assert "\n" not in str(refusal.value)
    assert refusal.value.next_step


@pytest.mark.parametrize(
    "asked", [{"train": 601}, {"test": 401}, {"val": 600}, {"val": 599}, {"train": 1}, {"train": 0.0001}]
)
def test_more_than_a_named_part_holds_is_refused(official: Corpus, asked: dict[str, Size]) -> None:
    with pytest.raises(ConfigError):
        make_split(official, rng=rng(), **asked)


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match=r"made-up\.csv: the data have one class \(only\)"):
        make_split(corpus(sentences(50), ["only"] * 50), rng=rng())


@pytest.mark.parametrize("n", [2, 3])
def test_too_few_texts_are_refused(n: int) -> None:
    with pytest.raises(ConfigError, match="too few"):
        make_split(corpus(sentences(n), ["a", "b", "a"][:n]), rng=rng())


def test_a_label_that_only_the_evaluation_has_is_named() -> None:
    labels = ["a", "b"] * 20 + ["a", "new"]
    made = corpus(sentences(42), labels, ["train"] * 30 + ["val"] * 10 + ["test"] * 2)
    with pytest.raises(DataError, match=r"the label 'new' stands in test .* never in train"):
        make_split(made, rng=rng())


@pytest.mark.parametrize(("names", "lacking"), [(["train", "val"], "test"), (["val", "test"], "train")])
def test_a_named_split_without_training_or_test_is_refused(names: list[str], lacking: str) -> None:
    made = corpus(sentences(20), ["a", "b"] * 10, names * 10)
    with pytest.raises(DataError, match=f"names no {lacking} text"):
        make_split(made, rng=rng())


# ---- unlabelled texts ------------------------------------------------------------------------


def test_unlabelled_texts_that_are_held_out_are_dropped_and_counted() -> None:
    held_out = ["A  text of the test part.", "cafe\u0301"]
    given = ["new words", " A text of the test part.\n", "café", "a text of the test part.", "new words"]
    kept, dropped = dedupe_unlabelled(given, pa.array(held_out, pa.large_string()))
    assert kept.to_pylist() == ["new words", "new words"]
    assert dropped == 3


def test_unlabelled_texts_without_anything_held_out_stay() -> None:
    kept, dropped = dedupe_unlabelled(["one", "two"], [])
    assert kept.to_pylist() == ["one", "two"]
    assert dropped == 0
