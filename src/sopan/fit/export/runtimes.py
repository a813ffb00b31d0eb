"""A model folder that also holds its network as a graph of OpenVINO's, in the precision that it serves in.

    model folder, texts -> [calibrated on one half] -> network.xml, network.bin -> compared on the other half

The folder is a model folder like any other: programs that do not use the graph read the weights beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sopan import __version__
from sopan.errors import ConfigError
from sopan.fit.saved import GRAPH, MODEL_FILES, Saved, label_names, read_saved
from sopan.fit.served import Served, load_served
from sopan.options.classify import GraphPrecision, IdType
from sopan.options.names import StepName
from sopan.runtime.network import NETWORKS, Network, intake_of, network_of
from sopan.runtime.program import plan_sorted
from sopan.storage.atomic import replacing_file, replacing_folder
from sopan.storage.manifest import MANIFEST, write_manifest
from sopan.storage.strict_json import dump_json
from sopan.text.batch import Batch, batches
from sopan.types import FloatArray

if TYPE_CHECKING:  # only where it is installed
    from sopan.runtime.openvino_program import OpenVINO

CALIBRATION_TEXTS = 300
"""NNCF's own number; twice as many changed nothing that could be measured."""


def export_openvino(
    model: str | Path, out: str | Path, texts: pa.LargeStringArray, precision: GraphPrecision = "int8"
) -> dict[str, float | str]:
    """Write a model folder whose network is a graph of OpenVINO's, and measure what the precision costs.

    Args:
        model: a model folder.
        out: the folder to write.
        texts: N texts, not those that the model is to be measured on. Half of them, `CALIBRATION_TEXTS` at
            most, show an int8 network the range of its numbers; it is compared on the others.
        precision: that it serves in.

    Returns:
        `precision`, `calibrated_on` and `compared_on` (texts), `same_label` (share of the texts compared that
        get the label that the float32 network gives: accuracy cannot lose more than the rest), and
        `probability_apart`, the mean distance of the predicted class's probability.

    Raises:
        ConfigError: the step is no network, or there are too few texts.
        MissingExtraError: NNCF is not installed.
    """
    saved = read_saved(model)
    network, step = _network(saved), StepName.parse(saved.step).step
    if len(texts) < 2:
        raise ConfigError(
            "a graph is compared with the model on texts before it is written",
            next_step="name some, 600 or more if you can: --texts reviews.csv",
        )
    half = min(len(texts) // 2, CALIBRATION_TEXTS)
    seen, rest = texts.slice(0, half), texts.slice(half)
    windows = intake_of(step, saved.settings, saved.state).windows(seen)
    rectangles = list(batches(windows.clipped, plan_sorted(windows.clipped.lengths)))
    graph = _graph(network, rectangles, precision)
    size = sum(len(content) for content in saved.files.values()) + sum(
        array.nbytes for array in network.arrays.values()
    )
    with replacing_folder(Path(out), bytes_needed=size, names=MODEL_FILES) as new:
        _write(saved, graph, new, {"precision": precision})
        report = _compared(model, new, rest, precision) | {
            "precision": precision,
            "calibrated_on": half if precision == "int8" else 0,
        }
        _write(saved, graph, new, report)
    return report


def export_onnx(model: str | Path, out: str | Path, ids: IdType = "int64") -> None:
    """Write a network as one ONNX file, ids (B, T) and mask (B, T) bool to logits (B, C), in float32.

    Its metadata hold `labels`, the C names as a JSON list, `step` and `sopan`, the version:
    `session.get_modelmeta().custom_metadata_map`.

    Args:
        model: its folder.
        out: the file.
        ids: type of the ids; tokenizers give int64, and sopan int32.

    Raises:
        ConfigError: the step is no network.
    """
    saved = read_saved(model)
    network = _network(saved)
    from sopan.runtime.onnx_program import onnx_graph  # noqa: PLC0415  # needs onnx

    names = json.dumps(label_names(saved.classes), ensure_ascii=False)
    about = {"labels": names, "step": saved.step, "sopan": __version__}
    content = onnx_graph(network, ("logits",), ids=ids, about=about).SerializeToString()
    with replacing_file(Path(out)) as new:
        new.write_bytes(content)


def _network(saved: Saved) -> Network:
    step = StepName.parse(saved.step).step
    if step not in NETWORKS:
        raise ConfigError(f"{step} is no network", next_step=f"networks: {', '.join(NETWORKS)}")
    return network_of(step, saved.settings, saved.state)


def _graph(network: Network, rectangles: list[Batch], precision: GraphPrecision) -> OpenVINO:
    if precision == "int8":
        from sopan.runtime.openvino_program import quantised_graph  # noqa: PLC0415  # needs OpenVINO

        return quantised_graph(network, rectangles)
    from sopan.runtime.openvino_program import openvino_graph  # noqa: PLC0415

    return openvino_graph(network, ("logits",))


def _write(saved: Saved, graph: OpenVINO, folder: Path, served: dict[str, float | str]) -> None:
    from sopan.runtime.openvino_program import write_graph  # noqa: PLC0415

    for name, content in saved.files.items():
        (folder / name).write_bytes(content)
    (folder / "config.json").write_bytes(dump_json({**saved.config, "served": served}))
    write_graph(graph, folder / GRAPH[0])
    (folder / MANIFEST).unlink(missing_ok=True)
    write_manifest(folder)


def _compared(
    model: str | Path, new: Path, texts: pa.LargeStringArray, precision: GraphPrecision
) -> dict[str, float | str]:
    """Compare the written graph's probabilities with the float32 network's."""
    found, exact = _probabilities(new, texts, precision), _probabilities(model, texts, "float32")
    best = exact.argmax(axis=1)
    rows = np.arange(len(best))
    return {
        "compared_on": len(texts),
        "same_label": float((found.argmax(axis=1) == best).mean()),
        "probability_apart": float(np.abs(found[rows, best] - exact[rows, best]).mean()),
    }


def _probabilities(folder: str | Path, texts: pa.LargeStringArray, precision: GraphPrecision) -> FloatArray:
    served = load_served(folder, precision=precision, runtime="openvino")
    assert isinstance(served, Served)
    return served.predict_proba(texts)
