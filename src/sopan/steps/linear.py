"""The classifier on top of a representation: L2-regularised logistic regression.

The lower steps differ in how they turn a text into numbers, not in how they separate the classes: each ends
in a `LinearModel`. There are two ways to fit it, each the faster and better one for its kind of features:
`fit_logistic` for few dense ones, `sopan.steps.one_vs_rest` for very many sparse ones.

What a text is to teach is a class; or, where a teacher's probabilities join the labels, an amount for each
class: cross-entropy against amounts t (C,) is that of C copies of the text, one of each class, weighed by t.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import fmin_l_bfgs_b
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_limits

from sopan.text.facts import ClassWeight
from sopan.types import Amounts, Float32Array, FloatArray, Labels, Targets

FeatureMatrix: TypeAlias = "sp.csr_array | sp.csr_matrix | npt.NDArray[np.floating]"
"""N rows of V numbers, sparse or dense."""

MAX_NEWTON_STEPS = 100
"""Newton's method takes 4 to 10 steps on text; this many means that it has stalled."""
MAX_EPOCHS = 1000
"""L-BFGS takes fewer steps."""


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A fitted separator of C classes.

    Args:
        weights: (V, R) float32, R = 1 for two classes (the second class's score), else R = C.
            Rows are features, so that a sparse row times `weights` walks memory in order.
        bias: (R,) float32.
    """

    weights: Float32Array
    bias: Float32Array

    def logits(self, features: FeatureMatrix) -> FloatArray:
        """Score N rows of features (N, V): (N, C) float64, each row independent of its neighbours."""
        scores = np.asarray(features @ self.weights + self.bias, dtype=np.float64)  # (N, R)
        if scores.shape[1] == 1:
            return np.hstack([-scores / 2, scores / 2])  # softmax of these is the logistic function
        return scores


def fit_logistic(
    features: FeatureMatrix,
    labels: Targets,
    *,
    C: float,
    class_weight: ClassWeight = None,
    tolerance: float = 0.01,
) -> LinearModel:
    """Minimise |W|²/2 + C · Σ cross-entropy; the bias is not regularised.

    All classes are fitted together (softmax) by scikit-learn's Newton-CG, which reaches the optimum of L-BFGS
    sooner and does not stop early where features are small, as an absolute tolerance makes L-BFGS do.

    Args:
        features: (N, V) float32 or float64.
        labels: class indices 0 … C-1 (N,), each present; or amounts.
        C: inverse strength of the regularisation, > 0.
        class_weight: "balanced" weighs each text by the inverse frequency of its class.
        tolerance: stop when the largest gradient component has fallen to this share of its first value.
    """
    features = features.astype(np.float64)
    if isinstance(labels, Amounts):
        return _fit_amounts(features, balanced(labels, class_weight), C, tolerance)
    weights = _sample_weight(labels, class_weight)
    start = _largest_gradient_at_zero(features, labels, weights)
    model = LogisticRegression(
        C=C, solver="newton-cg", tol=max(tolerance * start, 1e-12), max_iter=MAX_NEWTON_STEPS
    )
    # One BLAS thread, so that sums are added in the same order whatever the number of cores.
    with warnings.catch_warnings(), threadpool_limits(1):
        # At the floor of float64 the line search cannot improve on the optimum and says so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Line [Ss]earch")
        model.fit(features, labels, sample_weight=weights)
    return LinearModel(
        np.ascontiguousarray(model.coef_.T, dtype=np.float32), model.intercept_.astype(np.float32)
    )


def _fit_amounts(features: FeatureMatrix, amounts: Amounts, C: float, tolerance: float) -> LinearModel:
    """Do what `fit_logistic` does, without a copy of a text for each class, by L-BFGS.

    Args:
        features: (N, V) float64.
        amounts: of N texts.
        C, tolerance: see `fit_logistic`.
    """
    wanted, totals = amounts.values, amounts.weights[:, None]
    width, classes = features.shape[1], wanted.shape[1]
    columns = 1 if classes == 2 else classes  # as `LinearModel` has it

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        weights, bias = flat[:-columns].reshape(width, columns), flat[-columns:]
        scores = features @ weights + bias
        logs = log_softmax(np.hstack([0 * scores, scores]) if columns == 1 else scores, axis=1)  # (N, C)
        residual = (totals * np.exp(logs) - wanted)[:, -columns:]
        slopes = [(weights + C * (features.T @ residual)).ravel(), C * residual.sum(axis=0)]
        value = (weights**2).sum() / 2 - C * (wanted * logs).sum()
        return float(value), np.concatenate(slopes)

    start = np.zeros((width + 1) * columns)
    with threadpool_limits(1):
        enough = max(tolerance * float(np.abs(loss(start)[1]).max()), 1e-12)
        found, _, _ = fmin_l_bfgs_b(loss, start, factr=0.0, pgtol=enough, maxiter=MAX_EPOCHS)
    best = np.asarray(found, np.float32)
    return LinearModel(best[:-columns].reshape(width, columns), best[-columns:])


def balanced(amounts: Amounts, class_weight: ClassWeight) -> Amounts:
    """Divide each class's amounts by their share of all, times C, if they are to be "balanced"."""
    if class_weight is None:
        return amounts
    of_class = amounts.values.sum(axis=0)
    return Amounts(amounts.values * (of_class.sum() / (len(of_class) * of_class)))


def _sample_weight(labels: Labels, class_weight: ClassWeight) -> FloatArray | None:
    if class_weight is None:
        return None
    weights: FloatArray = compute_sample_weight(class_weight, labels)
    return weights


def _largest_gradient_at_zero(
    features: FeatureMatrix, labels: Labels, sample_weight: FloatArray | None
) -> float:
    """Return the largest absolute gradient of the mean loss where all weights are zero."""
    n, n_classes = len(labels), int(labels.max()) + 1
    residual = np.full((n, n_classes), 1.0 / n_classes)
    residual[np.arange(n), labels] -= 1.0
    if sample_weight is not None:
        residual *= (sample_weight / sample_weight.mean())[:, None]
    return float(np.abs(features.T @ residual).max(initial=0.0)) / n


def fit_standardised(
    features: Float32Array, labels: Targets, *, C: float, class_weight: ClassWeight
) -> LinearModel:
    """Fit on features (N, D) of mean 0 and variance 1, so that C means the same whatever the vectors' scale.

    The scale is folded into the model, which takes features as they come.
    """
    center, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    model = fit_logistic((features - center) / scale, labels, C=C, class_weight=class_weight)
    weights = np.asarray(model.weights / scale[:, None], np.float32)
    return LinearModel(weights, np.asarray(model.bias - center @ weights, np.float32))
