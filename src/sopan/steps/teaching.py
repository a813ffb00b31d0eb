"""What a teacher says of texts without labels, checked: what a step is distilled from.

    a fitted model -> probabilities (U, C) of U texts -> `Step.fit(..., soft=)` -> a step that knows both

Source: G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network" (2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sopan.errors import ConfigError, DataError
from sopan.options.rules import Between, OneOf, Rule
from sopan.text.arrow import as_texts
from sopan.types import FloatArray, SoftLabels

TAUGHT_RULES: Mapping[str, Rule] = {
    "distilled": OneOf((True, False)),
    "soft_weight": Between(Real, 1e-6, 1e6),
}
"""What the settings of a step that can learn from a teacher must keep to."""
DISTILLED: Mapping[str, Mapping[str, object]] = {"distilled": {"distilled": True}}
"""The variant of such a step that does."""


class Taught(NamedTuple):
    """U texts, and a teacher's probabilities of their classes (U, C) float64, whose rows sum to 1."""

    texts: pa.LargeStringArray
    probabilities: FloatArray


def check_soft(step: str, distilled: object, soft: SoftLabels | None, n_classes: int) -> Taught | None:
    """Hold that there is a teacher where a step asks for one, and that what it says can be learnt.

    Args:
        step: its name, to begin a message with.
        distilled: the setting; None: the step has none, and cannot learn from a teacher.
        soft: what the teacher says, if there is one.
        n_classes: C.

    Raises:
        ConfigError: the step is to be taught and has no teacher, or has one and cannot be taught.
        DataError: what the teacher says is not probabilities of these classes.
    """
    if soft is None:
        if distilled:
            raise needs_teacher(f"{step}:distilled")
        return None
    if distilled is None:
        raise ConfigError(f"{step} cannot learn from a teacher's probabilities")
    texts = as_texts(soft.texts)
    return Taught(texts, check_probabilities(soft.probabilities, len(texts), n_classes))


def needs_teacher(step: str) -> ConfigError:
    """Return the complaint that a step which is to be taught has no teacher."""
    return ConfigError(
        f"{step} learns from a teacher: a fitted model's probabilities of unlabelled texts",
        next_step=f"sopan distill MODEL DATA --unlabelled FILE --into {step.partition(':')[0]} --out FOLDER",
    )


def check_probabilities(given: npt.ArrayLike, n_texts: int, n_classes: int) -> FloatArray:
    """Return what a teacher says of U texts, (U, C) float64, each row divided by its sum.

    Raises:
        DataError: another shape, or rows that are no probabilities.
    """
    probabilities = np.asarray(given, np.float64)
    if probabilities.shape != (n_texts, n_classes) or n_texts == 0:
        raise DataError(
            f"{n_texts} unlabelled texts and {n_classes} classes came with probabilities of shape "
            f"{probabilities.shape}"
        )
    sums = probabilities.sum(axis=1, keepdims=True)
    if not (probabilities.min() >= 0 and np.abs(sums - 1).max() < 1e-3):  # a NaN is refused here too
        raise DataError("the teacher's probabilities are not 0 or more with a sum of 1 in each row")
    return np.asarray(probabilities / sums)
