"""What the comparison says in plain words, and nothing that its intervals do not show.

`compare_pairs` tests every pair of steps, `recommend` picks a step, `verdict_sentences` tells a reader why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy.stats import norm

from sopan.comparison.combined_verdict import combined_sentences
from sopan.comparison.layout import MINUS, p_value, plural, quantity
from sopan.comparison.results import Pair, Recommendation, StepScores, Verdict
from sopan.errors import DataError
from sopan.fit.intervals import LEVEL, difference_interval, holm, mcnemar
from sopan.fit.scores import Interval
from sopan.types import BoolArray

ALPHA = 1 - LEVEL
POWER = 0.80
"""A test set "can see" a difference that it would show this often (Cohen's convention)."""

SAME_COST = 2.0
"""A step must be faster than another by more than this factor to count as cheaper: clocks are noisy."""

FINEST = 0.001
"""Below this margin the number of test texts that it takes is no longer worth telling."""

# ---- testing ---------------------------------------------------------------------------------


def compare_pairs(
    correct: Mapping[str, BoolArray], *, margin: float, rng: np.random.Generator
) -> tuple[Pair, ...]:
    """Compare the accuracy of every two steps on the same test texts.

    A step is called better only if both the Holm-adjusted exact McNemar test and the bootstrap
    interval say so.

    Args:
        correct: step -> (N,) bool, whether it was right on each test text.
        margin: differences in accuracy below this do not matter to the user.

    Returns:
        Every pair, with a verdict: "a better", "b better", "equivalent within margin" (no difference
        shown, and the interval lies inside the margin) or "not distinguishable".

    Raises:
        DataError: no test texts, or a different number for each step.
    """
    if len({len(right) for right in correct.values()}) != 1 or not len(next(iter(correct.values()))):
        raise DataError("every step needs a prediction for each of the same test texts, at least one")
    pairs = list(combinations(correct, 2))
    p_values = [mcnemar(correct[a], correct[b]) for a, b in pairs]
    return tuple(
        Pair(
            a=a,
            b=b,
            difference=float(np.mean(correct[a]) - np.mean(correct[b])),
            ci=(ci := difference_interval(correct[a], correct[b], rng)),
            p_value=p,
            p_adjusted=adjusted,
            test="exact McNemar",
            verdict=_verdict(ci, adjusted, margin),
        )
        for (a, b), p, adjusted in zip(pairs, p_values, holm(p_values).tolist(), strict=True)
    )


def _verdict(ci: Interval, p_adjusted: float, margin: float) -> Verdict:
    low, high = ci
    if p_adjusted <= ALPHA and low > 0:
        return "a better"
    if p_adjusted <= ALPHA and high < 0:
        return "b better"
    return "equivalent within margin" if _inside(ci, margin) else "not distinguishable"


def _inside(ci: Interval, margin: float) -> bool:
    return -margin < ci[0] and ci[1] < margin


# ---- choosing --------------------------------------------------------------------------------


def recommend(steps: Sequence[StepScores], pairs: Sequence[Pair], margin: float) -> Recommendation:
    """Pick the cheapest step that is shown to be not worse than the best by more than the margin.

    *Shown*: the lower end of the interval of (its accuracy - the best one's) lies above -margin,
    which is a non-inferiority test at 2.5%. *The best* is the step with the highest accuracy seen.
    *Cheapest* goes by `texts_per_second`: a model is fitted once and read from ever after, and
    speed over the whole test set is the steadiest cost there is. Of steps about equally fast
    (within a factor of 2), the more accurate is taken, so that a noisy clock does not decide.

    Args:
        steps: what each step scores and costs.
        pairs: from `compare_pairs`.
        margin: the accuracy that a cheaper step may cost, e.g. 0.005.
    """
    best = _best(steps)
    good = [s for s in steps if s is best or _worst_case(s, best, pairs) < margin]
    fastest = max(s.texts_per_second for s in good)
    cheapest = [s for s in good if s.texts_per_second * SAME_COST >= fastest]
    chosen = max(cheapest, key=lambda s: s.accuracy)
    reason = _reason(chosen, best, steps, pairs, margin)
    return Recommendation(step=chosen.step, reason=reason, margin=margin)


def _best(steps: Sequence[StepScores]) -> StepScores:
    return max(steps, key=lambda s: s.accuracy)


def _worst_case(step: StepScores, best: StepScores, pairs: Sequence[Pair]) -> float:
    """Say how much less accurate than the best a step may be: the upper end of the interval."""
    for pair in pairs:
        if (pair.a, pair.b) == (best.step, step.step):
            return pair.ci[1]
        if (pair.a, pair.b) == (step.step, best.step):
            return -pair.ci[0]
    raise DataError(f"{step.step} was not compared with {best.step}")


def _reason(
    chosen: StepScores,
    best: StepScores,
    steps: Sequence[StepScores],
    pairs: Sequence[Pair],
    margin: float,
) -> str:
    name, allowed = f"`{chosen.step}`", _points(margin)
    if len(steps) == 1:
        return f"{name} is the only step that was run."
    if chosen is not best:
        return (
            f"The cheapest step that is not worse than the best (`{best.step}`) by more than "
            f"{allowed} is {name}: at worst {_points(_worst_case(chosen, best, pairs))} "
            f"worse, at {_speed(chosen)} against {_speed(best)}."
        )
    cheaper = [s for s in steps if s.texts_per_second > SAME_COST * best.texts_per_second]
    if not cheaper:
        return f"{name} came out most accurate, and no other step is twice as fast ({_speed(chosen)})."
    nearest = min(cheaper, key=lambda s: _worst_case(s, best, pairs))
    return (
        f"{name} came out most accurate, and no cheaper step was shown to be within {allowed} of it: "
        f"`{nearest.step}` may be up to {_points(_worst_case(nearest, best, pairs))} worse."
    )


# ---- telling ---------------------------------------------------------------------------------


def verdict_sentences(
    pairs: Sequence[Pair], steps: Sequence[StepScores], n_test: int, recommendation: Recommendation
) -> tuple[str, ...]:
    """Tell the outcome in plain sentences: the pairs, what was unseen, the choice, and what was cut short.

    Args:
        n_test: number of test texts.
    """
    margin = recommendation.margin
    if len(steps) == 1:
        told = [f"{_headline(steps[0], n_test)}."]
    elif len(steps) <= 3:
        told = [_pair_sentence(pair, len(pairs), n_test, margin) for pair in pairs]
    else:
        told = _grouped(pairs, steps, n_test, margin)
    interrupted = (
        f"Tuning of `{step.step}` was interrupted after {len(step.trials)} of {step.trials_total} settings, "
        "so that it may do better than shown."
        for step in steps
        if step.interrupted
    )
    combined = combined_sentences(steps, pairs, margin)
    return (*told, *combined, *_unseen(pairs, n_test, margin), recommendation.reason, *interrupted)


def _headline(step: StepScores, n_test: int) -> str:
    low, high = step.accuracy_ci
    return (
        f"`{step.step}` was right on {100 * step.accuracy:.1f}% of {plural(n_test, 'test text')} "
        f"(95% interval {100 * low:.1f} to {100 * high:.1f})"
    )


def _pair_sentence(pair: Pair, n_pairs: int, n_test: int, margin: float) -> str:
    """Tell one pair, the more accurate step first."""
    first, second, difference, (low, high) = pair.a, pair.b, pair.difference, pair.ci
    if difference < 0:
        first, second, difference, low, high = second, first, -difference, -high, -low
    decimals = _decimals(low, high)
    gap, low_end, high_end = (_number(value, decimals) for value in (difference, low, high))
    shown = f"difference {gap} points, 95% interval {low_end} to {high_end}"
    at = plural(n_test, "text")
    if _told_apart(pair):
        little = f", but by less than {_points(margin)}" if _inside((low, high), margin) else ""
        return f"`{first}` is better than `{second}` at {at} ({shown}){little}."
    if low > 0:  # the interval alone would have called it
        counted = f", counting all {n_pairs} comparisons" if n_pairs > 1 else ""
        shown += f"; exact test p = {p_value(pair.p_adjusted)}{counted}"
    within = f"; any difference is below {_points(margin)}" if _inside((low, high), margin) else ""
    return f"`{first}` is not distinguishable from `{second}` at {at} ({shown}){within}."


def _grouped(pairs: Sequence[Pair], steps: Sequence[StepScores], n_test: int, margin: float) -> list[str]:
    """Tell many pairs: the best step against each other one, then how the others compare."""
    best = _best(steps)
    told = [f"Of {len(steps)} steps, {_headline(best, n_test)}, the highest accuracy seen."]
    with_best = [pair for pair in pairs if best.step in (pair.a, pair.b)]
    beaten = [pair for pair in with_best if _told_apart(pair)]
    if beaten:
        others = [pair.b if pair.a == best.step else pair.a for pair in beaten]
        gaps = [_points(abs(pair.difference)) for pair in beaten]
        names = [f"`{other}` (by {gap})" for other, gap in zip(others, gaps, strict=True)]
        told.append(f"It is better than {', '.join(names)}.")
    told += [_pair_sentence(pair, len(pairs), n_test, margin) for pair in with_best if pair not in beaten]
    rest = [pair for pair in pairs if pair not in with_best]
    apart = [_both(pair) for pair in rest if _told_apart(pair)]
    not_apart = [_both(pair) for pair in rest if not _told_apart(pair)]
    if not apart or not not_apart:
        none_or_all = "All" if apart else "None"
        told.append(f"{none_or_all} of the other {len(rest)} pairs can be told apart.")
    elif len(apart) <= len(not_apart):
        told.append(f"Of the other {len(rest)} pairs, only these can be told apart: {', '.join(apart)}.")
    else:
        told.append(
            f"Of the other {len(rest)} pairs, only these are not distinguishable: {', '.join(not_apart)}."
        )
    return told


def _unseen(pairs: Sequence[Pair], n_test: int, margin: float) -> list[str]:
    """Say which differences the test set was too small to see; nothing if no pair was left open."""
    open_pairs = [pair for pair in pairs if pair.verdict == "not distinguishable"]
    if not open_pairs:
        return []
    # Half an interval is 1.96 standard errors, so it tells the error of a pair that disagrees most.
    widest = max(pair.ci[1] - pair.ci[0] for pair in open_pairs)
    error = widest / 2 / norm.ppf(1 - ALPHA / 2)
    smallest = float(error * (norm.ppf(1 - ALPHA / 2 / len(pairs)) + norm.ppf(POWER)))
    if smallest >= 1:
        return [f"{plural(n_test, 'test text')} cannot show any difference between such steps."]
    sentence = (
        f"With {plural(n_test, 'test text')}, a true difference of {_points(smallest)} would be seen "
        f"in about {POWER:.0%} of test sets, a smaller one more seldom"
    )
    if FINEST <= margin < smallest:
        needed = n_test * (smallest / margin) ** 2
        sentence += f"; to see {_points(margin)} as often takes some {quantity(needed, 2)} test texts"
    return [f"{sentence}."]


def _told_apart(pair: Pair) -> bool:
    return pair.verdict in ("a better", "b better")


# ---- words and numbers -----------------------------------------------------------------------


def _decimals(*differences: float) -> int:
    """Count the decimals, at least one, at which no difference in points rounds to zero."""
    sizes = [abs(100 * difference) for difference in differences if abs(difference) > 1e-6]
    return next((d for d in range(1, 4) if all(round(size, d) for size in sizes)), 4)


def _number(difference: float, decimals: int) -> str:
    text = f"{100 * difference:.{decimals}f}"
    return text.lstrip("-") if not float(text) else text.replace("-", MINUS)


def _points(difference: float) -> str:
    """Write a difference of accuracies in percentage points: `0.5 points`, `0.03 points`."""
    return f"{_number(difference, _decimals(difference))} points"


def _speed(step: StepScores) -> str:
    return f"{quantity(step.texts_per_second, 2)} texts a second"


def _both(pair: Pair) -> str:
    return f"`{pair.a}` and `{pair.b}`"
