"""A stack and a cascade of small fitted steps, in which every member and every stage has a say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from quick_steps import LABELS, TEXTS

from sopan.steps import make_step
from sopan.steps.base import Step
from sopan.steps.cascade import Cascade
from sopan.steps.combination import Combination
from sopan.steps.stack import Stack
from sopan.steps.stages import Stage

BAGS = ("bow:counts", "bow:chars")
ODD = ["", " \n", "?!… —", "qwrtz xyzzy", "🙂🙂", "soup " * 300, "Zażółć soup"]


def fitted(names: tuple[str, ...] = BAGS, texts: Any = TEXTS, labels: Any = LABELS) -> dict[str, Step]:
    """Fit steps by name."""
    return {name: make_step(name).fit(texts, labels) for name in names}


def stack_of(members: Mapping[str, Step], weight: float = 1.0) -> Stack:
    """Stack fitted steps, the later ones with larger weights."""
    weights = weight * np.arange(1.0, len(members) + 1)
    return _of(Stack, members, (Stage(tuple(range(len(members))), weights),))


def cascade_of(members: Mapping[str, Step], *thresholds: float) -> Cascade:
    """Ask fitted steps one after another; each stage weighs all asked so far."""
    m = len(members)
    stages = [
        Stage((i,), np.where(np.arange(m) <= i, np.arange(1.0, m + 1), 0), threshold)
        for i, threshold in enumerate((*thresholds, 0.0))
    ]
    return _of(Cascade, members, tuple(stages))


def _of(kind: type, members: Mapping[str, Step], stages: tuple[Stage, ...]) -> Any:
    made: Combination = kind(members=tuple(members))
    made.classes_ = next(iter(members.values())).classes_
    made.temperature_ = 1.25
    made.members_, made.stages_ = dict(members), stages
    return made
