"""Small parts that the networks of several steps are put together with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import keras
import numpy as np

Precision = Literal["float32", "bfloat16"]


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
