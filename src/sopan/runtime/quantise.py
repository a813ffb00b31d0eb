"""A network's products in bytes: weights, and what comes to them, as int8, by NNCF after training.

Weights are scaled by column, activations by layer: from the least to the greatest number that is seen while
the network reads texts. SmoothQuant first moves the spread of activations into the weights, where it harms
less.

Source: G. Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language
Models" (2023), eq. 4.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

from sopan.errors import ConfigError
from sopan.runtime.network import Network
from sopan.runtime.openvino_program import openvino_graph
from sopan.text.batch import Batch


def quantised_graph(network: Network, rectangles: Sequence[Batch]) -> Any:
    """Return OpenVINO's graph of a network that multiplies bytes, ids and mask to logits.

    Args:
        network: in float32.
        rectangles: texts to see the range of activations on; never those that it is to be measured on.

    Raises:
        ConfigError: NNCF is not installed.
    """
    if find_spec("nncf") is None:
        raise ConfigError("int8 needs NNCF", next_step="pip install 'sopan[int8]'")
    import nncf  # type: ignore[import-untyped]  # noqa: PLC0415  # takes seconds

    dataset = nncf.Dataset(list(rectangles), lambda batch: {"ids": batch.ids, "mask": batch.mask})
    with redirect_stdout(sys.stderr):  # where progress belongs
        return nncf.quantize(
            openvino_graph(network, ("logits",)),
            dataset,
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(rectangles),
        )
