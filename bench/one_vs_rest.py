"""How fast are many classes told apart, against liblinear, to the same loss?

    python bench/one_vs_rest.py [--rounds 3] [--smoke]

The 77 intents of `tables`, words and characters as `bow` weighs them, each class with factors of its own.
The peer fits a `LogisticRegression(solver="liblinear", dual=True, tol=0.1)` a class, as `bow` did before.
Both use the cores that they know to use. Losses are exact sums over the classes; a time counts only with a
loss that is no more than a thousandth above the peer's. The bar: three times as fast.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.sparse as sp
from measure import contest, report, table
from sklearn.linear_model import LogisticRegression
from tables import intents

from sopan.steps.bow import BagOfWords
from sopan.steps.feature_weights import class_log_count_ratio
from sopan.steps.linear import LinearModel
from sopan.steps.one_vs_rest import COARSE, OneVsRest
from sopan.text.arrow import as_texts

STRENGTHS = (1.0, 10.0, 100.0)
BAR, ALLOWED = 3.0, 1.001


def main() -> None:
    """Let both fit every C; print a table and the lines of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="few texts, one round")
    asked = parser.parse_args()
    count, rounds = (600, 1) if asked.smoke else (6000, asked.rounds)
    rows: list[tuple[str, ...]] = [("C", "sopan", "loss", "liblinear", "loss", "ratio")]
    for C in STRENGTHS:
        found = contest(
            {name: partial(make, name, C, count) for name in ("sopan", "liblinear")}, rounds=rounds
        )
        ours, peer = (found.results[name][0] for name in ("sopan", "liblinear"))
        ratio = found.ratio("sopan", "liblinear")
        seconds = [found.median(name) for name in ("sopan", "liblinear")]
        rows.append(
            (
                f"{C:g}",
                f"{seconds[0]:.2f} s",
                f"{ours:.0f}",
                f"{seconds[1]:.2f} s",
                f"{peer:.0f}",
                f"{ratio:.1f}",
            )
        )
        report(
            f"one against the rest, 77 classes, C = {C:g}",
            peer_name="scikit-learn's liblinear",
            ours=seconds[0],
            peer=seconds[1],
            ratio=ratio if ours <= ALLOWED * peer else 0.0,
            bar=BAR,
            unit="s",
            rounds=rounds,
            losses=[round(ours, 1), round(peer, 1)],
        )
    table("77 classes", rows)


def make(name: str, C: float, count: int) -> Callable[[int], float]:
    """Return a contender's work, which answers with the sum of its losses."""
    texts, names = intents(count, 0)
    labels = np.unique(names, return_inverse=True)[1]
    bag = BagOfWords(characters=(2, 5), C=0.01).fit(as_texts(texts), labels)
    features = bag.transform(texts)
    fit = {"sopan": fit_ours, "liblinear": fit_peer}[name]

    def factors(members: np.ndarray) -> np.ndarray:
        return np.abs(class_log_count_ratio(features, members)) ** 0.5

    reached = loss(fit(features, labels, C, factors), features, labels, C, factors)

    def work(number: int) -> float:
        fit(features, labels, C, factors)
        return reached  # every round comes to the same; finding it is no part of the work

    return work


def fit_ours(features, labels, C, factors) -> LinearModel:
    """Fit by ours, as exactly as a path does."""
    problem = OneVsRest(features, labels, scale=factors)
    problem.fit(C, tolerance=COARSE)
    return problem.model()


def fit_peer(features, labels, C, factors) -> LinearModel:
    """Fit by liblinear."""
    fitted = []
    for label in range(labels.max() + 1):
        by = factors(labels == label)
        scaled = sp.csr_array((features.data * by[features.indices], features.indices, features.indptr))
        scaled.resize(features.shape)
        peer = LogisticRegression(C=C, solver="liblinear", dual=True, tol=0.1, max_iter=1000, random_state=0)
        peer.fit(scaled, labels == label)
        fitted.append((peer.coef_[0] * by, peer.intercept_[0]))
    weights, bias = zip(*fitted, strict=True)
    return LinearModel(np.stack(weights, axis=1), np.array(bias))


def loss(model: LinearModel, features, labels, C, factors) -> float:
    """Add up what the classes' problems minimise."""
    total = 0.0
    for label in range(labels.max() + 1):
        by, folded = factors(labels == label), model.weights[:, label].astype(float)
        weights = np.divide(folded, by, out=np.zeros_like(folded), where=by > 0)
        margins = np.where(labels == label, 1, -1) * (features @ folded + model.bias[label])
        total += (weights @ weights + model.bias[label] ** 2) / 2 + C * np.logaddexp(0, -margins).sum()
    return total


if __name__ == "__main__":
    main()
