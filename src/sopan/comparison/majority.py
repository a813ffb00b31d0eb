"""What no step should fall below: the largest class for every text, and steps that do no more than that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sopan.comparison.results import Majority, StepScores
from sopan.fit.metrics import count_confusion, macro_f1
from sopan.types import Labelled


def score_majority(train: Labelled, test: Labelled, classes: Sequence[str]) -> Majority:
    """Score the answer that needs no text: the class that most training texts have, for every test text."""
    counts = np.bincount(train.labels, minlength=len(classes))
    largest = int(counts.argmax())
    confusion = count_confusion(test.labels, np.full(len(test), largest), len(classes))
    return Majority(
        label=classes[largest], accuracy=float(confusion.trace() / len(test)), macro_f1=macro_f1(confusion)
    )


def silent_failures(steps: Sequence[StepScores], majority: Majority, classes: Sequence[str]) -> list[str]:
    """Name the steps that learnt nothing, though they have scores like any other."""
    told = []
    for step in steps:
        predicted = np.flatnonzero(np.sum(step.confusion, axis=0))
        if len(predicted) == 1:
            told.append(
                f"`{step.step}` answers {classes[predicted[0]]!r} whatever the text: it learnt nothing."
            )
        elif step.accuracy <= majority.accuracy:
            told.append(
                f"`{step.step}` is right no more often ({100 * step.accuracy:.1f}%) than the answer "
                f"{majority.label!r} for every text ({100 * majority.accuracy:.1f}%)."
            )
    return told
