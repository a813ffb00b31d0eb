"""What is said of a cascade, a stack, a distilled step: as much as the pairs show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from results_sample import sample_results

from sopan.comparison.combined_verdict import combined_sentences
from sopan.comparison.results import Pair, StageScores, StepScores


def contenders() -> tuple[StepScores, ...]:
    """`bow`, `bert@minilm`, and a `cascade` of both: ten times and four times as fast as `bert@minilm`."""
    bow, cbow = sample_results(("bow", "cbow")).steps
    stages = (
        StageScores(asks=("bow",), weights={"bow": 1.0}, threshold=0.8, answered=0.78),
        StageScores(
            asks=("bert@minilm",), weights={"bow": 0.4, "bert@minilm": 0.7}, threshold=0, answered=0.22
        ),
    )
    return (
        replace(bow, accuracy=0.9, texts_per_second=1000.0),
        replace(cbow, step="bert@minilm", accuracy=0.912, texts_per_second=100.0),
        replace(bow, step="cascade", accuracy=0.917, texts_per_second=390.0, stages=stages),
    )


def pair(difference: float, low: float, high: float, verdict: str) -> Pair:
    return Pair(
        a="bert@minilm", b="cascade", difference=difference, ci=(low, high), p_value=0.5, p_adjusted=0.5,
        test="exact McNemar", verdict=verdict,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (pair(-0.005, -0.009, -0.001, "b better"), "better than"),
        (pair(-0.001, -0.004, 0.002, "equivalent within margin"), "as good as"),
        (pair(0.004, -0.002, 0.0122, "not distinguishable"), "at worst 1.2 points below"),
        (pair(0.02, 0.01, 0.03, "a better"), "2.0 points worse than"),
    ],
)
def test_a_cascade_is_told_in_one_sentence(shown: Pair, said: str) -> None:
    (told,) = combined_sentences(contenders(), [shown], 0.005)
    assert told == (
        f"Ask `bow` first; 22% of the texts go on to `bert@minilm`: 0.917, {said} `bert@minilm` alone, "
        "3.9 times as fast."
    )


def test_one_stage_is_a_stack_or_a_single_step() -> None:
    bow, minilm, cascade = contenders()
    assert cascade.stages is not None
    both = replace(cascade.stages[1], asks=("bow", "bert@minilm"), answered=1.0)
    stack = replace(cascade, step="stack", stages=(both,))
    alone = replace(cascade, stages=(replace(cascade.stages[0], answered=1.0),))
    taught = replace(bow, step="bow:distilled", teacher="stack")
    assert list(combined_sentences([bow, minilm, stack, alone, taught], [], 0.005)) == [
        "`stack` weighs `bow` (0.40) and `bert@minilm` (0.70) together about every text.",
        "`cascade` found no cheaper way: it is `bow` alone.",
        "`bow:distilled` is `bow`, taught by `stack` on unlabelled texts.",
    ]
