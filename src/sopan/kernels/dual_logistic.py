"""Logistic regression by dual coordinate descent: one pass over the texts, for one class or eight at a time.

A text's loss for a class is t · ln(1 + exp(s)) − a · s, of its score s = w · x, where t is what the text
counts and a what it counts for the class: a = t if it is of the class, 0 if not, and between where a
teacher is unsure. Of |w|²/2 + C · Σ loss, the optimum is w = Σ β · x with β = C · (a − t · σ(s)); a step
moves one text's β there, the others held still. β stays what it is when C grows, so that a fit begins where
the one before has ended.

Columns are multiplied by factors f without another matrix: u = f · w is kept, beside f², and x takes u as
it is.

Source: H.-F. Yu, F.-L. Huang and C.-J. Lin, "Dual coordinate descent methods for logistic regression and
maximum entropy models" (2011), section 3, with the root found in the score instead of the dual variable.
"""

from __future__ import annotations

import math

import numpy as np

from sopan.kernels import float_kernel
from sopan.types import Array, Float32Array, FloatArray, Int64Array

LANES = 8
"""Classes that are fitted together: eight floats of u and eight of f² are one line of a processor's cache."""
NEAR = 0.01
"""A step of Newton's method below this is the last: what is left to go is about its square."""
MAX_STEPS = 60
"""Newton's method, which falls back on halving, takes 1 to 5."""


@float_kernel
def settle(
    score: float, beta: float, inside: float, total: float, C: float, norm: float
) -> tuple[float, float]:
    """Solve s = score + (C · (inside − total · σ(s)) − beta) · norm; return s and σ(s) · (1 − σ(s)).

    Args:
        score, beta: where the text stands.
        inside, total: a and t.
        C: inverse strength of the regularisation.
        norm: of the text: Σ x² f², above 0.
    """
    low, high = score + (C * (inside - total) - beta) * norm, score + (C * inside - beta) * norm
    s = min(max(score, low), high)
    spread, moved = 0.0, high - low
    for _ in range(MAX_STEPS):
        sigma = 1.0 / (1.0 + math.exp(-s))
        spread = sigma * (1.0 - sigma)
        off = s - score - (C * (inside - total * sigma) - beta) * norm
        if off > 0:
            high = s
        else:
            low = s
        then = s - off / (1.0 + C * total * norm * spread)
        if then < low or then > high or abs(then - s) > 0.5 * moved:  # it might go to and fro for ever
            then = 0.5 * (low + high)
        moved = abs(then - s)
        s = then
        if moved < NEAR:
            break
    return s, spread


@float_kernel
def _step(
    score: float, beta: float, inside: float, total: float, C: float, norm: float
) -> tuple[np.float32, float]:
    """Return by what a text's β is to change, and what the dual objective gains by that; see `settle`."""
    s, spread = settle(score, beta, inside, total, C, norm)
    change = np.float32((s - score) / norm)
    return change, float(0.5 * change * change * (norm + 1.0 / max(C * total * spread, 1e-12)))


@float_kernel
def pass_one(
    order: Int64Array,
    indptr: Array,
    indices: Array,
    data: Float32Array,
    inside: Float32Array,
    totals: Float32Array,
    C: float,
    norms: Float32Array,
    table: Float32Array,
    betas: Float32Array,
    worth: FloatArray,
    gains: FloatArray,
) -> None:
    """Go through N texts once for one class.

    Args:
        order: (N,) the texts.
        indptr, indices, data: their V features by rows (CSR).
        inside: (N, R) a, here R = 1. totals: (N,) t.
        C: inverse strength of the regularisation.
        norms: (N, R) Σ x² f² + 1, the last for the bias.
        table: (V + 1, 2, R) u and f², the last row being the bias; changed.
        betas: (N, R); changed.
        worth: (R,) the least gain for which weights are changed.
        gains: (R,) float64; by what the dual objective has grown, added up.
    """
    bias = len(table) - 1
    for i in order:
        start, stop = indptr[i], indptr[i + 1]
        score = table[bias, 0, 0]
        for k in range(start, stop):
            score += data[k] * table[indices[k], 0, 0]
        change, gain = _step(float(score), float(betas[i, 0]), inside[i, 0], totals[i], C, float(norms[i, 0]))
        if gain > worth[0]:
            gains[0] += gain
            betas[i, 0] += change
            table[bias, 0, 0] += change
            for k in range(start, stop):
                table[indices[k], 0, 0] += change * data[k] * table[indices[k], 1, 0]


@float_kernel
def _change(table: Float32Array, changes: Float32Array, indices: Array, data: Float32Array) -> None:
    """Add eight changes of a text's β to the weights of its features, and to the bias."""
    for c in range(LANES):
        table[len(table) - 1, 0, c] += changes[c]
    for k in range(len(indices)):
        x, j = data[k], indices[k]
        for c in range(LANES):
            table[j, 0, c] += changes[c] * x * table[j, 1, c]


@float_kernel
def pass_eight(
    order: Int64Array,
    indptr: Array,
    indices: Array,
    data: Float32Array,
    inside: Float32Array,
    totals: Float32Array,
    C: float,
    norms: Float32Array,
    table: Float32Array,
    betas: Float32Array,
    worth: FloatArray,
    gains: FloatArray,
) -> None:
    """Go through N texts once for R = 8 classes; see `pass_one`."""
    bias = len(table) - 1
    scores, changes = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for i in order:
        start, stop = indptr[i], indptr[i + 1]
        for c in range(LANES):
            scores[c] = table[bias, 0, c]
        for k in range(start, stop):
            x, j = data[k], indices[k]
            for c in range(LANES):
                scores[c] += x * table[j, 0, c]
        moves = False
        for c in range(LANES):
            change, gain = _step(
                float(scores[c]), float(betas[i, c]), inside[i, c], totals[i], C, float(norms[i, c])
            )
            changes[c] = change
            if gain > worth[c]:
                moves = True
                gains[c] += gain
            else:
                changes[c] = 0
        if moves:
            for c in range(LANES):
                betas[i, c] += changes[c]
            _change(table, changes, indices[start:stop], data[start:stop])


@float_kernel
def squared_lengths(indptr: Array, indices: Array, data: Float32Array, table: Float32Array) -> Float32Array:
    """Return Σ x² f² + 1 of N texts for R classes: (N, R) float32; see `pass_one`."""
    n, lanes = len(indptr) - 1, table.shape[2]
    norms = np.ones((n, lanes), np.float32)
    for i in range(n):
        for k in range(indptr[i], indptr[i + 1]):
            x, j = data[k], indices[k]
            for c in range(lanes):
                norms[i, c] += x * x * table[j, 1, c]
    return norms
