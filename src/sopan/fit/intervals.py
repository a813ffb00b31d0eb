"""How far other test texts could move a score: bootstrap intervals and the exact paired test.

Every interval here is a 95% *Bayesian bootstrap* (Rubin 1981): a resample gives each test text a
random weight instead of drawing it some whole number of times. Texts that fall in the same cell
of a table are alike, so a resample of N texts is one gamma number a cell, exactly. To each
resample come a few half texts, Jeffreys' prior, in the cells that the test set could have filled
but did not: with all 100 texts right, no interval may say that the accuracy *is* 1.

Why not the plain percentile bootstrap: at an accuracy of 0.99, a third of all sets of 100 texts show
no mistake, and its 95% interval is then the single point 1. `bench/verdict_honesty.py` counts
how often each kind of interval holds the truth.

An interval tells what the choice of *test texts* may have done. What another training run would
do is a different question (`--seeds`).

Sources:
    Rubin 1981, The Bayesian Bootstrap. Brown, Cai, DasGupta 2001, Interval Estimation for a
    Binomial Proportion (Jeffreys' interval). Agresti, Min 2005, Frequentist Performance of Bayesian
    Confidence Intervals for Comparing Proportions in 2 x 2 Contingency Tables (matched pairs).
    McNemar 1947. Fagerland, Lydersen, Laake 2013, The McNemar test for binary matched-pairs
    data. Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.stats import binom

from sopan.fit.metrics import macro_f1
from sopan.fit.scores import Interval
from sopan.types import BoolArray, FloatArray, Int64Array

LEVEL = 0.95
RESAMPLES = 10_000
"""Enough that the ends of an interval wander by some 1% of its width from seed to seed."""

CHUNK = 4_000_000
"""Gamma numbers held in memory at once."""


def accuracy_interval(confusion: Int64Array, rng: np.random.Generator) -> Interval:
    """Bootstrap the accuracy: half a right and half a wrong text join each resample.

    With infinitely many resamples this is Jeffreys' interval, the quantiles of
    Beta(right + 1/2, wrong + 1/2).

    Args:
        confusion: (C, C) counts, rows the true class, columns the predicted.
    """
    right = int(confusion.trace())
    wrong = int(confusion.sum()) - right
    weights = rng.standard_gamma([right + 0.5, wrong + 0.5], size=(RESAMPLES, 2))
    return _interval(weights[:, 0] / weights.sum(axis=1), right / (right + wrong))


def macro_f1_interval(confusion: Int64Array, rng: np.random.Generator) -> Interval:
    """Bootstrap the macro-F1: half a right and half a wrong text, of random classes, join each resample.

    Macro-F1 from few texts a class is biased downwards, and a resample repeats the bias. The
    interval is therefore moved up by twice the bias seen between the resamples and the estimate
    (Efron, Tibshirani 1993, An Introduction to the Bootstrap, chapter 10): next to nothing for two
    classes, about one standard error for 77 classes of ten texts.

    Args:
        confusion: (C, C) counts, rows the true class, columns the predicted.
    """
    occurs = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    confusion = confusion[np.ix_(occurs, occurs)]
    rows, columns = np.nonzero(confusion)
    chunk = max(1, CHUNK // len(rows))
    sizes = [min(chunk, RESAMPLES - start) for start in range(0, RESAMPLES, chunk)]
    parts = [_macro_f1_draws(confusion, rows, columns, size, rng) for size in sizes]
    plain, joined = (np.concatenate(draws) for draws in zip(*parts, strict=True))
    estimate = macro_f1(confusion)
    return _interval(joined + 2 * (estimate - plain.mean()), estimate)


def _macro_f1_draws(
    confusion: Int64Array, rows: Int64Array, columns: Int64Array, size: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return `size` macro-F1 values of resamples, without and with the two half texts."""
    C = len(confusion)
    weights = rng.standard_gamma(confusion[rows, columns], size=(size, len(rows)))  # (S, cells)
    right = np.zeros((size, C))
    right[:, rows[rows == columns]] = weights[:, rows == columns]
    either = _sum_by_class(weights, rows, C) + _sum_by_class(weights, columns, C)  # (S, C)
    plain = (2 * right / either).mean(axis=1)

    half_right, half_wrong = rng.standard_gamma(0.5, size=(2, size))
    support = confusion.sum(axis=1)
    of_right, of_wrong = rng.choice(C, size=(2, size), p=support / support.sum())
    resample = np.arange(size)
    right[resample, of_right] += half_right
    either[resample, of_right] += 2 * half_right
    either[resample, of_wrong] += half_wrong
    if C > 1:  # a wrong text is predicted to be of some other class
        predicted = (of_wrong + rng.integers(1, C, size=size)) % C
        either[resample, predicted] += half_wrong
    return plain, (2 * right / either).mean(axis=1)


def _sum_by_class(weights: FloatArray, classes: Int64Array, C: int) -> FloatArray:
    """Sum the columns of weights (S, cells) that belong to the same class: (S, C)."""
    belongs = csr_array((np.ones(len(classes)), (np.arange(len(classes)), classes)), shape=(len(classes), C))
    return np.asarray(weights @ belongs)


def difference_interval(a: BoolArray, b: BoolArray, rng: np.random.Generator) -> Interval:
    """Bootstrap the accuracy of a minus that of b, on the same texts.

    Only the texts that one step alone gets right make a difference. Half a text joins each of the
    four cells (both right, only a, only b, both wrong). Two steps that were right on just the same
    texts differ by 0, but a small test set cannot promise that they always will: the
    interval then reaches about 2 / N to either side.

    Args:
        a, b: (N,) bool, whether the step was right on each test text.
    """
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    same = len(a) - only_a - only_b
    weights = rng.standard_gamma([only_a + 0.5, only_b + 0.5, same + 1.0], size=(RESAMPLES, 3))
    draws = (weights[:, 0] - weights[:, 1]) / weights.sum(axis=1)
    return _interval(draws, (only_a - only_b) / len(a), lowest=-1.0)


def _interval(draws: FloatArray, estimate: float, lowest: float = 0.0) -> Interval:
    """Take the middle 95% of the draws, stretched to hold the estimate itself."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return max(lowest, min(float(low), estimate)), min(1.0, max(float(high), estimate))


def mcnemar(a: BoolArray, b: BoolArray) -> float:
    """Test whether two steps are equally accurate: the exact McNemar p-value, two-sided.

    If they are, each text that only one of them gets right is a fair coin. That holds for any
    number of classes, since only right and wrong are compared. The exact test keeps a false alarm
    at or below its level for *every* number of such texts; the mid-p test (recommended for its
    power by Fagerland et al. 2013) keeps it on average only: 7.7% instead of 5% at 16 texts.

    Args:
        a, b: (N,) bool, whether the step was right on each test text.
    """
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return min(1.0, 2 * float(binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)))


def paired_difference(a: BoolArray, b: BoolArray, rng: np.random.Generator) -> dict[str, float]:
    """Say by how much more a was right than b on the same texts: `difference`, its interval, McNemar's `p`.

    Args:
        a, b: (N,) bool, whether each was right.
    """
    low, high = difference_interval(a, b, rng)
    return {"difference": float(a.mean() - b.mean()), "low": low, "high": high, "p": mcnemar(a, b)}


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust m p-values so that the chance of *any* false alarm among them stays at the level (Holm 1979).

    Args:
        p_values: (m,) raw p-values.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
