"""A network written as a graph: in bytes, calibrated on the caller's texts, or as ONNX for other programs."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from conftest import need
from quick_steps import EIGHT, LABELS, SOIL_OR_SEA, TEXTS, brief, eagerly, quick

from sopan.errors import ConfigError, MissingExtraError
from sopan.fit.artifact import load_model, save_model
from sopan.fit.export.runtimes import export_onnx, export_openvino
from sopan.fit.served import load_served
from sopan.text.arrow import as_texts


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "bert"
    with eagerly():
        save_model(quick("bert").fit(TEXTS, LABELS), folder, data={}, metrics={})
    return folder


def test_a_network_of_bytes_says_nearly_the_same_and_by_how_much_it_does_not(model, tmp_path):
    need("nncf")
    report = export_openvino(model, tmp_path / "bytes", as_texts(TEXTS), "int8")
    served, exact = load_served(tmp_path / "bytes"), load_served(model)
    assert (served.precision, exact.precision) == ("int8", "float32")
    assert served.predict(TEXTS).tolist() == exact.predict(TEXTS).tolist()
    apart = np.abs(served.predict_texts(TEXTS).probabilities - exact.predict_texts(TEXTS).probabilities)
    assert 0 < apart.max() < 0.1
    assert report["calibrated_on"] + report["compared_on"] == len(TEXTS)
    assert report["same_label"] == 1
    assert 0 < report["probability_apart"] < 0.1
    assert json.loads((tmp_path / "bytes" / "config.json").read_text())["served"] == report
    weights = [(folder / "model.safetensors").read_bytes() for folder in (model, tmp_path / "bytes")]
    assert weights[0] == weights[1]


def test_a_folder_with_a_graph_is_a_model_folder_still(model, tmp_path):
    export_openvino(model, tmp_path / "graph", as_texts(TEXTS), "bfloat16")
    assert load_served(tmp_path / "graph").precision == "bfloat16"
    found, usual = load_model(tmp_path / "graph").logits(EIGHT), load_model(model).logits(EIGHT)
    np.testing.assert_array_equal(found, usual)


def test_bytes_are_not_made_up_where_there_are_none(model, monkeypatch, tmp_path):
    with pytest.raises(ConfigError, match="no network of bytes") as refusal:
        load_served(model, precision="int8")
    assert "sopan export" in str(refusal.value.next_step)
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtraError, match="nncf") as refusal:
        export_openvino(model, tmp_path / "bytes", as_texts(TEXTS), "int8")
    assert "sopan[int8]" in str(refusal.value.next_step)
    assert not (tmp_path / "bytes").exists()


@pytest.mark.parametrize("kind", ["int64", "int32"])
def test_onnx_gives_the_same_logits(model, tmp_path, kind):
    """As ONNX Runtime's own examples go about it: what the file says of itself is all that is needed."""
    need("onnxruntime")
    import onnxruntime

    export_onnx(model, tmp_path / "bert.onnx", kind)
    session = onnxruntime.InferenceSession(str(tmp_path / "bert.onnx"), providers=["CPUExecutionProvider"])
    estimator = load_model(model)
    ids = np.asarray(estimator.windows(as_texts(EIGHT[:1])).clipped.encoded.ids[None].tolist(), kind)
    assert [(each.name, each.type) for each in session.get_inputs()] == [
        ("ids", f"tensor({kind})"),
        ("mask", "tensor(bool)"),
    ]
    name = session.get_outputs()[0].name
    (logits,) = session.run([name], {"ids": ids, "mask": np.ones(ids.shape, bool)})
    np.testing.assert_allclose(logits, estimator.logits(EIGHT[:1]), rtol=1e-4, atol=1e-5)
    labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
    assert labels == [str(label) for label in estimator.classes_]


def test_what_is_no_network_is_refused(tmp_path):
    save_model(brief("bow").fit(EIGHT, SOIL_OR_SEA), tmp_path / "bow", data={}, metrics={})
    with pytest.raises(ConfigError, match="bow is no network"):
        export_onnx(tmp_path / "bow", tmp_path / "bow.onnx")
