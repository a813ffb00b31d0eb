"""How good an epoch was, in the terms by which a step is tuned."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax
from sklearn.metrics import f1_score

from sopan.text.findings import IMBALANCED
from sopan.training.recipe import Score
from sopan.types import FloatArray, Int64Array


def scorer(labels: Int64Array) -> Score:
    """Return how to score the logits (N, C) of validation texts with these labels (N,).

    Accuracy, or macro-F1 where the largest class is over `IMBALANCED` times the smallest; and the log-loss.
    """
    counts = np.bincount(labels)
    uneven = counts.max() > IMBALANCED * counts[counts > 0].min()

    def score(logits: FloatArray) -> tuple[float, float]:
        best = logits.argmax(axis=1)
        reached = f1_score(labels, best, average="macro") if uneven else (best == labels).mean()
        log_loss = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()
        return float(reached), float(log_loss)

    return score
