"""ONNX Runtime: the same graphs for where there is no OpenVINO, or for whatever else reads ONNX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import onnx
import onnxruntime  # type: ignore[import-untyped]
from onnx import helper

from sopan.runtime.graph import Graph
from sopan.runtime.network import Network, Output
from sopan.runtime.onnx_operations import OPSET, ONNXOperations
from sopan.text.batch import Batch
from sopan.text.cores import cores
from sopan.types import Float32Array


class ONNXProgram:
    """See `sopan.runtime.program.Program`.

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
        """See `Program`."""
        for batch in rectangles:
            found: Any = self._session.run(None, {"ids": batch.ids, "mask": batch.mask})
            yield batch, tuple(found)


def onnx_graph(network: Network, outputs: tuple[Output, ...]) -> onnx.ModelProto:
    """Return ONNX' graph of a network: ids (B, T) int32 and mask (B, T) bool to the outputs named."""
    ops = ONNXOperations()
    found = Graph(ops, network).outputs("ids", "mask", outputs)
    ops.nodes += [
        helper.make_node("Identity", [one], [name]) for one, name in zip(found, outputs, strict=True)
    ]
    kinds = (("ids", onnx.TensorProto.INT32), ("mask", onnx.TensorProto.BOOL))
    inputs = [helper.make_tensor_value_info(name, kind, ["B", "T"]) for name, kind in kinds]
    results = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["B", None]) for name in outputs]
    graph = helper.make_graph(ops.nodes, "sopan", inputs, results, ops.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
