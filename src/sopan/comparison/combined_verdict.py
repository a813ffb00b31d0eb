"""What the comparison says of contenders that are made of others, or from outside, besides their scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sopan.comparison.layout import share
from sopan.comparison.results import Pair, StageScores, StepScores
from sopan.options.names import StepName


def combined_sentences(steps: Sequence[StepScores], pairs: Sequence[Pair], margin: float) -> Iterator[str]:
    """Yield a sentence for each stack, cascade, distilled step and estimator from outside.

    Args:
        steps: all contenders.
        pairs: every two of them.
        margin: differences in accuracy below this do not matter to the user.
    """
    for step in steps:
        if step.stages and len(step.stages) > 1:
            yield _cascade(step, steps, pairs, margin)
        elif step.stages:
            yield _one_stage(step, step.stages[0])
        if step.artifact_bytes is None:
            yield f"`{step.step}` was measured and not written: it could only be pickled."
        if step.teacher is not None:
            pupil = StepName.parse(step.step)._replace(variant=None)
            yield f"`{step.step}` is `{pupil}`, taught by `{step.teacher}` on unlabelled texts."


def _one_stage(step: StepScores, stage: StageScores) -> str:
    weights = [f"`{name}` ({weight:.2f})" for name, weight in stage.weights.items()]
    if len(weights) == 1:
        (only,) = stage.weights
        what = (
            "no cheaper way"
            if StepName.parse(step.step).step == "cascade"
            else "no others worth their weight"
        )
        return f"`{step.step}` found {what}: it is `{only}` alone."
    return f"`{step.step}` weighs {_listed(weights)} together about every text."


def _cascade(step: StepScores, steps: Sequence[StepScores], pairs: Sequence[Pair], margin: float) -> str:
    stages = step.stages or ()
    asked = [_listed([f"`{name}`" for name in stage.asks]) for stage in stages]
    left = [1.0]
    for stage in stages:
        left.append(left[-1] - stage.answered)
    further = ", and ".join(
        f"{_percent(reaching)} {'of the texts go' if place == 0 else 'go'} on to {names}"
        for place, (reaching, names) in enumerate(zip(left[1:], asked[1:], strict=False))
    )
    members = {name for stage in stages for name in stage.asks}
    best = max((each for each in steps if each.step in members), key=lambda each: each.accuracy)
    faster = step.texts_per_second / best.texts_per_second
    speed = f"{faster:.1f} times as fast" if faster >= 1 else f"{1 / faster:.1f} times as slow"
    how = _against(step, best, pairs, margin)
    return f"Ask {asked[0]} first; {further}: {share(step.accuracy)}, {how} `{best.step}` alone, {speed}."


def _against(step: StepScores, best: StepScores, pairs: Sequence[Pair], margin: float) -> str:
    """Say how a cascade's accuracy compares with that of its best member, as far as it was shown."""
    pair = next(pair for pair in pairs if {pair.a, pair.b} == {step.step, best.step})
    first = pair.a == step.step
    lowest = pair.ci[0] if first else -pair.ci[1]
    if pair.verdict == ("a better" if first else "b better"):
        return "better than"
    if pair.verdict == ("b better" if first else "a better"):
        return f"{100 * abs(pair.difference):.1f} points worse than"
    if lowest > -margin:
        return "as good as"
    return f"at worst {-100 * lowest:.1f} points below"


def _percent(value: float) -> str:
    return f"{100 * value:.0f}%" if value >= 0.095 else f"{100 * value:.1f}%"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
