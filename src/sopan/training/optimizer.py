"""Optimisers and their learning rates: AdamW for classifiers; AdamW or Muon for language models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sopan.training.recipe import Decay, LanguageRecipe
from sopan.types import Tensor

NEVER_DECAYED = ("bias", "gamma", "beta", "embeddings")
"""Weights whose names hold one of these are not drawn to 0: biases, layer norms' and word vectors."""
HEADS = ("predict", "pooler", "order")
"""Beginnings of the paths of a language model's heads; all else is its body."""
CLIP_NORM = 1.0
"""The gradient of all weights together is never longer than this (Pascanu et al. 2013)."""


# ---- Learning rates ----------------------------------------------------------------------------


class _Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # an untyped base
    """A learning rate whose attributes are its arguments."""

    def get_config(self) -> dict[str, object]:
        """Return the arguments."""
        return dict(vars(self))


@keras.saving.register_keras_serializable("sopan")
class WarmUpDecay(_Schedule):
    """A learning rate that rises from 0 in a straight line, then falls to 0.

    Args:
        rate: at the height.
        steps: of the optimiser, in all.
        warm_up: which share of them the rise takes.
        decay: how it falls: `cosine` (Loshchilov & Hutter 2017, eq. 5) or `linear`.
    """

    def __init__(self, rate: float, steps: int, warm_up: float = 0.1, decay: Decay = "cosine"):
        self.rate, self.steps, self.warm_up, self.decay = rate, steps, warm_up, decay

    def __call__(self, step: Tensor) -> Tensor:
        """Return the rate of the step with this number, the first being 0."""
        done = (ops.cast(step, "float32") + 1) / (self.steps + 1)
        rise = done / max(self.warm_up, 1e-9)
        left = ops.clip((1 - done) / max(1 - self.warm_up, 1e-9), 0, 1)
        fall = 0.5 - 0.5 * ops.cos(math.pi * left) if self.decay == "cosine" else left
        return self.rate * ops.where(done < self.warm_up, rise, fall)


@keras.saving.register_keras_serializable("sopan")
class WarmUpStableDecay(_Schedule):
    """A learning rate that rises from 0, stays, and falls to 0 in straight lines; see `LanguageRecipe`.

    Args:
        rate: while it stays.
        warm_up: steps of the rise.
        stable_until: the step at which it begins to fall.
        steps: in all.
    """

    def __init__(self, rate: float, warm_up: int, stable_until: int, steps: int):
        self.rate, self.warm_up, self.stable_until, self.steps = rate, warm_up, stable_until, steps

    def __call__(self, step: Tensor) -> Tensor:
        """Return the rate of the step with this number, the first being 0."""
        number = ops.cast(step, "float32")
        rise = (number + 1) / max(self.warm_up, 1)
        fall = (self.steps - number) / max(self.steps - self.stable_until, 1)
        return self.rate * ops.clip(ops.minimum(rise, fall), 0.0, 1.0)


# ---- For classifiers ---------------------------------------------------------------------------


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

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the moments of the weights, and look their factors up."""
        super().build(variables)
        self.factors = tuple(
            next((factor for start, factor in self.rates if weight.path.startswith(start)), 1.0)
            for weight in variables
        )

    def update_step(self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor) -> None:
        """Decay one weight, and move it, at its own rate."""
        rate = ops.cast(learning_rate, variable.dtype) * self.factors[self._get_variable_index(variable)]
        if self.weight_decay and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * (self.weight_decay * rate))
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        """Leave it to `update_step`, which knows each weight's rate."""

    def get_config(self) -> dict[str, object]:
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
    kind, more = (LayeredAdamW, {"rates": rates}) if rates else (keras.optimizers.AdamW, {})
    optimizer = kind(schedule, weight_decay=weight_decay, global_clipnorm=CLIP_NORM, **more)
    optimizer.exclude_from_weight_decay(var_names=list(NEVER_DECAYED))
    return optimizer


# ---- For language models -----------------------------------------------------------------------


class _HeadFirst(keras.optimizers.Optimizer):  # type: ignore[misc]  # an untyped base
    """What an optimiser is mixed with to keep all but the heads still at first.

    Moments are taken of every weight's gradients from the beginning; no weight of the body moves or decays.
    """

    head_steps = 0
    """Batches until the body moves."""

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the moments of the weights, and note which are a head's."""
        super().build(variables)
        self.heads = tuple(weight.path.startswith(HEADS) for weight in variables)

    def update_step(self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor) -> None:
        """Decay one weight, and move it, at a rate of 0 as long as it is to keep still."""
        rate = ops.cast(learning_rate, variable.dtype)
        if not self.heads[self._get_variable_index(variable)]:
            rate = rate * ops.cast(self.iterations >= self.head_steps, variable.dtype)
        if self.weight_decay and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * (self.weight_decay * rate))
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        """Leave it to `update_step`, which knows each weight's rate."""


@keras.saving.register_keras_serializable("sopan")
class HeadFirstAdamW(_HeadFirst, keras.optimizers.AdamW):  # type: ignore[misc]  # untyped bases
    """AdamW in which the heads learn first; see `LanguageRecipe.head_steps`."""


@keras.saving.register_keras_serializable("sopan")
class HalfMuon(keras.optimizers.Muon):  # type: ignore[misc]  # an untyped base
    """Muon whose iteration runs in bfloat16, as its authors' does: a third of the step's time otherwise."""

    def zeropower_via_newtonschulz5(self, x: Tensor, steps: int) -> Tensor:
        """Return the nearest orthogonal matrix to x (n, m), about: Jordan et al. (2024)."""
        found = super().zeropower_via_newtonschulz5(ops.cast(x, "bfloat16"), steps)
        return ops.cast(found, x.dtype)


@keras.saving.register_keras_serializable("sopan")
class HeadFirstMuon(_HeadFirst, HalfMuon):
    """Muon in which the heads learn first; see `LanguageRecipe.head_steps`."""


def make_optimizer(recipe: LanguageRecipe) -> keras.optimizers.Optimizer:
    """Return the optimiser of a language model's recipe, its rate counted in batches, not in steps."""
    schedule = WarmUpStableDecay(
        recipe.learning_rate,
        recipe.warm_up * recipe.accumulate,
        recipe.stable_until * recipe.accumulate,
        recipe.steps * recipe.accumulate,
    )
    common = {
        "weight_decay": recipe.weight_decay,
        "global_clipnorm": CLIP_NORM,
        "adam_beta_2" if recipe.optimizer == "muon" else "beta_2": 0.98,
        "gradient_accumulation_steps": recipe.accumulate if recipe.accumulate > 1 else None,
    }
    first = recipe.head_steps * recipe.accumulate
    if recipe.optimizer == "muon":
        kind = HeadFirstMuon if first else HalfMuon
        optimizer = kind(schedule, exclude_layers=["positions"], adam_weight_decay=None, **common)
    else:
        kind = HeadFirstAdamW if first else keras.optimizers.AdamW
        optimizer = kind(schedule, epsilon=1e-6, **common)
        optimizer.exclude_from_weight_decay(var_names=[*NEVER_DECAYED, "vectors"])  # of places, too
    if first:
        optimizer.head_steps = first
    return optimizer
