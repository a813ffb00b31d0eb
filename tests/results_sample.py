"""Make a whole, schema-valid results object out of simulated predictions, for the tests of what shows it.

The predictions are drawn at random and the costs are made up: nothing here is a measurement. Scores, paired
tests and the verdict are then worked out from the predictions by the code that a comparison uses.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sopan.comparison.results import Results, StepScores, checked
from sopan.comparison.verdict import compare_pairs, recommend, verdict_sentences
from sopan.fit.metrics import measure

LADDER = {
    "bow": ("words as features", "similarity, order"),
    "cbow": ("similarity", "order, context"),
    "attention": ("which words matter", "words do not see each other"),
    "self_attention": ("words see each other", "position, depth"),
    "transformer": ("position, depth", "knowledge from unlabelled text"),
    "bert": ("unlabelled text", "–"),
    "bow:counts": ("counts as they are", "weights"),
    "cbow:sif": ("weights by rarity", "order, context"),
}
PHRASES = (
    "the tram was late again and nobody said a word",
    "what a warm and funny evening, we stayed until the end",
    "ছবিটা খুব ভালো লেগেছে, আবার দেখব",
    "कहानी धीमी है पर अंत अच्छा है",
    "I wanted to like it; the second half asks for too much patience",
    "the soup came cold <b>twice</b> & the waiter smiled",
)


MARGIN = 0.005


def sample_results(*args: Any, **kwargs: Any) -> Results:
    """Return `sample_json` as the value that it stands for."""
    return results_of(sample_json(*args, **kwargs))


def results_of(value: dict[str, Any]) -> Results:
    """Read a results object, as from a file."""
    return checked(Results, json.dumps(value), Path("results.json"))


def sample_json(
    steps: tuple[str, ...] = ("bow", "cbow"),
    classes: tuple[str, ...] = ("negative", "positive"),
    n_test: int = 2000,
    seed: int = 0,
    *,
    learning_curve: bool = True,
    seeds: int = 1,
) -> dict[str, Any]:
    """Simulate a comparison of `steps` on `n_test` texts of C `classes`."""
    rng = np.random.default_rng(seed)
    labels = np.resize(rng.permutation(len(classes)), n_test)
    shared = rng.normal(size=(n_test, len(classes)))  # what makes a text hard for every step
    probabilities = {}
    for height, step in enumerate(steps):
        logits = 1.1 * shared + 0.7 * rng.normal(size=shared.shape)
        logits[np.arange(n_test), labels] += 2.2 + 0.25 * height
        logits -= logits.max(axis=1, keepdims=True)
        probabilities[step] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    correct = {step: found.argmax(axis=1) == labels for step, found in probabilities.items()}
    measured = [
        _step(step, height, measure(found, labels, classes).as_json(), seeds, rng)
        for height, (step, found) in enumerate(probabilities.items())
    ]
    pairs = compare_pairs(correct, margin=MARGIN, rng=rng)
    scores = [checked(StepScores, json.dumps(step), Path(step["step"])) for step in measured]
    recommendation = recommend(scores, pairs, MARGIN)
    return {
        "sopan": "0.1.0",
        "data": _data(classes, labels),
        "steps": measured,
        "pairs": [pair.as_json() for pair in pairs],
        "recommendation": recommendation.as_json(),
        "verdict": list(verdict_sentences(pairs, scores, n_test, recommendation)),
        "learning_curve": _learning_curve(measured, 3 * n_test) if learning_curve else None,
        "disagreements": _disagreements(labels, probabilities, classes),
        "label_errors": _label_errors(labels, classes, rng),
        "environment": {
            "python": "3.11.9",
            "platform": "Linux-6.1",
            "cpu": "a processor",
            "cores": 2,
            "memory_gb": 16.8,
            "versions": {"numpy": "2.1.0", "scikit-learn": "1.6.0"},
        },
        "run": {
            "command": f"sopan compare letters.csv --steps {','.join(steps)} --seed {seed}",
            "seed": seed,
            "seeds": seeds,
            "budget": "60s",
            "deterministic": True,
            "seconds": 318.4,
            "started": "2025-01-31T09:30:00Z",
        },
    }


def _step(
    step: str, height: int, scores: dict[str, Any], seeds: int, rng: np.random.Generator
) -> dict[str, Any]:
    n = sum(row["support"] for row in scores["per_class"])
    cost = (0.15, 0.4, 3.0, 5.0, 12.0, 60.0, 0.2, 0.5)[height] * rng.uniform(0.7, 1.4)
    adds, lacks = LADDER[step]
    return {
        "step": step,
        "adds": adds,
        "lacks": lacks,
        **scores,
        "accuracy_ci": _interval(scores["accuracy"], n),
        "macro_f1_ci": _interval(scores["macro_f1"], n),
        "temperature": rng.uniform(0.8, 1.6),
        "fit_seconds": 30 * cost,
        "tune_seconds": 60 + 5 * cost,
        "texts_per_second": 9000 / cost,
        "latency_ms": {"p50": cost, "p95": 1.6 * cost, "p99": 2.2 * cost},
        "peak_rss_mb": 200 + 40 * cost,
        "artifact_bytes": int(4e6 + 3e6 * cost),
        "config": {"ngrams": [1, 2], "C": 4.0, "deterministic": True},
        "trials": [
            {
                "settings": {"ngrams": [1, 2], "C": 2.0**power},
                "accuracy": float(np.clip(scores["accuracy"] - 0.01 + 0.004 * power, 0, 1)),
                "macro_f1": float(np.clip(scores["macro_f1"] - 0.012 + 0.004 * power, 0, 1)),
                "log_loss": 0.4 - 0.02 * power,
                "seconds": 10 * cost,
            }
            for power in range(3)
        ],
        "trials_total": 9,
        "training": None,
        "interrupted": False,
        "truncated": 3,
        "no_known_words": 1,
        "seeds": [
            {
                "seed": seed,
                "accuracy": accuracy,
                "macro_f1": scores["macro_f1"],
                "log_loss": scores["log_loss"],
            }
            for seed in range(seeds)
            for accuracy in [float(np.clip(scores["accuracy"] + 0.002 * rng.normal(), 0, 1))]
        ],
    }


def _interval(share: float, n: int) -> list[float]:
    half = 1.96 * float(np.sqrt(share * (1 - share) / n))
    return [max(0.0, share - half), min(1.0, share + half)]


def _data(classes: tuple[str, ...], labels: np.ndarray) -> dict[str, Any]:
    n = len(labels)
    return {
        "name": "letters.csv",
        "rows": 5 * n,
        "train": max(1, 3 * n - 7),
        "val": max(1, n - 2),
        "test": n,
        "classes": list(classes),
        "fingerprint": "5e" * 32,
        "tuned_for": "accuracy",
        "unlabelled": 0,
        "notes": ["the column `body` was taken for the text, `mood` for the label"],
        "audit": _audit(classes, labels),
    }


def _audit(classes: tuple[str, ...], labels: np.ndarray) -> dict[str, Any]:
    n, counts = len(labels), np.bincount(labels, minlength=len(classes)).tolist()
    lengths = {"mean": 41.2, "median": 33.0, "p95": 120.0, "max": 611}
    across = {"test_in_train": 6, "test_in_val": 2, "val_in_train": 1}
    removed = "7 training and 2 validation texts are removed before any score."
    return {
        "findings": [
            {
                "level": "warning",
                "code": "leak",
                "message": f"8 of the {n:,} test texts also stand in train or validation: {removed}",
                "count": 8,
                "rows": [3, 14, 15, 92, 65],
            },
            {
                "level": "note",
                "code": "no_words",
                "message": "1 text without a word.",
                "count": 1,
                "rows": [9],
            },
        ],
        "texts": 5 * n,
        "rejects": 0,
        "rule": "words",
        "parts": {"train": 3 * n, "val": n, "test": n},
        "classes": [
            {"class": name, "train": 3 * count, "val": count, "test": count, "share": count / n}
            for name, count in zip(classes, counts, strict=True)
        ],
        "imbalance": max(counts) / max(1, min(counts)),
        "empty": {"empty": 0, "blank": 1, "no_words": 1},
        "lengths": {"words": lengths, "characters": {key: 5.5 * value for key, value in lengths.items()}},
        "encoding": {"replacement_character": 0},
        "scripts": {"Latin": 0.62, "Bengali": 0.2, "Devanagari": 0.18},
        "duplicates": {
            "rule": "the same words",
            "copies": 12,
            "within": {"train": 3, "val": 0, "test": 1},
            "across": across,
            "examples": [{"rows": [7, 3], "parts": ["train", "test"], "jaccard": 1.0}],
        },
        "near_duplicates": {
            "method": "MinHash",
            "threshold": 0.8,
            "pairs": dict.fromkeys(
                ("train_train", "train_val", "train_test", "val_val", "val_test", "test_test"), 2
            ),
            "across": across,
            "comparisons_skipped": 0,
            "examples": [],
        },
        "leaks": {**across, "test_in_train_or_val": 8, "removed_from_train": 7, "removed_from_val": 2},
        "conflicts": {
            "texts": 2,
            "groups": 1,
            "examples": [{"rows": [20, 41], "labels": [classes[0], classes[-1]]}],
        },
        "truncated": {},
        "leak_effect": {
            "leaked": 8,
            "steps": {
                "bow": {
                    "accuracy": 0.9,
                    "accuracy_leaked": 1.0,
                    "accuracy_rest": 0.8997,
                    "difference": 0.0003,
                }
            },
            "trained_with_leaks": {"step": "bow", "accuracy": 0.9012, "accuracy_without": 0.9},
        },
    }


def _learning_curve(steps: list[dict[str, Any]], n_train: int) -> list[dict[str, Any]]:
    points = []
    for height, step in enumerate(steps):
        n = sum(row["support"] for row in step["per_class"])
        for train in [*(size for size in (100, 500, 1000, 5000) if size < n_train), n_train]:
            lost = (0.08 + 0.03 * height) * float(np.log10(n_train / train))
            accuracy = max(0.02, step["accuracy"] - lost)
            points.append(
                {"step": step["step"], "train": train, "accuracy": accuracy, "ci": _interval(accuracy, n)}
            )
    return points


def _disagreements(
    labels: np.ndarray, probabilities: dict[str, np.ndarray], classes: tuple[str, ...]
) -> list[dict[str, Any]]:
    chosen = {step: found.argmax(axis=1) for step, found in probabilities.items()}
    table = np.array(list(chosen.values()))
    return [
        {
            "row": int(row),
            "text": PHRASES[i % len(PHRASES)],
            "label": classes[labels[row]],
            "predicted": {step: classes[answers[row]] for step, answers in chosen.items()},
            "confidence": {step: float(found[row].max()) for step, found in probabilities.items()},
        }
        for i, row in enumerate(np.flatnonzero((table != table[0]).any(axis=0))[:6])
    ]


def _label_errors(
    labels: np.ndarray, classes: tuple[str, ...], rng: np.random.Generator
) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "text": PHRASES[-1 - row % len(PHRASES)],
            "label": classes[labels[row]],
            "suggested": classes[(labels[row] + 1) % len(classes)],
            "probability": rng.uniform(0.9, 0.999),
        }
        for row in range(min(5, len(labels)))
    ]
