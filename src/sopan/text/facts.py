"""What is known of training texts before anything is learnt, and what follows for the first guess."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sopan.text.labels import IMBALANCED, UNEVEN, imbalance
from sopan.types import Int64Array

Metric: TypeAlias = Literal["accuracy", "macro_f1"]
ClassWeight: TypeAlias = Literal["balanced"] | None

SHORT = 400
"""Texts of fewer characters, by the median, are short: a few sentences at most."""


class TrainingFacts(NamedTuple):
    """What first guesses depend on; of the training texts alone.

    Args:
        class_counts: (C,) how many texts each class has.
        characters: of a text, the median.
    """

    class_counts: Int64Array
    characters: float = float("inf")

    @classmethod
    def of(cls, texts: pa.LargeStringArray, labels: npt.NDArray[np.integer[Any]]) -> TrainingFacts:
        """Look at N texts and their class indices (N,)."""
        lengths = pc.utf8_length(texts).to_numpy()
        return cls(np.bincount(labels), float(np.median(lengths)))

    @property
    def short(self) -> bool:
        """Whether the texts are short."""
        return self.characters < SHORT

    @property
    def texts(self) -> int:
        """How many there are."""
        return int(self.class_counts.sum())


def tuned_for(class_counts: npt.NDArray[np.integer[Any]]) -> Metric:
    """Name the score that tuning maximises: `accuracy`, or `macro_f1` where classes are imbalanced."""
    return "macro_f1" if imbalance(class_counts) > IMBALANCED else "accuracy"


def class_weights(facts: TrainingFacts, *, dear: bool = False) -> tuple[ClassWeight, ...]:
    """List what classes may weigh, the best guess first: balanced where the aim is macro-F1, else not.

    An accuracy is highest where each text counts the same; macro-F1 where each class does. The other of the
    two is tried too where classes are imbalanced or, unless trials are `dear`, uneven.
    """
    if tuned_for(facts.class_counts) == "macro_f1":
        return ("balanced", None)
    return (None, "balanced") if imbalance(facts.class_counts) > UNEVEN and not dear else (None,)
