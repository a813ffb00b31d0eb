"""Which steps to ask first, and how sure they must be: the least costly way to be as good as the best.

    ladder: nested sets of members in order of cost     bow  <  bow, minilm  <  bow, cbow, minilm
    answer of a set: its members' weighed logits (`sopan.steps.stacking`), which may count the last alone
    threshold of a set: the confidence from which on its answer stands; else the next set is asked

Members are those that count in the stack of all, and those more accurate than all that cost less. Every
ladder of up to three of them is tried, and those that end in the whole stack, each with every pair of
thresholds on a grid of quantiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import NamedTuple, TypeAlias

import numpy as np

from sopan.errors import DataError
from sopan.steps.stacking import StackFits
from sopan.steps.stages import Stage, top_probability
from sopan.types import FloatArray, Int64Array

MOST_MEMBERS, MOST_STOPS = 3, 2
"""Of a ladder: members, but for the whole stack; sets whose answer may stand, but for the last."""
FINEST = 40
"""Quantiles of the confidence that thresholds are chosen from; the root of the number of texts, if fewer."""
IMAGINARY = 2.0
"""Texts added to those of which only one of two ways is right."""
SAME_COST = 1.1
"""Ways whose costs differ by less than this factor cost the same: then the most accurate of them is taken."""

Ladder: TypeAlias = tuple[tuple[int, ...], ...]
"""Nested sets of members, smallest first; each set in order of cost."""


@dataclass(frozen=True, eq=False)
class CascadeFit:
    """The way that was chosen, and what it does on the validation texts.

    Args:
        stages: of the members in the order given.
        reached: for each stage the share of the texts that come to it: 1, then ever less.
        seconds: what a text costs, on average.
        accuracy: of these stages.
        best: the members of the most accurate single step, or of the whole stack if that is more accurate.
        best_accuracy, best_seconds: of that one, asked about every text.
    """

    stages: tuple[Stage, ...]
    reached: tuple[float, ...]
    seconds: float
    accuracy: float
    best: tuple[str, ...]
    best_accuracy: float
    best_seconds: float


def fit_cascade(
    logits: Mapping[str, FloatArray],
    labels: Int64Array,
    costs: Mapping[str, float],
    *,
    margin: float,
) -> CascadeFit:
    """Choose members, their order and thresholds on validation texts.

    The least costly way is taken whose accuracy is shown to be within the margin of the best: its difference,
    less one standard error, must not be below -margin. To the texts of which only one of the two is right an
    imaginary one is added on either side, so that on few texts agreement shows nothing. Of very many ways
    some are lucky: one that looks better than the best counts as equal to it. The best itself is always a
    way: where nothing cheaper is shown to be as good, the cascade is that single step, or the stack.

    Args:
        logits: member -> (N, C) float64, calibrated: over its temperature, or log-probabilities.
        labels: (N,) class indices.
        costs: member -> seconds a text.
        margin: accuracy that may be lost.

    Raises:
        DataError: no members or texts, lengths that differ, a logit that is not finite, or no cost.

    Source of the standard error: D. Bonett and R. Price, "Adjusted Wald Confidence Interval for a Difference
    of Binomial Proportions Based on Paired Data" (2012).
    """
    prices = np.array([costs[name] for name in logits if name in costs], np.float64)
    if len(prices) != len(logits) or not (prices >= 0).all():
        raise DataError("every member of a cascade needs its cost, in seconds a text, which is not below 0")
    order = np.argsort(prices, kind="stable")
    names = [list(logits)[place] for place in order]
    search = _Search(StackFits([logits[name] for name in names], labels), prices[order], margin)
    return search.best_way(names, order)


class _Answer(NamedTuple):
    """What a set of members answers.

    Args:
        weights: (M,).
        difference: (N,) 1 where it is right and the best is not, -1 where the best is and it is not, else 0.
        place: (N,) int64, how many of the thresholds the confidence reaches.
        thresholds: (G - 1,) rising.
    """

    weights: FloatArray
    difference: FloatArray
    place: Int64Array
    thresholds: FloatArray


class _Ways(NamedTuple):
    """A ladder of S sets with every pair of thresholds: K ways.

    Args:
        reached: (K, S) the share of the texts that come to each stage.
        seconds: (K,) what a text costs.
        difference, error: (K,) of the accuracy, from the best one's; its standard error.
    """

    reached: FloatArray
    seconds: FloatArray
    difference: FloatArray
    error: FloatArray


class _Search:
    """The search over members in order of cost."""

    def __init__(self, fits: StackFits, costs: FloatArray, margin: float) -> None:
        self.fits, self.costs, self.margin = fits, costs, margin
        self.everyone = tuple(range(len(costs)))
        self.stack = tuple(np.flatnonzero(fits.pruned(self.everyone)).tolist())
        self.grid = min(FINEST, max(3, int(np.sqrt(fits.n_texts))))
        contenders = sorted({*((member,) for member in self.everyone), self.stack}, key=self._price)
        rights = [self._right(members) for members in contenders]
        chosen = int(np.argmax([right.mean() for right in rights]))  # the cheapest of the most accurate
        self.best, self._best_right = contenders[chosen], rights[chosen]
        self._answers: dict[tuple[int, ...], _Answer] = {}

    def best_way(self, names: Sequence[str], given: Int64Array) -> CascadeFit:
        """Try every ladder, and return the way that `fit_cascade` promises.

        Args:
            names: of the members, in order of cost.
            given: (M,) their places as they were given.
        """
        ladders = list(self._ladders())
        ways = [self._ways(ladder) for ladder in ladders]
        seconds, difference, error = (
            np.concatenate([getattr(each, name) for each in ways])
            for name in ("seconds", "difference", "error")
        )
        of = np.repeat(np.arange(len(ways)), [len(each.seconds) for each in ways])
        shown = np.minimum(difference, 0) - error >= -self.margin - 1e-12
        shown[of == ladders.index((self.best,))] = True
        cheap = shown & (seconds <= SAME_COST * seconds[shown].min())
        places = np.flatnonzero(cheap)
        best = places[np.lexsort((seconds[places], -difference[places]))[0]]
        ladder, within = ladders[of[best]], int(best - np.searchsorted(of, of[best]))
        return CascadeFit(
            tuple(_renumbered(stage, given) for stage in self._stages(ladder, within)),
            tuple(ways[of[best]].reached[within].tolist()),
            float(seconds[best]),
            float(self._best_right.mean() + difference[best]),
            tuple(names[member] for member in self.best),
            float(self._best_right.mean()),
            self._price(self.best),
        )

    # ---- ladders -------------------------------------------------------------------------

    def _ladders(self) -> Iterator[Ladder]:
        """Name every ladder whose every set counts what it asks anew, the shortest first."""
        few = [s for size in range(1, MOST_MEMBERS + 1) for s in combinations(self._worthwhile(), size)]
        for members in dict.fromkeys([*few, self.stack]):
            for stops in range(min(MOST_STOPS, len(members) - 1) + 1):
                for ends in combinations(range(1, len(members)), stops):
                    ladder = tuple(members[:end] for end in (*ends, len(members)))
                    if all(self._counts(before, members) for before, members in pairwise(((), *ladder))):
                        yield ladder

    def _worthwhile(self) -> list[int]:
        """Name the members that count in the stack, or are more accurate than all that cost less."""
        found, highest = [], 0.0
        for member in self.everyone:
            accuracy = float(self._right((member,)).mean())
            if accuracy > highest or member in self.stack:
                found.append(member)
            highest = max(highest, accuracy)
        return found

    def _counts(self, before: tuple[int, ...], members: tuple[int, ...]) -> bool:
        """Say whether any member that was not asked before is in a set's answer."""
        return bool(self.fits.pruned(members)[list(members[len(before) :])].any())

    def _price(self, members: tuple[int, ...]) -> float:
        return float(self.costs[list(members)].sum())

    def _right(self, members: tuple[int, ...]) -> FloatArray:
        logits = self.fits.logits(self.fits.pruned(members))
        return np.asarray(logits.argmax(axis=1) == self.fits.labels, np.float64)

    def _answer(self, members: tuple[int, ...]) -> _Answer:
        if members not in self._answers:
            weights = self.fits.pruned(members)
            confidence = top_probability(self.fits.logits(weights))
            thresholds = np.quantile(confidence, np.arange(1, self.grid) / self.grid)
            place = np.searchsorted(thresholds, confidence, side="right")
            difference = self._right(members) - self._best_right
            self._answers[members] = _Answer(weights, difference, place, thresholds)
        return self._answers[members]

    # ---- ways ----------------------------------------------------------------------------

    def _ways(self, ladder: Ladder) -> _Ways:
        """Measure a ladder with every pair of thresholds, all of them at once.

        The texts are summed by how many thresholds their confidence in each answer reaches; sums of these
        sums then say what any pair of thresholds does.
        """
        n, answers = self.fits.n_texts, [self._answer(members) for members in ladder]
        stops = answers[:-1]
        shape = tuple(self.grid if stop < len(stops) else 1 for stop in range(MOST_STOPS))
        cells = np.zeros(n, np.int64)
        for stop, size in zip(stops, shape, strict=False):
            cells = cells * size + stop.place

        def summed(values: FloatArray, stage: int, *, stands: bool) -> FloatArray:
            table = np.bincount(cells, values, minlength=int(np.prod(shape)))
            return _over_ways(np.asarray(table.reshape(shape), np.float64), stage, stands=stands)

        difference, seconds, squares = np.zeros((1, 1)), np.zeros((1, 1)), np.full((1, 1), IMAGINARY)
        reached = []
        for stage, answer in enumerate(answers):
            stands = stage < len(stops)
            difference = difference + summed(answer.difference, stage, stands=stands) / n
            squares = squares + summed(np.abs(answer.difference), stage, stands=stands)
            reached.append(summed(np.ones(n), stage, stands=False) / n)
            price = self._price(ladder[stage]) - self._price(ladder[stage - 1] if stage else ())
            seconds = seconds + price * reached[-1]
        error = np.sqrt(np.maximum(squares / n - difference**2, 0) / n)
        shares = np.stack([np.broadcast_to(share, difference.shape).ravel() for share in reached], axis=1)
        seconds = np.broadcast_to(seconds, difference.shape)
        return _Ways(shares, seconds.ravel(), difference.ravel(), error.ravel())

    def _stages(self, ladder: Ladder, way: int) -> tuple[Stage, ...]:
        """Return the stages of one of a ladder's ways."""
        answers = [self._answer(members) for members in ladder]
        at = np.unravel_index(way, [len(answer.thresholds) for answer in answers[:-1]] or [1])
        thresholds = [float(a.thresholds[i]) for a, i in zip(answers[:-1], at, strict=False)]
        asked = [after[len(before) :] for before, after in pairwise(((), *ladder))]
        return tuple(
            Stage(asks, answer.weights, threshold)
            for asks, answer, threshold in zip(asked, answers, [*thresholds, 0.0], strict=True)
        )


def _renumbered(stage: Stage, given: Int64Array) -> Stage:
    """Number a stage's members as they were given."""
    weights = np.zeros(len(given))
    weights[given] = stage.weights
    return Stage(tuple(given[list(stage.asks)].tolist()), weights, stage.threshold)


def _over_ways(table: FloatArray, stage: int, *, stands: bool) -> FloatArray:
    """Sum over the texts that come to a stage, or of them those whose answer stands there, for every way.

    Args:
        table: (B, B) or (B, 1) or (1, 1), sums over the texts whose confidence in each answer reaches so many
            of the B - 1 thresholds; one axis for each stop.
        stage: from 0.
        stands: only those whose confidence reaches the stage's threshold.

    Returns:
        (B - 1, B - 1) and the like, one for each way; axes of length 1 are the same for all.
    """
    for axis, size in enumerate(table.shape):
        whole = table.sum(axis=axis, keepdims=True)
        below = np.cumsum(table, axis=axis).take(range(size - 1), axis=axis)
        if axis >= stage:
            below = whole - below if axis == stage and stands else whole
        table = below
    return table
