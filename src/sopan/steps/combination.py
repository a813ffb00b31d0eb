"""What `stack` and `cascade` share: a step that is made of fitted steps, asked in stages.

members fitted on the training texts -> their logits of the validation texts -> stages
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
from sklearn.utils.validation import check_is_fitted

from sopan.errors import ConfigError, DataError
from sopan.options.data import TokenRule
from sopan.options.names import StepName
from sopan.options.rules import Rule
from sopan.steps import COMBINATIONS, make_step, step_class
from sopan.steps.base import SEED, TEXT_RULES, Settings, Step
from sopan.steps.evidence import weigh_together
from sopan.steps.stages import (
    Stage,
    StagesOutput,
    asked_of,
    check_classes,
    read_stages,
    stages_as_arrays,
    stages_of_arrays,
)
from sopan.steps.temperature import fit_temperature
from sopan.steps.training_data import TrainingData
from sopan.text.arrow import Texts, as_texts
from sopan.text.facts import TrainingFacts
from sopan.training.recipe import Monitor
from sopan.types import Array, Evidence, FloatArray, Int64Array, Prediction, StepOutput, StepState


@dataclass(kw_only=True, eq=False, repr=False)
class Combination(Step):
    """A step that is made of fitted steps.

    Args:
        members: names of the steps that may take part, `STEP[:variant][@preset]`; each is fitted with its
            default settings.
        tokens: how a text is cut into words, by members that have a choice.
        random_state: the members' seed.

    Attributes, after `fit`:
        members_: M fitted steps by name, those that take part, in the order in which they are asked.
        stages_: what is asked when, and how the answers are weighed; see `sopan.steps.stages`.
    """

    members: tuple[str, ...] = ("bow", "cbow")
    tokens: TokenRule = "words"
    random_state: int = 0

    rules: ClassVar[Mapping[str, Rule]] = {
        "tokens": TEXT_RULES["tokens"],
        "random_state": SEED,
    }

    # ---- written by each -----------------------------------------------------------------

    @abstractmethod
    def _choose_stages(
        self, logits: Mapping[str, FloatArray], labels: Int64Array, costs: Mapping[str, float]
    ) -> tuple[Stage, ...]:
        """Choose the stages on validation texts.

        Args:
            logits: member -> (N, C), calibrated.
            labels: (N,) class indices.
            costs: member -> seconds a text.
        """

    # ---- learning ------------------------------------------------------------------------

    def check_settings(self) -> None:
        """Refuse members that are no steps, or are combinations themselves, or are named twice."""
        super().check_settings()
        if not isinstance(self.members, tuple | list) or not self.members:
            raise ConfigError(
                f"members={self.members!r} cannot work", next_step='name some, as ("bow", "cbow")'
            )
        for name in self.members:
            if StepName.parse(name).step in COMBINATIONS:
                raise ConfigError(f"a {self.name} is made of single steps, and {name!r} is none")
            step_class(name).named_settings(name)
        if len(set(self.members)) < len(self.members):
            raise ConfigError(f"a member of {self.members!r} is named twice")

    def learn(self, data: TrainingData) -> None:
        """Fit the members on N texts, then choose the stages on the validation texts.

        Raises:
            ConfigError: there are no validation texts.
        """
        if data.validation is None or not len(data.validation[0]):
            raise ConfigError(
                f"a {self.name} weighs its members on validation texts, and there are none",
                next_step="fit(X, y, validation=(texts, labels))",
            )
        texts, labels = self._validation(data.validation)
        fitted, logits, costs = {}, {}, {}
        for name in self.members:
            fitted[name] = self._fit_member(name, data)
            started = time.perf_counter()
            read = fitted[name].logits(texts)
            costs[name] = (time.perf_counter() - started) / len(texts)
            fitted[name].temperature_ = fit_temperature(read, labels)
            logits[name] = read / fitted[name].temperature_
        self._take(fitted, self._choose_stages(logits, labels, costs))

    def _validation(
        self, validation: tuple[pa.LargeStringArray, Array]
    ) -> tuple[pa.LargeStringArray, Int64Array]:
        """Return the validation texts and their class indices."""
        texts, names = validation
        place = {name: index for index, name in enumerate(self.classes_.tolist())}
        labels = np.array([place.get(name, -1) for name in np.asarray(names).tolist()], np.int64)
        if (labels < 0).any() or len(labels) != len(texts):
            raise DataError("the validation texts need a label each, of those that the training texts have")
        return texts, labels

    def _fit_member(self, name: str, data: TrainingData) -> Step:
        member = make_step(name)
        shared = {"tokens": self.tokens, "random_state": self.random_state}
        member.set_params(**{key: value for key, value in shared.items() if key in member.get_params()})
        return member.fit(
            data.texts,
            self.classes_[data.labels],
            data.weights,
            unlabelled=data.unlabelled,
            validation=data.validation,
            memo=data.memo,
            monitor=None if data.monitor is None else Monitor(data.monitor.on_progress),
        )

    def _take(self, fitted: Mapping[str, Step], stages: tuple[Stage, ...]) -> None:
        """Keep the members that are asked, in that order, and the stages, which number them so."""
        names, asked = list(fitted), [member for stage in stages for member in stage.asks]
        self.members_ = {names[member]: fitted[names[member]] for member in asked}
        self.stages_ = tuple(
            Stage(tuple(map(asked.index, stage.asks)), stage.weights[asked], stage.threshold)
            for stage in stages
        )

    @classmethod
    def of(
        cls,
        members: Mapping[str, Step],
        logits: Mapping[str, FloatArray],
        labels: Int64Array,
        *,
        costs: Mapping[str, float] | None = None,
        **settings: object,
    ) -> Self:
        """Combine steps that are fitted and calibrated already, on validation texts that they have read.

        Args:
            members: fitted steps of the same classes, by any name that a folder may have; of a mapping that
                loads them when they are asked for, those that count are loaded.
            logits: member -> (N, C) of the validation texts, calibrated: over the member's temperature, or
                log-probabilities.
            labels: (N,) class indices.
            costs: member -> seconds a text; a stack needs none.
            settings: as for the class.

        Raises:
            DataError: members of other classes, or see `fit_stack` and `fit_cascade`.
        """
        combination = cls(members=tuple(members))
        combination.set_params(**settings)
        read = {name: logits[name] for name in members}
        combination._take(members, combination._choose_stages(read, labels, costs or {}))
        combination.classes_ = next(iter(combination.members_.values())).classes_
        combination.temperature_ = 1.0
        check_classes(combination.members_, combination.classes_)
        return combination

    # ---- using ---------------------------------------------------------------------------

    def read_in_stages(self, X: Texts) -> StagesOutput:
        """Read N texts, and say which stage answered each."""
        check_is_fitted(self, "stages_")
        return read_stages(list(self.members_.values()), self.stages_, as_texts(X))

    def read_some(self, texts: pa.LargeStringArray) -> StepOutput:
        """Read n texts by the members, a text by no more of them than it takes."""
        return self.read_in_stages(texts).output

    def predict_texts(self, X: Texts) -> Prediction:
        """Return probabilities with the flags, and which stage answered."""
        read = self.read_in_stages(X)
        return Prediction.of(read.output, self.temperature_, read.answered)

    def evidence(self, text: str) -> Evidence:
        """Weigh together what each word added in the members that answered; say what was asked before them.

        Raises:
            DataError: the text is not a string, or is not valid Unicode.
        """
        read, names = self.read_in_stages([text]), list(self.members_)
        last = int(read.answered[0])
        parts = []
        for member in self.stages_[last].counting.tolist():
            step = self.members_[names[member]]
            parts.append((self.stages_[last].weights[member] / step.temperature_, step.evidence(text)))
        asked = asked_of(names, self.stages_, read, 0)
        return replace(weigh_together(parts), asked=asked)

    # ---- keeping -------------------------------------------------------------------------

    def state(self) -> StepState:
        """Give the members' names and the stages; the members themselves are kept in `members_`."""
        check_is_fitted(self, "stages_")
        return StepState({"members": list(self.members_)}, (), stages_as_arrays(self.stages_))

    def restore(self, state: StepState) -> None:
        """Take back what `state` gave; `members_` is there already.

        Raises:
            DataError: the members are not those, have other classes, or do not fit the stages.
        """
        if list(self.members_) != state.settings["members"]:
            raise DataError(f"the members {', '.join(self.members_)} are not those that were saved")
        check_classes(self.members_, self.classes_)
        self.stages_ = stages_of_arrays(state.arrays, len(self.members_))

    @classmethod
    def candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """Offer nothing to choose: weights and thresholds are fitted."""
        return [{}]
