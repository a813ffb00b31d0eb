"""The verdict on cases whose right answer is plain, and its sentences, which must not say more than that."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from results_sample import sample_results

from sopan.comparison.results import Pair, Recommendation, StepScores
from sopan.comparison.verdict import compare_pairs, recommend, verdict_sentences
from sopan.errors import DataError

MARGIN = 0.005


def table(n: int, both: float, only_a: float, only_b: float) -> dict[str, np.ndarray]:
    """Two steps' right and wrong answers on n texts, from the shares of a paired table."""
    counts = [round(n * share) for share in (both, only_a, only_b)]
    counts.append(n - sum(counts))
    return {
        "bow": np.repeat([True, True, False, False], counts),
        "cbow": np.repeat([True, False, True, False], counts),
    }


ONE = sample_results(("bow",)).steps[0]


def steps_of(correct: dict[str, np.ndarray], **speed: float) -> list[StepScores]:
    """Steps with these accuracies; 1,000 texts a second unless told otherwise."""
    return [
        replace(
            ONE,
            step=step,
            accuracy=float(right.mean()),
            accuracy_ci=(float(right.mean()) - 0.01, min(1.0, float(right.mean()) + 0.01)),
            texts_per_second=speed.get(step, 1_000.0),
        )
        for step, right in correct.items()
    ]


def judged(
    correct: dict[str, np.ndarray], margin: float = MARGIN, **speed: float
) -> tuple[tuple[Pair, ...], Recommendation, list[str]]:
    pairs = compare_pairs(correct, margin=margin, rng=np.random.default_rng(0))
    steps = steps_of(correct, **speed)
    recommendation = recommend(steps, pairs, margin)
    n = len(next(iter(correct.values())))
    return pairs, recommendation, list(verdict_sentences(pairs, steps, n, recommendation))


def six_steps(n: int, best: float = 0.92) -> dict[str, np.ndarray]:
    """Six steps that share most of their mistakes; the last is right more often."""
    rng = np.random.default_rng(1)
    names = ("bow", "cbow", "attention", "self_attention", "transformer", "bert")
    easy = rng.random(n)
    levels = np.array([0.88, 0.86, 0.882, 0.884, 0.886, best])
    return {name: 0.8 * easy + 0.2 * rng.random(n) < at for name, at in zip(names, levels, strict=True)}


# ---- pairs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shares", "n", "verdict"),
    [
        ((0.85, 0.04, 0.02), 40_000, "a better"),
        ((0.85, 0.02, 0.04), 40_000, "b better"),
        ((0.85, 0.03, 0.03), 40_000, "equivalent within margin"),
        ((0.85, 0.03, 0.03), 500, "not distinguishable"),
        ((0.85, 0.04, 0.02), 200, "not distinguishable"),
        ((0.88, 0.0, 0.0), 40_000, "equivalent within margin"),
        ((0.88, 0.0, 0.0), 100, "not distinguishable"),
        ((0.0, 1.0, 0.0), 40, "a better"),
    ],
)
def test_the_verdict_of_two_steps(shares: tuple[float, float, float], n: int, verdict: str) -> None:
    pair = judged(table(n, *shares))[0][0]
    assert pair.verdict == verdict
    assert pair.difference == pytest.approx(shares[1] - shares[2], abs=0.01)
    assert pair.ci[0] <= pair.difference <= pair.ci[1]
    assert pair.test == "exact McNemar"


def test_every_pair_once_adjusted_and_ready_for_json() -> None:
    correct = six_steps(2_000)
    pairs = judged(correct)[0]
    assert [(p.a, p.b) for p in pairs] == list(combinations(correct, 2))
    assert all(p.p_adjusted >= p.p_value for p in pairs)
    assert all(json.loads(json.dumps(p.as_json(), allow_nan=False)) == p.as_json() for p in pairs)


def test_a_step_is_not_called_better_for_one_lucky_pair_of_many() -> None:
    """A difference that one test alone would call is not called among fifteen."""
    n = 1_000
    base = table(n, 0.85, 0.038, 0.02)
    alone = compare_pairs(base, margin=MARGIN, rng=np.random.default_rng(0))[0]
    others = {f"other{i}": np.roll(base["bow"], 200 * i) for i in range(1, 5)}
    among = compare_pairs(base | others, margin=MARGIN, rng=np.random.default_rng(0))[0]
    assert alone.verdict == "a better"
    assert among.p_value == alone.p_value < 0.05 < among.p_adjusted
    assert among.verdict == "not distinguishable"


def test_one_step_has_no_pair() -> None:
    pairs, recommendation, sentences = judged({"bow": np.array([True, True, False, True])})
    assert pairs == ()
    assert recommendation == Recommendation(
        step="bow", reason="`bow` is the only step that was run.", margin=MARGIN
    )
    assert sentences == [
        "`bow` was right on 75.0% of 4 test texts (95% interval 74.0 to 76.0).",
        "`bow` is the only step that was run.",
    ]


def test_steps_must_have_seen_the_same_texts() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="same test texts"):
        compare_pairs({"bow": np.ones(3, bool), "cbow": np.ones(4, bool)}, margin=MARGIN, rng=rng)
    with pytest.raises(DataError, match="at least one"):
        compare_pairs({"bow": np.ones(0, bool)}, margin=MARGIN, rng=rng)


# ---- recommendation --------------------------------------------------------------------------


def test_a_cheaper_step_shown_to_be_close_enough_is_recommended() -> None:
    recommendation = judged(table(40_000, 0.85, 0.030, 0.031), bow=9_000)[1]
    assert recommendation.step == "bow"
    assert re.fullmatch(
        r"The cheapest step that is not worse than the best \(`cbow`\) by more than 0\.5 points is `bow`: "
        r"at worst 0\.[34] points worse, at 9,000 texts a second against 1,000 texts a second\.",
        recommendation.reason,
    )


def test_a_cheaper_step_that_only_might_be_close_enough_is_not() -> None:
    recommendation = judged(table(500, 0.85, 0.030, 0.032), bow=9_000)[1]
    assert recommendation.step == "cbow"
    told = "no cheaper step was shown to be within 0.5 points of it: `bow` may be up to"
    assert told in recommendation.reason


def test_a_margin_wide_enough_lets_the_cheaper_step_in() -> None:
    assert judged(table(500, 0.85, 0.030, 0.032), margin=0.05, bow=9_000)[1].step == "bow"


def test_no_margin_means_the_best() -> None:
    assert judged(table(40_000, 0.85, 0.030, 0.031), margin=0.0, bow=9_000)[1].step == "cbow"


def test_a_step_that_is_better_yet_within_the_margin_need_not_be_paid_for() -> None:
    pairs, recommendation, sentences = judged(table(400_000, 0.85, 0.030, 0.032), bow=9_000)
    assert pairs[0].verdict == "b better"
    assert recommendation.step == "bow"
    assert sentences[0].startswith("`cbow` is better than `bow` at 400,000 texts")
    assert sentences[0].endswith("but by less than 0.5 points.")


@pytest.mark.parametrize("wobble", [0.7, 1.0, 1.4])
def test_a_noisy_clock_does_not_decide(wobble: float) -> None:
    recommendation = judged(table(40_000, 0.85, 0.030, 0.031), bow=1_000 * wobble)[1]
    assert recommendation.step == "cbow"
    assert recommendation.reason == (
        "`cbow` came out most accurate, and no other step is twice as fast (1,000 texts a second)."
    )


def test_the_cheapest_of_several_that_qualify() -> None:
    easy = table(40_000, 0.85, 0.030, 0.031)
    correct = {
        "slow": easy["cbow"],
        "middling": easy["bow"],
        "fast": easy["bow"],
        "hasty": easy["bow"].copy(),
    }
    correct["hasty"][:2_000] = False
    recommendation = judged(correct, slow=10, middling=100, fast=1_000, hasty=90_000)[1]
    assert recommendation.step == "fast"


# ---- sentences -------------------------------------------------------------------------------


def test_two_steps_that_cannot_be_told_apart() -> None:
    sentences = judged(table(40_000, 0.85, 0.030, 0.029))[2]
    assert re.fullmatch(
        r"`bow` is not distinguishable from `cbow` at 40,000 texts "
        r"\(difference 0\.1 points, 95% interval −0\.1 to 0\.3\); any difference is below 0\.5 points\.",
        sentences[0],
    )
    assert len(sentences) == 2


def test_the_more_accurate_step_is_named_first() -> None:
    sentence = judged(table(2_000, 0.85, 0.02, 0.05))[2][0]
    assert sentence.startswith("`cbow` is better than `bow` at 2,000 texts (difference 3.0 points, ")
    assert "−" not in sentence


def test_a_test_set_too_small_says_what_it_could_have_seen() -> None:
    sentences = judged(table(100, 0.80, 0.08, 0.05))[2]
    assert "is not distinguishable" in sentences[0]
    seen = re.search(
        r"With 100 test texts, a true difference of (\d+\.\d) points would be seen", sentences[1]
    )
    assert seen is not None
    # (1.96 + 0.84) x sqrt(13 texts of 100 that the steps disagree on / 100)
    assert float(seen[1]) == pytest.approx(2.8 * np.sqrt(0.13 / 100) * 100, rel=0.1)
    needed = re.search(r"to see 0\.5 points as often takes some ([\d,]+) test texts", sentences[1])
    assert needed is not None
    assert float(needed[1].replace(",", "")) == pytest.approx(2.8**2 * 0.13 / MARGIN**2, rel=0.2)


def test_a_handful_of_texts_shows_nothing() -> None:
    sentences = judged({"bow": np.array([True, False]), "cbow": np.array([False, True])})[2]
    assert sentences[1] == "2 test texts cannot show any difference between such steps."


def test_an_interval_clear_of_zero_is_not_a_verdict_when_the_test_says_no() -> None:
    # 6 texts against 0 among three pairs: the interval lies above 0, the adjusted p-value does not suffice.
    two = table(100, 0.80, 0.06, 0.0)
    correct = two | {"lm": two["bow"]}
    pairs, _, sentences = judged(correct)
    assert pairs[0].ci[0] > 0
    assert pairs[0].verdict == "not distinguishable"
    assert sentences[0].endswith("; exact test p = 0.094, counting all 3 comparisons).")


def test_six_steps_read_as_a_paragraph() -> None:
    pairs, recommendation, sentences = judged(six_steps(40_000), bow=20_000, bert=20)
    assert recommendation.step == "bert"
    assert sentences[0].startswith("Of 6 steps, `bert` was right on ")
    assert sentences[1].startswith("It is better than `bow` (by ")
    assert sentences[2].startswith("Of the other 10 pairs, only these ")
    assert sentences[-1] == recommendation.reason
    assert len(sentences) <= 5
    named = re.findall(r"`(\w+)` and `(\w+)`", sentences[2])
    rest = [p for p in pairs if "bert" not in (p.a, p.b)]
    apart = {(p.a, p.b) for p in rest if p.verdict.endswith("better")}
    listed = apart if "can be told apart" in sentences[2] else {(p.a, p.b) for p in rest} - apart
    assert set(named) == listed


def test_six_steps_on_few_texts_claim_nothing() -> None:
    pairs, _, sentences = judged(six_steps(60, best=0.89))
    assert {pair.verdict for pair in pairs} == {"not distinguishable"}
    assert not any(" is better" in sentence for sentence in sentences)
    assert "None of the other 10 pairs can be told apart." in sentences


@pytest.mark.parametrize("n", [1, 2, 30, 1_000, 40_000])
def test_a_bound_that_is_not_zero_is_never_written_as_zero(n: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(20):
        correct = {step: rng.random(n) < 0.9 for step in ("bow", "cbow")}
        for sentence in judged(correct)[2]:
            assert "−0.0 " not in sentence
            assert not re.search(r"interval 0\.0 to|to 0\.0\)", sentence)


def test_the_same_seed_gives_the_same_pairs() -> None:
    correct = six_steps(300)
    assert judged(correct) == judged(correct)
