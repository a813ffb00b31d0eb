"""What the networks of several steps share: seeds, precision, weights by path, and words to one vector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import keras
import numpy as np
from keras import ops

from sopan.errors import ModelFolderError
from sopan.options.language import Precision
from sopan.steps.attend import attend, lowest
from sopan.types import Array, Arrays, Tensor

Summary: TypeAlias = Literal["mean", "max", "cls", "attention"]
"""How the words of a text become one vector: the mean, the greatest, the first, or what attention picks."""


class Seeds(Iterator[int]):
    """One seed after another, for each layer its own."""

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)

    def __next__(self) -> int:
        return int(self._rng.integers(2**31))


def dense(width: int, seeds: Seeds, name: str, activation: str | None = None) -> keras.layers.Layer:
    """Return a fully connected layer with Glorot's weights drawn from its own seed."""
    start = keras.initializers.GlorotUniform(next(seeds))
    return keras.layers.Dense(width, activation, kernel_initializer=start, name=name)


@contextmanager
def computing_in(precision: Precision) -> Iterator[None]:
    """Give the layers made in here a precision; their weights are float32 all the same."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


# ---- Weights -------------------------------------------------------------------------------------


def get_weights(network: keras.Model) -> dict[str, Array]:
    """Return a copy of every weight by its path."""
    return {weight.path: np.array(keras.ops.convert_to_numpy(weight.value)) for weight in network.weights}


def set_weights(network: keras.Model, arrays: Arrays, *, spared: tuple[str, ...] = ()) -> None:
    """Set weights by their paths, all or, where one does not fit, none. Arrays of other paths are left.

    Args:
        network: takes them.
        arrays: by path.
        spared: beginnings of paths whose weights stay as they are if there is no array for them.

    Raises:
        ModelFolderError: one is missing, or of another shape.
    """
    for weight in network.weights:
        if weight.path in arrays:
            shape = arrays[weight.path].shape
            if shape != tuple(weight.shape):
                raise ModelFolderError(f"{weight.path} has shape {shape}, not {tuple(weight.shape)}")
        elif not weight.path.startswith(spared):
            raise ModelFolderError(f"the weights lack {weight.path}")
    for weight in network.weights:
        if weight.path in arrays:
            weight.assign(arrays[weight.path])


# ---- From words (B, T, D) to one vector (B, D) ---------------------------------------------------


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

    def __init__(self, *, seed: int, **kwargs: object):
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

    def get_config(self) -> dict[str, object]:
        """Return the arguments that made this layer."""
        return {**super().get_config(), "seed": self.seed}
