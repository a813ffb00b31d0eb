"""AdamW with a warm-up and a decay of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


@keras.saving.register_keras_serializable("sopan")
class LayeredAdamW(keras.optimizers.AdamW):  # type: ignore[misc]  # an untyped base
    """AdamW in which some weights learn slower than others (Howard & Ruder 2018, "ULMFiT", section 3.2).

    Args:
        *arguments: those of `keras.optimizers.AdamW`.
        rates: see `sopan.training.recipe.Recipe`.
        **more: those of `keras.optimizers.AdamW`.
    """

    def __init__(self, *arguments: Any, rates: Sequence[tuple[str, float]] = (), **more: Any):
        super().__init__(*arguments, **more)
        self.rates = tuple((start, float(factor)) for start, factor in rates)

    def build(self, variables: list[Any]) -> None:
        """Make the moments of the weights, and look their factors up."""
        super().build(variables)
        self.factors = tuple(
            next((factor for start, factor in self.rates if weight.path.startswith(start)), 1.0)
            for weight in variables
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decay one weight, and move it, at its own rate."""
        rate = ops.cast(learning_rate, variable.dtype) * self.factors[self._get_variable_index(variable)]
        if self.weight_decay and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * (self.weight_decay * rate))
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Leave it to `update_step`, which knows each weight's rate."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "rates": [list(rate) for rate in self.rates]}


def adamw(
    schedule: WarmUpDecay, weight_decay: float, rates: Sequence[tuple[str, float]] = ()
) -> keras.optimizers.Optimizer:
    """Return AdamW with decoupled weight decay (Loshchilov & Hutter 2019), clipping included.

    Biases, layer norms and word vectors do not decay: drawing them to 0 regularises nothing useful.

    Args:
        schedule: of the learning rate.
        weight_decay, rates: see `sopan.training.recipe.Recipe`.
    """
    common: dict[str, Any] = {"weight_decay": weight_decay, "global_clipnorm": CLIP_NORM}
    optimizer = (
        LayeredAdamW(schedule, rates=rates, **common) if rates else keras.optimizers.AdamW(schedule, **common)
    )
    optimizer.exclude_from_weight_decay(var_names=list(NEVER_DECAYED))
    return optimizer
