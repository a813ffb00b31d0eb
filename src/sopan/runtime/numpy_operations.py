"""The operations that networks are written in, done at once by NumPy: for a look at what attends.

Of one short text a graph is worth no compiling; and here the weights can be kept, which no runtime gives.
"""

# ruff: noqa: D102  # what the methods do stands at `Operations`

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import erf, expit

from sopan.types import Array, Tensor


class NumPyOperations:
    """`sopan.runtime.operations.Operations` in NumPy; a tensor is an array.

    Attributes:
        weights: of each product of weights and values, lowest layer first: (B, H, Q, T), or (B, Q, T).
    """

    def __init__(self) -> None:
        self.weights: list[Array] = []

    def constant(self, value: Array | np.generic) -> Tensor:
        return np.asarray(value)

    def gather(self, table: Array, ids: Tensor) -> Tensor:
        return table[ids]

    def dense(self, x: Tensor, kernel: Array, bias: Array | None = None) -> Tensor:
        return x @ kernel if bias is None else x @ kernel + bias

    def matmul(self, x: Tensor, y: Tensor, *, turned: bool = False) -> Tensor:
        """Return x times y; what is not turned are weights times values, and the weights are kept."""
        if turned:
            return x @ np.swapaxes(y, -1, -2)
        self.weights.append(x)
        return x @ y

    add = staticmethod(np.add)
    subtract = staticmethod(np.subtract)
    multiply = staticmethod(np.multiply)
    divide = staticmethod(np.divide)
    maximum = staticmethod(np.maximum)
    less_equal = staticmethod(np.less_equal)
    logical_and = staticmethod(np.logical_and)
    where = staticmethod(np.where)
    tanh = staticmethod(np.tanh)
    sigmoid = staticmethod(expit)
    exp = staticmethod(np.exp)
    abs = staticmethod(np.abs)
    concatenate = staticmethod(np.concatenate)
    transpose = staticmethod(np.transpose)

    def softmax(self, x: Tensor) -> Tensor:
        shifted = np.exp(x - x.max(axis=-1, keepdims=True))
        return shifted / shifted.sum(axis=-1, keepdims=True)

    def gelu(self, x: Tensor, *, exact: bool = True) -> Tensor:
        if exact:
            return np.float32(0.5) * x * (1 + erf(x / np.float32(np.sqrt(2))))
        bent = np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3))
        return np.float32(0.5) * x * (1 + bent)

    def layer_norm(self, x: Tensor, gamma: Array, beta: Array, epsilon: float) -> Tensor:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        return centred / np.sqrt(variance + np.float32(epsilon)) * gamma + beta

    def attend(self, query: Tensor, key: Tensor, value: Tensor, hide: Tensor, width: int) -> Tensor:
        scores = query @ np.swapaxes(key, -1, -2) * np.float32(width**-0.5)
        return self.matmul(self.softmax(scores + hide), value)

    def gru(self, x: Tensor, kernels: list[tuple[Array, Array, Array]]) -> tuple[Tensor, Tensor]:
        states, last = [], []
        for number, weights in enumerate(kernels):
            forwards = number == 0
            found = _gru(x if forwards else x[:, ::-1], *weights)
            states.append(found if forwards else found[:, ::-1])
            last.append(found[:, -1])
        return np.concatenate(states, 2), np.concatenate(last, 1)

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return np.reshape(x, [x.shape[i] if size == 0 else size for i, size in enumerate(shape)])

    def cast(self, x: Tensor, dtype: type[np.generic]) -> Tensor:
        return x.astype(dtype)

    def cut(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        return np.take(x, range(start, stop), axis)

    def first_rows(self, table: Array, like: Tensor) -> Tensor:
        return table[None, : like.shape[1]]

    def places(self, mask: Tensor) -> Tensor:
        return np.arange(mask.shape[1], dtype=np.float32)

    def reduce(self, how: Literal["sum", "max"], x: Tensor, axis: int, *, keepdims: bool = False) -> Tensor:
        return (np.sum if how == "sum" else np.max)(x, axis=axis, keepdims=keepdims)


def _gru(x: Array, kernel: Array, recurrent: Array, bias: Array) -> Array:
    """Run one GRU over x (B, T, D), gates z, r and h, the reset after the product: (B, T, U)."""
    units = len(recurrent)
    outside, state = x @ kernel + bias[0], np.zeros((len(x), units), np.float32)
    states = []
    for t in range(x.shape[1]):
        inside = state @ recurrent + bias[1]
        gates = expit(outside[:, t, : 2 * units] + inside[:, : 2 * units])
        z, r = gates[:, :units], gates[:, units:]
        new = np.tanh(outside[:, t, 2 * units :] + r * inside[:, 2 * units :])
        state = z * state + (1 - z) * new
        states.append(state)
    return np.stack(states, 1)
