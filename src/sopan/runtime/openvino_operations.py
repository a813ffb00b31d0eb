"""The operations that networks are written in, as nodes of an OpenVINO graph.

OpenVINO's CPU plugin makes one kernel of attention, one of a dense layer with its bias, GELU or residual, and
one of a layer norm, where they are put together as they are here.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from sopan.runtime.openvino_import import openvino
from sopan.runtime.operations import Array, Tensor

op = openvino.opset15


class OpenVINOOperations:
    """See `sopan.runtime.operations.Operations`."""

    def constant(self, value: Array | np.generic) -> Tensor:
        """See `Operations`."""
        return op.constant(np.ascontiguousarray(value))

    def gather(self, table: Array, ids: Tensor) -> Tensor:
        """See `Operations`."""
        return op.gather(self.constant(table), ids, op.constant(np.int32(0)))

    def dense(self, x: Tensor, kernel: Array, bias: Array | None = None) -> Tensor:
        """See `Operations`; the plugin wants kernels (out, in)."""
        product = op.matmul(x, self.constant(kernel.T), False, True)
        return product if bias is None else op.add(product, self.constant(bias))

    def matmul(self, x: Tensor, y: Tensor, *, turned: bool = False) -> Tensor:
        """See `Operations`."""
        return op.matmul(x, y, False, turned)

    add = staticmethod(op.add)
    subtract = staticmethod(op.subtract)
    multiply = staticmethod(op.multiply)
    divide = staticmethod(op.divide)
    maximum = staticmethod(op.maximum)
    less_equal = staticmethod(op.less_equal)
    logical_and = staticmethod(op.logical_and)
    where = staticmethod(op.select)
    tanh = staticmethod(op.tanh)
    sigmoid = staticmethod(op.sigmoid)
    exp = staticmethod(op.exp)
    abs = staticmethod(op.abs)
    concatenate = staticmethod(op.concat)

    def softmax(self, x: Tensor) -> Tensor:
        """See `Operations`."""
        return op.softmax(x, -1)

    def transpose(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """See `Operations`."""
        return op.transpose(x, _whole(axes))

    def gelu(self, x: Tensor, *, exact: bool = True) -> Tensor:
        """See `Operations`."""
        return op.gelu(x, "erf" if exact else "tanh")

    def layer_norm(self, x: Tensor, gamma: Array, beta: Array, epsilon: float) -> Tensor:
        """See `Operations`."""
        normal = op.mvn(x, _whole((-1,)), True, epsilon, "inside_sqrt")
        return op.add(op.multiply(normal, self.constant(gamma)), self.constant(beta))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, hide: Tensor, width: int) -> Tensor:
        """See `Operations`; OpenVINO sees K by itself."""
        return op.scaled_dot_product_attention(query, key, value, hide)

    def gru(self, x: Tensor, kernels: list[tuple[Array, Array, Array]]) -> tuple[Tensor, Tensor]:
        """See `Operations`; OpenVINO has the gates in the same order."""
        units = kernels[0][1].shape[0]
        w = np.stack([kernel.T for kernel, _, _ in kernels])
        r = np.stack([recurrent.T for _, recurrent, _ in kernels])
        b = np.stack([_joined_bias(bias, units) for _, _, bias in kernels])
        shape = op.shape_of(x, "i32")
        batch = op.gather(shape, _whole((0,)), op.constant(np.int32(0)))
        start = op.broadcast(op.constant(np.float32(0)), op.concat([batch, _whole((len(kernels), units))], 0))
        lengths = op.broadcast(op.squeeze(_words(x), op.constant(np.int32(0))), batch)
        found = op.gru_sequence(
            x, start, lengths, self.constant(w), self.constant(r), self.constant(b), units, "bidirectional",
            linear_before_reset=True,
        )  # fmt: skip
        states = self.reshape(self.transpose(found.output(0), (0, 2, 1, 3)), (0, 0, len(kernels) * units))
        return states, self.reshape(found.output(1), (0, len(kernels) * units))

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """See `Operations`."""
        return op.reshape(x, _whole(shape), True)

    def cast(self, x: Tensor, dtype: type[np.generic]) -> Tensor:
        """See `Operations`."""
        return op.convert(x, np.dtype(dtype).type)

    def cut(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        """See `Operations`."""
        return op.slice(x, _whole((start,)), _whole((stop,)), _whole((1,)), _whole((axis,)))

    def first_rows(self, table: Array, like: Tensor) -> Tensor:
        """See `Operations`."""
        return op.slice(self.constant(table), _whole((0,)), _words(like), _whole((1,)), _whole((0,)))

    def places(self, mask: Tensor) -> Tensor:
        """See `Operations`."""
        words = op.squeeze(_words(mask), op.constant(np.int32(0)))
        return op.range(op.constant(np.int32(0)), words, op.constant(np.int32(1)), "f32")

    def reduce(self, how: Literal["sum", "max"], x: Tensor, axis: int, *, keepdims: bool = False) -> Tensor:
        """See `Operations`."""
        reduce = op.reduce_sum if how == "sum" else op.reduce_max
        return reduce(x, _whole((axis,)), keepdims)


def _joined_bias(bias: Array, units: int) -> Array:
    """Return the biases (4 · U,): of z and r in one, of h outside and inside the product with r."""
    outside, inside = bias
    return np.concatenate([(outside + inside)[: 2 * units], outside[2 * units :], inside[2 * units :]])


def _whole(values: tuple[int, ...]) -> Tensor:
    return op.constant(np.array(values, np.int32))


def _words(x: Tensor) -> Tensor:
    """Return T of x (B, T, …), in one element."""
    return op.gather(op.shape_of(x, "i32"), _whole((1,)), op.constant(np.int32(0)))
