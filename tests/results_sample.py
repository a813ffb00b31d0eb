"""Make a whole, schema-valid results object out of simulated predictions, for the tests of what shows it.

The steps, their predictions and so their scores are drawn at random: nothing here is a measurement.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import binomtest

LADDER = {
    "bow": ("words as features", "similarity, order"),
    "cbow": ("similarity", "order, context"),
    "attention": ("which words matter", "words do not see each other"),
    "self_attention": ("words see each other", "position, depth"),
    "transformer": ("position, depth", "knowledge from unlabelled text"),
    "bert": ("unlabelled text", "-"),
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


def sample_results(
    steps: tuple[str, ...] = ("bow", "cbow"),
    classes: tuple[str, ...] = ("negative", "positive"),
    n_test: int = 2000,
    seed: int = 0,
    *,
    learning_curve: bool = True,
    audit: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Simulate a comparison of `steps` on `n_test` texts of C `classes`."""
    rng = np.random.default_rng(seed)
    n_classes = len(classes)
    labels = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, max(0, n_test - n_classes))])
    difficulty = rng.normal(size=len(labels))
    predicted, confidence = {}, {}
    for height, step in enumerate(steps):
        margin = 1.2 + 0.15 * height - difficulty + 0.6 * rng.normal(size=len(labels))
        slip = rng.integers(1, min(n_classes, 4), len(labels)) if n_classes > 2 else 1
        predicted[step] = np.where(margin > 0, labels, (labels + slip) % n_classes)
        confidence[step] = 1 / n_classes + (1 - 1 / n_classes) * np.tanh(0.8 * np.abs(margin) + 0.1)
    step_objects = [
        _step(step, height, labels, predicted[step], confidence[step], classes, rng)
        for height, step in enumerate(steps)
    ]
    best = max(step_objects, key=lambda step: step["accuracy"])
    return {
        "sopan": "0.1.0",
        "data": {
            "name": "letters.csv",
            "rows": 5 * len(labels),
            "train": 3 * len(labels),
            "val": len(labels),
            "test": len(labels),
            "classes": list(classes),
            "fingerprint": "5e" * 32,
            "notes": ["the column `text` was taken for the text, `label` for the label"],
            "audit": audit or {},
        },
        "steps": step_objects,
        "pairs": _pairs(labels, predicted),
        "recommendation": {
            "step": best["step"],
            "reason": f"{best['step']} is the cheapest step that is not worse than the best by more than 0.005.",
            "margin": 0.005,
        },
        "learning_curve": _learning_curve(step_objects, 3 * len(labels)) if learning_curve else None,
        "disagreements": _disagreements(labels, predicted, confidence, classes),
        "label_errors": _label_errors(labels, classes, rng),
        "environment": {
            "python": "3.11.9",
            "platform": "Linux-6.1-x86_64",
            "cpu": "a processor",
            "cores": 2,
            "memory_gb": 16.8,
            "versions": {"numpy": "2.1.0", "scikit-learn": "1.6.0"},
        },
        "run": {
            "command": f"sopan compare letters.csv --steps {','.join(steps)} --seed {seed}",
            "seed": seed,
            "seeds": 1,
            "budget": "60s",
            "deterministic": True,
            "seconds": 318.4,
            "started": "2025-01-31T09:30:00Z",
        },
    }


def _step(
    step: str,
    height: int,
    labels: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    classes: tuple[str, ...],
    rng: np.random.Generator,
) -> dict[str, Any]:
    n, n_classes = len(labels), len(classes)
    confusion = np.zeros((n_classes, n_classes), int)
    np.add.at(confusion, (labels, predicted), 1)
    hits, support, guesses = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    precision = hits / np.maximum(guesses, 1)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + guesses, 1)
    correct = predicted == labels
    accuracy = float(correct.mean())
    half = 1.96 * float(np.sqrt(accuracy * (1 - accuracy) / n))
    chance = np.clip(np.where(correct, confidence, (1 - confidence) / max(1, n_classes - 1)), 1e-9, 1)
    reliability, ece = _reliability(correct, confidence)
    adds, lacks = LADDER.get(step, ("something", "something else"))
    costs = np.array([0.15, 0.4, 3, 5, 12, 60])[min(height, 5)] * rng.uniform(0.7, 1.4)
    return {
        "step": step,
        "adds": adds,
        "lacks": lacks,
        "accuracy": accuracy,
        "accuracy_ci": [max(0.0, accuracy - half), min(1.0, accuracy + half)],
        "macro_f1": float(f1.mean()),
        "macro_f1_ci": [max(0.0, float(f1.mean()) - half), min(1.0, float(f1.mean()) + half)],
        "log_loss": float(-np.log(chance).mean()),
        "brier": float(((1 - chance) ** 2).mean()),
        "ece": ece,
        "per_class": [
            {
                "class": name,
                "precision": float(precision[c]),
                "recall": float(recall[c]),
                "f1": float(f1[c]),
                "support": int(support[c]),
            }
            for c, name in enumerate(classes)
        ],
        "confusion": confusion.tolist(),
        "reliability": reliability,
        "temperature": float(rng.uniform(0.8, 1.6)),
        "fit_seconds": float(30 * costs),
        "tune_seconds": float(60 + 5 * costs),
        "texts_per_second": float(9000 / costs),
        "latency_ms": {"p50": float(costs), "p95": float(1.6 * costs), "p99": float(2.2 * costs)},
        "peak_rss_mb": float(200 + 40 * costs),
        "artifact_bytes": int(4e6 + 3e6 * costs),
        "config": {"ngrams": [1, 2], "weighting": "tfidf", "C": 4.0},
        "trials": [
            {
                "settings": {"ngrams": [1, 2], "C": 2.0**power},
                "accuracy": float(np.clip(accuracy - 0.01 + 0.004 * power, 0, 1)),
                "macro_f1": float(np.clip(accuracy - 0.012 + 0.004 * power, 0, 1)),
                "log_loss": 0.4 - 0.02 * power,
                "seconds": float(10 * costs),
            }
            for power in range(3)
        ],
        "trials_total": 9,
        "truncated": 3,
        "no_known_words": 1,
        "seeds": [
            {"seed": 0, "accuracy": accuracy, "macro_f1": float(f1.mean()), "log_loss": 0.4},
        ],
    }


def _reliability(correct: np.ndarray, confidence: np.ndarray) -> tuple[list[dict[str, Any]], float]:
    bins, gap = [], 0.0
    for low in np.arange(0, 1, 0.1):
        inside = (confidence > low) & (confidence <= low + 0.1)
        if inside.any():
            mean, share, count = (
                float(confidence[inside].mean()),
                float(correct[inside].mean()),
                int(inside.sum()),
            )
            bins.append({"confidence": mean, "accuracy": share, "count": count})
            gap += count / len(correct) * abs(mean - share)
    return bins, gap


def _pairs(labels: np.ndarray, predicted: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    pairs = []
    names = list(combinations(predicted, 2))
    for a, b in names:
        right_a, right_b = predicted[a] == labels, predicted[b] == labels
        gap = right_a.astype(float) - right_b
        half = 1.96 * float(gap.std() / np.sqrt(len(gap)))
        only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
        p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
        adjusted = min(1.0, p * len(names))
        told = (
            "is not distinguishable from"
            if adjusted > 0.05
            else "is better than"
            if gap.mean() > 0
            else "is worse than"
        )
        pairs.append(
            {
                "a": a,
                "b": b,
                "difference": float(gap.mean()),
                "ci": [float(gap.mean()) - half, float(gap.mean()) + half],
                "p_value": p,
                "p_adjusted": adjusted,
                "test": "McNemar, exact",
                "verdict": f"{a} {told} {b} at {len(labels):,} texts",
            }
        )
    return pairs


def _learning_curve(steps: list[dict[str, Any]], n_train: int) -> list[dict[str, Any]]:
    points = []
    for height, step in enumerate(steps):
        for train in [*(size for size in (100, 500, 1000, 5000) if size < n_train), n_train]:
            accuracy = step["accuracy"] - (0.1 + 0.02 * height) * float(np.log10(n_train / train))
            accuracy = min(1.0, max(0.02, accuracy))
            half = (step["accuracy_ci"][1] - step["accuracy_ci"][0]) / 2
            interval = [max(0.0, accuracy - half), min(1.0, accuracy + half)]
            points.append({"step": step["step"], "train": train, "accuracy": accuracy, "ci": interval})
    return points


def _disagreements(
    labels: np.ndarray,
    predicted: dict[str, np.ndarray],
    confidence: dict[str, np.ndarray],
    classes: tuple[str, ...],
) -> list[dict[str, Any]]:
    table = np.array(list(predicted.values()))
    rows = np.flatnonzero((table != table[0]).any(axis=0))[:6]
    return [
        {
            "row": int(row),
            "text": PHRASES[i % len(PHRASES)],
            "label": classes[labels[row]],
            "predicted": {step: classes[predicted[step][row]] for step in predicted},
            "confidence": {step: float(confidence[step][row]) for step in predicted},
        }
        for i, row in enumerate(rows)
    ]


def _label_errors(
    labels: np.ndarray, classes: tuple[str, ...], rng: np.random.Generator
) -> list[dict[str, Any]]:
    return [
        {
            "row": int(row),
            "text": PHRASES[-1 - i % len(PHRASES)],
            "label": classes[labels[row]],
            "suggested": classes[(labels[row] + 1) % len(classes)],
            "probability": float(rng.uniform(0.9, 0.999)),
        }
        for i, row in enumerate(range(min(5, len(labels))))
    ]
