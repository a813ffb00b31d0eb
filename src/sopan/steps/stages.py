"""Several fitted steps asked one stage after another: what `stack` and `cascade` do with a text.

    stage 0: ask some members -> their weighed logits -> sure enough? answer : go on
    stage 1: ask further members -> the weighed logits of all asked so far -> ...
    the last stage answers whatever is left

A stack is one stage that asks all its members. The members may be steps, or networks that only predict: this
needs neither scikit-learn nor Keras.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from sopan.errors import DataError
from sopan.types import Array, Arrays, Asked, BoolArray, FloatArray, Int64Array, StepOutput, softmax


class Member(Protocol):
    """What can be asked: a fitted `Step`, or a served network."""

    @property
    def classes_(self) -> Array:
        """(C,) the labels."""

    @property
    def temperature_(self) -> float:
        """Divides logits."""

    def read(self, X: pa.LargeStringArray) -> StepOutput:
        """Read N texts, and say what the member makes of each."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage of M members.

    Args:
        asks: which members are asked now, none of them before.
        weights: (M,) float64, not below 0, of every member's calibrated logits (logits over temperature) in
            this stage's answer; 0 for those not asked so far.
        threshold: a text is answered here if the probability of its best class reaches it; 0 at the last.
    """

    asks: tuple[int, ...]
    weights: FloatArray
    threshold: float = 0.0

    @property
    def counting(self) -> Int64Array:
        """Which members' logits are in this stage's answer."""
        return np.flatnonzero(self.weights)


class StagesOutput(NamedTuple):
    """What stages give for n texts.

    Args:
        output: the logits of the stage that answered, before the temperature of the whole. A text counts as
            truncated, or as having no known word, where that holds for all members whose logits are in them.
        answered: (n,) int64, the stage that answered, from 0.
        confidence: (n, S) float64, the probability of the best class in each stage's answer; NaN where it was
            not asked.
    """

    output: StepOutput
    answered: Int64Array
    confidence: FloatArray


def read_stages(
    members: Sequence[Member], stages: Sequence[Stage], texts: pa.LargeStringArray
) -> StagesOutput:
    """Ask members about n texts, each stage only about those that no stage before it has answered.

    Args:
        members: M of them.
        stages: see `Stage`; the last one answers all that is left.
        texts: n texts.
    """
    n, n_classes = len(texts), len(members[stages[0].asks[0]].classes_)
    found = StepOutput(np.zeros((n, n_classes)), np.zeros(n, bool), np.zeros(n, bool))
    answered, confidence = np.zeros(n, np.int64), np.full((n, len(stages)), np.nan)
    left = np.arange(n)
    said: dict[int, StepOutput] = {}  # what the members asked so far say of the texts that are left
    for number, stage in enumerate(stages):
        waiting = texts if len(left) == n else texts.take(pa.array(left))
        said |= {member: members[member].read(waiting) for member in stage.asks}
        output = _weighed(members, stage, said)
        confidence[left, number] = top_probability(output.logits)
        done = (confidence[left, number] >= stage.threshold) | (number == len(stages) - 1)
        for column, answer in zip(found, output, strict=True):
            column[left[done]] = answer[done]
        answered[left[done]] = number
        left = left[~done]
        if not len(left):
            break
        said = {member: _rows(each, ~done) for member, each in said.items()}
    return StagesOutput(found, answered, confidence)


def _weighed(members: Sequence[Member], stage: Stage, said: dict[int, StepOutput]) -> StepOutput:
    """Weigh together what members say of n texts."""
    counting = stage.counting.tolist()
    logits = sum(
        said[member].logits * (stage.weights[member] / members[member].temperature_) for member in counting
    )
    truncated = np.all([said[member].truncated for member in counting], axis=0)
    unknown = np.all([said[member].no_known_words for member in counting], axis=0)
    return StepOutput(np.asarray(logits), truncated, unknown)


def _rows(output: StepOutput, rows: BoolArray) -> StepOutput:
    return StepOutput(output.logits[rows], output.truncated[rows], output.no_known_words[rows])


def asked_of(
    names: Sequence[str], stages: Sequence[Stage], read: StagesOutput, row: int
) -> tuple[Asked, ...]:
    """Tell which stages one text came to, the last of which answered.

    Args:
        names: of the M members.
        stages: that have read the texts.
        read: what they gave.
        row: which text.
    """
    return tuple(
        Asked(
            tuple(names[member] for member in stage.asks),
            {names[member]: float(stage.weights[member]) for member in stage.counting.tolist()},
            float(read.confidence[row, number]),
            None if number == len(stages) - 1 else stage.threshold,
        )
        for number, stage in enumerate(stages[: int(read.answered[row]) + 1])
    )


def asked_sentence(asked: Sequence[Asked]) -> str:
    """Say who answered one text, and why those that were asked before did not; nothing of a single step."""
    told = []
    for stage in asked:
        who = " and ".join(stage.weights)
        sure = f"{who} {'are' if len(stage.weights) > 1 else 'is'} {stage.confidence:.2f} sure"
        if stage is not asked[-1]:
            told.append(f"{sure}, less than the {stage.threshold:.2f} that it takes")
        elif stage.threshold is not None:
            told.append(f"{sure}, and {stage.threshold:.2f} is enough: nothing else was asked")
        else:
            told.append(f"{sure}, and there is nobody else to ask" if len(asked) > 1 else sure)
    return "; so the next is asked: ".join(told) + "." if told else ""


def stage_names(names: Sequence[str], stages: Sequence[Stage]) -> tuple[str, ...]:
    """Name each stage by the members that it asks: `bow`, `cbow + bert`."""
    return tuple(" + ".join(names[member] for member in stage.asks) for stage in stages)


def top_probability(logits: FloatArray) -> FloatArray:
    """Return the confidence in each text's best class: (N, C) to (N,)."""
    return np.asarray(softmax(logits).max(axis=1, initial=0.0))


# ---- keeping -----------------------------------------------------------------------------------------


def stages_as_arrays(stages: Sequence[Stage]) -> dict[str, Array]:
    """Return S stages as arrays: `asks` (S, M) bool, `weights` (S, M) and `thresholds` (S,) float64."""
    asks = np.zeros((len(stages), len(stages[0].weights)), bool)
    for number, stage in enumerate(stages):
        asks[number, list(stage.asks)] = True
    return {
        "asks": asks,
        "weights": np.stack([stage.weights for stage in stages]),
        "thresholds": np.array([stage.threshold for stage in stages]),
    }


def stages_of_arrays(arrays: Arrays, n_members: int) -> tuple[Stage, ...]:
    """Take back what `stages_as_arrays` gave, for M members.

    Raises:
        DataError: parts that do not go together: a member that is asked twice or never, one that counts
            before it is asked, a weight or a threshold out of range.
    """
    asks, weights, thresholds = (arrays[name] for name in ("asks", "weights", "thresholds"))
    n_stages = len(thresholds)
    if not n_stages or asks.shape != (n_stages, n_members) or weights.shape != asks.shape:
        raise DataError(f"{asks.shape} asked, {weights.shape} weighed, by {n_members} members")
    so_far = np.cumsum(asks, axis=0)
    within = np.isfinite(weights).all() and (weights >= 0).all() and (thresholds >= 0).all()
    if not within or not (so_far[-1] == 1).all() or not asks.any(axis=1).all():
        raise DataError("the stages do not ask each member once, or have a weight or threshold out of range")
    if not (weights > 0).any(axis=1).all() or (weights[so_far == 0] > 0).any():
        raise DataError("a stage counts nobody, or a member that it has not asked")
    return tuple(
        Stage(
            tuple(np.flatnonzero(asks[s]).tolist()), np.asarray(weights[s], np.float64), float(thresholds[s])
        )
        for s in range(n_stages)
    )


def check_classes(members: Mapping[str, Member], classes: Array) -> None:
    """Hold that members tell the same (C,) classes apart.

    Raises:
        DataError: naming one that does not.
    """
    for name, member in members.items():
        if member.classes_.tolist() != classes.tolist():
            raise DataError(f"the member {name!r} has other classes than the others")
