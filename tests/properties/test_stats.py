"""What must hold of the statistics whatever the predictions are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from results_sample import sample_results

from sopan.comparison.verdict import compare_pairs, recommend, verdict_sentences
from sopan.fit.intervals import accuracy_interval, difference_interval, holm, macro_f1_interval, mcnemar
from sopan.fit.metrics import macro_f1, measure
from sopan.steps.temperature import COLDEST, HOTTEST, fit_temperature
from sopan.types import softmax

ONE = sample_results(("bow",)).steps[0]
few = settings(max_examples=40)  # each example draws 10,000 resamples
shares = st.floats(0, 1)
seeds = st.integers(0, 2**32 - 1)
answers = st.integers(1, 60).flatmap(lambda n: arrays(bool, (2, n)))
confusions = (
    st.integers(2, 6)
    .flatmap(lambda n_classes: arrays(np.int64, (n_classes, n_classes), elements=st.integers(0, 30)))
    .filter(lambda confusion: confusion.sum() > 0)
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, C), with steps of 1/8 so that no two are equal only up to rounding, and labels (N,)."""
    n, n_classes = draw(st.integers(1, 30)), draw(st.integers(2, 5))
    eighths = draw(arrays(np.int64, (n, n_classes), elements=st.integers(-200, 200)))
    return eighths / 8, draw(arrays(np.int64, n, elements=st.integers(0, n_classes - 1)))


@given(st.lists(shares, max_size=20))
def test_holm_raises_p_values_keeps_their_order_and_stays_a_share(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert (adjusted >= p_values).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p_values)
    assert (np.diff(adjusted[order]) >= 0).all()


@given(st.lists(shares, min_size=1, max_size=12), st.randoms())
def test_holm_does_not_depend_on_the_order(p_values: list[float], random: Any) -> None:
    shuffle = list(range(len(p_values)))
    random.shuffle(shuffle)
    assert (holm(np.array(p_values)[shuffle]) == holm(p_values)[shuffle]).all()


@given(answers)
def test_mcnemar_is_a_share_and_does_not_care_who_is_a(correct: np.ndarray) -> None:
    a, b = correct
    assert 0 < mcnemar(a, b) <= 1
    assert mcnemar(a, b) == mcnemar(b, a)
    assert mcnemar(a, a) == 1


@few
@given(answers, seeds)
def test_the_interval_holds_the_difference_and_turns_with_it(correct: np.ndarray, seed: int) -> None:
    a, b = correct
    low, high = difference_interval(a, b, np.random.default_rng(seed))
    assert -1 <= low <= a.mean() - b.mean() <= high <= 1
    assert low < high
    turned = difference_interval(b, a, np.random.default_rng(seed))
    assert np.allclose(turned, (-high, -low), atol=0.15 * (high - low))


@few
@given(confusions, seeds)
def test_the_intervals_hold_the_scores(confusion: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = accuracy_interval(confusion, rng)
    assert 0 <= low <= confusion.trace() / confusion.sum() <= high <= 1
    assert low < high
    low, high = macro_f1_interval(confusion, rng)
    assert 0 <= low <= macro_f1(confusion) <= high <= 1
    assert low < high


@given(tables())
def test_scores_lie_in_their_ranges_and_agree_with_each_other(table: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = table
    n_classes = logits.shape[1]
    scores = measure(softmax(logits), labels, range(n_classes))
    assert 0 <= scores.macro_f1 <= 1
    assert 0 <= scores.ece <= 1
    assert 0 <= scores.brier <= 2
    assert scores.log_loss >= 0
    assert np.sum(scores.confusion) == sum(row.count for row in scores.reliability) == len(labels)
    assert [row.support for row in scores.per_class] == np.sum(scores.confusion, axis=1).tolist()
    weighted = sum(row.accuracy * row.count for row in scores.reliability) / len(labels)
    assert np.isclose(weighted, scores.accuracy)


@given(tables())
def test_calibration_changes_no_answer(table: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = table
    temperature = fit_temperature(logits, labels)
    assert COLDEST <= temperature <= HOTTEST
    assert ((logits / temperature).argmax(axis=1) == logits.argmax(axis=1)).all()


@few
@given(st.integers(1, 6), st.integers(1, 80), seeds, st.floats(0, 0.2))
def test_a_verdict_claims_no_more_than_its_interval(k: int, n: int, seed: int, margin: float) -> None:
    rng = np.random.default_rng(seed)
    correct = {f"step{i}": rng.random(n) < rng.uniform(0.3, 1) for i in range(k)}
    steps = [
        replace(
            ONE,
            step=step,
            accuracy=float(right.mean()),
            accuracy_ci=(0.0, 1.0),
            texts_per_second=float(rng.lognormal(5, 3)),
        )
        for step, right in correct.items()
    ]
    pairs = compare_pairs(correct, margin=margin, rng=rng)
    assert len(pairs) == k * (k - 1) // 2
    for pair in pairs:
        low, high = pair.ci
        assert (pair.verdict == "a better") <= (low > 0 and pair.p_adjusted <= 0.05)
        assert (pair.verdict == "b better") <= (high < 0 and pair.p_adjusted <= 0.05)
        assert (pair.verdict == "equivalent within margin") <= (-margin < low and high < margin)
    recommendation = recommend(steps, pairs, margin)
    chosen = recommendation.step
    best = max(steps, key=lambda s: s.accuracy).step
    if chosen != best:
        (pair,) = [p for p in pairs if {p.a, p.b} == {chosen, best}]
        assert (pair.ci[0] if pair.a == chosen else -pair.ci[1]) > -margin
    sentences = verdict_sentences(pairs, steps, n, recommendation)
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in sentences)
    if not any(pair.verdict.endswith("better") for pair in pairs):
        assert not any(" is better" in sentence for sentence in sentences)
