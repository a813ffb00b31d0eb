"""The temperature: found where the truth is known, sane where there is nothing to find."""

from __future__ import annotations

import numpy as np
import pytest

from sopan.errors import DataError
from sopan.fit.metrics import measure
from sopan.steps.temperature import COLDEST, HOTTEST, fit_temperature
from sopan.types import softmax


def calibrated_logits(n: int, n_classes: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the very chance by which the labels are then drawn."""
    logits = rng.normal(scale=2, size=(n, n_classes))
    drawn = (softmax(logits).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return logits, np.minimum(drawn, n_classes - 1)


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("truth", [0.2, 1.0, 7.0])
def test_the_true_temperature_is_found(n_classes: int, truth: float) -> None:
    logits, labels = calibrated_logits(20_000, n_classes, np.random.default_rng(0))
    assert fit_temperature(logits * truth, labels) == pytest.approx(truth, rel=0.05)


def test_an_over_confident_step_becomes_honest() -> None:
    rng = np.random.default_rng(1)
    logits, labels = calibrated_logits(8_000, 3, rng)
    logits *= 4
    temperature = fit_temperature(logits[:4_000], labels[:4_000])
    before = measure(softmax(logits[4_000:]), labels[4_000:], "abc")
    after = measure(softmax(logits[4_000:] / temperature), labels[4_000:], "abc")
    assert before.ece > 0.1
    assert after.ece < 0.03
    assert after.log_loss < before.log_loss
    assert after.confusion == before.confusion


@pytest.mark.parametrize("n", [10, 100, 1_000])
def test_no_mistake_on_validation_is_not_certainty(n: int) -> None:
    labels = np.arange(n) % 2
    logits = np.eye(2)[labels] * 3.0
    confidence = softmax(logits / fit_temperature(logits, labels)).max(axis=1)
    assert confidence == pytest.approx(1 - 0.5 / n, abs=0.1 / n)


def test_one_class_in_validation_is_bounded() -> None:
    logits = np.random.default_rng(2).normal(loc=(4.0, 0.0, 0.0), size=(50, 3))
    temperature = fit_temperature(logits, np.zeros(50, int))
    assert COLDEST < temperature < HOTTEST
    assert np.isfinite(softmax(logits / temperature)).all()


def test_a_step_that_is_always_wrong_is_told_to_shrug() -> None:
    labels = np.arange(40) % 2
    logits = np.eye(2)[1 - labels] * 10.0
    assert fit_temperature(logits, labels) > 100


@pytest.mark.parametrize("size", [1e-6, 1e6])
def test_logits_of_any_size_give_finite_probabilities(size: float) -> None:
    logits, labels = calibrated_logits(200, 4, np.random.default_rng(3))
    temperature = fit_temperature(logits * size, labels)
    assert COLDEST <= temperature <= HOTTEST
    assert np.isfinite(softmax(logits * size / temperature)).all()


def test_nothing_to_gain_leaves_the_temperature_at_one() -> None:
    assert fit_temperature(np.zeros((6, 3)), np.array([0, 1, 2, 0, 1, 2])) == 1.0
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int)) == 1.0


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        fit_temperature(np.array([[0.0, np.inf]]), np.array([0]))
    with pytest.raises(DataError, match="2 validation texts came with 1"):
        fit_temperature(np.zeros((2, 2)), np.array([0]))
