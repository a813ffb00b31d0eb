"""What a fitted model says of texts without labels, for a step to be distilled from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from sopan.errors import DataError
from sopan.fit.saved import label_names
from sopan.fit.served import Predictor
from sopan.steps.base import READ_AT_ONCE
from sopan.types import SoftLabels


def soft_labels(
    teacher: Predictor,
    texts: pa.LargeStringArray,
    classes: Sequence[str],
    on_read: Callable[[int], None] = lambda done: None,
) -> SoftLabels:
    """Let a teacher speak of U texts.

    Args:
        teacher: a fitted model.
        texts: U of them.
        classes: of the data that the student learns from, sorted.
        on_read: told how many texts have been read.

    Raises:
        DataError: the teacher tells other classes apart, or there is no text.
    """
    names = label_names(teacher.classes_)
    if sorted(names) != sorted(classes):
        odd = sorted(set(names) ^ set(classes))
        raise DataError(
            f"the teacher tells {len(names)} classes apart and the data have {len(classes)}: "
            f"{odd[0]!r} is not in both",
            next_step="learn from a model that was trained on the same classes",
        )
    if not len(texts):
        raise DataError("no unlabelled text is left that is not in the validation or test part")
    parts = []
    for start in range(0, len(texts), READ_AT_ONCE):
        parts.append(teacher.predict_texts(texts.slice(start, READ_AT_ONCE)).probabilities)
        on_read(min(start + READ_AT_ONCE, len(texts)))
    place = {name: column for column, name in enumerate(names)}
    return SoftLabels(texts, np.concatenate(parts)[:, [place[name] for name in classes]])
