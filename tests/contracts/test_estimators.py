"""Every step is a scikit-learn classifier: `check_estimator`, over all of `STEPS`.

scikit-learn's checks feed tables of numbers, and all but one are skipped for estimators of text. So each step
is run twice: as it is, and as a subclass that spells every number as a word (`c3v12` says that column 3
holds 12), by which all checks of cloning, parameters, repeated fits, pickling and labels meet the true step.
Networks are small here, trained for a step or two, and not compiled: the checks fit each of them 70 times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from quick_steps import BRIEF, ON_KERAS, brief, eagerly
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from sopan.steps import STEPS, step_class
from sopan.steps.base import Step
from sopan.text.arrow import as_texts


def spelled(numbers: np.ndarray) -> list[str]:
    """Spell each row as a text: a word for every column and the step of 0.5 that its value falls in."""
    steps = np.clip(np.round(np.nan_to_num(numbers.astype(float)) * 2), -99, 99).astype(int)
    return [" ".join(f"c{j}v{v}".replace("-", "n") for j, v in enumerate(row)) for row in steps]


def reading_numbers(step: str) -> Step:
    """Make a step that reads rows of numbers."""
    cls = step_class(step)

    class ReadsNumbers(cls):
        def fit(self, X, y, **more):
            X, y = validate_data(self, X, y)
            return super().fit(spelled(X), y, **more)

        def read(self, X):
            return super().read(as_texts(self._spelled(X)))

        def transform(self, X):
            return super().transform(self._spelled(X))

        def _spelled(self, X):
            check_is_fitted(self)
            if isinstance(X, pa.Array):
                return X  # one method has called another
            return spelled(validate_data(self, X, reset=False))

        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.string = False
            tags.input_tags.two_d_array = True
            return tags

    ReadsNumbers.__qualname__ = ReadsNumbers.__name__ = f"{cls.__name__}OfNumbers"
    globals()[ReadsNumbers.__name__] = ReadsNumbers  # where pickle looks for it
    return ReadsNumbers(**{**BRIEF.get(step, {}), **hasty(step)})


def hasty(step: str) -> dict[str, int]:
    """Return what makes the training of a step the shortest by which it still learns 200 texts."""
    epochs = {"epochs": 2} if step in ("transformer", "bert") else {}
    return {"min_steps": 1, **epochs} if step in ON_KERAS else {}


DECLARED = {
    "check_class_weight_classifiers": "class_weight is None or 'balanced'; weights by class are not offered",
}
"""Checks that every step fails, and why it should."""


CHECKS = parametrize_with_checks(
    [reading_numbers(step) for step in STEPS],
    expected_failed_checks=lambda estimator: DECLARED,
    xfail_strict=True,
)


def slow(case: Any) -> Any:
    """Mark the longest check's repetitions on read-only memory, but for one network.

    No step sees that memory: labels are copied in `sopan.steps.base`, and numbers are spelled as texts here.
    """
    estimator, check = getattr(case, "values", case)
    repeated = getattr(check, "keywords", {}).get("readonly_memmap")
    marks = [pytest.mark.slow] if repeated and estimator.name in ("attention", "transformer", "bert") else []
    return pytest.param(estimator, check, marks=[*getattr(case, "marks", ()), *marks])


@pytest.mark.parametrize(CHECKS.args[0], [slow(case) for case in CHECKS.args[1]], **CHECKS.kwargs)
def test_passes_every_check_on_numbers(estimator, check):
    with eagerly():
        check(estimator)


@pytest.mark.filterwarnings("ignore:Can't test estimator")
@pytest.mark.parametrize("step", STEPS)
def test_passes_the_checks_for_estimators_of_text(step):
    with eagerly():
        results = check_estimator(brief(step, **hasty(step)))
    assert {result["status"] for result in results} == {"passed"}


@pytest.mark.parametrize("step", STEPS)
def test_works_at_the_end_of_a_pipeline_and_in_a_grid_search(step):
    texts = spelled(np.array([[row % 2, row // 2 % 3] for row in range(24)]))
    labels = np.array(["even", "odd"])[np.arange(24) % 2]
    pipeline = make_pipeline(FunctionTransformer(), brief(step))
    name = pipeline.steps[-1][0]
    setting, values = ("learning_rate", [0.05, 0.1]) if step in ON_KERAS else ("C", [0.1, 10.0])
    if step == "bert":
        values = [0.01, 0.02]
    search = GridSearchCV(pipeline, {f"{name}__{setting}": values}, cv=2, error_score="raise")
    with eagerly():
        assert search.fit(texts, labels).best_score_ == 1.0


@pytest.mark.parametrize("step", STEPS)
def test_its_features_feed_another_classifier(step):
    texts = spelled(np.array([[row % 2, row // 2 % 3] for row in range(24)]))
    labels = np.arange(24) % 2
    pipeline = make_pipeline(brief(step), LogisticRegression(C=100))
    with eagerly():
        assert pipeline.fit(texts, labels).score(texts, labels) == 1.0
