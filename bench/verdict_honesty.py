"""Is the verdict honest? Draw test sets from real prediction tables whose truth is known, and count mistakes.

    python bench/verdict_honesty.py [--seeds 200] [--replicates 5] [--smoke]

Four real classifiers predict real texts; their table of predictions is the population. A test set is
drawn from it with replacement, `sopan.comparison.verdict` judges it, and we count how often

* false better      two equally good steps (on each text, who gave which of the two answers is tossed
                    for) are told apart all the same: at most 5%;
* any of six        the same for all six pairs of four equally good steps, Holm-adjusted: at most 5%;
* false not worse   a step worse by exactly the margin is shown to be within the margin: about 2.5%;
* coverage          a 95% interval of the difference, the accuracy or the macro-F1 holds the truth of
                    the population: 93% to 97%. "plain" is the percentile bootstrap, for comparison.

The population "few errors" is the same table with wrong texts thinned until the first step is right
on 98%: intervals are hardest near 1. Without the reviews, or with --smoke, the predictions are of
scikit-learn's handwritten digits.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from reviews import labelled
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from sopan.comparison.verdict import compare_pairs
from sopan.fit.intervals import accuracy_interval, macro_f1_interval
from sopan.fit.metrics import count_confusion, macro_f1

MARGIN = 0.01
TOSSES = 10
"""Pairs of equally good steps made from each test set: a rate so near its bar needs many."""


@dataclass(frozen=True)
class Population:
    """Labels (N,) and what M steps predicted (M, N), all as class indices."""

    name: str
    labels: np.ndarray
    predicted: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        return self.predicted == self.labels

    @property
    def classes(self) -> int:
        return int(max(self.labels.max(), self.predicted.max())) + 1

    def take(self, rows: np.ndarray) -> Population:
        return Population(self.name, self.labels[rows], self.predicted[:, rows])

    def few_errors(self, rng: np.random.Generator, accuracy: float = 0.98) -> Population:
        """Keep all texts that the first step gets right, and just enough of the others."""
        right, wrong = np.flatnonzero(self.correct[0]), np.flatnonzero(~self.correct[0])
        kept = rng.permutation(wrong)[: round(len(right) * (1 - accuracy) / accuracy)]
        thinned = self.take(np.concatenate([right, kept]))
        return Population(f"{self.name}, few errors", thinned.labels, thinned.predicted)


def imdb(path: Path) -> Population:
    """Two logistic regressions and two naive Bayes, fitted on 5,000 reviews, predict 40,000."""
    table = pq.read_table(path, columns=["text", "label", "talk"])
    train, test = (table.filter(pc.equal(table["talk"], part)) for part in ("train", "test"))
    y, labels = (
        np.unique(np.array(part["label"].to_pylist()), return_inverse=True)[1] for part in (train, test)
    )
    words = CountVectorizer(ngram_range=(1, 2), min_df=2)
    X = words.fit_transform(train["text"].to_pylist())
    new = words.transform(test["text"].to_pylist())
    single = np.array([" " not in word for word in words.get_feature_names_out()])
    weigh = TfidfTransformer(sublinear_tf=True).fit(X)
    tfidf = LogisticRegression(C=10, max_iter=300).fit(weigh.transform(X), y)
    binary = LogisticRegression(C=0.03, max_iter=300).fit(X[:, single].sign(), y)
    bayes, bayes_pairs = MultinomialNB().fit(X[:, single].sign(), y), MultinomialNB().fit(X.sign(), y)
    predicted = [
        tfidf.predict(weigh.transform(new)),
        bayes_pairs.predict(new.sign()),
        binary.predict(new[:, single].sign()),
        bayes.predict(new[:, single].sign()),
    ]
    return Population("imdb, 2 classes", labels, np.array(predicted))


def digits() -> Population:
    """Four small classifiers, fitted on 300 of scikit-learn's 1,797 digits, predict the others."""
    X, y = load_digits(return_X_y=True)
    models: list[Any] = [
        LogisticRegression(max_iter=1000),
        GaussianNB(var_smoothing=1e-2),
        KNeighborsClassifier(),
        DecisionTreeClassifier(random_state=0),
    ]
    predicted = [model.fit(X[:300] / 16, y[:300]).predict(X[300:] / 16) for model in models]
    return Population("digits, 10 classes", y[300:], np.array(predicted))


def judge(population: Population, n: int, rng: np.random.Generator) -> dict[str, float]:
    """Draw one test set of n texts; say of each mistake how often, and of each interval whether it held."""
    sample = population.take(rng.integers(0, len(population.labels), size=n))
    first, second = sample.correct[:2]
    confusion = count_confusion(sample.labels, sample.predicted[0], population.classes)
    true_confusion = count_confusion(population.labels, population.predicted[0], population.classes)
    true_accuracy, true_second = population.correct[:2].mean(axis=1)

    all_equal = rng.permuted(sample.correct, axis=0)
    # Of the texts that the first alone gets right, hand the second as many as make the first worse by MARGIN.
    equal = rng.permuted(sample.correct[:2], axis=0)
    share = np.mean(population.correct[0] != population.correct[1])
    handed = equal[0] & ~equal[1] & (rng.random(n) < MARGIN / share)
    worse, better = equal[0] & ~handed, equal[1] | handed

    right = rng.binomial(n, first.mean(), size=10_000) / n
    return {
        "false better": float(np.mean([_toss_and_judge(first, second, rng) for _ in range(TOSSES)])),
        "any of six": _told_apart(dict(zip("abcd", all_equal, strict=True)), rng),
        "false not worse": bool(_difference(worse, better, rng)[0] > -MARGIN),
        "difference": _holds(_difference(first, second, rng), true_accuracy - true_second),
        "accuracy": _holds(accuracy_interval(confusion, rng), true_accuracy),
        "macro-F1": _holds(macro_f1_interval(confusion, rng), macro_f1(true_confusion)),
        "plain accuracy": _holds(np.quantile(right, [0.025, 0.975]), true_accuracy),
    }


def _toss_and_judge(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> bool:
    """Make two steps equally good: on each text, toss for who gave which answer."""
    swap = rng.random(len(first)) < 0.5
    return _told_apart({"a": np.where(swap, second, first), "b": np.where(swap, first, second)}, rng)


def _told_apart(correct: dict[str, np.ndarray], rng: np.random.Generator) -> bool:
    pairs = compare_pairs(correct, margin=MARGIN, rng=rng)
    return any(pair.verdict.endswith("better") for pair in pairs)


def _difference(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> list[float]:
    return compare_pairs({"a": a, "b": b}, margin=MARGIN, rng=rng)[0].ci


def _holds(interval: Any, truth: float) -> bool:
    low, high = interval
    return bool(low - 1e-12 <= truth <= high + 1e-12)


def simulate(population: Population, n: int, seeds: int, replicates: int) -> dict[str, float]:
    """Return the share of `seeds` x `replicates` test sets of n texts with each outcome of `judge`."""
    seen: dict[str, float] = defaultdict(float)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        for _ in range(replicates):
            for key, happened in judge(population, n, rng).items():
                seen[key] += happened
    return {key: round(count / (seeds * replicates), 5) for key, count in seen.items()}


def summary(rows: list[dict[str, Any]], seeds: int, replicates: int, seconds: float) -> dict[str, Any]:
    """Gather what the bars are about: shares over all rows, and those of the worst row."""
    false_better = [row["false better"] for row in rows]
    coverage = [row["difference"] for row in rows]
    runs = seeds * replicates
    return {
        "bench": "verdict_honesty",
        "false_better": round(float(np.mean(false_better)), 4),
        "false_better_worst": max(false_better),
        "false_better_any_of_six": round(float(np.mean([row["any of six"] for row in rows])), 4),
        "false_not_worse": round(float(np.mean([row["false not worse"] for row in rows])), 4),
        "coverage": round(float(np.mean(coverage)), 4),
        "coverage_range": [min(coverage), max(coverage)],
        "test_sets_per_row": runs,
        "monte_carlo_error": round(float(np.sqrt(0.05 * 0.95 / runs)), 4),
        "monte_carlo_error_false_better": round(float(np.sqrt(0.05 * 0.95 / runs / TOSSES)), 4),
        "seconds": round(seconds, 1),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--replicates", type=int, default=5, help="test sets a seed")
    parser.add_argument("--smoke", action="store_true", help="a few seconds, on the digits")
    options = parser.parse_args()
    if options.smoke:
        options.seeds, options.replicates = 20, 5

    started = time.perf_counter()
    populations = [(digits(), (200,) if options.smoke else (500,))]
    if not options.smoke:
        reviews = imdb(labelled())
        populations = [
            (reviews, (200, 1_000, 5_000, 40_000)),
            (reviews.few_errors(np.random.default_rng(0)), (100, 500)),
            *populations,
        ]
    heading = ("false better", "any of six", "false not worse")
    intervals = ("difference", "accuracy", "macro-F1", "plain accuracy")
    print(f"{'population':<28}{'texts':>7}" + "".join(f"{name:>16}" for name in (*heading, *intervals)))
    rows: list[dict[str, Any]] = []
    for population, sizes in populations:
        for n in sizes:
            shares = simulate(population, n, options.seeds, options.replicates)
            rows.append({"population": population.name, "texts": n} | shares)
            cells = "".join(f"{shares[name]:>16.2%}" for name in (*heading, *intervals))
            print(f"{population.name:<28}{n:>7,}{cells}", flush=True)
    print(json.dumps(summary(rows, options.seeds, options.replicates, time.perf_counter() - started)))


if __name__ == "__main__":
    main()
