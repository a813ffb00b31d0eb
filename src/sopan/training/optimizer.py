"""AdamW with a warm-up and a decay of the learning rate."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from sopan.training.recipe import Decay

NEVER_DECAYED = ("bias", "gamma", "beta", "embeddings")
"""Weights whose names hold one of these are not drawn to 0: biases, layer norms' and word vectors."""
CLIP_NORM = 1.0
"""The gradient of all weights together is never longer than this (Pascanu et al. 2013)."""


@keras.saving.register_keras_serializable("sopan")
class WarmUpDecay(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # untyped base
    """A learning rate that rises from 0 in a straight line, then falls to 0.

    Args:
        rate: at the height.
        steps: of the optimiser, in all.
        warm_up: which share of them the rise takes.
        decay: how it falls: `cosine` (Loshchilov & Hutter 2017, eq. 5) or `linear`.
    """

    def __init__(self, rate: float, steps: int, warm_up: float = 0.1, decay: Decay = "cosine"):
        self.rate = rate
        self.steps = steps
        self.warm_up = warm_up
        self.decay = decay

    def __call__(self, step: Any) -> Any:
        """Return the rate of the step with this number, the first being 0."""
        done = (ops.cast(step, "float32") + 1) / (self.steps + 1)
        rise = done / max(self.warm_up, 1e-9)
        left = ops.clip((1 - done) / max(1 - self.warm_up, 1e-9), 0, 1)
        fall = 0.5 - 0.5 * ops.cos(math.pi * left) if self.decay == "cosine" else left
        return self.rate * ops.where(done < self.warm_up, rise, fall)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"rate": self.rate, "steps": self.steps, "warm_up": self.warm_up, "decay": self.decay}


def adamw(schedule: WarmUpDecay, weight_decay: float) -> keras.optimizers.Optimizer:
    """Return AdamW with decoupled weight decay (Loshchilov & Hutter 2019), clipping included.

    Biases, layer norms and word vectors do not decay: drawing them to 0 regularises nothing useful.
    """
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay, global_clipnorm=CLIP_NORM)
    optimizer.exclude_from_weight_decay(var_names=list(NEVER_DECAYED))
    return optimizer
