"""From word vectors to text vectors: weighted means, and the weights.

text = Σ weight(w) · vector(w) / Σ weight(w)        over the words that have a vector
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sopan.types import Encoded, Float32Array, FloatArray

Pooling: TypeAlias = Literal["mean", "idf", "sif"]

SIF_SCALE = 1e-3
"""`a` of smooth inverse frequency; Arora et al. find anything from 1e-4 to 1e-3 to do."""


def bag(encoded: Encoded, n_words: int, *, distinct: bool) -> sp.csr_array:
    """Count the known words of N texts: (N, V) float32; with `distinct`, each word of a text counts once."""
    encoded.check(n_words)
    known = encoded.ids >= 0
    bounds = np.concatenate([[0], np.cumsum(known)])[encoded.offsets]
    ids = encoded.ids[known]
    counts = sp.csr_array((np.ones(len(ids), np.float32), ids, bounds), shape=(len(bounds) - 1, n_words))
    counts.sum_duplicates()
    if distinct:
        counts.data[:] = 1
    return counts


def word_weights(
    pooling: Pooling, word_counts: npt.NDArray[np.integer], text_counts: npt.NDArray[np.integer], n_texts: int
) -> FloatArray:
    """Say what each of V words weighs.

    Args:
        pooling: `mean`: all the same. `idf`: ln((1 + N) / (1 + texts with the word)) + 1, as in `bow`.
            `sif`: a / (a + p(word)), smooth inverse frequency (Arora, Liang & Ma 2017, "A simple but
            tough-to-beat baseline for sentence embeddings", algorithm 1).
        word_counts: (V,) occurrences, which p is estimated from.
        text_counts: (V,) how many of the labelled texts hold each word.
        n_texts: how many labelled texts there are.

    Returns:
        (V,) float64, all above 0.
    """
    if pooling == "idf":
        return np.asarray(np.log((1 + n_texts) / (1 + text_counts)) + 1)
    if pooling == "sif":
        return np.asarray(SIF_SCALE / (SIF_SCALE + word_counts / max(1, word_counts.sum())))
    return np.ones(len(word_counts))


def pool(counts: sp.csr_array, weights: Float32Array, vectors: Float32Array) -> Float32Array:
    """Average the vectors of each text's words.

    Args:
        counts: (N, V) float32, from `bag`.
        weights: (V,) float32, above 0.
        vectors: (V, D) float32.

    Returns:
        (N, D) float32; zeros for a text without known words.
    """
    data = counts.data * weights[counts.indices]
    weighed = sp.csr_array((data, counts.indices, counts.indptr), shape=counts.shape)
    total = np.maximum(weighed.sum(axis=1), np.finfo(np.float32).tiny)
    return np.asarray((weighed @ vectors) / total[:, None], np.float32)


def common_component(pooled: Float32Array) -> Float32Array:
    """Return the direction (D,) that N pooled texts (N, D) share most: their first right singular vector.

    SIF removes it, because it says how texts are written and not what they say (Arora et al., line 4).
    """
    exact = pooled.astype(np.float64)
    direction = np.linalg.eigh(exact.T @ exact)[1][:, -1]
    return np.asarray(direction, np.float32)


def without_component(pooled: Float32Array, direction: Float32Array) -> Float32Array:
    """Take each text's projection on a unit direction (D,) out of pooled texts (N, D)."""
    return pooled - (pooled @ direction)[:, None] * direction
