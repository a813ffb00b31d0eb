"""Any classifier of texts as a step: a scikit-learn estimator or pipeline competes like the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sopan.errors import ConfigError, ModelFolderError
from sopan.options.rules import Rule
from sopan.steps.base import Settings, Step
from sopan.steps.training_data import TrainingData
from sopan.text.facts import TrainingFacts
from sopan.types import Array, Evidence, FloatArray, StepOutput, StepState


@runtime_checkable
class Classifier(Protocol):
    """What is asked of an estimator: what every scikit-learn classifier can do."""

    def fit(self, X: list[str], y: npt.ArrayLike) -> object:
        """Learn from texts and labels."""

    def predict(self, X: list[str]) -> Array:
        """Return a label for each text."""

    def get_params(self, deep: bool = True) -> Mapping[str, object]:
        """Return the settings, as `sklearn.base.clone` asks for them."""


class _Weighing(Protocol):
    def fit(self, X: list[str], y: npt.ArrayLike, *, sample_weight: FloatArray) -> object: ...


class EstimatorStep(Step):
    """A scikit-learn classifier of texts, measured as a step is; it is not tuned, and cannot be saved.

    Its scores are what it gives: probabilities, else a decision function; else its label counts as one
    logit, so that the calibration on the validation texts turns its accuracy there into a probability.

    Args:
        estimator: an unfitted classifier that takes a list of texts.

    Attributes, after `fit`:
        estimator_: a fitted clone.
    """

    name: ClassVar[str] = "estimator"
    rules: ClassVar[Mapping[str, Rule]] = {}

    def __init__(self, estimator: object = None) -> None:
        self.estimator = estimator

    def check_settings(self) -> None:
        """Hold that it is a classifier as scikit-learn has them.

        Raises:
            ConfigError: it is not.
        """
        if not isinstance(self.estimator, Classifier) or isinstance(self.estimator, type):
            raise ConfigError(
                f"{self.estimator!r} is no classifier of texts",
                next_step='give an estimator with fit and predict: ("mine", pipeline)',
            )

    def learn(self, data: TrainingData) -> None:
        """Fit a clone on the labelled texts.

        Raises:
            ConfigError: the texts have weights, and it cannot take them.
        """
        self.estimator_ = clone(cast(Classifier, self.estimator))
        texts, labels = data.texts.to_pylist(), self.classes_[data.labels]
        if data.weights is None:
            self.estimator_.fit(texts, labels)
        elif has_fit_parameter(self.estimator_, "sample_weight"):
            cast(_Weighing, self.estimator_).fit(texts, labels, sample_weight=data.weights)
        else:
            raise ConfigError(f"{type(self.estimator).__name__} takes no sample_weight")

    def read_some(self, texts: pa.LargeStringArray) -> StepOutput:
        """Score n texts."""
        check_is_fitted(self, "estimator_")
        nothing = np.zeros(len(texts), bool)
        return StepOutput(self._scores(texts.to_pylist()), nothing, nothing)

    def _scores(self, texts: list[str]) -> FloatArray:
        """Return logits (n, C) in the order of `classes_`; a class that it never saw gets the lowest."""
        place = {name: index for index, name in enumerate(self.classes_.tolist())}
        if hasattr(self.estimator_, "predict_proba"):
            found = np.log(np.clip(self.estimator_.predict_proba(texts), 1e-12, 1))
        elif hasattr(self.estimator_, "decision_function"):
            found = np.asarray(self.estimator_.decision_function(texts), np.float64)
            found = np.stack([-found / 2, found / 2], 1) if found.ndim == 1 else found
        else:
            labels = np.array([place[name] for name in np.asarray(self.estimator_.predict(texts)).tolist()])
            return np.asarray(np.eye(len(place))[labels], np.float64)
        own = [place[name] for name in np.asarray(self.estimator_.classes_).tolist()]
        logits = np.full((len(texts), len(place)), found.min(initial=0.0))
        logits[:, own] = found
        return logits

    def evidence(self, text: str) -> Evidence:
        """Refuse: what the words added is inside somebody else's estimator."""
        raise ConfigError("the words' contributions are known of sopan's own steps only")

    def state(self) -> StepState:
        """Refuse: it could only be pickled."""
        raise ModelFolderError(
            f"{type(self.estimator).__name__} could only be written as a pickle, which runs code when read",
            next_step="keep the estimator yourself, or take one of sopan's steps",
        )

    def restore(self, state: StepState) -> None:
        """Refuse: see `state`."""
        self.state()

    @classmethod
    def candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """List one: its own settings."""
        return [{}]
