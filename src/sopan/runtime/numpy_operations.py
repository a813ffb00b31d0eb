"""The operations that networks are written in, done at once by NumPy: for a look at what attends.

Of one short text a graph is worth no compiling; and here the weights can be kept, which no runtime gives.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import erf, expit

from sopan.runtime.operations import Array, Tensor


class NumPyOperations:
    """See `sopan.runtime.operations.Operations`; a tensor is an array.

    Attributes:
        weights: of each product of weights and values, lowest layer first: (B, H, Q, T), or (B, Q, T).
    """

    def __init__(self) -> None:
        self.weights: list[Array] = []

    def constant(self, value: Array | np.generic) -> Tensor:
        """See `Operations`."""
        return np.asarray(value)

    def gather(self, table: Array, ids: Tensor) -> Tensor:
        """See `Operations`."""
        return table[ids]

    def dense(self, x: Tensor, kernel: Array, bias: Array | None = None) -> Tensor:
        """See `Operations`."""
        return x @ kernel if bias is None else x @ kernel + bias

    def matmul(self, x: Tensor, y: Tensor, *, turned: bool = False) -> Tensor:
        """See `Operations`; what is not turned are weights times values."""
        if turned:
            return x @ np.swapaxes(y, -1, -2)
        self.weights.append(x)
        return x @ y

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Operations`."""
        return x + y

    def subtract(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Operations`."""
        return x - y

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Operations`."""
        return x * y

    def divide(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Operations`."""
        return x / y

    def maximum(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Operations`."""
        return np.maximum(x, y)

    def less_equal(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Operations`."""
        return x <= y

    def logical_and(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Operations`."""
        return np.logical_and(x, y)

    def where(self, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """See `Operations`."""
        return np.where(condition, x, y)

    def tanh(self, x: Tensor) -> Tensor:
        """See `Operations`."""
        return np.tanh(x)

    def sigmoid(self, x: Tensor) -> Tensor:
        """See `Operations`."""
        return expit(x)

    def exp(self, x: Tensor) -> Tensor:
        """See `Operations`."""
        return np.exp(x)

    def abs(self, x: Tensor) -> Tensor:
        """See `Operations`."""
        return np.abs(x)

    def softmax(self, x: Tensor) -> Tensor:
        """See `Operations`."""
        shifted = np.exp(x - x.max(axis=-1, keepdims=True))
        return shifted / shifted.sum(axis=-1, keepdims=True)

    def concatenate(self, parts: list[Tensor], axis: int) -> Tensor:
        """See `Operations`."""
        return np.concatenate(parts, axis)

    def transpose(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """See `Operations`."""
        return np.transpose(x, axes)

    def gelu(self, x: Tensor, *, exact: bool = True) -> Tensor:
        """See `Operations`."""
        if exact:
            return np.float32(0.5) * x * (1 + erf(x / np.float32(np.sqrt(2))))
        return (
            np.float32(0.5)
            * x
            * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)))
        )

    def layer_norm(self, x: Tensor, gamma: Array, beta: Array, epsilon: float) -> Tensor:
        """See `Operations`."""
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        return centred / np.sqrt(variance + np.float32(epsilon)) * gamma + beta

    def attend(self, query: Tensor, key: Tensor, value: Tensor, hide: Tensor, width: int) -> Tensor:
        """See `Operations`."""
        scores = query @ np.swapaxes(key, -1, -2) * np.float32(width**-0.5)
        return self.matmul(self.softmax(scores + hide), value)

    def gru(self, x: Tensor, kernels: list[tuple[Array, Array, Array]]) -> tuple[Tensor, Tensor]:
        """See `Operations`."""
        states, last = [], []
        for number, weights in enumerate(kernels):
            forwards = number == 0
            found = _gru(x if forwards else x[:, ::-1], *weights)
            states.append(found if forwards else found[:, ::-1])
            last.append(found[:, -1])
        return np.concatenate(states, 2), np.concatenate(last, 1)

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """See `Operations`."""
        return np.reshape(x, [x.shape[i] if size == 0 else size for i, size in enumerate(shape)])

    def cast(self, x: Tensor, dtype: type[np.generic]) -> Tensor:
        """See `Operations`."""
        return x.astype(dtype)

    def cut(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        """See `Operations`."""
        return np.take(x, range(start, stop), axis)

    def first_rows(self, table: Array, like: Tensor) -> Tensor:
        """See `Operations`."""
        return table[None, : like.shape[1]]

    def places(self, mask: Tensor) -> Tensor:
        """See `Operations`."""
        return np.arange(mask.shape[1], dtype=np.float32)

    def reduce(self, how: Literal["sum", "max"], x: Tensor, axis: int, *, keepdims: bool = False) -> Tensor:
        """See `Operations`."""
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
