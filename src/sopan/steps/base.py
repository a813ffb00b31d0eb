"""What every step is: a scikit-learn classifier of texts that can be written to a folder.

A step turns N texts into logits (N, C). Everything above it (tuning, calibration, comparison, serving) knows
steps only by the class `Step`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from numbers import Integral
from typing import ClassVar, Self, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import Tags

from sopan.errors import ConfigError
from sopan.options.data import TokenRule
from sopan.options.names import StepName
from sopan.options.rules import Between, OneOf, Rule, check_values
from sopan.steps.sample_weights import check_sample_weight
from sopan.steps.teaching import check_soft
from sopan.steps.training_data import Memo, TrainingData, ValidationData, check_labels
from sopan.text.arrow import Texts, as_labels, as_texts
from sopan.text.facts import TrainingFacts
from sopan.training.recipe import Monitor, TrainingReport
from sopan.types import (
    Array,
    Evidence,
    Float32Array,
    FloatArray,
    Prediction,
    SoftLabels,
    StepOutput,
    StepState,
)

Settings: TypeAlias = dict[str, object]
"""Settings of a step by name."""

READ_AT_ONCE = 4096
"""How many texts are read at a time."""

TEXT_RULES: Mapping[str, Rule] = {
    "class_weight": OneOf(("balanced", None)),
    "tokens": OneOf(get_args(TokenRule)),
    "lowercase": OneOf((True, False)),
}
"""What the settings of every step that learns classes from words must keep to."""
SEED = Between(Integral, 0, 1e18)
"""What a seed must keep to."""


def with_fixed(candidates: list[Settings], fixed: Settings) -> list[Settings]:
    """Put fixed settings over those of each candidate; what is alike then comes once."""
    merged = [{**candidate, **fixed} for candidate in candidates]
    return [settings for place, settings in enumerate(merged) if settings not in merged[:place]]


class Step(ClassifierMixin, TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]  # untyped bases
    """Texts in, calibrated class probabilities out.

    A subclass lists its settings as keyword arguments of `__init__` (stored unchanged, checked
    in `fit`), sets the class variables below, and writes the six abstract methods.

    Attributes, after `fit`:
        classes_: (C,) the labels seen, sorted.
        temperature_: float > 0, divides the logits (Guo et al. 2017); 1 until calibrated.
    """

    name: ClassVar[str]
    """As in `STEPS`."""
    variants: ClassVar[Mapping[str, Mapping[str, object]]] = {}
    """Settings that `step:variant` stands for."""
    rules: ClassVar[Mapping[str, Rule]] = {}
    """What each setting must keep to, by name."""

    # ---- written by each step ------------------------------------------------------------

    @abstractmethod
    def learn(self, data: TrainingData) -> None:
        """Learn from labelled texts, of two or more classes; `classes_` and the settings are checked already.

        Raises:
            DataError: the texts have no words.
            ConfigError: a setting that cannot work.
        """

    @abstractmethod
    def read_some(self, texts: pa.LargeStringArray) -> StepOutput:
        """Read n texts, at most `READ_AT_ONCE`, and say what the step makes of each."""

    @abstractmethod
    def evidence(self, text: str) -> Evidence:
        """Say what each word of one text added to each class's logit.

        Raises:
            DataError: the text is not a string, or is not valid Unicode.
        """

    @abstractmethod
    def state(self) -> StepState:
        """Give everything that `from_state` needs, `get_params()` and `temperature_` excluded."""

    @abstractmethod
    def restore(self, state: StepState) -> None:
        """Take back what `state` gave; called on an unfitted step made with the same settings."""

    @classmethod
    @abstractmethod
    def candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """Settings worth trying, best guess first; the tuner walks the list within its budget.

        Args:
            facts: of the training texts.
        """

    @classmethod
    def taught_candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """List settings worth trying beside a teacher; see `candidates`."""
        return cls.candidates(facts)

    @classmethod
    def candidates_with(cls, facts: TrainingFacts, fixed: Settings) -> list[Settings]:
        """List the candidates that go with settings that are fixed, each with these.

        Args:
            facts: see `candidates`.
            fixed: settings that every trial shares: a variant's, and those that were named.
        """
        offered = cls.taught_candidates if fixed.get("distilled") else cls.candidates
        return with_fixed(offered(facts), fixed)

    def validation_logits(self) -> FloatArray | None:
        """Return the logits of the validation texts, where fitting has found them and still knows."""
        return None

    def found_settings(self) -> Settings:
        """Return settings that were left open, and that fitting chose by the validation texts."""
        return {}

    def training(self) -> TrainingReport | None:
        """Tell how training in epochs went, where there was any and it is still known."""
        return None

    # ---- given to each step --------------------------------------------------------------

    @classmethod
    def named_settings(cls, step: str) -> Settings:
        """Return the settings that a contender's name fixes: those of its variant, and its preset.

        Raises:
            ConfigError: the step has no such variant, or starts from no preset.
        """
        _, variant, preset = StepName.parse(step)
        settings: Settings = {}
        if variant is not None:
            if variant not in cls.variants:
                known = ", ".join(f"{cls.name}:{v}" for v in cls.variants) or "it has none"
                raise ConfigError(f"{cls.name} has no variant {variant!r}", next_step=f"variants: {known}")
            settings |= cls.variants[variant]
        if preset is not None:
            if "preset" not in cls._get_param_names():
                raise ConfigError(f"{cls.name} starts from no preset, so {step!r} means nothing")
            settings["preset"] = preset
        return settings

    def fit(
        self,
        X: Texts,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        unlabelled: Texts | None = None,
        validation: ValidationData | None = None,
        memo: Memo | None = None,
        monitor: Monitor | None = None,
        soft: SoftLabels | None = None,
    ) -> Self:
        """Learn from N texts and their labels.

        Args:
            X: N texts.
            y: (N,) labels, of any sortable kind.
            sample_weight: (N,) what each text counts, 0 or more; None: each counts 1. It weighs what a text
                teaches of its class, not which words are known and how frequent they are; one that counts 0
                is left out of all.
            unlabelled: further texts without labels; a step that cannot use them ignores them.
            validation: texts and labels to stop training by; a step without epochs ignores them.
            memo: passed by the tuner; features that depend on X alone may be kept in it.
            monitor: who watches the training, and where it is kept to go on from later.
            soft: a teacher's probabilities of further texts, to learn beside the labels. These texts are the
                unlabelled ones too where no others are given.

        Raises:
            DataError: one class only, no words, or lengths that differ; probabilities that are none.
            ConfigError: a setting that cannot work; the step is to be taught and has no teacher, or the
                other way round.
        """
        texts, weights, names, which = as_texts(X), None, as_labels(y), "the training texts"
        if sample_weight is not None:
            weights, memo = check_sample_weight(sample_weight, len(texts)), None
            if names.shape == weights.shape and not weights.all():
                counted, which = weights > 0, f"{which} whose sample_weight is above 0"
                texts, names, weights = texts.filter(pa.array(counted)), names[counted], weights[counted]
        classes, labels = check_labels(len(texts), names, which)
        self.check_settings()
        settings = self.get_params(deep=False)
        taught = check_soft(self.name, settings.get("distilled"), soft, len(classes))
        more = as_texts(unlabelled if unlabelled is not None else taught.texts if taught else [])
        self.classes_, self.temperature_ = classes, 1.0
        judged = None if validation is None else (as_texts(validation[0]), as_labels(validation[1]))
        self.learn(TrainingData(texts, labels, more, judged, memo or Memo(), monitor, taught, weights))
        return self

    def check_settings(self) -> None:
        """Refuse the first setting that breaks its rule, or settings that do not go together.

        Raises:
            ConfigError: naming the setting, its value and the nearest that can work.
        """
        check_values({name: getattr(self, name) for name in self.rules}, self.rules)

    def read(self, X: Texts) -> StepOutput:
        """Read N texts, some at a time, so that memory does not grow with what lies between."""
        texts = as_texts(X)
        starts = range(0, max(len(texts), 1), READ_AT_ONCE)
        parts = [self.read_some(texts.slice(start, READ_AT_ONCE)) for start in starts]
        return StepOutput(*map(np.concatenate, zip(*parts, strict=True)))

    def logits(self, X: Texts) -> FloatArray:
        """Score N texts: (N, C) float64, before the temperature."""
        return self.read(X).logits

    def predict_proba(self, X: Texts) -> FloatArray:
        """Return calibrated probabilities (N, C): softmax of logits over temperature."""
        return self.predict_texts(X).probabilities

    def decision_function(self, X: Texts) -> Float32Array:
        """Return what speaks for each class (N, C), or of two classes for the second (N,).

        These are the logits over the temperature: softmax makes the probabilities of them, of two classes the
        sigmoid. They have the precision that steps compute in, float32.
        """
        scores = self.logits(X) / self.temperature_
        return np.asarray(scores if scores.shape[1] > 2 else scores[:, 1] - scores[:, 0], np.float32)

    def predict(self, X: Texts) -> Array:
        """Return the most probable label of each text (N,)."""
        best = self.logits(X).argmax(axis=1)  # first: it is what says that the step is not fitted
        labels: Array = np.asarray(self.classes_)[best]
        return labels

    def predict_texts(self, X: Texts) -> Prediction:
        """Return probabilities with the flags that say what the step did not read."""
        return Prediction.of(self.read(X), getattr(self, "temperature_", 1.0))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []  # text goes in, numbers come out
        return tags
