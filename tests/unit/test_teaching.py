"""Learning from a teacher: amounts equal copies, and what only the teacher knows is learnt."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from quick_steps import EIGHT, ON_KERAS, SOIL_OR_SEA, brief, eagerly
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from sopan.errors import ConfigError, DataError
from sopan.fit.tune import Budget, tune
from sopan.steps import STEPS, make_step, step_class
from sopan.steps.feature_weights import class_log_count_ratio, log_count_ratio
from sopan.steps.linear import fit_logistic, fit_standardised
from sopan.steps.one_vs_rest import fit_one_vs_rest
from sopan.text.facts import TrainingFacts
from sopan.types import Amounts, Labelled, SoftLabels

# ---- Amounts are copies ----------------------------------------------------------------------


def copied(n_classes: int) -> tuple[np.ndarray, Amounts, np.ndarray, np.ndarray]:
    """Return 60 rows, 0 to 3 copies of each for each class, and these copies with their classes."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(60, 5)) + 2 * np.eye(n_classes, 5)[np.arange(60) % n_classes]
    amounts = rng.integers(0, 3, (60, n_classes)) + np.eye(n_classes, dtype=int)[np.arange(60) % n_classes]
    places = [(row, c) for row in range(60) for c in range(n_classes) for _ in range(amounts[row, c])]
    row, label = np.array(places).T
    return rows, Amounts(amounts.astype(float)), rows[row], label


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("fit", [fit_logistic, fit_one_vs_rest, fit_standardised])
def test_amounts_teach_what_copies_teach(fit, n_classes, class_weight):
    rows, amounts, copies, labels = copied(n_classes)
    if fit is fit_standardised:  # means and variances are those of the rows: shift and scale them alike
        rows, copies = rows - rows.mean(axis=0), copies - rows.mean(axis=0)
        rows, copies = rows / rows.std(axis=0), copies / rows.std(axis=0)
        by_copies = fit_logistic(copies, labels, C=0.3, class_weight=class_weight)
    else:
        by_copies = fit(sp.csr_array(copies), labels, C=0.3, class_weight=class_weight)
    taken = rows if fit is fit_standardised else sp.csr_array(rows)
    ours = fit(taken, amounts, C=0.3, class_weight=class_weight)
    np.testing.assert_allclose(ours.logits(rows), by_copies.logits(rows), atol=0.05)
    assert ours.weights.dtype == ours.bias.dtype == np.float32


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_optimum_is_that_of_scikit_learn(n_classes):
    rows, amounts, copies, labels = copied(n_classes)
    ours = fit_logistic(rows, amounts, C=0.3, tolerance=1e-6)
    theirs = LogisticRegression(C=0.3, tol=1e-10, max_iter=10_000).fit(copies, labels)
    np.testing.assert_allclose(ours.weights.T, theirs.coef_, atol=1e-4)
    scores = theirs.decision_function(rows)
    if n_classes == 2:
        scores = np.stack([-scores / 2, scores / 2], axis=1)
    np.testing.assert_allclose(log_softmax(ours.logits(rows), 1), log_softmax(scores, 1), atol=1e-3)


def test_a_negligible_copy_is_left_out_and_changes_nothing():
    rows, amounts, _, _ = copied(2)
    sure = np.eye(2)[amounts.values.argmax(axis=1)]
    nearly = Amounts(0.9999 * sure + 0.0001 * (1 - sure))
    model = fit_one_vs_rest(sp.csr_array(rows), nearly, C=1.0)
    labels = fit_one_vs_rest(sp.csr_array(rows), sure.argmax(axis=1), C=1.0)
    np.testing.assert_allclose(model.weights, labels.weights, atol=1e-2)


def test_features_are_told_by_amounts_as_by_copies():
    held = sp.random_array((60, 9), density=0.4, rng=np.random.default_rng(0), format="csr")
    _, amounts, _, labels = copied(3)
    copies = held[np.repeat(np.arange(60), amounts.weights.astype(int))]
    for label in range(3):
        np.testing.assert_allclose(
            class_log_count_ratio(held, amounts.values[:, label], amounts.weights),
            class_log_count_ratio(copies, labels == label),
        )
    np.testing.assert_allclose(log_count_ratio(held, amounts), log_count_ratio(copies, labels))


# ---- Every step learns from a teacher --------------------------------------------------------

ONLY_TAUGHT = ["zither", "oboe", "zither oboe", "oboe oboe"] * 4
SAYS = [[0.95, 0.05], [0.05, 0.95], [0.5, 0.5], [0.1, 0.9]] * 4
SOFT = SoftLabels(ONLY_TAUGHT, SAYS)


@pytest.mark.parametrize("step", STEPS)
def test_what_only_the_teacher_knows_is_learnt(step):
    few = {"min_steps": 30} if step in ON_KERAS else {"dimension": 8, "epochs": 5} if step == "cbow" else {}
    with eagerly():
        student = brief(f"{step}:distilled", **few).fit(EIGHT, SOIL_OR_SEA, soft=SOFT)
        assert student.classes_.tolist() == ["sea", "soil"]
        sea = student.predict_proba(["zither", "oboe", *EIGHT])[:, 0]
    assert sea[0] > 0.5 > sea[1]
    assert (sea[2:] > 0.5).tolist() == [label == "sea" for label in SOIL_OR_SEA]


def test_a_texts_weight_decides_between_label_and_teacher():
    soft = SoftLabels(["red", "blue"] * 4, [[0.0, 1.0], [1.0, 0.0]] * 4)
    labelled = (["red", "blue"] * 4, [0, 1] * 4)
    for weight, expected in ((0.1, [0, 1]), (10.0, [1, 0])):
        student = make_step("bow:distilled", soft_weight=weight).fit(*labelled, soft=soft)
        assert student.predict(["red", "blue"]).tolist() == expected


def test_the_teachers_texts_are_unlabelled_texts_too():
    few = {"dimension": 8, "epochs": 1}
    student = make_step("cbow:distilled", **few).fit(EIGHT, SOIL_OR_SEA, soft=SOFT)
    assert {"zither", "oboe"} <= set(student.vocabulary_.words)
    twin = make_step("cbow:distilled", **few)
    twin.fit(EIGHT, SOIL_OR_SEA, soft=SOFT, unlabelled=ONLY_TAUGHT)
    np.testing.assert_array_equal(student.vectors_, twin.vectors_)


def test_the_tuner_hands_the_teacher_down():
    texts = pa.array(EIGHT, pa.large_string())
    part = Labelled(texts, np.array([1] * 4 + [0] * 4), ("sea", "soil"))
    tuned = tune("bow:distilled", part, part, budget=Budget(trials=2), fixed={}, soft=SOFT)
    assert len(tuned.trials) == 2
    assert all(trial.settings["distilled"] for trial in tuned.trials)
    assert tuned.estimator.predict(["zither", "oboe"]).tolist() == ["sea", "soil"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("counts", [[50, 50], [90, 10]])
def test_each_candidate_for_a_student_is_a_valid_setting(step, counts):
    cls = step_class(step)
    candidates = cls.candidates_with(TrainingFacts(np.array(counts)), {"distilled": True})
    for candidate in candidates:
        student = make_step(step, **candidate)
        student.check_settings()
        assert student.distilled
    assert all(each["epochs"] == 2 for each in candidates if step in ON_KERAS)


# ---- Refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_without_a_teacher_there_is_nothing_to_distil(step):
    with pytest.raises(ConfigError, match=f"{step}:distilled learns from a teacher.*--into {step}"):
        make_step(f"{step}:distilled").fit(EIGHT, SOIL_OR_SEA)


@pytest.mark.parametrize(
    ("probabilities", "complaint"),
    [
        ([[0.5, 0.5]], r"2 unlabelled texts and 2 classes came with probabilities of shape \(1, 2\)"),
        ([[0.2, 0.3, 0.5]] * 2, r"shape \(2, 3\)"),
        ([[0.7, 0.7]] * 2, "sum of 1"),
        ([[1.5, -0.5]] * 2, "sum of 1"),
        ([[math.nan, 0.5]] * 2, "sum of 1"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, complaint):
    with pytest.raises(DataError, match=complaint):
        make_step("bow").fit(EIGHT, SOIL_OR_SEA, soft=SoftLabels(["a", "b"], probabilities))
