"""How good an epoch was, in the terms by which a step is tuned."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax
from sklearn.metrics import f1_score

from sopan.text.labels import IMBALANCED, imbalance
from sopan.training.recipe import Score
from sopan.types import FloatArray, Int64Array


def scorer(labels: Int64Array) -> Score:
    """Return how to score the logits (N, C) of validation texts with these labels (N,).

    Accuracy, or macro-F1 where the classes are imbalanced; and the log-loss.
    """
    imbalanced = imbalance(np.bincount(labels)) > IMBALANCED

    def score(logits: FloatArray) -> tuple[float, float]:
        best = logits.argmax(axis=1)
        reached = f1_score(labels, best, average="macro") if imbalanced else (best == labels).mean()
        log_loss = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()
        return float(reached), float(log_loss)

    return score
