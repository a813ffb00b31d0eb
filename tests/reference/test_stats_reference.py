"""The fast statistics against slow ones, written out text by text, and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binomtest

from sopan.fit.intervals import accuracy_interval, difference_interval, holm, macro_f1_interval, mcnemar
from sopan.fit.metrics import count_confusion, measure
from sopan.steps.temperature import fit_temperature
from sopan.types import softmax

RESAMPLES = 3_000


def predictions(n: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels and what two steps that agree on much predict for n texts."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, size=n)
    shared = np.where(rng.random(n) < 0.15, rng.integers(0, n_classes, size=n), labels)
    a, b = (np.where(rng.random(n) < 0.05, rng.integers(0, n_classes, size=n), shared) for _ in "ab")
    return labels, a, b


def text_weights(n: int, rng: np.random.Generator) -> np.ndarray:
    """Rubin's bootstrap, text by text: each resample gives every one of n texts a weight."""
    return rng.standard_exponential(size=(RESAMPLES, n))


def slow_macro_f1(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
    """Average over classes of 2 x precision x recall / (precision + recall), from weighted texts."""
    scores = []
    for c in np.union1d(labels, predicted):
        right = weights[(labels == c) & (predicted == c)].sum()
        precision, recall = right / weights[predicted == c].sum(), right / weights[labels == c].sum()
        scores.append(2 * precision * recall / (precision + recall))
    return float(np.mean(scores))


# ---- intervals, one weight a text ------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 4])
def test_macro_f1_interval_against_weights_of_texts(n_classes: int) -> None:
    """Enough texts and errors that the half texts and the shift for bias weigh little."""
    labels, predicted, _ = predictions(600, n_classes, seed=n_classes)
    rng = np.random.default_rng(0)
    draws = [slow_macro_f1(labels, predicted, weights) for weights in text_weights(len(labels), rng)]
    slow = np.quantile(draws, [0.025, 0.975])
    fast = macro_f1_interval(count_confusion(labels, predicted, n_classes), rng)
    assert fast == pytest.approx(slow, abs=0.06 * (slow[1] - slow[0]))


def test_accuracy_interval_against_weights_of_texts_and_half_texts() -> None:
    labels, predicted, _ = predictions(80, 2, seed=3)
    rng = np.random.default_rng(1)
    right = predicted == labels
    weights = text_weights(len(labels), rng)
    half_right, half_wrong = rng.standard_gamma(0.5, size=(2, RESAMPLES))
    draws = (weights @ right + half_right) / (weights.sum(axis=1) + half_right + half_wrong)
    slow = np.quantile(draws, [0.025, 0.975])
    fast = accuracy_interval(count_confusion(labels, predicted, 2), rng)
    assert fast == pytest.approx(slow, abs=0.06 * (slow[1] - slow[0]))


def test_difference_interval_against_weights_of_texts_and_half_texts() -> None:
    labels, a, b = predictions(120, 3, seed=4)
    rng = np.random.default_rng(2)
    gap = (a == labels).astype(float) - (b == labels)
    weights = text_weights(len(labels), rng)
    half = rng.standard_gamma(0.5, size=(4, RESAMPLES))  # both right, only a, only b, both wrong
    draws = (weights @ gap + half[1] - half[2]) / (weights.sum(axis=1) + half.sum(axis=0))
    slow = np.quantile(draws, [0.025, 0.975])
    fast = difference_interval(a == labels, b == labels, rng)
    assert fast == pytest.approx(slow, abs=0.06 * (slow[1] - slow[0]))


def test_with_many_texts_it_is_the_classical_bootstrap() -> None:
    """Draw texts by index, with replacement: the interval everyone knows, where it is sound."""
    labels, a, b = predictions(2_000, 3, seed=5)
    rng = np.random.default_rng(3)
    accuracies, gaps, f1s = [], [], []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(labels), size=len(labels))
        right_a, right_b = (step[rows] == labels[rows] for step in (a, b))
        accuracies.append(right_a.mean())
        gaps.append(right_a.mean() - right_b.mean())
        f1s.append(slow_macro_f1(labels[rows], a[rows], np.ones(len(rows))))
    confusion = count_confusion(labels, a, 3)
    for draws, fast in (
        (accuracies, accuracy_interval(confusion, rng)),
        (gaps, difference_interval(a == labels, b == labels, rng)),
        (f1s, macro_f1_interval(confusion, rng)),
    ):
        slow = np.quantile(draws, [0.025, 0.975])
        assert fast == pytest.approx(slow, abs=0.06 * (slow[1] - slow[0]))


# ---- tests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 1), (7, 7), (12, 3), (3, 12), (900, 1_013)])
def test_mcnemar_is_scipys_binomial_test(only_a: int, only_b: int) -> None:
    a = np.repeat([True, False, True], [only_a, only_b, 10])
    b = np.repeat([False, True, True], [only_a, only_b, 10])
    wanted = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(a, b) == pytest.approx(wanted, rel=1e-12)


def slow_holm(p_values: np.ndarray) -> list[float]:
    """Walk up from the smallest p-value: times as many as are left, never below the one before, at most 1."""
    adjusted, so_far, left = {}, 0.0, len(p_values)
    for p in sorted(p_values):
        so_far = max(so_far, min(1.0, left * p))
        adjusted[p] = so_far
        left -= 1
    return [adjusted[p] for p in p_values]


@pytest.mark.parametrize("seed", range(5))
def test_holm_against_its_definition(seed: int) -> None:
    p_values = np.random.default_rng(seed).random(9) ** 3
    assert holm(p_values) == pytest.approx(slow_holm(p_values))


# ---- calibration -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 6])
def test_temperature_is_where_the_slope_of_the_loss_is_zero(n_classes: int) -> None:
    rng = np.random.default_rng(n_classes)
    logits = rng.normal(scale=3, size=(300, n_classes))
    labels = np.where(rng.random(300) < 0.6, logits.argmax(axis=1), rng.integers(0, n_classes, size=300))

    def slope(scale: float) -> float:
        """d loss / d (1 / T), summed text by text, the imaginary text last."""
        total = 0.0
        for row, label in zip(logits, labels, strict=True):
            expected = softmax(row[None] * scale)[0] @ row
            total += expected - row[label] + (expected - row.mean()) / len(logits)
        return total

    assert 1 / fit_temperature(logits, labels) == pytest.approx(brentq(slope, 1e-3, 50), rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_with_many_texts_no_temperature_has_a_lower_log_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=(2_000, 3))
    labels = np.where(rng.random(2_000) < 0.7, logits.argmax(axis=1), rng.integers(0, 3, size=2_000))

    def log_loss(temperature: float) -> float:
        return float(measure(softmax(logits / temperature), labels, "abc").log_loss)

    lowest = min(log_loss(temperature) for temperature in np.geomspace(0.1, 20, 400))
    assert log_loss(fit_temperature(logits, labels)) == pytest.approx(lowest, abs=1e-4)


# ---- calibration error -----------------------------------------------------------------------


def test_expected_calibration_error_text_by_text() -> None:
    rng = np.random.default_rng(9)
    probabilities = rng.dirichlet([0.5] * 4, size=500)
    labels = rng.integers(0, 4, size=500)
    error = 0.0
    for m in range(1, 16):
        inside = [
            (row.max(), float(row.argmax() == label))
            for row, label in zip(probabilities, labels, strict=True)
            if (m - 1) / 15 < row.max() <= m / 15
        ]
        if inside:
            confidence, accuracy = np.mean(inside, axis=0)
            error += len(inside) / 500 * abs(accuracy - confidence)
    assert measure(probabilities, labels, "abcd").ece == pytest.approx(error, abs=1e-12)
