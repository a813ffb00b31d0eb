"""What a step learns from, checked, and what its trials remember of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sopan.errors import DataError
from sopan.steps.teaching import Taught
from sopan.text.arrow import Texts, as_labels
from sopan.training.recipe import Monitor
from sopan.types import Amounts, Array, FloatArray, Int64Array

T = TypeVar("T")

ValidationData: TypeAlias = tuple[Texts, npt.ArrayLike]
"""N texts and their (N,) labels."""


class Memo:
    """Features of training and validation texts, shared by the trials of one tuning run, with what they cost.

    Attributes:
        made_seconds: what making the values took.
        reused_seconds: what the values handed out again would have cost to make anew, so that the
            time of a fit that reused them can be told as if it had stood alone.
    """

    def __init__(self) -> None:
        self._values: dict[Hashable, tuple[object, float]] = {}
        self.made_seconds = 0.0
        self.reused_seconds = 0.0

    def recall(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value kept under `key`, making and timing it the first time."""
        if key in self._values:
            value, seconds = self._values[key]
            self.reused_seconds += seconds
            return cast(T, value)
        started, reused, made = time.perf_counter(), self.reused_seconds, self.made_seconds
        fresh = make()
        nested = self.reused_seconds - reused  # a value made from other kept values costs those too
        spent = time.perf_counter() - started
        self._values[key] = (fresh, spent + nested)
        self.made_seconds = made + spent  # not twice what was made within
        return fresh


class TrainingData(NamedTuple):
    """What a step learns from; see `Step.fit`.

    Args:
        texts: N labelled texts.
        labels: (N,) int64, indices into the classes.
        unlabelled: further texts, maybe none.
        validation, memo, monitor: as given.
        soft: further texts with a teacher's probabilities, or None.
        weights: (N,) float64 > 0, what each labelled text counts; None: 1.
    """

    texts: pa.LargeStringArray
    labels: Int64Array
    unlabelled: pa.LargeStringArray
    validation: tuple[pa.LargeStringArray, Array] | None
    memo: Memo
    monitor: Monitor | None
    soft: Taught | None = None
    weights: FloatArray | None = None

    def taught(self, soft_weight: float) -> tuple[pa.LargeStringArray, Int64Array | Amounts]:
        """Return all texts that say something of the classes, and what they say.

        Args:
            soft_weight: what a text with probabilities counts beside a labelled one, which counts 1.

        Returns:
            The labelled texts and their (N,) class indices. With soft ones, these come after them, and with
            these or with weights, what each text counts for each class: its probabilities times its weight.
        """
        if self.soft is None and self.weights is None:
            return self.texts, self.labels
        classes = int(self.labels.max()) + 1 if self.soft is None else self.soft.probabilities.shape[1]
        certain = np.eye(classes)[self.labels]
        if self.weights is not None:
            certain *= self.weights[:, None]
        if self.soft is None:
            return self.texts, Amounts(certain)
        amounts = Amounts(np.concatenate([certain, soft_weight * self.soft.probabilities]))
        return pa.concat_arrays([self.texts, self.soft.texts]), amounts


def check_labels(
    n_texts: int, y: npt.ArrayLike, which: str = "the training texts"
) -> tuple[Array, Int64Array]:
    """Return the sorted classes (C,) and each text's class index (N,).

    Args:
        n_texts: N.
        y: (N,) labels, of any sortable kind.
        which: the texts, for errors.

    Raises:
        DataError: lengths differ, a label is missing, there are fewer than two classes, or the labels are a
            quantity: numbers with decimals, most of them different.
    """
    labels = as_labels(y)
    if labels.ndim != 1 or len(labels) != n_texts:
        raise DataError(f"{n_texts} texts came with labels of shape {labels.shape}")
    try:
        classes, index = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise DataError("labels are of different kinds", next_step="give all as text") from error
    if labels.dtype.kind == "f" and (labels % 1 != 0).any() and 2 * len(classes) > n_texts:
        raise DataError(
            f"{len(classes)} different numbers label {n_texts} texts: a continuous quantity, not classes",
            next_step="group them into a few ranges",
        )
    if len(classes) < 2:
        only = f"one class ({classes[0]})" if len(classes) else "no labels"
        raise DataError(
            f"{which} have {only}",
            next_step="two or more are needed to learn a difference",
        )
    return classes, index
