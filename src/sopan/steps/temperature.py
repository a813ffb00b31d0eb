"""The temperature: a step's probabilities made honest, by one number (Guo et al. 2017)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from sopan.errors import DataError
from sopan.types import FloatArray, Labels

COLDEST, HOTTEST = 0.001, 1000.0
"""Bounds of the temperature."""


def fit_temperature(logits: FloatArray, labels: Labels) -> float:
    """Find the temperature with the least log-loss on validation texts (Guo et al. 2017).

    A step's logits are divided by it before the softmax, which changes no answer: above 1 it makes an
    over-confident step humbler.

    One imaginary text is added to the N: it has their average logits, and its label is drawn by
    chance. With thousands of texts it weighs nothing. Without it, a step that gets all of a small
    validation set right would be told to be infinitely sure; with it, its confidence stays near
    1 - 1/N, as in Laplace's rule of succession.

    Args:
        logits: (N, C) float64, of validation texts, which the step was not fitted on.
        labels: (N,) integers, indices into the C columns.

    Returns:
        A temperature in 0.001 .. 1000; 1 if there is no text or nothing to gain.

    Raises:
        DataError: a logit is not finite, or lengths differ.
    """
    if len(logits) != len(labels):
        raise DataError(f"{len(logits)} validation texts came with {len(labels)} labels")
    if not np.isfinite(logits).all():
        raise DataError("the step gave a validation text a logit that is not a finite number")
    if not len(labels):
        return 1.0
    given = float(logits[np.arange(len(labels)), labels].sum())
    imaginary = float(logits.mean())

    def loss(log_temperature: float) -> float:
        """Sum of -ln p(label) over the N texts and the imaginary one."""
        scale = np.exp(-log_temperature)
        normalisers = logsumexp(logits * scale, axis=1)
        return float(normalisers.sum() + normalisers.mean() - scale * (given + imaginary))

    # In 1 / T the loss is convex, so it has one valley in log T too.
    found = minimize_scalar(
        loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-7}
    )
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0
