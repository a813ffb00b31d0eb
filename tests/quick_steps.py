"""Texts, settings under which every step is quick to fit, and networks that run without being compiled.

TensorFlow needs seconds to compile a network, and milliseconds for each step of training after that. A fit of
many steps is therefore fastest compiled, with the `QUICK` settings; one of few steps is fastest `eagerly`,
operation by operation, with the `BRIEF` ones. The Python that runs is the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from sopan.steps import STEPS, make_step
from sopan.steps.base import Step

ON_KERAS = tuple(step for step in STEPS if step not in ("bow", "cbow"))
OVER_WORDS = tuple(step for step in ON_KERAS if step != "bert")
"""Those of them that read words; `bert` reads pieces."""

_SMALL: dict[str, dict[str, Any]] = {
    "attention": {"units": 16, "reads": 2},
    "self_attention": {"width": 32},
    "transformer": {"width": 32, "inner": 32, "depth": 1},
}
_CALM = {"dimension": 32, "epochs": 1, "dropout": 0.0, "word_dropout": 0.0, "max_length": 16}

QUICK: dict[str, dict[str, Any]] = {"cbow": {"dimension": 32, "epochs": 20}}
"""Learns dozens of texts."""
QUICK |= {step: {**_SMALL[step], **_CALM, "learning_rate": 0.02, "min_steps": 60} for step in OVER_WORDS}
QUICK["bert"] = {
    **{"preset": "scratch", "width": 32, "depth": 1, "heads": 2, "inner": 32, "vocabulary": 300},
    **{"epochs": 1, "dropout": 0.0, "max_length": 24, "layer_decay": 1.0},
    **{"learning_rate": 0.01, "min_steps": 60},
}
BRIEF: dict[str, dict[str, Any]] = QUICK | {
    step: {**_SMALL[step], **_CALM, "embeddings": "random", "learning_rate": 0.05, "min_steps": 8}
    for step in OVER_WORDS
}
BRIEF["bert"] = QUICK["bert"] | {"min_steps": 12}
"""Learns eight texts."""


SUBJECTS = ("the baker", "my neighbour", "a quiet girl", "the old captain", "our teacher")
TOPICS = {
    "garden": ("waters the roses", "prunes the apple tree", "digs up potatoes", "plants tulip bulbs"),
    "kitchen": ("kneads the dough", "stirs the soup", "fries two eggs", "peels an onion"),
    "harbour": ("mends the nets", "rows the dinghy", "hoists the sail", "counts the gulls"),
}
TEXTS = [
    f"{subject.capitalize()} {deed}, and {deeds[-i]} after that."
    for deeds in TOPICS.values()
    for i, deed in enumerate(deeds)
    for subject in SUBJECTS
]
LABELS = np.repeat(list(TOPICS), len(TEXTS) // len(TOPICS))
EIGHT, SOIL_OR_SEA = TEXTS[:4] + TEXTS[-4:], ["soil"] * 4 + ["sea"] * 4


def name_of(step: str) -> str:
    """Return a step's name without its variant."""
    return step.partition(":")[0]


def quick(step: str, **settings: Any) -> Step:
    """Make a step to be fitted to dozens of texts."""
    return make_step(step, **{**QUICK.get(name_of(step), {}), **settings})


def brief(step: str, **settings: Any) -> Step:
    """Make a step to be fitted to eight texts or so, `eagerly`. A variant's own settings hold."""
    few = BRIEF.get(name_of(step), {})
    own = type(make_step(step)).named_settings(step)
    return make_step(step, **{**few, **own, **settings})


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Compile nothing in this block, where that is for TensorFlow to choose."""
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
