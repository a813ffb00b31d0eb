"""The cascade: worked by hand, held to a search one by one, and honest where texts are few."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from quick_steps import LABELS, TEXTS

from sopan.errors import ConfigError, DataError
from sopan.steps import make_step
from sopan.steps.cascade import Cascade
from sopan.steps.cascading import FINEST, SAME_COST, fit_cascade
from sopan.steps.stacking import StackFits, fit_stack
from sopan.steps.stages import Stage
from sopan.types import softmax


def binary(margins):
    """Logits of two classes, the second of which leads by so much."""
    margins = np.asarray(margins, float)
    return np.stack([-margins / 2, margins / 2], axis=1)


def world(n, skills, rng, *, hard=0.3, n_classes=2):
    """Labels, and members of these skills; of the texts a share is hard, where only skill above 2 helps."""
    labels = rng.integers(0, n_classes, n)
    is_hard = rng.random(n) < hard
    logits = {}
    for i, skill in enumerate(skills):
        lead = np.where(is_hard, max(0.0, skill - 2), skill)[:, None] * np.eye(n_classes)[labels]
        logits[f"m{i}"] = 2 * lead + rng.normal(size=(n, n_classes))
    return logits, labels


def test_four_fifths_are_sure_and_right_and_the_rest_go_on():
    """A cheap member is sure and right on 800 texts, and unsure and half right on 200, where a costly one is
    right: asking it about those 200 costs 1 + 0.2 · 10 = 3 where it alone costs 10.
    """
    n = 1000
    labels = np.arange(n) % 2
    sign = 2 * labels - 1
    unsure = np.arange(n) >= 800
    guess = np.where(np.arange(n) % 4 < 2, 1, -1)  # independent of the label
    cheap = binary(np.where(unsure, 0.1 * guess, 4 * sign))
    costly = binary(3 * sign)
    found = fit_cascade({"cheap": cheap, "costly": costly}, labels, {"cheap": 1, "costly": 10}, margin=0.005)
    assert [stage.asks for stage in found.stages] == [(0,), (1,)]
    assert found.reached == (1.0, pytest.approx(0.2, abs=1 / FINEST))
    assert found.seconds == pytest.approx(3, abs=10 / FINEST)
    assert found.accuracy == 1.0
    assert (found.best, found.best_accuracy, found.best_seconds) == (("costly",), 1.0, 10.0)


def test_where_the_cheap_one_is_as_good_it_is_asked_alone():
    labels = np.arange(2_000) % 2
    good = binary(2.0 * (2 * labels - 1))
    found = fit_cascade({"costly": good, "cheap": good}, labels, {"costly": 5, "cheap": 1}, margin=0.005)
    assert [stage.asks for stage in found.stages] == [(1,)]
    assert (found.reached, found.seconds, found.best) == ((1.0,), 1.0, ("cheap",))


def test_on_few_texts_nothing_is_shown_and_the_best_is_asked():
    """Even agreement on all of 50 texts does not show a difference below half a point."""
    labels = np.arange(50) % 2
    sign = 2 * labels - 1
    cheap, costly = binary(np.where(np.arange(50) == 7, -2, 2) * sign), binary(2.0 * sign)
    found = fit_cascade({"cheap": cheap, "costly": costly}, labels, {"cheap": 1, "costly": 9}, margin=0.005)
    assert [stage.asks for stage in found.stages] == [(1,)]
    assert found.seconds == 9


def one_by_one(logits, labels, costs, margin):
    """Try every ladder and threshold in loops over masks of texts; return the best's cost and accuracy."""
    names = sorted(logits, key=lambda name: costs[name])
    fits = StackFits([logits[name] for name in names], labels)
    price, n = np.array([costs[name] for name in names]), len(labels)
    grid = min(FINEST, int(np.sqrt(n)))

    def answer(members):
        weighed = fits.logits(fits.pruned(members))
        confidence = softmax(weighed).max(axis=1)
        return weighed.argmax(1) == labels, confidence, np.quantile(confidence, np.arange(1, grid) / grid)

    everyone = tuple(range(len(names)))
    stack = tuple(np.flatnonzero(fits.pruned(everyone)).tolist())
    contenders = sorted({*((m,) for m in everyone), stack}, key=lambda s: price[list(s)].sum())
    best = max(contenders, key=lambda s: answer(s)[0].mean())
    best_right, found = answer(best)[0], []
    worth = [
        m
        for m in everyone
        if m in stack or all(answer((m,))[0].mean() > answer((k,))[0].mean() for k in range(m))
    ]
    sets = [s for size in (1, 2, 3) for s in combinations(worth, size)] + [stack]
    for members in sets:
        for stops in range(min(2, len(members) - 1) + 1):
            for ends in combinations(range(1, len(members)), stops):
                ladder = [members[:end] for end in (*ends, len(members))]
                new = [s[len(b) :] for b, s in zip([(), *ladder], ladder, strict=False)]
                if not all(fits.pruned(s)[list(asked)].any() for s, asked in zip(ladder, new, strict=True)):
                    continue
                answers = [answer(s) for s in ladder]
                for at in np.ndindex(*[grid - 1] * stops):
                    left, right, cost = np.ones(n, bool), np.zeros(n, bool), 0.0
                    for number, (is_right, confidence, thresholds) in enumerate(answers):
                        cost += left.mean() * price[list(new[number])].sum()
                        stands = left & (confidence >= thresholds[at[number]] if number < stops else True)
                        right[stands] = is_right[stands]
                        left &= ~stands
                    d = right.astype(float) - best_right
                    error = np.sqrt(((np.abs(d).sum() + 2) / n - d.mean() ** 2) / n)
                    if min(d.mean(), 0) - error >= -margin - 1e-12 or ladder == [best]:
                        found.append((cost, right.mean()))
    least = min(cost for cost, _ in found)
    accuracy = max(right for cost, right in found if cost <= SAME_COST * least)
    return min(cost for cost, right in found if cost <= SAME_COST * least and right == accuracy), accuracy


@pytest.mark.parametrize(("seed", "n_classes"), [(0, 2), (1, 3), (2, 2), (3, 5)])
@pytest.mark.parametrize("margin", [0.0, 0.03])
def test_the_search_finds_what_trying_one_by_one_finds(seed, n_classes, margin):
    logits, labels = world(120, [1.0, 1.5, 2.5, 3.0], np.random.default_rng(seed), n_classes=n_classes)
    costs = {"m0": 1.0, "m1": 3.0, "m2": 10.0, "m3": 9.0}
    found = fit_cascade(logits, labels, costs, margin=margin)
    cost, accuracy = one_by_one(logits, labels, costs, margin)
    assert (found.seconds, found.accuracy) == (pytest.approx(cost), pytest.approx(accuracy))


def applied(stages, logits):
    """Answer texts by stages: (N, C), and the share that comes to each stage."""
    scores = np.stack(list(logits.values()))
    left, out, reached = np.ones(scores.shape[1], bool), np.zeros(scores.shape[1:]), []
    for stage in stages:
        reached.append(left.mean())
        weighed = np.tensordot(stage.weights, scores, 1)
        stands = left & (softmax(weighed).max(axis=1) >= stage.threshold)
        out[stands] = weighed[stands]
        left &= ~stands
    return out, tuple(reached)


def test_what_is_promised_of_the_validation_texts_is_what_the_stages_do():
    logits, labels = world(3_000, [1.5, 2.0, 3.0], np.random.default_rng(4))
    found = fit_cascade(logits, labels, {"m0": 1, "m1": 4, "m2": 20}, margin=0.01)
    answers, reached = applied(found.stages, logits)
    assert len(found.stages) > 1
    assert found.accuracy == pytest.approx((answers.argmax(1) == labels).mean())
    assert found.reached == pytest.approx(reached)
    assert found.seconds < 0.7 * found.best_seconds
    assert found.accuracy >= found.best_accuracy - 0.01


@pytest.mark.parametrize(("n", "skills"), [(50, [1.0, 2.5]), (1_000, [1.0, 2.5]), (1_000, [2.0, 2.0])])
def test_chosen_on_few_texts_it_loses_no_more_than_it_may(n, skills):
    """On fresh texts it is seldom worse, by more than the margin, than what looked best on the few, and never
    by more than twice that; of two equal members too.
    """
    margin, loss = 0.01, []
    costs = {"m0": 1, "m1": 10}
    for seed in range(25):
        rng = np.random.default_rng(seed)
        fresh, truth = world(5_000, skills, rng)
        logits, labels = world(n, skills, rng)
        found = fit_cascade(logits, labels, costs, margin=margin)
        best = fit_stack(
            {name: logits[name] if name in found.best else 0 * logits[name] for name in logits}, labels
        )
        chosen = np.tensordot(best, np.stack(list(fresh.values())), 1).argmax(1) == truth
        loss.append(chosen.mean() - (applied(found.stages, fresh)[0].argmax(1) == truth).mean())
    assert np.mean(np.array(loss) > margin) <= 0.1
    assert max(loss) < 2 * margin


@pytest.mark.parametrize("costs", [{"m0": 1.0}, {"m0": 1.0, "m1": -1.0}, {"m0": 1.0, "m1": float("nan")}])
def test_members_without_a_cost_are_refused(costs):
    logits, labels = world(30, [1.0, 2.0], np.random.default_rng(0))
    with pytest.raises(DataError, match="cost"):
        fit_cascade(logits, labels, costs, margin=0.0)


# ---- the step --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def members():
    return {name: make_step(name).fit(TEXTS, LABELS) for name in ("bow", "bow:counts", "bow:chars")}


def test_a_cascade_reads_as_its_stages_say_and_names_who_answered(members):
    cascade = Cascade.of(
        {name: members[name] for name in ("bow", "bow:chars")},
        {"bow": np.zeros((4, 3)), "bow:chars": np.eye(3)[[0, 1, 2, 0]]},
        np.array([0, 1, 2, 0]),
        costs={"bow": 1.0, "bow:chars": 10.0},
    )
    assert cascade.members_.keys() == {"bow:chars"}  # of which it is shown that it is any good
    cascade.members_ = {name: members[name] for name in ("bow", "bow:chars")}
    cascade.stages_ = (Stage((0,), np.array([1.0, 0]), 0.9), Stage((1,), np.array([1.0, 2.0])))
    texts = [*TEXTS[:3], "qwrtz", ""]
    confidence = members["bow"].predict_proba(texts).max(axis=1)
    answered = cascade.answered_by(texts)
    assert answered.tolist() == ["bow" if sure >= 0.9 else "bow:chars" for sure in confidence]
    assert set(answered) == {"bow", "bow:chars"}
    cheap, both = (
        members["bow"].logits(texts),
        members["bow"].logits(texts) + 2 * members["bow:chars"].logits(texts),
    )
    np.testing.assert_allclose(cascade.logits(texts), np.where((confidence >= 0.9)[:, None], cheap, both))
    assert cascade.thresholds_.tolist() == [0.9]


@pytest.mark.parametrize("margin", [-0.1, 2, "much"])
def test_a_margin_that_cannot_be_is_refused(margin):
    with pytest.raises(ConfigError, match="margin"):
        Cascade(margin=margin).fit(TEXTS, LABELS, validation=(TEXTS, LABELS))


def test_a_cascade_is_fitted_from_its_members_names():
    cascade = Cascade(members=("bow", "bow:chars"), margin=0.1)
    cascade.fit(TEXTS[::2], LABELS[::2], validation=(TEXTS[1::2], LABELS[1::2]))
    assert cascade.score(TEXTS, LABELS) == 1.0
    assert set(cascade.members_) <= {"bow", "bow:chars"}
