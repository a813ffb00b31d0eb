"""From a text's words to one vector: the mean, the greatest, the first, or what attention picks.

x (B, T, D), mask (B, T) -> (B, D); a text without words gives zeros.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import keras
from keras import ops

from sopan.steps.attend import Tensor, attend, lowest

Summary: TypeAlias = Literal["mean", "max", "cls", "attention"]


def summarise(x: Tensor, mask: Tensor, summary: Summary, *, seed: int) -> Tensor:
    """Summarise texts, as part of a functional model.

    Args:
        x: (B, T, D), the words.
        mask: (B, T) bool, False hides a word.
        summary: `mean` and `max` over the words, the first word (`cls`), or the mean weighted by `attention`.
        seed: of the weights, where there are any.

    Returns:
        (B, D).
    """
    if summary == "attention":
        return PickWords(seed=seed, name="pick")(x, mask)[0]
    seen = ops.cast(mask, x.dtype)[..., None]  # (B, T, 1)
    if summary == "cls":
        return x[:, 0] * seen[:, 0]
    if summary == "max":
        greatest = ops.max(ops.where(mask[..., None], x, lowest(x)), axis=1)
        return greatest * ops.max(seen, axis=1)
    return ops.sum(x * seen, axis=1) / ops.maximum(ops.sum(seen, axis=1), 1)


@keras.saving.register_keras_serializable("sopan")
class PickWords(keras.layers.Layer):  # type: ignore[misc]  # an untyped base
    """Attention with one learned query: Yang et al. (2016), "Hierarchical Attention Networks", eqs. 5 to 7.

    Args:
        seed: of the weights.
    """

    def __init__(self, *, seed: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.supports_masking = True  # masks are arguments here; Keras need not warn that it drops its own
        self.key = keras.layers.Dense(
            1, kernel_initializer=keras.initializers.GlorotUniform(seed), use_bias=False, name="key"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights for x of shape (B, T, D)."""
        self.key.build(input_shape)
        self.built = True

    def call(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted mean (B, D) and the weights (B, T)."""
        scores = self.key(x)  # (B, T, 1): the query is what the layer has learnt
        query = ops.ones_like(scores[:, :1])
        picked, weights = attend(query, scores, x, mask[:, None, :])
        return picked[:, 0], weights[:, 0]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that made this layer."""
        return {**super().get_config(), "seed": self.seed}
