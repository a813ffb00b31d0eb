"""A saved model that answers: a model folder's network in a runtime, without Keras or what it runs on.

    model folder -> Saved -> intake, program -> texts -> probabilities
    of a stack or a cascade: each of its members so, and the stages in which they are asked

The same texts give what `load_model` gives: it reads with the same program, made of the same weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from sopan.errors import ConfigError, DataError, ModelFolderError, SopanError, damaged
from sopan.fit.saved import GRAPH, Saved, read_saved
from sopan.options.classify import GraphPrecision
from sopan.options.names import StepName
from sopan.runtime.network import NETWORKS, Network, intake_of, network_of
from sopan.runtime.program import Program, choose_runtime, compile_network, run_program
from sopan.steps import COMBINATIONS
from sopan.steps.stages import (
    Member,
    Stage,
    StagesOutput,
    check_classes,
    read_stages,
    stage_names,
    stages_of_arrays,
)
from sopan.text.arrow import Texts, as_texts
from sopan.text.intake import Intake, read_through
from sopan.types import Array, FloatArray, Prediction, StepOutput


class Predictor(Protocol):
    """What is asked of a model that only predicts: a `Served` one, or a `Step`."""

    @property
    def classes_(self) -> Array:
        """(C,) the labels."""

    def predict_texts(self, X: Texts) -> Prediction:
        """Return probabilities with the flags that say what was not read."""

    def predict(self, X: Texts) -> Array:
        """Return the most probable label of each text (N,)."""


class Answering(ABC):
    """What follows from reading texts to logits.

    Attributes:
        classes_, temperature_: as `Step` has them.
    """

    classes_: Array
    temperature_: float

    @abstractmethod
    def read(self, X: Texts) -> StepOutput:
        """Read N texts."""

    def logits(self, X: Texts) -> FloatArray:
        """Score N texts: (N, C) float64, before the temperature."""
        return self.read(X).logits

    def predict_texts(self, X: Texts) -> Prediction:
        """Return probabilities with the flags that say what was not read."""
        return Prediction.of(self.read(X), self.temperature_)

    def predict_proba(self, X: Texts) -> FloatArray:
        """Return calibrated probabilities (N, C)."""
        return self.predict_texts(X).probabilities

    def predict(self, X: Texts) -> Array:
        """Return the most probable label of each text (N,)."""
        labels: Array = self.classes_[self.logits(X).argmax(axis=1)]
        return labels


@dataclass(frozen=True, eq=False)
class Served(Answering):
    """A fitted network that only predicts.

    Args:
        step: its name, maybe with a variant.
        classes_, temperature_: as `Step` has them.
        intake: how texts come to the network.
        program: the network.
        runtime, precision: what it runs on, and computes in.
    """

    step: str
    classes_: Array
    temperature_: float
    intake: Intake
    program: Program
    runtime: str
    precision: GraphPrecision

    def read(self, X: Texts) -> StepOutput:
        """Read N texts through the network, batch by batch."""
        classes = len(self.classes_)
        return read_through(
            self.intake, as_texts(X), lambda clipped: run_program(self.program, clipped, classes)
        )


@dataclass(frozen=True, eq=False)
class ServedCombination(Answering):
    """A fitted stack or cascade that only predicts.

    Args:
        step: its name.
        classes_, temperature_: as `Step` has them.
        members: what is asked, by name: networks in a runtime, or steps that are none.
        stages: what is asked when; see `sopan.steps.stages`.
    """

    step: str
    classes_: Array
    temperature_: float
    members: Mapping[str, Member]
    stages: tuple[Stage, ...]

    def read(self, X: Texts) -> StepOutput:
        """Read N texts by the members, a text by no more of them than it takes."""
        return self.read_in_stages(X).output

    def read_in_stages(self, X: Texts) -> StagesOutput:
        """Read N texts, and say which stage answered each."""
        return read_stages(list(self.members.values()), self.stages, as_texts(X))

    def predict_texts(self, X: Texts) -> Prediction:
        """Return probabilities with the flags, and which stage answered."""
        read = self.read_in_stages(X)
        return Prediction.of(read.output, self.temperature_, read.answered)


def answered_by(model: Predictor, prediction: Prediction, row: int) -> str | None:
    """Name what a stack or a cascade asked last about one text, `bow` or `cbow + bert`; None of others."""
    if not isinstance(model, ServedCombination) or prediction.answered is None:
        return None
    return stage_names(list(model.members), model.stages)[int(prediction.answered[row])]


def load_served(
    folder: str | Path,
    *,
    precision: GraphPrecision | None = None,
    runtime: str | None = None,
) -> Predictor:
    """Load a model folder to predict with.

    Args:
        folder: made by `save_model`.
        precision: what a network computes in; None: what it was trained in, which is what it was measured in.
        runtime: see `sopan.runtime.program.choose_runtime`.

    Returns:
        A network in a runtime; what is made of steps, of such members. The step itself where it is no
        network, or is read by Keras.

    Raises:
        ModelFolderError: there is no model, it was damaged, or this version of sopan cannot read it.
        ConfigError: the runtime is not there, or lacks the precision.
    """
    return cast(Predictor, _answering(read_saved(folder), precision, runtime))


def _answering(saved: Saved, precision: GraphPrecision | None, runtime: str | None) -> Member:
    """Make what answers of one folder; see `load_served`."""
    step = StepName.parse(saved.step).step
    if step in COMBINATIONS:
        return _combined(saved, precision, runtime)
    if step in NETWORKS:
        trained = saved.settings.get("precision", "float32")
        chosen = precision or cast(GraphPrecision, saved.config.get("served", {}).get("precision", trained))
        named = choose_runtime(chosen, runtime)
        if chosen == "int8" and saved.config.get("served", {}).get("precision") != "int8":
            folder = saved.where.parent
            raise ConfigError(
                f"{folder} holds no network of bytes",
                next_step=f"sopan export {folder} --format openvino --precision int8 --texts F --out G",
            )
        if named != "keras":
            return _served(saved, step, named, chosen)
    from sopan.fit.artifact import rebuild  # noqa: PLC0415  # brings the steps in

    return cast(Member, rebuild(saved))


def _combined(saved: Saved, precision: GraphPrecision | None, runtime: str | None) -> ServedCombination:
    """Make the members, and check them as `rebuild` does."""
    members = {name: _answering(member, precision, runtime) for name, member in saved.members.items()}
    try:
        check_classes(members, saved.classes)
        stages = stages_of_arrays(saved.state.arrays, len(members))
    except (LookupError, TypeError, ValueError) as error:
        raise damaged(saved.where, f"the step {saved.step!r} cannot be rebuilt ({error})") from error
    return ServedCombination(saved.step, saved.classes, saved.temperature, members, stages)


def _served(saved: Saved, step: str, runtime: str, precision: GraphPrecision) -> Served:
    """Compile the network and try it on an empty text, as `rebuild` does."""
    try:
        intake = intake_of(step, saved.settings, saved.state)
        network = network_of(step, saved.settings, saved.state)
        if network.classes != len(saved.classes):
            raise DataError(f"{network.classes} logits for {len(saved.classes)} classes")
        program = _program(saved, network, runtime, precision)
        served = Served(saved.step, saved.classes, saved.temperature, intake, program, runtime, precision)
        logits = served.logits([""])
    except ModelFolderError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError, SopanError) as error:
        what = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise damaged(saved.where, f"the step {saved.step!r} cannot be rebuilt ({what})") from error
    if not np.isfinite(logits).all():
        raise damaged(saved.where, f"the rebuilt step {saved.step!r} does not give finite scores")
    return served


def _program(saved: Saved, network: Network, runtime: str, precision: GraphPrecision) -> Program:
    """Compile the network: of the graph in the folder if it is of bytes, else of the weights."""
    if precision == "int8":
        from sopan.runtime.openvino_program import OpenVINOProgram  # noqa: PLC0415  # only where it is installed

        graph, weights = (bytes(saved.files[name]) for name in GRAPH)
        return OpenVINOProgram.read(graph, weights, precision)
    program = compile_network(network, precision=precision, runtime=runtime)
    assert program is not None  # for that is Keras' alone
    return program
