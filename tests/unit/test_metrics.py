"""Scores worked by hand, equal to scikit-learn's, and sound where a class has no text."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn import metrics as sk

from sopan.errors import DataError
from sopan.fit.metrics import BINS, measure

CLASSES = ("cold", "mild", "warm")


def random_predictions(seed: int, n: int = 400, n_classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.choice(n_classes, size=n, p=rng.dirichlet(np.full(n_classes, 5.0)))
    logits = rng.normal(size=(n, n_classes)) + 1.5 * np.eye(n_classes)[labels]
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True), labels


def test_four_texts_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    scores = measure(probabilities, np.array([0, 1, 1, 1]), ("no", "yes"))
    assert scores.accuracy == 0.75
    assert scores.confusion == ((1, 0), (1, 2))
    assert scores.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert scores.log_loss == pytest.approx(-math.log(0.9 * 0.4 * 0.7 * 0.8) / 4)
    assert scores.brier == pytest.approx((0.1**2 + 0.6**2 + 0.3**2 + 0.2**2) / 4)
    assert scores.ece == pytest.approx((0.1 + 0.6 + 0.3 + 0.2) / 4)  # each text in a bin of its own
    assert [row.count for row in scores.reliability] == [1, 1, 1, 1]
    assert scores.per_class[1].as_json() == {
        "class": "yes",
        "precision": 1.0,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(0.8),
        "support": 3,
    }


def test_reliability_bins_by_hand() -> None:
    # 0.6 is the upper edge of bin 9 of 15, so it lies with 0.55; 0.61 is in bin 10.
    confidence = np.array([0.55, 0.6, 0.61])
    scores = measure(np.column_stack([confidence, 1 - confidence]), np.array([0, 1, 0]), ("a", "b"))
    assert [row.as_json() for row in scores.reliability] == [
        {"confidence": pytest.approx(0.575), "accuracy": 0.5, "count": 2},
        {"confidence": pytest.approx(0.61), "accuracy": 1.0, "count": 1},
    ]
    assert scores.ece == pytest.approx(2 / 3 * 0.075 + 1 / 3 * 0.39)
    assert BINS == 15


@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_equal_to_scikit_learn(n_classes: int, seed: int) -> None:
    probabilities, labels = random_predictions(seed, n_classes=n_classes)
    every, predicted = range(n_classes), probabilities.argmax(axis=1)
    scores = measure(probabilities, labels, tuple(every))
    assert scores.accuracy == sk.accuracy_score(labels, predicted)
    assert scores.macro_f1 == pytest.approx(sk.f1_score(labels, predicted, average="macro"), abs=1e-14)
    assert scores.log_loss == pytest.approx(sk.log_loss(labels, probabilities, labels=every), abs=1e-14)
    assert scores.brier == pytest.approx(sk.brier_score_loss(labels, probabilities, labels=every), abs=1e-14)
    confusion = sk.confusion_matrix(labels, predicted, labels=every)
    assert [list(row) for row in scores.confusion] == confusion.tolist()
    columns = sk.precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0)
    for row, *wanted in zip(scores.per_class, *columns, strict=True):
        assert [row.precision, row.recall, row.f1, row.support] == pytest.approx(wanted, abs=1e-14)


def test_two_class_brier_is_that_of_either_class() -> None:
    probabilities, labels = random_predictions(1, n_classes=2)
    ours = measure(probabilities, labels, ("no", "yes")).brier
    assert ours == pytest.approx(sk.brier_score_loss(labels, probabilities[:, 1]))
    assert ours == pytest.approx(sk.brier_score_loss(1 - labels, probabilities[:, 0]))


def test_a_certain_mistake_costs_as_much_as_scikit_learn_says() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    labels = np.array([0, 1, 1])
    loss = measure(probabilities, labels, ("a", "b")).log_loss
    assert loss == pytest.approx(sk.log_loss(labels, probabilities), abs=1e-12)
    assert math.isfinite(loss)


def test_a_class_without_a_test_text_is_left_out_of_macro_f1() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1]])
    scores = measure(probabilities, np.array([0, 1, 1]), CLASSES)
    assert scores.macro_f1 == 1.0
    assert scores.per_class[2].as_json() == {
        "class": "warm",
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "support": 0,
    }


def test_a_class_predicted_but_without_a_test_text_counts_against_macro_f1() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    labels = np.array([0, 0])
    scores = measure(probabilities, labels, CLASSES)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 0) / 2)
    assert scores.macro_f1 == pytest.approx(
        sk.f1_score(labels, probabilities.argmax(axis=1), average="macro")
    )


def test_the_values_are_ready_for_json() -> None:
    probabilities, labels = random_predictions(3)
    scores = measure(probabilities, labels.astype(np.int32), np.array(CLASSES))
    assert json.loads(json.dumps(scores.as_json(), allow_nan=False)) == scores.as_json()


@pytest.mark.parametrize(
    ("probabilities", "labels", "told"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "no text to measure"),
        (np.full((2, 2), 0.5), np.array([0, 1]), "shape"),
        (np.array([[0.2, 0.3, 0.5], [np.nan, 0.5, 0.5]]), np.array([0, 1]), "test text 1: .*finite"),
        (np.full((2, 3), 1 / 3), np.array([0, 3]), "test text 1: label 3"),
        (np.full((2, 3), 1 / 3), np.array([-1, 0]), "test text 0: label -1"),
    ],
)
def test_what_cannot_be_measured_is_refused(probabilities: np.ndarray, labels: np.ndarray, told: str) -> None:
    with pytest.raises(DataError, match=told):
        measure(probabilities, labels, CLASSES)
