"""Attention itself: a query looks over keys and takes the mean of their values, each as its key fits.

Everything above `cbow` is made of this one function. Shapes, with any leading axes (batch, heads):

    query (…, Q, D)   keys (…, T, D)   values (…, T, E)   mask (…, T) or (…, Q, T)
    scores = score(query, keys)                                         # (…, Q, T)
    weights = softmax(scores over the keys that the mask lets through)  # (…, Q, T)
    context = weights @ values                                          # (…, Q, E)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import keras
from keras import ops

from sopan.runtime.operations import LOWEST_SCORE
from sopan.types import Tensor

ScoreFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""How well each query fits each key: (…, Q, D) and (…, T, D) to (…, Q, T)."""


def dot(query: Tensor, keys: Tensor) -> Tensor:
    """Score by the inner product: Luong et al. (2015), eq. 8, `dot`."""
    return ops.matmul(query, ops.swapaxes(keys, -1, -2))


def scaled_dot(query: Tensor, keys: Tensor) -> Tensor:
    """Score by the inner product over √D, whose spread does not grow with D: Vaswani et al. (2017), eq. 1."""
    return dot(query / math.sqrt(query.shape[-1]), keys)  # Q · D divisions, not Q · T


def attend(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None = None,
    *,
    bias: Tensor | None = None,
    score: ScoreFunction = scaled_dot,
    window: Tensor | None = None,
    drop: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Let each query read the values, most from where its key fits best: Luong et al. (2015), eq. 7.

    A query that may look at no key at all gets weights of 0 and a context of zeros, not NaN.

    Args:
        query: (…, Q, D).
        keys: (…, T, D).
        values: (…, T, E).
        mask: boolean, broadcast against (…, Q, T); False hides a key.
        bias: added to the scores, broadcast against (…, Q, T).
        score: how well a query fits a key.
        window: (…, Q, T) factors from 0 to 1 on the weights, as the Gaussian of local attention (eq. 10).
            The weights are not normalised again.
        drop: what the weights go through before the values are read, such as dropout in training.

    Returns:
        context (…, Q, E) and weights (…, Q, T), the weights as they were before `drop`.
    """
    scores = score(query, keys)  # (…, Q, T)
    if bias is not None:
        scores = scores + ops.cast(bias, scores.dtype)
    if mask is None:
        weights = _windowed(ops.softmax(scores, axis=-1), window)
        return ops.matmul(weights if drop is None else drop(weights), values), weights
    seen = ops.cast(mask, scores.dtype)
    # Adding is cheaper than choosing: the mask is small, the scores are many, and so are their gradients.
    weights = _windowed(ops.softmax(scores + (1 - seen) * lowest(scores), axis=-1), window)
    context = ops.matmul(weights if drop is None else drop(weights), values)
    # With no key at all the softmax is of equals, and not 0: put right where there is least to multiply.
    return context * ops.max(seen, axis=-1, keepdims=True), weights * seen


def _windowed(weights: Tensor, window: Tensor | None) -> Tensor:
    return weights if window is None else weights * window


def lowest(like: Tensor) -> float:
    """Return the lowest finite number of a tensor's dtype, or nearly: a score that softmax turns into 0."""
    return -6e4 if keras.backend.standardize_dtype(like.dtype) == "float16" else float(LOWEST_SCORE)
