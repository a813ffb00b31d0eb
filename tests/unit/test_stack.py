"""The weights of a stack: worked by hand, by a numeric gradient, and where there is little to go by."""

from __future__ import annotations

import numpy as np
import pytest
from quick_steps import EIGHT, LABELS, SOIL_OR_SEA, TEXTS
from scipy.optimize import approx_fprime, brentq

from sopan.errors import ConfigError, DataError
from sopan.steps import COMBINATIONS, make_step, step_class
from sopan.steps.stack import Stack
from sopan.steps.stacking import StackFits, fit_stack, stack_loss
from sopan.steps.stages import Stage, read_stages, stages_as_arrays, stages_of_arrays
from sopan.text.arrow import as_texts
from sopan.types import StepOutput, softmax


def drawn(n, n_classes, skills, rng, shared=0.5):
    """Draw labels (n,), and logits of a member for each skill, whose noise is partly that of all."""
    labels = rng.integers(0, n_classes, n)
    common = rng.normal(size=(n, n_classes))
    logits = {
        f"m{i}": skill * np.eye(n_classes)[labels]
        + np.sqrt(shared) * common
        + np.sqrt(1 - shared) * rng.normal(size=(n, n_classes))
        for i, skill in enumerate(skills)
    }
    return logits, labels


def losses(logits, labels):
    return -np.log(softmax(logits)[np.arange(len(labels)), labels])


def test_one_member_of_three_texts_is_weighed_as_by_hand():
    """Two texts are right by 1 and 3, one is wrong by 2: the root of the slope, with the imaginary text's."""
    logits, labels = {"only": np.array([[0.0, 1.0], [0.0, 3.0], [2.0, 0.0]])}, np.array([1, 1, 1])

    def slope(w):
        margins = np.array([1.0, 3.0, -2.0])  # of the label
        rising = -(margins / (1 + np.exp(w * margins))).sum()  # d/dw Σ ln(1 + exp(-w·margin))
        normaliser = np.abs(margins) / 2 * np.tanh(w * np.abs(margins) / 2)  # of logits of mean 0
        return rising + normaliser.mean()

    assert fit_stack(logits, labels)[0] == pytest.approx(brentq(slope, 0, 10), rel=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3, 77])
def test_the_gradient_is_the_numeric_one(n_classes):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 6, n_classes))
    scores -= scores.mean(axis=2, keepdims=True)
    given = scores[:, np.arange(6), rng.integers(0, n_classes, 6)]
    flat, weights = scores.reshape(3, -1), np.array([0.3, 1.2, 0.0])
    _, gradient = stack_loss(weights, flat, given)
    numeric = approx_fprime(weights, lambda w: stack_loss(w, flat, given)[0], 1e-7)
    np.testing.assert_allclose(gradient, numeric, atol=1e-6)


def test_members_that_know_different_things_are_better_together():
    logits, labels = drawn(4_000, 3, [1.5, 1.5], np.random.default_rng(0), shared=0.2)
    weights = fit_stack(logits, labels)
    together = sum(weight * each for weight, each in zip(weights, logits.values(), strict=True))
    alone = min(losses(each * fit_stack({"a": each}, labels)[0], labels).mean() for each in logits.values())
    assert (weights > 0).all()
    assert losses(together, labels).mean() < alone - 0.02


def test_the_weights_are_those_of_least_loss():
    logits, labels = drawn(500, 3, [1.0, 1.5, 2.0], np.random.default_rng(3), shared=0.3)
    scores = np.stack(list(logits.values()))
    scores -= scores.mean(axis=2, keepdims=True)
    given = scores[:, np.arange(500), labels]
    least, _ = stack_loss(fit_stack(logits, labels), scores.reshape(3, -1), given)
    for weights in np.random.default_rng(0).uniform(0, 3, (300, 3)):
        assert stack_loss(weights, scores.reshape(3, -1), given)[0] >= least - 1e-7


@pytest.mark.parametrize("n_classes", [2, 77])
def test_of_two_that_say_the_same_the_cheaper_stays(n_classes):
    logits, labels = drawn(300, n_classes, [2.0], np.random.default_rng(1))
    weights = fit_stack(
        {"cheap": logits["m0"], "costly": logits["m0"].copy(), "other": 0 * logits["m0"]}, labels
    )
    assert weights[0] > 0
    assert weights[1:].tolist() == [0, 0]


def test_noise_is_driven_out_and_what_is_worse_than_chance_counts_nothing():
    rng = np.random.default_rng(2)
    logits, labels = drawn(2_000, 4, [2.0], rng)
    noise = {f"noise{i}": rng.normal(size=(2_000, 4)) for i in range(5)}
    weights = fit_stack({**noise, **logits, "liar": -logits["m0"]}, labels)
    assert weights[5] > 0
    assert weights[-1] == 0
    assert np.count_nonzero(weights) <= 2


def test_noise_is_kept_as_seldom_as_the_rule_says():
    """The rule's level is 2.3%: of a hundred useless members, 7 or more stay once in a hundred times."""
    kept = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        logits, labels = drawn(300, 2, [1.5], rng)
        kept += int(fit_stack({**logits, "noise": rng.normal(size=(300, 2))}, labels)[1] > 0)
    assert kept <= 6


@pytest.mark.parametrize("n", [1, 3, 50])
def test_members_that_are_always_right_get_finite_weights(n):
    labels = np.arange(n) % 2
    logits = {"a": np.eye(2)[labels] * 9, "b": np.eye(2)[labels] * 0.01}
    weights = fit_stack(logits, labels)
    assert np.isfinite(weights).all()
    assert np.count_nonzero(weights) == 1
    confidence = softmax(weights[0] * logits["a"] + weights[1] * logits["b"]).max(axis=1)
    assert (confidence > 0.5).all()
    assert (confidence < 1).all()


def test_where_no_member_is_worth_anything_the_best_answers():
    labels = np.array([0, 1, 0, 1])
    wrong = np.eye(2)[1 - labels]
    assert fit_stack({"worse": 3 * wrong, "bad": wrong}, labels).tolist() in ([0, 1], [1, 0])


def test_what_is_added_to_a_row_changes_nothing():
    logits, labels = drawn(200, 3, [1.0, 2.0], np.random.default_rng(5))
    shifted = {name: np.log(softmax(each)) for name, each in logits.items()}
    np.testing.assert_allclose(fit_stack(shifted, labels), fit_stack(logits, labels), atol=1e-5)


def test_the_set_of_all_is_fitted_on_what_it_is_given():
    logits, labels = drawn(100, 2, [1.0, 1.0], np.random.default_rng(7))
    fits = StackFits(list(logits.values()), labels)
    assert fits.fit((0, 1)) is fits.fit((0, 1))
    np.testing.assert_allclose(
        fits.fit((0, 1)).losses.sum(),
        losses(fits.logits(fits.fit((0, 1)).weights), labels).sum(),
    )


@pytest.mark.parametrize(
    ("logits", "labels", "complaint"),
    [
        ({}, [0, 1], "one or more"),
        ({"a": np.zeros((0, 2))}, [], "one or more"),
        ({"a": np.zeros((3, 2))}, [0, 1], "shape"),
        ({"a": np.zeros((2, 2)), "b": np.zeros((2, 3))}, [0, 1], "shape"),
        ({"a": np.array([[0.0, np.nan], [0, 0]])}, [0, 1], "finite"),
    ],
)
def test_what_cannot_be_weighed_is_refused(logits, labels, complaint):
    with pytest.raises(DataError, match=complaint):
        fit_stack(logits, np.array(labels, np.int64))


# ---- stages ----------------------------------------------------------------------------------------


class Fixed:
    """A member that says of each text what stands in it, and remembers what it was asked."""

    classes_ = np.array(["no", "yes"])

    def __init__(self, temperature_=1.0, **says):
        self.temperature_, self.says, self.asked = temperature_, says, []

    def read(self, X):
        texts = X.to_pylist()
        self.asked += texts
        logits = np.array([self.says.get(text, [0.0, 0.0]) for text in texts]).reshape(-1, 2)
        return StepOutput(
            logits, np.array([len(t) > 3 for t in texts], bool), np.array([not t for t in texts], bool)
        )


def test_a_text_is_asked_about_until_a_stage_is_sure():
    sure, unsure = [0.0, 4.0], [0.0, 0.5]
    first = Fixed(2.0, a=sure, b=unsure, c=unsure)
    second = Fixed(b=[3.0, 0.0], c=[0.1, 0.0])
    third = Fixed(c=[0.0, 1.0])
    stages = (
        Stage((0,), np.array([1.0, 0, 0]), 0.8),
        Stage((1,), np.array([1.0, 2.0, 0]), 0.9),
        Stage((2,), np.array([0.0, 1.0, 3.0])),
    )
    found = read_stages([first, second, third], stages, as_texts(["a", "b", "c", "a"]))
    assert found.answered.tolist() == [0, 1, 2, 0]
    np.testing.assert_allclose(found.output.logits, [[0, 2], [6, 0.25], [0.1, 3.0], [0, 2]])
    assert (first.asked, second.asked, third.asked) == (["a", "b", "c", "a"], ["b", "c"], ["c"])


def test_a_text_counts_as_cut_or_unknown_where_it_is_so_for_all_that_count():
    whole = Fixed()
    whole.read = lambda X: StepOutput(np.zeros((len(X), 2)), np.zeros(len(X), bool), np.zeros(len(X), bool))
    texts = as_texts(["", "long text"])
    both = Stage((0, 1), np.array([1.0, 1.0]))
    alone = Stage((0, 1), np.array([1.0, 0.0]))
    assert read_stages([Fixed(), whole], [both], texts).output.truncated.tolist() == [False, False]
    found = read_stages([Fixed(), whole], [alone], texts).output
    assert (found.truncated.tolist(), found.no_known_words.tolist()) == ([False, True], [True, False])


def test_stages_come_back_and_those_that_do_not_go_together_are_refused():
    stages = (Stage((0,), np.array([1.0, 0.0]), 0.75), Stage((1,), np.array([0.5, 2.0])))
    again = stages_of_arrays(stages_as_arrays(stages), 2)
    for one, other in zip(again, stages, strict=True):
        assert (one.asks, one.threshold) == (other.asks, other.threshold)
        np.testing.assert_array_equal(one.weights, other.weights)
    for name, wrong in {
        "asks": [[True, False], [True, True]],
        "weights": [[1.0, 0.5], [0.5, 2.0]],
        "thresholds": [0.5],
    }.items():
        with pytest.raises(DataError):
            stages_of_arrays(stages_as_arrays(stages) | {name: np.array(wrong)}, 2)
    for wrong in ([[1.0, 0.0], [0.5, -2.0]], [[1.0, 0.0], [0.5, np.nan]], [[0.0, 0.0], [0.5, 2.0]]):
        with pytest.raises(DataError):
            stages_of_arrays(stages_as_arrays(stages) | {"weights": np.array(wrong)}, 2)


# ---- the steps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMBINATIONS)
def test_without_validation_texts_there_is_nothing_to_weigh_by(name):
    with pytest.raises(ConfigError, match="validation") as refusal:
        make_step(name).fit(EIGHT, SOIL_OR_SEA)
    assert "validation=" in refusal.value.next_step


@pytest.mark.parametrize("name", COMBINATIONS)
@pytest.mark.parametrize(
    ("members", "complaint"),
    [((), "members"), (("bow", "stack"), "stack"), (("bow", "bow"), "twice"), (("bows",), "bows")],
)
def test_members_that_cannot_be_are_refused(name, members, complaint):
    with pytest.raises(ConfigError, match=complaint):
        make_step(name, members=members).fit(EIGHT, SOIL_OR_SEA, validation=(EIGHT, SOIL_OR_SEA))


def test_a_stack_answers_with_the_weighed_logits_of_its_members():
    stack = make_step("stack", members=("bow", "bow:counts", "bow:chars"))
    stack.fit(TEXTS[::2], LABELS[::2], validation=(TEXTS[1::2], LABELS[1::2]))
    assert stack.score(TEXTS, LABELS) == 1.0
    weighed = sum(
        weight * member.logits(TEXTS) / member.temperature_
        for weight, member in zip(stack.weights_, stack.members_.values(), strict=True)
    )
    np.testing.assert_allclose(stack.logits(TEXTS), weighed)
    assert (stack.weights_ > 0).all()


def test_members_of_other_classes_are_refused():
    members = {"m0": make_step("bow").fit(EIGHT, SOIL_OR_SEA), "m1": make_step("bow").fit(TEXTS, LABELS)}
    logits, labels = drawn(1_000, 2, [1.5, 1.5], np.random.default_rng(0), shared=0.2)
    with pytest.raises(DataError, match="'m1'"):
        Stack.of(members, logits, labels)
    assert step_class("stack") is Stack
