"""How good predictions are: the right class, and honest probabilities.

Where scikit-learn computes the same number, ours is equal to it (tests hold this):
`accuracy_score`, `f1_score(average="macro")`, `precision_recall_fscore_support(zero_division=0)`,
`confusion_matrix`, `log_loss` and `brier_score_loss`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sopan.errors import DataError
from sopan.fit.scores import ClassScores, PredictionScores, ReliabilityBin
from sopan.types import FloatArray, Int64Array, Labels

BINS = 15
"""Equal-width bins of confidence, as in Guo et al. 2017."""


def measure(probabilities: FloatArray, labels: Labels, classes: Sequence[object]) -> PredictionScores:
    """Score the predictions for N texts.

    A class without a test text has precision, recall and F1 of 0 and a support of 0, and leaves
    the macro-F1 alone unless it was predicted.

    Args:
        probabilities: (N, C) float64, rows sum to 1.
        labels: (N,) integers, indices into `classes`.
        classes: C class names.

    Raises:
        DataError: no texts, shapes that do not fit, or probabilities that are not finite.
    """
    _check(probabilities, labels, classes)
    confusion = count_confusion(labels, probabilities.argmax(axis=1), len(classes))
    reliability = reliability_bins(probabilities, labels)
    return PredictionScores(
        accuracy=float(confusion.trace() / len(labels)),
        macro_f1=macro_f1(confusion),
        log_loss=log_loss(probabilities, labels),
        brier=brier(probabilities, labels),
        ece=expected_calibration_error(reliability),
        per_class=per_class(confusion, classes),
        confusion=tuple(map(tuple, confusion.tolist())),
        reliability=reliability,
    )


def _check(probabilities: FloatArray, labels: Labels, classes: Sequence[object]) -> None:
    if not len(labels):
        raise DataError("there is no text to measure on", next_step="give the test part more rows")
    if probabilities.shape != (len(labels), len(classes)):
        raise DataError(
            f"{len(labels)} labels of {len(classes)} classes came with probabilities "
            f"of shape {probabilities.shape}"
        )
    if not np.isfinite(probabilities).all():
        row = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        raise DataError("a probability is not a finite number", where=f"test text {row}")
    outside = (labels < 0) | (labels >= len(classes))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise DataError(
            f"label {labels[row]} is none of the {len(classes)} classes", where=f"test text {row}"
        )


def count_confusion(labels: Labels, predicted: Labels, n_classes: int) -> Int64Array:
    """Count the texts of each (true, predicted) pair of classes: (C, C), rows the true class."""
    cells = labels.astype(np.int64) * n_classes + predicted
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def macro_f1(confusion: Int64Array) -> float:
    """Average the F1 of the classes that occur among the labels or the predictions.

    F1 of a class is 2 x right / (labelled so + predicted so). Those are the classes that
    scikit-learn's `f1_score(labels, predicted, average="macro")` averages over.
    """
    either = confusion.sum(axis=0) + confusion.sum(axis=1)
    occurs = either > 0
    return float(np.mean(2 * confusion.diagonal()[occurs] / either[occurs]))


def log_loss(probabilities: FloatArray, labels: Labels) -> float:
    """Average -ln p(label), with p kept one rounding error away from 0 and 1."""
    eps = np.finfo(np.float64).eps
    given = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(given, eps, 1 - eps)).mean())


def brier(probabilities: FloatArray, labels: Labels) -> float:
    """Average the squared error of the probabilities: over classes the sum, over texts the mean.

    The two errors of a binary text are equal, so that for two classes one of them is counted:
    the familiar binary Brier score. (Brier 1950; scikit-learn's `scale_by_half="auto"`.)
    """
    n_classes = probabilities.shape[1]
    errors = probabilities - np.eye(n_classes)[labels]
    total = float((errors**2).sum(axis=1).mean())
    return total / 2 if n_classes == 2 else total


def reliability_bins(probabilities: FloatArray, labels: Labels) -> tuple[ReliabilityBin, ...]:
    """Sort texts by the confidence in their predicted class, and see how often each bin is right.

    Bin m of 15 holds the confidences in ((m - 1) / 15, m / 15]; empty bins are left out.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    inner_edges = np.linspace(0, 1, BINS + 1)[1:-1]
    bins = np.searchsorted(inner_edges, confidence, side="left")
    counts = np.bincount(bins, minlength=BINS)
    confidences = np.bincount(bins, weights=confidence, minlength=BINS)
    rights = np.bincount(bins, weights=right, minlength=BINS)
    return tuple(
        ReliabilityBin(
            confidence=float(confidences[m] / counts[m]),
            accuracy=float(rights[m] / counts[m]),
            count=int(counts[m]),
        )
        for m in np.flatnonzero(counts)
    )


def expected_calibration_error(reliability: Sequence[ReliabilityBin]) -> float:
    """Average |accuracy - confidence| over the bins, each weighted by its texts (Guo et al. 2017, eq. 3)."""
    gap = sum(row.count * abs(row.accuracy - row.confidence) for row in reliability)
    return gap / sum(row.count for row in reliability)


def per_class(confusion: Int64Array, classes: Sequence[object]) -> tuple[ClassScores, ...]:
    """Give each class its precision, recall, F1 and support; 0 where there is nothing to divide by."""
    right = confusion.diagonal()
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(support + predicted, 1)
    return tuple(
        ClassScores(
            class_=str(name),
            precision=float(precision[c]),
            recall=float(recall[c]),
            f1=float(f1[c]),
            support=int(support[c]),
        )
        for c, name in enumerate(classes)
    )
