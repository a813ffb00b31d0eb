"""ONNX Runtime: the same graphs for where there is no OpenVINO, or for whatever else reads ONNX."""

# ruff: noqa: D102  # what the methods do stands at `Operations` and `Program`

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
from onnx import helper, numpy_helper

from sopan.options.classify import IdType
from sopan.runtime.graph import Graph
from sopan.runtime.network import Network, Output
from sopan.text.arrow import cores
from sopan.text.batch import Batch
from sopan.types import Array, Float32Array, Tensor

OPSET = 20
"""The first with GELU; layer norm came with 17."""


def _elementwise(kind: str) -> Callable[..., Tensor]:
    """Return a method that adds a node of a kind, without attributes, to the graph."""
    return lambda self, *inputs: self._node(kind, *inputs)


class ONNXOperations:
    """`sopan.runtime.operations.Operations` as nodes of an ONNX graph; a tensor is its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def _node(self, kind: str, *inputs: Tensor, outputs: int = 1, **attributes: Any) -> Tensor:
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Array | np.generic) -> Tensor:
        name = f"constant_{len(self.weights)}"
        self.weights.append(
            numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        )
        return name

    def _whole(self, *values: int) -> Tensor:
        return self.constant(np.array(values, np.int64))

    def gather(self, table: Array, ids: Tensor) -> Tensor:
        return self._node("Gather", self.constant(table), ids)

    def dense(self, x: Tensor, kernel: Array, bias: Array | None = None) -> Tensor:
        product = self.matmul(x, self.constant(kernel))
        return product if bias is None else self.add(product, self.constant(bias))

    def matmul(self, x: Tensor, y: Tensor, *, turned: bool = False) -> Tensor:
        """What is turned here has three axes."""
        return self._node("MatMul", x, self.transpose(y, (0, 2, 1)) if turned else y)

    add = _elementwise("Add")
    subtract = _elementwise("Sub")
    multiply = _elementwise("Mul")
    divide = _elementwise("Div")
    maximum = _elementwise("Max")
    less_equal = _elementwise("LessOrEqual")
    logical_and = _elementwise("And")
    where = _elementwise("Where")
    tanh = _elementwise("Tanh")
    sigmoid = _elementwise("Sigmoid")
    exp = _elementwise("Exp")
    abs = _elementwise("Abs")

    def softmax(self, x: Tensor) -> Tensor:
        return self._node("Softmax", x, axis=-1)

    def concatenate(self, parts: list[Tensor], axis: int) -> Tensor:
        return self._node("Concat", *parts, axis=axis)

    def transpose(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        return self._node("Transpose", x, perm=list(axes))

    def gelu(self, x: Tensor, *, exact: bool = True) -> Tensor:
        return self._node("Gelu", x, approximate="none" if exact else "tanh")

    def layer_norm(self, x: Tensor, gamma: Array, beta: Array, epsilon: float) -> Tensor:
        return self._node(
            "LayerNormalization", x, self.constant(gamma), self.constant(beta), axis=-1, epsilon=epsilon
        )

    def attend(self, query: Tensor, key: Tensor, value: Tensor, hide: Tensor, width: int) -> Tensor:
        """The query is divided, which is smaller than the scores."""
        query = self.multiply(query, self.constant(np.float32(1 / math.sqrt(width))))
        scores = self._node("MatMul", query, self.transpose(key, (0, 1, 3, 2)))
        return self._node("MatMul", self.softmax(self.add(scores, hide)), value)

    def gru(self, x: Tensor, kernels: list[tuple[Array, Array, Array]]) -> tuple[Tensor, Tensor]:
        """ONNX has the gates in the same order, and texts along the second axis."""
        units = kernels[0][1].shape[0]
        w = np.stack([kernel.T for kernel, _, _ in kernels])
        r = np.stack([recurrent.T for _, recurrent, _ in kernels])
        b = np.stack([bias.reshape(-1) for _, _, bias in kernels])
        states, final = self._node(
            "GRU", self.transpose(x, (1, 0, 2)), *map(self.constant, (w, r, b)),
            outputs=2, hidden_size=units, direction="bidirectional", linear_before_reset=1,
        )  # fmt: skip
        side_by_side = self.transpose(states, (2, 0, 1, 3))  # (T, 2, B, U) to (B, T, 2, U)
        both = (0, len(kernels) * units)
        return self.reshape(side_by_side, (0, *both)), self.reshape(self.transpose(final, (1, 0, 2)), both)

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return self._node("Reshape", x, self._whole(*shape))

    def cast(self, x: Tensor, dtype: type[np.generic]) -> Tensor:
        return self._node("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def cut(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        return self._node("Slice", x, self._whole(start), self._whole(stop), self._whole(axis))

    def first_rows(self, table: Array, like: Tensor) -> Tensor:
        return self._node("Slice", self.constant(table), self._whole(0), self._words(like), self._whole(0))

    def places(self, mask: Tensor) -> Tensor:
        words = self._node("Squeeze", self._words(mask))
        first, step = self.constant(np.int64(0)), self.constant(np.int64(1))
        return self.cast(self._node("Range", first, words, step), np.float32)

    def reduce(self, how: Literal["sum", "max"], x: Tensor, axis: int, *, keepdims: bool = False) -> Tensor:
        kind = {"sum": "ReduceSum", "max": "ReduceMax"}[how]
        return self._node(kind, x, self._whole(axis), keepdims=int(keepdims))

    def _words(self, x: Tensor) -> Tensor:
        """Return T of x (B, T, …), in one element."""
        return self._node("Shape", x, start=1, end=2)


class ONNXProgram:
    """A `sopan.runtime.program.Program` of ONNX Runtime.

    Args:
        model: of `onnx_graph`, as bytes.
    """

    def __init__(self, model: bytes):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    @classmethod
    def of(cls, network: Network, outputs: tuple[Output, ...]) -> ONNXProgram:
        """Make it of weights."""
        return cls(onnx_graph(network, outputs).SerializeToString())

    def run(self, rectangles: Iterable[Batch]) -> Iterator[tuple[Batch, tuple[Float32Array, ...]]]:
        for batch in rectangles:
            found: list[Float32Array] = self._session.run(None, {"ids": batch.ids, "mask": batch.mask})
            yield batch, tuple(found)


def onnx_graph(
    network: Network,
    outputs: tuple[Output, ...],
    *,
    ids: IdType = "int32",
    about: Mapping[str, str] = MappingProxyType({}),
) -> onnx.ModelProto:
    """Return ONNX' graph of a network: ids (B, T) and mask (B, T) bool to the outputs named.

    Args:
        network, outputs: what is computed.
        ids: their type; tokenizers give int64.
        about: what the file's metadata say, by name.
    """
    ops = ONNXOperations()
    wide = ids == "int64"
    if wide:
        ops.nodes.append(helper.make_node("Cast", ["ids"], ["narrow_ids"], to=onnx.TensorProto.INT32))
    found = Graph(ops, network).outputs("narrow_ids" if wide else "ids", "mask", outputs)
    ops.nodes += [
        helper.make_node("Identity", [one], [name]) for one, name in zip(found, outputs, strict=True)
    ]
    kind = onnx.TensorProto.INT64 if wide else onnx.TensorProto.INT32
    kinds = (("ids", kind), ("mask", onnx.TensorProto.BOOL))
    inputs = [helper.make_tensor_value_info(name, kind, ["B", "T"]) for name, kind in kinds]
    results = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["B", None]) for name in outputs]
    graph = helper.make_graph(ops.nodes, "sopan", inputs, results, ops.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    helper.set_model_props(model, dict(about))
    return model
