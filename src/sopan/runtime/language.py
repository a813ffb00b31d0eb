"""A language model without Keras: `graph.py`'s encoder, and the head that says which piece belongs there.

The numbers are those of `sopan.steps.language_model`, whose file says where they come from. The encoder runs
in OpenVINO where that is installed, else in NumPy; the head, over the few places that are asked, in NumPy.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from sopan.runtime.encoder_config import EncoderConfig
from sopan.runtime.graph import Graph
from sopan.runtime.network import EncoderBody, Network
from sopan.runtime.numpy_operations import NumPyOperations
from sopan.runtime.program import Program
from sopan.text.batch import Batch
from sopan.types import Arrays, BoolArray, Float32Array, Int32Array, Tensor


class HiddenGraph(Graph):
    """A graph whose output `vector` is every piece in its context (B, T, width), not a summary."""

    def summary(self, x: Tensor, mask: Tensor, summary: str) -> Tensor:
        """Return x itself."""
        return x


class RuntimeLanguageModel:
    """A language model's network.

    Args:
        weights: by path, as `LanguageModel.weights` gives them.
        config: of the encoder.
        numpy: run the encoder in NumPy, whatever is installed.
    """

    def __init__(self, weights: Arrays, config: EncoderConfig, *, numpy: bool = False):
        arrays = {
            path: np.asarray(value, np.float32)
            for path, value in weights.items()
            if not path.startswith(("pooler/", "order/"))
        }
        self.config = config
        self.network = Network(arrays, EncoderBody(config, "none", config.max_length))
        self._program = None if numpy or find_spec("openvino") is None else _openvino_program(self.network)

    def logits(self, ids: Int32Array, mask: BoolArray, at: Int32Array) -> Float32Array:
        """Return the logits (P, V) float32 of the pieces at P places in texts ids (B, T)."""
        head = HiddenGraph(NumPyOperations(), self.network)
        if self._program is None:
            (hidden,) = head.outputs(ids, mask, ("vector",))
        else:
            hidden = _run(self._program, ids, mask)
        asked = hidden.reshape(-1, hidden.shape[-1])[at]
        asked = head.norm(head.ops.gelu(head.dense(asked, "predict")), "predict_norm", self.config.epsilon)
        return np.asarray(
            asked @ self.network.arrays["words/embeddings"].T + self.network.arrays["predict_bias/bias"],
            np.float32,
        )


def _run(program: Program, ids: Int32Array, mask: BoolArray) -> Float32Array:
    ((_, outputs),) = program.run([Batch(ids, mask, np.arange(len(ids)))])
    return outputs[0]


def _openvino_program(network: Network) -> Program:
    from sopan.runtime.openvino_program import (  # noqa: PLC0415  # only where it is installed
        OpenVINOProgram,
        openvino_graph,
    )

    return OpenVINOProgram(openvino_graph(network, ("vector",), HiddenGraph), "float32")
