"""OpenVINO: graphs made of weights directly, with no converter in between, and led through its CPU plugin.

Many rectangles are read on as many streams as there are cores, each stream on one core: nothing waits for
another core inside a product. A single one, as a server gets it, is read on all cores together.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from sopan.runtime.graph import Graph
from sopan.runtime.network import Network, Output, Precision
from sopan.runtime.openvino_import import openvino
from sopan.runtime.openvino_operations import OpenVINOOperations
from sopan.text.batch import Batch
from sopan.text.cores import cores
from sopan.types import Float32Array

HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16", "int8": "bf16"}
"""What is computed in; of an int8 graph, what is not made of bytes."""


class OpenVINOProgram:
    """See `sopan.runtime.program.Program`.

    Args:
        model: OpenVINO's graph, from `openvino_graph` or from a file.
        precision: what to compute in. A graph of bytes says itself where it is one.
    """

    def __init__(self, model: Any, precision: Precision):
        self._model, self._precision = model, precision
        self._alone = threading.Lock()

    @classmethod
    def of(cls, network: Network, outputs: tuple[Output, ...], precision: Precision) -> OpenVINOProgram:
        """Make it of weights."""
        return cls(openvino_graph(network, outputs), precision)

    @classmethod
    def read(cls, graph: bytes, weights: bytes, precision: Precision) -> OpenVINOProgram:
        """Make it of a graph in OpenVINO's format, as `write_graph` writes it."""
        return cls(openvino.Core().read_model(graph, weights), precision)

    def run(self, rectangles: Iterable[Batch]) -> Iterator[tuple[Batch, tuple[Float32Array, ...]]]:
        """See `Program`."""
        waiting = iter(rectangles)
        few = list(islice(waiting, 2))
        if len(few) < 2:
            yield from ((batch, self._one(batch)) for batch in few)
            return
        idle = [self._streams.create_infer_request() for _ in range(2 * cores())]
        busy: deque[tuple[Any, Batch]] = deque()
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
    def _streams(self) -> Any:
        return self._compiled(streams=cores())

    @cached_property
    def _request(self) -> Any:
        return self._compiled(streams=1).create_infer_request()

    def _compiled(self, streams: int) -> Any:
        properties = {
            "INFERENCE_PRECISION_HINT": HINTS[self._precision],
            "EXECUTION_MODE_HINT": "PERFORMANCE",
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": cores(),
        }
        return openvino.Core().compile_model(self._model, "CPU", properties)


def openvino_graph(network: Network, outputs: tuple[Output, ...], graph: type[Graph] = Graph) -> Any:
    """Return OpenVINO's graph of a network: ids (B, T) int32 and mask (B, T) bool to the outputs named."""
    op = openvino.opset15
    ids = op.parameter([-1, -1], np.int32)
    mask = op.parameter([-1, -1], np.bool_)
    found = graph(OpenVINOOperations(), network).outputs(ids, mask, outputs)
    results = [op.result(output) for output in found]
    nodes = (ids, mask, *results)
    for node, name in zip(nodes, ("ids", "mask", *outputs), strict=True):
        node.output(0).tensor.set_names({name})
    return openvino.Model(results, [ids, mask], "sopan")


def write_graph(graph: Any, path: Path) -> None:
    """Write a graph as `path`, an .xml, and its weights, as they are, as the .bin beside it."""
    openvino.save_model(graph, path, compress_to_fp16=False)


def _finished(busy: deque[tuple[Any, Batch]], idle: list[Any]) -> tuple[Batch, tuple[Float32Array, ...]]:
    """Wait for the request that was begun first, and let it go.

    Not by `AsyncInferQueue`: its callbacks take Python's lock in OpenVINO's threads, and who lets go of a
    program, holding that lock, waits for those threads. Now and then both waited for ever.
    """
    request, batch = busy.popleft()
    request.wait()
    idle.append(request)
    return batch, _outputs(request)


def _outputs(request: Any) -> tuple[Float32Array, ...]:
    """Copy what a request found; its own memory is for the next one."""
    return tuple(np.array(tensor.data, np.float32) for tensor in request.output_tensors)
