"""The operations that networks are written in (`graph.py`), for each runtime to give its own.

A `Tensor` is what the runtime calls one: a node of its graph. B texts, T words, Q queries, H heads, K wide.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from sopan.types import Array, Tensor

LOWEST_SCORE = np.float32(-3e38)
"""Nearly the lowest finite number: added to a score, it leaves a weight of 0."""


class Operations(Protocol):
    """What a runtime can do; each is NumPy's or Keras' operation of that name unless something is said."""

    def constant(self, value: Array | np.generic) -> Tensor:
        """Put an array or a number into the graph."""

    def gather(self, table: Array, ids: Tensor) -> Tensor:
        """Take rows of a table (V, D) by ids (B, T): (B, T, D)."""

    def dense(self, x: Tensor, kernel: Array, bias: Array | None = None) -> Tensor:
        """Return x (…, D) times a kernel (D, E), plus a bias (E,)."""

    def matmul(self, x: Tensor, y: Tensor, *, turned: bool = False) -> Tensor:
        """Return x times y; `turned`: y with its last two axes swapped."""

    def add(self, x: Tensor, y: Tensor, /) -> Tensor: ...  # noqa: D102
    def subtract(self, x: Tensor, y: Tensor, /) -> Tensor: ...  # noqa: D102
    def multiply(self, x: Tensor, y: Tensor, /) -> Tensor: ...  # noqa: D102
    def divide(self, x: Tensor, y: Tensor, /) -> Tensor: ...  # noqa: D102
    def maximum(self, x: Tensor, y: Tensor, /) -> Tensor: ...  # noqa: D102
    def less_equal(self, x: Tensor, y: Tensor, /) -> Tensor: ...  # noqa: D102
    def logical_and(self, x: Tensor, y: Tensor, /) -> Tensor: ...  # noqa: D102
    def where(self, condition: Tensor, x: Tensor, y: Tensor, /) -> Tensor: ...  # noqa: D102
    def tanh(self, x: Tensor, /) -> Tensor: ...  # noqa: D102
    def sigmoid(self, x: Tensor, /) -> Tensor: ...  # noqa: D102
    def exp(self, x: Tensor, /) -> Tensor: ...  # noqa: D102
    def abs(self, x: Tensor, /) -> Tensor: ...  # noqa: D102
    def softmax(self, x: Tensor) -> Tensor: ...  # noqa: D102
    def concatenate(self, parts: list[Tensor], axis: int, /) -> Tensor: ...  # noqa: D102
    def transpose(self, x: Tensor, axes: tuple[int, ...], /) -> Tensor: ...  # noqa: D102

    def gelu(self, x: Tensor, *, exact: bool = True) -> Tensor:
        """Return the GELU, by the error function or, not `exact`, by the tanh that comes near."""

    def layer_norm(self, x: Tensor, gamma: Array, beta: Array, epsilon: float) -> Tensor:
        """Normalise over the last axis, ε added to the variance."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor, hide: Tensor, width: int) -> Tensor:
        """Return softmax(query (B, H, Q, K) · keyᵀ / √K + hide) · value, (B, H, Q, K); `width` is K."""

    def gru(self, x: Tensor, kernels: list[tuple[Array, Array, Array]]) -> tuple[Tensor, Tensor]:
        """Run a GRU forwards and one backwards, as Keras' with `reset_after`.

        Args:
            x: (B, T, D).
            kernels: for each direction (D, 3 · U), (U, 3 · U) and the biases (2, 3 · U): gates z, r, h.

        Returns:
            The states (B, T, 2 · U), and each direction's last one side by side (B, 2 · U).
        """

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Give x another shape; 0: as long as x is there, -1: what remains."""

    def cast(self, x: Tensor, dtype: type[np.generic]) -> Tensor:
        """Turn booleans or whole numbers into numbers of a kind."""

    def cut(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        """Take a part of one axis."""

    def first_rows(self, table: Array, like: Tensor) -> Tensor:
        """Take as many rows of a table (P, D) as `like` (B, T, …) has words: (1, T, D)."""

    def places(self, mask: Tensor) -> Tensor:
        """Return 0 … T - 1 for a mask (B, T): (T,) float32."""

    def reduce(self, how: Literal["sum", "max"], x: Tensor, axis: int, *, keepdims: bool = False) -> Tensor:
        """Add up one axis, or take its greatest."""
