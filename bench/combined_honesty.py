"""Is the verdict honest of `stack` and `cascade`, which were fitted on validation texts?

    python bench/combined_honesty.py [--runs 200] [--smoke]

Seven equally good contenders are drawn: each sees the label through a noise that all share and one of its
own, and its logits are calibrated by construction. `stack` and `cascade` are fitted to them on validation
texts, all nine are judged on test texts, and 200,000 texts tell which is truly better. Counted is how often

* false better      a contender is called better that is not, in any of the 36 pairs: at most 5%;
* cascade below     the cascade is worse than the best single contender by more than the margin, in truth;
* asked twice       the share of texts that go on to a second member, for the record.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import NamedTuple

import numpy as np

from sopan.comparison.combining import combined, log_probabilities
from sopan.comparison.verdict import compare_pairs
from sopan.steps.cascading import fit_cascade
from sopan.steps.stacking import fit_stack
from sopan.steps.stages import Stage
from sopan.types import softmax

MEMBERS, TRUTH = 7, 200_000
SHARED, OWN, SIGNAL = 0.8, 0.6, 1.2
"""Spread of the noise that all share, and of each one's own; distance of the classes from 0: 0.885 right."""
MARGIN = 0.005
COSTS = {f"step {m}": 0.001 * 3.0**m for m in range(MEMBERS)}
"""Seconds a text: each costs three times as much as the one before, and is no better."""


class Texts(NamedTuple):
    """Labels (N,), and what each member says of N texts: (N, 2) probabilities."""

    labels: np.ndarray
    said: dict[str, np.ndarray]


def draw(n: int, rng: np.random.Generator) -> Texts:
    """Draw N texts of two classes."""
    labels = rng.integers(0, 2, n)
    seen = SIGNAL * (2 * labels - 1) + SHARED * rng.standard_normal(n)
    scale = 2 * SIGNAL / (SHARED**2 + OWN**2)  # the log odds of a Gaussian, halved below
    said = {}
    for name in COSTS:
        score = scale * (seen + OWN * rng.standard_normal(n))
        said[name] = softmax(np.stack([-score / 2, score / 2], 1))
    return Texts(labels, said)


def judge(truth: Texts, n_val: int, n_test: int, rng: np.random.Generator) -> tuple[bool, bool, float]:
    """Fit, judge one test set, and say whether anything false was said."""
    val, test = draw(n_val, rng), draw(n_test, rng)
    logits = {name: log_probabilities(said) for name, said in val.said.items()}
    weights = fit_stack(logits, val.labels)
    stages = {
        "stack": (Stage(tuple(np.flatnonzero(weights).tolist()), weights),),
        "cascade": fit_cascade(logits, val.labels, COSTS, margin=MARGIN).stages,
    }
    right, really = dict[str, np.ndarray](), dict[str, float]()
    for name in COSTS:
        right[name] = test.said[name].argmax(1) == test.labels
        really[name] = float(np.mean(truth.said[name].argmax(1) == truth.labels))
    onwards = 0.0
    for name, asked in stages.items():
        found, _ = combined(asked, list(test.said.values()))
        right[name] = found.argmax(1) == test.labels
        found, answered = combined(asked, list(truth.said.values()))
        really[name] = float(np.mean(found.argmax(1) == truth.labels))
        onwards = float(np.mean(answered > 0))
    equal = np.mean([really[name] for name in COSTS])
    really |= dict.fromkeys(COSTS, float(equal))  # by construction
    pairs = compare_pairs(right, margin=MARGIN, rng=rng)
    false = any(
        (pair.verdict == "a better" and really[pair.a] <= really[pair.b])
        or (pair.verdict == "b better" and really[pair.b] <= really[pair.a])
        for pair in pairs
    )
    return false, bool(really["cascade"] < equal - MARGIN), onwards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--smoke", action="store_true", help="ten runs of one size")
    options = parser.parse_args()
    sizes = [(60, 60), (200, 1_000), (1_000, 1_000), (5_000, 10_000)]
    runs = 10 if options.smoke else options.runs
    started, truth, rows = time.perf_counter(), draw(TRUTH, np.random.default_rng(0)), []
    print(f"{'validation':>10}{'test':>8}{'false better':>14}{'cascade below':>15}{'asked twice':>13}")
    for n_val, n_test in sizes[1:2] if options.smoke else sizes:
        found = [judge(truth, n_val, n_test, np.random.default_rng([1, run])) for run in range(runs)]
        false, below, onwards = np.mean(np.array(found, float), axis=0)
        print(f"{n_val:>10,}{n_test:>8,}{false:>14.2%}{below:>15.2%}{onwards:>13.2%}", flush=True)
        rows.append({"validation": n_val, "test": n_test, "false_better": false, "cascade_below": below})
    line = {"bench": "combined_honesty", "false_better_worst": max(row["false_better"] for row in rows)}
    print(json.dumps(line | {"runs": runs, "seconds": round(time.perf_counter() - started, 1), "rows": rows}))


if __name__ == "__main__":
    main()
