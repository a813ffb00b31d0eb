"""Intervals and tests on cases that can be worked out, and at the edges where bootstraps fail."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom, binomtest

from sopan.fit import intervals
from sopan.fit.intervals import (
    accuracy_interval,
    difference_interval,
    holm,
    macro_f1_interval,
    mcnemar,
    paired_difference,
)
from sopan.fit.metrics import macro_f1


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def outcomes(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Two steps' right and wrong answers, from the four counts of a paired table."""
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


# ---- accuracy and macro-F1 -------------------------------------------------------------------


@pytest.mark.parametrize(("right", "n"), [(1, 2), (88, 100), (97, 100), (499, 500), (35_400, 40_000)])
def test_accuracy_interval_is_that_of_jeffreys(right: int, n: int, rng: np.random.Generator) -> None:
    low, high = accuracy_interval(np.array([[right, n - right], [0, 0]]), rng)
    exact = beta.ppf([0.025, 0.975], right + 0.5, n - right + 0.5)
    assert [low, high] == pytest.approx(exact, abs=0.02 * (exact[1] - exact[0]))


def test_all_right_does_not_mean_always_right(rng: np.random.Generator) -> None:
    low, high = accuracy_interval(np.diag([50, 50]), rng)
    assert (low, high) == (pytest.approx(0.975, abs=0.002), 1.0)
    low, high = macro_f1_interval(np.diag([50, 50]), rng)
    assert low == pytest.approx(0.975, abs=0.003)
    assert high == 1.0


def test_all_wrong_does_not_mean_always_wrong(rng: np.random.Generator) -> None:
    low, high = accuracy_interval(np.array([[0, 5], [5, 0]]), rng)
    assert low == 0.0
    assert 0.15 < high < 0.3


def test_a_class_that_occurs_nowhere_changes_nothing() -> None:
    small = np.array([[40, 5], [3, 52]])
    large = np.zeros((4, 4), dtype=np.int64)
    large[np.ix_([0, 2], [0, 2])] = small
    one, other = (macro_f1_interval(confusion, np.random.default_rng(1)) for confusion in (small, large))
    assert one == other


def test_one_class_in_the_test_set_still_has_an_interval(rng: np.random.Generator) -> None:
    low, high = macro_f1_interval(np.array([[20, 0], [0, 0]]), rng)
    assert 0.8 < low < high == 1.0


def test_rare_classes_widen_the_interval_of_macro_f1_not_of_accuracy(rng: np.random.Generator) -> None:
    even, skewed = np.array([[450, 50], [50, 450]]), np.array([[900, 50], [50, 0]])
    skewed[1, 1] = 10
    width = {
        (score.__name__, name): np.diff(score(confusion, rng))[0]
        for score in (accuracy_interval, macro_f1_interval)
        for name, confusion in (("even", even), ("skewed", skewed))
    }
    assert width["macro_f1_interval", "skewed"] > 1.5 * width["macro_f1_interval", "even"]
    assert width["accuracy_interval", "skewed"] == pytest.approx(width["accuracy_interval", "even"], rel=0.1)


def test_many_classes_with_few_texts_are_covered(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """77 classes of some ten texts: the plain percentile bootstrap covers about 80% here."""
    monkeypatch.setattr(intervals, "RESAMPLES", 1_000)  # enough for a count of hits
    n_classes, n, runs = 77, 800, 100
    shares = np.full((n_classes, n_classes), 0.15 / (n_classes - 1))
    np.fill_diagonal(shares, 0.85)
    shares /= shares.sum()
    truth, held, plain_held = macro_f1(shares), 0, 0
    for _ in range(runs):
        sample = rng.multinomial(n, shares.ravel()).reshape(shares.shape)
        low, high = macro_f1_interval(sample, rng)
        held += low <= truth <= high
        resamples = rng.multinomial(n, sample.ravel() / n, size=200).reshape(-1, *shares.shape)
        low, high = np.quantile([macro_f1(resample) for resample in resamples], [0.025, 0.975])
        plain_held += low <= truth <= high
    assert held / runs >= 0.90  # 95%, less some two Monte-Carlo errors
    assert plain_held / runs < 0.90


def test_the_same_seed_gives_the_same_interval() -> None:
    confusion = np.array([[40, 5], [3, 52]])
    for score in (accuracy_interval, macro_f1_interval):
        assert score(confusion, np.random.default_rng(7)) == score(confusion, np.random.default_rng(7))


# ---- differences -----------------------------------------------------------------------------


def test_a_large_table_gives_the_normal_interval(rng: np.random.Generator) -> None:
    a, b = outcomes(34_000, 1_500, 1_300, 3_200)
    gap = a.astype(float) - b
    half = 1.959964 * gap.std() / np.sqrt(len(gap))
    assert difference_interval(a, b, rng) == pytest.approx(
        (gap.mean() - half, gap.mean() + half), abs=0.03 * half
    )


def test_equal_answers_promise_no_more_than_the_number_of_texts_allows(rng: np.random.Generator) -> None:
    for n in (100, 10_000):
        a, b = outcomes(n, 0, 0, 0)
        low, high = difference_interval(a, b, rng)
        assert low == pytest.approx(-2.1 / n, rel=0.25)
        assert high == pytest.approx(2.1 / n, rel=0.25)
        assert mcnemar(a, b) == 1.0


def test_one_text_is_enough_to_answer_and_says_little(rng: np.random.Generator) -> None:
    low, high = difference_interval(np.array([True]), np.array([False]), rng)
    assert low < 0 < high == 1.0


# ---- tests -----------------------------------------------------------------------------------


def test_mcnemar_by_hand() -> None:
    # 5 texts only a gets right, 1 only b: 2 x (1 + 6) / 64.
    a, b = outcomes(10, 5, 1, 4)
    assert mcnemar(a, b) == pytest.approx(14 / 64)
    assert mcnemar(*outcomes(3, 6, 0, 0)) == pytest.approx(2 / 64)
    assert mcnemar(*outcomes(3, 2, 2, 0)) == 1.0


def test_exact_mcnemar_keeps_its_level_where_mid_p_does_not() -> None:
    """Why the exact test: with k of m texts for one step, each is rejected at 5% this often."""
    exact, mid_p = [], []
    for m in range(1, 61):
        k = np.arange(m + 1)
        chance = binom.pmf(k, m, 0.5)
        p = np.array([mcnemar(*outcomes(0, int(i), int(m - i), 0)) for i in k])
        exact.append(chance[p <= 0.05].sum())
        mid_p.append(chance[p - chance <= 0.05].sum())
    assert max(exact) <= 0.05
    assert max(mid_p) == pytest.approx(0.0768, abs=1e-4)
    assert int(np.argmax(mid_p)) + 1 == 16


def test_a_paired_difference_equals_a_count_by_hand(rng: np.random.Generator) -> None:
    a = np.array([1, 1, 1, 1, 1, 1, 0, 0, 1, 0], bool)
    b = np.array([1, 0, 0, 0, 0, 1, 1, 0, 0, 0], bool)
    found = paired_difference(a, b, rng)
    assert found["difference"] == pytest.approx(0.4)
    assert found["p"] == pytest.approx(binomtest(1, 6).pvalue)  # five go one way, one the other
    assert found["low"] < 0.4 < found["high"]
    turned = paired_difference(b, a, rng)
    assert turned["difference"] == pytest.approx(-0.4)
    assert turned["p"] == pytest.approx(found["p"])


def test_holm_by_hand() -> None:
    # Sorted: 0.01 x 4, 0.02 x 3, 0.03 x 2 (not below the one before), 0.5 x 1.
    assert holm([0.02, 0.5, 0.01, 0.03]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([0.2]) == pytest.approx([0.2])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]).shape == (0,)
