"""What a feature weighs: how often a text holds it, how few texts hold it, and how it tells classes apart.

    counts (N, V) -> tf -> × idf -> rows of length 1          log-count ratio (V,)

Source: S. Wang and C. Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification"
(ACL 2012).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.sparse as sp

from sopan.kernels.known_ngrams import weigh_rows
from sopan.text.arrow import cores, on_every_core, shares_of
from sopan.types import Amounts, BoolArray, Float32Array, FloatArray, Targets

Tf = Literal["counts", "binary", "sublinear"]
"""What n occurrences in one text weigh: n, 1, or 1 + ln n."""

FEW_TEXTS = 1000
"""With fewer texts than this, what occurs only once is kept by default."""

SHARE_ENTRIES = 1 << 16
"""Least number of entries for which another thread is worth its start."""


def weigh(counts: sp.csr_matrix, tf: Tf, idf: Float32Array) -> sp.csr_array:
    """Turn counts (N, V) into rows of length 1 (an empty row stays empty), float32.

    Computed in float64 and rounded once; each row depends on no other.
    """
    n = np.arange(1, counts.data.max(initial=1) + 1, dtype=np.float64)
    weights = {"counts": n, "binary": np.ones_like(n), "sublinear": 1 + np.log(n)}[tf]
    values = np.empty(counts.nnz, np.float32)
    bounds = counts.indptr.astype(np.int64)

    def work(share: slice) -> None:
        weigh_rows(bounds[share.start : share.stop + 1], counts.indices, counts.data, weights, idf, values)

    on_every_core(work, shares_of(bounds, SHARE_ENTRIES, cores()))
    return sp.csr_array((values, counts.indices, counts.indptr), shape=counts.shape)


def class_log_count_ratio(
    features: sp.csr_array, members: BoolArray | FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Tell for each feature how much more of a class's texts hold it than of the others': (V,).

    ln of (p / |p|) / (q / |q|), where p and q count the class's texts and the others that hold the feature.
    As in Wang and Manning (2012), section 2.1, but for the counts added to tame rare features: the two are
    shared out in proportion to the classes' sizes, so that a feature which says nothing gets 0 however
    unequal the classes are. With classes of one size each gets 1, as there.

    Args:
        features: (N, V); an entry means that the text holds the feature.
        members: (N,) which texts are of the class; or, with `weights`, what each counts for it.
        weights: (N,) what each text counts; None: 1.
    """
    every, inside = (_held(features, each) for each in (weights, members))
    share = (inside.sum() + 1) / (every.sum() + 2)
    ratio: FloatArray = np.log((inside / share + 2) / ((every - inside) / (1 - share) + 2))
    return ratio


def _held(features: sp.csr_array, weights: BoolArray | FloatArray | None) -> FloatArray:
    """Return what the texts (N,) that hold each feature count together, (V,); without weights, 1 each."""
    each = None if weights is None else np.repeat(weights, np.diff(features.indptr))
    indices = features.indices
    if each is not None and each.dtype == np.bool_:  # of many classes each has few texts
        indices, each = indices[each], None
    return np.asarray(np.bincount(indices, each, minlength=features.shape[1]), np.float64)


def log_count_ratio(features: sp.csr_array, labels: Targets) -> FloatArray:
    """Tell for each feature how strongly it speaks for or against any one class: (V,), 0 or more.

    Args:
        features: (N, V); an entry means that the text holds the feature.
        labels: class indices 0 … C-1 (N,), or amounts.
    """
    weights = labels.weights if isinstance(labels, Amounts) else None
    classes = labels.values.shape[1] if isinstance(labels, Amounts) else int(labels.max()) + 1
    strongest = np.zeros(features.shape[1])
    for label in range(classes):
        members = labels.values[:, label] if isinstance(labels, Amounts) else labels == label
        np.maximum(strongest, np.abs(class_log_count_ratio(features, members, weights)), out=strongest)
    return strongest
