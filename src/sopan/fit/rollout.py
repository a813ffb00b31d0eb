"""How much attention reached each word of a text, through all layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sopan.types import Evidence, Float32Array, FloatArray


def attention_rollout(attention: Sequence[Float32Array]) -> FloatArray:
    """Follow attention down through all layers to the words: (A,) float64, the share that reached each.

    A layer in which words attend to words passes on half of what it attends to and half of itself, for its
    residual connection; heads count equally, and layers multiply. Where a layer reads for one or a few
    queries, there is no such half. The result is the mean over the queries of the highest layer.

    Args:
        attention: as in `Evidence`, each (H, Q, A), lowest layer first.

    Source: S. Abnar and W. Zuidema, "Quantifying Attention Flow in Transformers" (ACL 2020), section 3.
    """
    n_words = attention[0].shape[-1]
    reached = np.eye(n_words)
    for layer in attention:
        weights = layer.mean(axis=0, dtype=np.float64)  # (Q, A)
        if len(weights) == n_words:
            weights = 0.5 * weights + 0.5 * np.eye(n_words) * weights.any(axis=1, keepdims=True)
        total = weights.sum(axis=1, keepdims=True)
        reached = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0) @ reached
    queries = reached.any(axis=1)
    return np.asarray(reached[queries].mean(axis=0) if queries.any() else np.zeros(n_words))


def rollout_by_word(evidence: Evidence) -> FloatArray | None:
    """Return the rollout of a text's W words, 0 for those that were cut out; None without attention."""
    if not evidence.attention:
        return None
    reached = np.zeros(len(evidence.tokens.words))
    reached[evidence.attended] = attention_rollout(evidence.attention)
    return reached
