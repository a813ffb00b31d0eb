"""What all steps that are Keras networks share: how they are trained, read, kept and pickled.

    texts -> windows of ids -> network `[ids (B, T), mask (B, T)]` -> logits of windows -> logits of texts

Keras trains the network. What reads with it afterwards is a program of `sopan.runtime`, made of its weights:
the one that serves a saved model too, so that what is measured is what is served. Most steps read a text in
one window; `bert` may read a long one in several.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import NamedTuple, get_args

import keras
import numpy as np
import pyarrow as pa
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted

from sopan.errors import ModelFolderError
from sopan.options.language import Precision
from sopan.options.rules import Between, OneOf, Rule
from sopan.runtime.network import Output, network_of
from sopan.runtime.program import Program, compile_network, run_program
from sopan.steps.base import SEED, TEXT_RULES, Settings, Step
from sopan.steps.layers import get_weights, set_weights
from sopan.steps.linear import balanced
from sopan.steps.teaching import TAUGHT_RULES
from sopan.steps.training_data import TrainingData, ValidationData
from sopan.text.arrow import Texts, as_texts
from sopan.text.batch import Clipped, bucket_lengths
from sopan.text.facts import ClassWeight, TrainingFacts, class_weights
from sopan.text.intake import Intake, read_through
from sopan.text.windows import Windows
from sopan.training.backend import Forward, make_forward, read_all
from sopan.training.classification import Examples, Validation, scorer, train_classifier
from sopan.training.kept import Halves
from sopan.training.recipe import Recipe, TrainingReport
from sopan.types import (
    Amounts,
    Arrays,
    Float32Array,
    FloatArray,
    Labels,
    StepOutput,
    StepState,
    Targets,
)


class Unbuilt(NamedTuple):
    """A network whose weights are known, and that Keras has not been asked to make yet.

    Args:
        arrays: every weight by its path.
        build: makes it of these.
    """

    arrays: Arrays
    build: Callable[[Arrays], keras.Model]


TAUGHT_EPOCHS = 2
"""Passes over the labelled texts and a teacher's, unless told otherwise; see `NetworkStep.min_steps`."""


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkStep(Step):
    """A step that is a Keras network.

    Args:
        max_length: words, or pieces of words, that the network reads at once.
        learning_rate: at its height, after the warm-up.
        epochs: passes over the labelled texts; more where they would not come to `min_steps`.
        min_steps: the least that the optimiser makes, for where texts are few.
        dropout: share of numbers hidden at each place of the network that hides any.
        label_smoothing: probability taken from the true class and shared out.
        weight_decay: see `sopan.training.optimizer.adamw`.
        patience: epochs without a better validation score before training stops.
        precision: what the network computes in. `bfloat16` is quicker on machines that have it in hardware;
            weights, gradients and results are float32 even so.
        class_weight: "balanced" weighs each text by the inverse frequency of its class.
        distilled: learn from a teacher beside the labels, and not without one (`soft` of `fit`).
        soft_weight: what a text with a teacher's probabilities counts beside a labelled one.
        random_state: the seed.

    Attributes, after `fit`:
        network_: `[ids, mask]` to `logits` (B, C), `vector` (B, E) and `attention`, a list of (B, H, Q, T).
        trained_: how training went.
    """

    max_length: int = 512
    learning_rate: float = 2e-3
    epochs: int = 4
    min_steps: int = 400
    dropout: float = 0.3
    label_smoothing: float = 0.0
    weight_decay: float = 1.0
    patience: int = 2
    precision: Precision = "float32"
    class_weight: ClassWeight = None
    distilled: bool = False
    soft_weight: float = 1.0
    random_state: int = 0

    # ---- written by each kind of step ----------------------------------------------------

    @property
    @abstractmethod
    def intake(self) -> Intake:
        """How texts come to the network, and its logits back to them."""

    @abstractmethod
    def recipe(self) -> Recipe:
        """Say how the network is trained."""

    def windows(self, texts: pa.LargeStringArray) -> Windows:
        """Turn n texts into what the network reads of them."""
        return self.intake.windows(texts)

    # ---- learning ------------------------------------------------------------------------

    @cached_property
    def network_(self) -> keras.Model:
        """Make the network that `_set_unbuilt` was given the weights of, once somebody asks for it."""
        unbuilt: Unbuilt | None = self.__dict__.pop("_unbuilt", None)
        if unbuilt is None:
            raise AttributeError("network_")  # it has not been fitted
        return unbuilt.build(unbuilt.arrays)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether there is a network, made or not."""
        return not vars(self).keys().isdisjoint({"network_", "_unbuilt"})

    def _set_network(self, network: keras.Model) -> None:
        self.__dict__.pop("_unbuilt", None)
        self.network_ = network
        self._programs: dict[Output, Program | None] = {}
        self._forwards: dict[Output, Forward] = {}

    def _set_unbuilt(self, unbuilt: Unbuilt) -> None:
        """Take weights that no training by Keras gave: what reads with them does not wait for a network."""
        self.__dict__.pop("network_", None)
        self._unbuilt = unbuilt
        self._programs, self._forwards = {}, {}

    @property
    def _width(self) -> int:
        """E, of the vectors that the logits are made of."""
        if "_unbuilt" in vars(self):
            return len(self._unbuilt.arrays["logits/kernel"])
        return int(self.network_.output["vector"].shape[-1])

    def _arrays(self) -> Arrays:
        """Return every weight by its path."""
        return self._unbuilt.arrays if "_unbuilt" in vars(self) else get_weights(self.network_)

    def _set_buckets(self, windows: Windows, most: int | None = None) -> None:
        """Choose the lengths of rectangles by the windows of the training texts.

        Args:
            windows: of the training texts.
            most: the longest rectangle that the network can read; None: any.
        """
        lengths = bucket_lengths(windows.clipped.lengths, self.max_length)
        self.buckets_ = tuple(sorted({min(length, most or length) for length in lengths}))

    def _train(self, windows: Windows, data: TrainingData) -> None:
        """Train the network on windows, each with what its text teaches; those of a text share its weight."""
        _, labels = data.taught(self.soft_weight)
        shares, weights = self._weigh(labels)
        weights = weights / windows.counts
        self.trained_ = train_classifier(
            self.network_,
            Examples(windows.clipped, shares[windows.of], weights[windows.of].astype(np.float32)),
            self.recipe(),
            self.buckets_,
            seed=self.random_state,
            validation=None if data.validation is None else self._judge(data.validation),
            monitor=data.monitor,
            halves=self._halves(),
        )
        self._programs = {}  # of other weights

    def _halves(self) -> Halves | None:
        """Return the network in two, if its lower layers do not learn."""
        return None

    def _weigh(self, labels: Targets) -> tuple[Labels | Float32Array, FloatArray]:
        """Return each text's class (N,), or how it is shared out among the classes (N, C); and its weight."""
        if isinstance(labels, Amounts):
            amounts = balanced(labels, self.class_weight)
            return np.asarray(amounts.values / amounts.weights[:, None], np.float32), amounts.weights
        of_class = compute_class_weight(self.class_weight, classes=np.unique(labels), y=labels)
        return labels, np.asarray(of_class[labels], np.float64)

    def _judge(self, validation: ValidationData) -> Validation:
        texts, names = validation
        windows = self.windows(as_texts(texts))
        place = {name: index for index, name in enumerate(self.classes_.tolist())}
        score = scorer(np.array([place[name] for name in np.asarray(names).tolist()]))
        return windows.clipped, lambda logits: score(windows.pooled(logits, self.intake.pool))

    def training(self) -> TrainingReport | None:
        """Tell how training went; a saved model no longer knows."""
        return getattr(self, "trained_", None)

    @classmethod
    def taught_candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """List the candidates with few epochs: an epoch through a teacher's texts is many steps."""
        return [each | {"epochs": TAUGHT_EPOCHS} for each in cls.candidates(facts)]

    # ---- using ---------------------------------------------------------------------------

    def transform(self, X: Texts) -> Float32Array:
        """Return text vectors (N, E) float32, as the network's last layer sees them."""
        check_is_fitted(self)
        windows = self.windows(as_texts(X))
        return windows.pooled(self._read("vector", windows.clipped, self._width)).astype(np.float32)

    def read_some(self, texts: pa.LargeStringArray) -> StepOutput:
        """Score n texts by the runtime of this process."""
        check_is_fitted(self)
        classes = len(self.classes_)
        return read_through(self.intake, texts, lambda clipped: self._read("logits", clipped, classes))

    def read(self, X: Texts) -> StepOutput:
        """Score N texts; they are cut while the network reads, however many there are."""
        return self.read_some(as_texts(X))

    def _read(self, output: Output, clipped: Clipped, width: int) -> FloatArray:
        """Return one output (W, K) for W windows, by the runtime of this process."""
        if output not in self._programs:
            network = network_of(self.name, self.get_params(), self.state())
            self._programs[output] = compile_network(network, (output,), precision=self.precision)
        program = self._programs[output]
        if program is not None:
            return run_program(program, clipped, width)
        if output not in self._forwards:
            self._forwards[output] = make_forward(self.network_, [output])
        return read_all(self._forwards[output], clipped, self.buckets_, width)

    # ---- keeping -------------------------------------------------------------------------

    def _set_weights(self, arrays: Arrays) -> None:
        """Take back the weights that `state` gave.

        Raises:
            ModelFolderError: arrays that are not this network's.
        """
        if odd := sorted(arrays.keys() - get_weights(self.network_).keys()):
            raise ModelFolderError(f"the network has no {odd[0]!r}")
        set_weights(self.network_, arrays)
        self._programs = {}

    def __getstate__(self) -> dict[str, object]:
        """Pickle weights, not networks: what is compiled cannot travel."""
        values: dict[str, object] = dict(super().__getstate__())
        if self.__sklearn_is_fitted__():
            values["network_"] = self.state()
            for name in ("_unbuilt", "_programs", "_forwards"):
                values.pop(name, None)
        return values

    def __setstate__(self, values: Mapping[str, object]) -> None:
        super().__setstate__(values)
        if isinstance(state := self.__dict__.pop("network_", None), StepState):
            self.restore(state)


NETWORK_RULES: Mapping[str, Rule] = {
    "max_length": Between(Integral, 2, 100_000),
    "learning_rate": Between(Real, 1e-8, 1),
    "epochs": Between(Integral, 1, 10_000),
    "min_steps": Between(Integral, 1, 1_000_000),
    "dropout": Between(Real, 0, 0.95),
    "label_smoothing": Between(Real, 0, 0.95),
    "weight_decay": Between(Real, 0, 100),
    "patience": Between(Integral, 1, 10_000),
    "precision": OneOf(get_args(Precision)),
    "class_weight": TEXT_RULES["class_weight"],
    "random_state": SEED,
    **TAUGHT_RULES,
}
"""What the settings of every step that is a network must keep to."""


def weighed_too(facts: TrainingFacts, settings: list[Settings]) -> list[Settings]:
    """Return the settings; where classes are imbalanced, each with its classes weighed, and without."""
    weights = class_weights(facts, dear=True)
    if weights == (None,):
        return settings
    return [each | {"class_weight": weight} for each in settings for weight in weights]
