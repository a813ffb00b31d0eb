"""Likely label errors: planted ones are found, first and foremost, and a sound table raises no alarm."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sopan.comparison.evidence import likely_label_errors
from sopan.types import FloatArray, Int64Array, Labelled


def predictions(
    n: int, n_classes: int, flipped: int, seed: int = 0
) -> tuple[FloatArray, Int64Array, Int64Array]:
    """Return a good step's probabilities, labels of which a few are wrong, and which those are."""
    rng = np.random.default_rng(seed)
    true = rng.integers(n_classes, size=n)
    scores = rng.normal(size=(n, n_classes))
    scores[np.arange(n), true] += 6
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    wrong = rng.choice(n, flipped, replace=False)
    labels = true.copy()
    labels[wrong] = (true[wrong] + rng.integers(1, n_classes, size=flipped)) % n_classes
    return probabilities, labels, wrong


def labelled(labels: Int64Array, n_classes: int) -> Labelled:
    texts = pa.array([f"text {i}" for i in range(len(labels))], pa.large_string())
    return Labelled(texts, labels, tuple(f"class {i}" for i in range(n_classes)))


@pytest.mark.parametrize("n_classes", [2, 3, 20])
def test_planted_errors_are_found_with_the_right_suggestion(n_classes: int) -> None:
    probabilities, labels, wrong = predictions(2000, n_classes, 40)
    classes = [f"class {i}" for i in range(n_classes)]
    rows = np.arange(2000) + 7
    errors = likely_label_errors(labelled(labels, n_classes), rows, probabilities)
    named = {error.row - 7 for error in errors}
    right = len(named & set(wrong.tolist()))
    assert right >= 0.75 * len(wrong)  # the method is cautious where classes are many
    assert right >= 0.8 * len(named)
    for error in errors[:20]:
        i = error.row - 7
        assert error.text == f"text {i}"
        assert error.label == classes[labels[i]] != error.suggested == classes[probabilities[i].argmax()]
        assert error.probability == probabilities[i].max()


def test_the_likeliest_come_first_and_the_limit_holds() -> None:
    probabilities, labels, _ = predictions(2000, 3, 100)
    texts, rows = labelled(labels, 3), np.arange(2000)
    everything = likely_label_errors(texts, rows, probabilities, limit=2000)
    top = likely_label_errors(texts, rows, probabilities, limit=10)
    assert top == everything[:10]
    found = np.array([error.row for error in everything])
    margin = probabilities[found, labels[found]] - probabilities[found].max(axis=1)
    assert (np.diff(margin) >= -1e-12).all()


def test_right_labels_raise_no_alarm() -> None:
    probabilities, _, _ = predictions(500, 3, 0)
    labels = probabilities.argmax(axis=1)
    assert likely_label_errors(labelled(labels, 3), np.arange(500), probabilities) == ()


def test_a_class_that_no_text_has_is_no_obstacle() -> None:
    probabilities, labels, _ = predictions(200, 4, 5)
    labels[labels == 3] = 0
    errors = likely_label_errors(labelled(labels, 4), np.arange(200), probabilities)
    assert {error.label for error in errors} <= {"class 0", "class 1", "class 2"}


def test_no_texts_no_errors() -> None:
    none = np.empty(0, np.int64)
    assert likely_label_errors(labelled(none, 2), none, np.empty((0, 2))) == ()
