"""How sopan reads in the BERT benches: a model folder, by the runtime that serves it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bert_peers import Read


def make_ours(folder: Path, precision: str) -> Read:
    """Return what reads texts with a model folder in a precision: float32, bfloat16 or int8."""
    from sopan.fit.served import load_served  # noqa: PLC0415

    model = load_served(folder, precision=precision)

    def read(texts: Sequence[str]) -> np.ndarray:
        return np.asarray(model.predict_texts(texts).probabilities[:, 1])

    return read
