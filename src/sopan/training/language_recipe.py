"""How language models are trained: the recipe, its learning rate and its optimisers.

The rate rises, stays, and falls in the last part ("warm-up, stable, decay"; Hu et al. 2024, "MiniCPM",
section 4): until it falls, how long the run will be does not matter, so that a kept run may go on for longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from sopan.options.language import OptimizerName
from sopan.training.optimizer import CLIP_NORM, NEVER_DECAYED


@dataclass(frozen=True, slots=True)
class LanguageRecipe:
    """How a language model is trained.

    Args:
        steps: of the optimiser.
        learning_rate: while it is stable.
        warm_up: steps in which it rises.
        decay: share of the steps, the last ones, in which it falls to 0.
        weight_decay: decoupled; biases, norms and vectors are spared.
        optimizer: `adamw` (Loshchilov & Hutter 2019), or `muon`, which makes each matrix's step orthogonal
            (Jordan et al. 2024; scaled as Liu et al. 2025 do, to the rates of AdamW); vectors go to Adam.
        accumulate: batches whose gradients are added up for one change of the weights.
        judge_every: steps between looks at held-out text.
    """

    steps: int
    learning_rate: float = 1e-3
    warm_up: int = 100
    decay: float = 0.2
    weight_decay: float = 0.01
    optimizer: OptimizerName = "adamw"
    accumulate: int = 1
    judge_every: int = 500

    @property
    def stable_until(self) -> int:
        """The step at which the rate begins to fall."""
        return self.steps - round(self.decay * self.steps)


@keras.saving.register_keras_serializable("sopan")
class WarmUpStableDecay(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # untyped base
    """A learning rate that rises from 0, stays, and falls to 0 in straight lines.

    Args:
        rate: while it stays.
        warm_up: steps of the rise.
        stable_until: the step at which it begins to fall.
        steps: in all.
    """

    def __init__(self, rate: float, warm_up: int, stable_until: int, steps: int):
        self.rate, self.warm_up, self.stable_until, self.steps = rate, warm_up, stable_until, steps

    def __call__(self, step: Any) -> Any:
        """Return the rate of the step with this number, the first being 0."""
        number = ops.cast(step, "float32")
        rise = (number + 1) / max(self.warm_up, 1)
        fall = (self.steps - number) / max(self.steps - self.stable_until, 1)
        return self.rate * ops.clip(ops.minimum(rise, fall), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        names = ("rate", "warm_up", "stable_until", "steps")
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("sopan")
class HalfMuon(keras.optimizers.Muon):  # type: ignore[misc]  # an untyped base
    """Muon whose iteration runs in bfloat16, as its authors' does: a third of the step's time otherwise."""

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """Return the nearest orthogonal matrix to x (n, m), about: Jordan et al. (2024)."""
        found = super().zeropower_via_newtonschulz5(ops.cast(x, "bfloat16"), steps)
        return ops.cast(found, x.dtype)


def make_optimizer(recipe: LanguageRecipe) -> keras.optimizers.Optimizer:
    """Return the optimiser that a recipe asks for, its rate counted in batches, not in steps."""
    schedule = WarmUpStableDecay(
        recipe.learning_rate,
        recipe.warm_up * recipe.accumulate,
        recipe.stable_until * recipe.accumulate,
        recipe.steps * recipe.accumulate,
    )
    common: dict[str, Any] = {
        "weight_decay": recipe.weight_decay,
        "global_clipnorm": CLIP_NORM,
        "gradient_accumulation_steps": recipe.accumulate if recipe.accumulate > 1 else None,
    }
    if recipe.optimizer == "muon":
        optimizer = HalfMuon(
            schedule, exclude_layers=["positions"], adam_beta_2=0.98, adam_weight_decay=None, **common
        )
    else:
        optimizer = keras.optimizers.AdamW(schedule, beta_2=0.98, epsilon=1e-6, **common)
        optimizer.exclude_from_weight_decay(var_names=[*NEVER_DECAYED, "vectors"])  # of places, too
    return optimizer
