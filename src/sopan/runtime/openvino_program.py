"""OpenVINO: graphs made of weights directly, with no converter in between, and led through its CPU plugin.

Many rectangles are read on as many streams as there are cores, each stream on one core: nothing waits for
another core inside a product. A single one, as a server gets it, is read on all cores together.
"""

# ruff: noqa: D102  # what the methods do stands at `Operations` and `Program`

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from sopan.errors import needs_extra
from sopan.options.classify import GraphPrecision
from sopan.runtime.graph import Graph
from sopan.runtime.network import Network, Output
from sopan.text.arrow import cores
from sopan.text.batch import Batch
from sopan.types import Array, Float32Array, Tensor

# `import openvino` sends an event to its makers if the package `openvino_telemetry` is there, which it brings
# along. Python takes a `None` among the modules for one that is not there, and OpenVINO is content with that.
if "openvino" not in sys.modules:  # whoever imported it before us has let it have its way
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # that is how it is said

import openvino  # type: ignore[import-untyped]

op = openvino.opset15

OpenVINO: TypeAlias = Any
"""A graph, a compiled one or a request of OpenVINO's, which has no types."""

HINTS: dict[GraphPrecision, str] = {"float32": "f32", "bfloat16": "bf16", "int8": "bf16"}
"""What is computed in; of an int8 graph, what is not made of bytes."""


def cpu_capabilities() -> list[str]:
    """Return what OpenVINO says that this processor is good at: `FP32`, `BF16`, `INT8`, …"""
    return list(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


# ---- Graphs --------------------------------------------------------------------------------------


class OpenVINOOperations:
    """`sopan.runtime.operations.Operations` as nodes of an OpenVINO graph.

    The CPU plugin makes one kernel of attention, one of a dense layer with its bias, GELU or residual, and
    one of a layer norm, where they are put together as they are here.
    """

    def constant(self, value: Array | np.generic) -> Tensor:
        return op.constant(np.ascontiguousarray(value))

    def gather(self, table: Array, ids: Tensor) -> Tensor:
        return op.gather(self.constant(table), ids, op.constant(np.int32(0)))

    def dense(self, x: Tensor, kernel: Array, bias: Array | None = None) -> Tensor:
        """The plugin wants kernels (out, in)."""
        product = op.matmul(x, self.constant(kernel.T), False, True)
        return product if bias is None else op.add(product, self.constant(bias))

    def matmul(self, x: Tensor, y: Tensor, *, turned: bool = False) -> Tensor:
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
        return op.softmax(x, -1)

    def transpose(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        return op.transpose(x, _whole(axes))

    def gelu(self, x: Tensor, *, exact: bool = True) -> Tensor:
        return op.gelu(x, "erf" if exact else "tanh")

    def layer_norm(self, x: Tensor, gamma: Array, beta: Array, epsilon: float) -> Tensor:
        normal = op.mvn(x, _whole((-1,)), True, epsilon, "inside_sqrt")
        return op.add(op.multiply(normal, self.constant(gamma)), self.constant(beta))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, hide: Tensor, width: int) -> Tensor:
        """OpenVINO sees K by itself."""
        return op.scaled_dot_product_attention(query, key, value, hide)

    def gru(self, x: Tensor, kernels: list[tuple[Array, Array, Array]]) -> tuple[Tensor, Tensor]:
        """OpenVINO has the gates in the same order."""
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
        return op.reshape(x, _whole(shape), True)

    def cast(self, x: Tensor, dtype: type[np.generic]) -> Tensor:
        return op.convert(x, np.dtype(dtype).type)

    def cut(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        return op.slice(x, _whole((start,)), _whole((stop,)), _whole((1,)), _whole((axis,)))

    def first_rows(self, table: Array, like: Tensor) -> Tensor:
        return op.slice(self.constant(table), _whole((0,)), _words(like), _whole((1,)), _whole((0,)))

    def places(self, mask: Tensor) -> Tensor:
        words = op.squeeze(_words(mask), op.constant(np.int32(0)))
        return op.range(op.constant(np.int32(0)), words, op.constant(np.int32(1)), "f32")

    def reduce(self, how: Literal["sum", "max"], x: Tensor, axis: int, *, keepdims: bool = False) -> Tensor:
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


def openvino_graph(network: Network, outputs: tuple[Output, ...], graph: type[Graph] = Graph) -> OpenVINO:
    """Return OpenVINO's graph of a network: ids (B, T) int32 and mask (B, T) bool to the outputs named."""
    ids = op.parameter([-1, -1], np.int32)
    mask = op.parameter([-1, -1], np.bool_)
    found = graph(OpenVINOOperations(), network).outputs(ids, mask, outputs)
    results = [op.result(output) for output in found]
    nodes = (ids, mask, *results)
    for node, name in zip(nodes, ("ids", "mask", *outputs), strict=True):
        node.output(0).tensor.set_names({name})
    return openvino.Model(results, [ids, mask], "sopan")


def write_graph(graph: OpenVINO, path: Path) -> None:
    """Write a graph as `path`, an .xml, and its weights, as they are, as the .bin beside it."""
    openvino.save_model(graph, path, compress_to_fp16=False)


def quantised_graph(network: Network, rectangles: Sequence[Batch]) -> OpenVINO:
    """Return OpenVINO's graph of a network that multiplies int8 numbers, made by NNCF after training.

    Weights are scaled by column, activations by layer: from the least to the greatest number that is seen
    while the network reads texts. SmoothQuant first moves the spread of activations into the weights, where
    it harms less.

    Args:
        network: in float32.
        rectangles: texts to see the range of activations on; never those that it is to be measured on.

    Raises:
        MissingExtraError: NNCF is not installed.

    Source: G. Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language
    Models" (2023), eq. 4.
    """
    with needs_extra("int8", "the precision int8"):
        import nncf  # type: ignore[import-untyped]  # noqa: PLC0415  # takes seconds

    dataset = nncf.Dataset(list(rectangles), lambda batch: {"ids": batch.ids, "mask": batch.mask})
    with redirect_stdout(sys.stderr):  # where progress belongs
        return nncf.quantize(
            openvino_graph(network, ("logits",)),
            dataset,
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(rectangles),
        )


# ---- Running -------------------------------------------------------------------------------------


class OpenVINOProgram:
    """A `sopan.runtime.program.Program` of OpenVINO.

    Args:
        model: OpenVINO's graph, from `openvino_graph` or from a file.
        precision: what to compute in. A graph of bytes says itself where it is one.
    """

    def __init__(self, model: OpenVINO, precision: GraphPrecision):
        self._model, self._precision = model, precision
        self._alone = threading.Lock()

    @classmethod
    def of(cls, network: Network, outputs: tuple[Output, ...], precision: GraphPrecision) -> OpenVINOProgram:
        """Make it of weights."""
        return cls(openvino_graph(network, outputs), precision)

    @classmethod
    def read(cls, graph: bytes, weights: bytes, precision: GraphPrecision) -> OpenVINOProgram:
        """Make it of a graph in OpenVINO's format, as `write_graph` writes it."""
        return cls(openvino.Core().read_model(graph, weights), precision)

    def run(self, rectangles: Iterable[Batch]) -> Iterator[tuple[Batch, tuple[Float32Array, ...]]]:
        waiting = iter(rectangles)
        few = list(islice(waiting, 2))
        if len(few) < 2:
            yield from ((batch, self._one(batch)) for batch in few)
            return
        idle = [self._streams.create_infer_request() for _ in range(2 * cores())]
        busy: deque[tuple[OpenVINO, Batch]] = deque()
        try:
            for batch in chain(few, waiting):
                if not idle:
                    yield _finished(busy, idle)
                busy.append((idle.pop(), batch))
                busy[-1][0].start_async([batch.ids, batch.mask], share_inputs=True)
            while busy:
                yield _finished(busy, idle)
        finally:
            for request, _ in busy:
                request.wait()

    def _one(self, batch: Batch) -> tuple[Float32Array, ...]:
        with self._alone:
            self._request.infer([batch.ids, batch.mask], share_inputs=True)
            return _outputs(self._request)

    @cached_property
    def _streams(self) -> OpenVINO:
        return self._compiled(streams=cores())

    @cached_property
    def _request(self) -> OpenVINO:
        return self._compiled(streams=1).create_infer_request()

    def _compiled(self, streams: int) -> OpenVINO:
        properties = {
            "INFERENCE_PRECISION_HINT": HINTS[self._precision],
            "EXECUTION_MODE_HINT": "PERFORMANCE",
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": cores(),
        }
        return openvino.Core().compile_model(self._model, "CPU", properties)


def _finished(
    busy: deque[tuple[OpenVINO, Batch]], idle: list[OpenVINO]
) -> tuple[Batch, tuple[Float32Array, ...]]:
    """Wait for the request that was begun first, and let it go.

    Not by `AsyncInferQueue`: its callbacks take Python's lock in OpenVINO's threads, and who lets go of a
    program, holding that lock, waits for those threads. Now and then both waited for ever.
    """
    request, batch = busy.popleft()
    request.wait()
    idle.append(request)
    return batch, _outputs(request)


def _outputs(request: OpenVINO) -> tuple[Float32Array, ...]:
    """Copy what a request found; its own memory is for the next one."""
    return tuple(np.array(tensor.data, np.float32) for tensor in request.output_tensors)
