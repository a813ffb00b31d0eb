"""How much each of several steps counts, when they answer together: weights on their calibrated logits.

    minimise  -Σ ln softmax(Σ_m w_m · z_m)[label]  over w >= 0      z_m (N, C): logits over temperature

The bound drives the weight of a member that only repeats what others know to 0, as in Breiman, "Stacked
Regressions" (1996); what is left of it goes by `StackFits.pruned`. One imaginary text, of average logits and
of a label drawn by chance, keeps the weights finite where the members are always right, as in
`sopan.steps.temperature`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from sopan.errors import DataError
from sopan.types import FloatArray, Int64Array

ALIKE = 1e-6
"""Nats a text: what two fits differ by less than is the optimiser's."""


def fit_stack(logits: Mapping[str, FloatArray], labels: Int64Array) -> FloatArray:
    """Fit the weights of M members on validation texts, and drop those that add nothing measurable.

    Args:
        logits: member -> (N, C) float64, calibrated: over its temperature, or log-probabilities. Where two
            members are as good, the earlier one stays: name the cheap ones first.
        labels: (N,) class indices.

    Returns:
        (M,) float64, not below 0, at least one above; 0 for what does not count.

    Raises:
        DataError: no members or texts, lengths that differ, or a logit that is not finite.
    """
    fits = StackFits(list(logits.values()), labels)
    return fits.pruned(tuple(range(len(logits))))


class Fitted(NamedTuple):
    """Weights (k,) of k members, and -ln p(label) under them of each text (N,)."""

    weights: FloatArray
    losses: FloatArray


class StackFits:
    """The fits of any of M members on the same N texts, each made once.

    Args:
        logits: M times (N, C), calibrated.
        labels: (N,) class indices.

    Raises:
        DataError: see `fit_stack`.
    """

    def __init__(self, logits: Sequence[FloatArray], labels: Int64Array) -> None:
        _check(logits, labels)
        scores = np.stack([np.asarray(each, np.float64) for each in logits])  # (M, N, C)
        scores -= scores.mean(axis=2, keepdims=True)  # what is added to a row of logits says nothing
        self.labels = labels
        self.n_texts, self.n_classes = scores.shape[1:]
        self._given = scores[:, np.arange(self.n_texts), labels]  # (M, N)
        self._scores = scores.reshape(len(scores), -1)  # (M, N * C)
        self._fits: dict[tuple[int, ...], Fitted] = {}
        self._pruned: dict[tuple[int, ...], FloatArray] = {}

    def logits(self, weights: FloatArray) -> FloatArray:
        """Weigh the members' logits together: (M,) to (N, C)."""
        counting = np.flatnonzero(weights)
        weighed = weights[counting] @ self._scores[counting]
        return np.asarray(weighed.reshape(self.n_texts, self.n_classes))

    def fit(self, members: tuple[int, ...]) -> Fitted:
        """Fit the weights of some members, in rising order, all of which may count."""
        if members not in self._fits:
            scores, given = self._scores[list(members)], self._given[list(members)]
            start = np.full(len(members), 1 / len(members))
            with threadpool_limits(1):  # sums are then added in the same order whatever the number of cores
                found = minimize(
                    stack_loss,
                    start,
                    args=(scores, given),
                    jac=True,
                    method="L-BFGS-B",
                    bounds=[(0, None)] * len(members),
                    options={"ftol": 1e-10, "gtol": 1e-6, "maxiter": 300},
                )
            weights = np.asarray(found.x, np.float64)
            normalisers, _ = _softmax(self.logits(self._spread(members, weights)))
            self._fits[members] = Fitted(weights, normalisers - weights @ given)
        return self._fits[members]

    def pruned(self, members: tuple[int, ...]) -> FloatArray:
        """Return weights (M,) of which only those are above 0 that are shown to add something.

        One member after another goes, the least missed first, while the log-loss of the others, fitted
        again, rises by no more than one standard error of that rise. A member that adds nothing is kept by
        that rule as often as a normal deviate exceeds 2: the rise in all is half the square of its weight's
        deviate, and its standard error the deviate itself. If no member is worth anything, the best of them
        stays, with the weight 1.
        """
        if members not in self._pruned:
            kept = self._without_zeros(members)
            while len(kept) > 1:
                rests = [tuple(m for m in kept if m != member) for member in reversed(kept)]
                rises = [self._rise(rest, kept) for rest in rests]
                least = int(np.argmin([rise for rise, _ in rises]))
                rise, error = rises[least]
                if rise > error + ALIKE:
                    break
                kept = self._without_zeros(rests[least])
            weights = self._spread(kept, self.fit(kept).weights)
            self._pruned[members] = weights if weights.any() else np.eye(len(weights))[kept[0]]
        return self._pruned[members]

    def _spread(self, members: tuple[int, ...], weights: FloatArray) -> FloatArray:
        """Give every member its weight (M,): those not named 0."""
        spread = np.zeros(len(self._scores))
        spread[list(members)] = weights
        return spread

    def _without_zeros(self, members: tuple[int, ...]) -> tuple[int, ...]:
        """Return those whose weight is above 0, or the best one."""
        weights = self.fit(members).weights
        if not weights.any():
            return (min(members, key=lambda member: float(self.fit((member,)).losses.mean())),)
        return tuple(member for member, weight in zip(members, weights, strict=True) if weight > 0)

    def _rise(self, fewer: tuple[int, ...], members: tuple[int, ...]) -> tuple[float, float]:
        """Return by how much the log-loss of the fewer is higher, a text, and the standard error of that."""
        rise = self.fit(fewer).losses - self.fit(members).losses
        return float(rise.mean()), float(rise.std() / np.sqrt(len(rise)))


def stack_loss(weights: FloatArray, scores: FloatArray, given: FloatArray) -> tuple[float, FloatArray]:
    """Return the mean -ln p(label) of N texts and the imaginary one, and its gradient (m,).

    Args:
        weights: (m,).
        scores: (m, N * C), each text's logits of mean 0.
        given: (m, N), those of the labels.
    """
    n, told = given.shape[1], given.sum(axis=1)
    normalisers, chances = _softmax((weights @ scores).reshape(n, -1))
    value = normalisers.sum() + normalisers.mean() - weights @ told
    gradient = (1 + 1 / n) * (scores @ chances.ravel()) - told
    return float(value / n), np.asarray(gradient / n)


def _softmax(logits: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ln Σ exp (N,) and the softmax (N, C) of logits, whose memory it takes."""
    highest = logits.max(axis=1, keepdims=True)
    chances = np.exp(np.subtract(logits, highest, out=logits), out=logits)
    sums = chances.sum(axis=1, keepdims=True)
    return (np.log(sums) + highest)[:, 0], np.divide(chances, sums, out=chances)


def _check(logits: Sequence[FloatArray], labels: Int64Array) -> None:
    if not logits or not len(labels):
        raise DataError("members are weighed on validation texts, one or more of each")
    for each in logits:
        if each.ndim != 2 or each.shape != (len(labels), logits[0].shape[1]):
            raise DataError(f"{len(labels)} validation texts came with logits of shape {each.shape}")
        if not np.isfinite(each).all():
            raise DataError("a member gave a validation text a logit that is not a finite number")
