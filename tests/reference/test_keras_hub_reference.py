"""KerasHub's presets: we load what it writes, and both compute the same."""

from __future__ import annotations

import json
import warnings
from functools import partial

import keras
import numpy as np
import pytest
from conftest import missing

from sopan.errors import ModelFolderError
from sopan.runtime.encoder_config import bert_config
from sopan.steps.presets import from_preset
from sopan.text.packing import Rows
from sopan.text.wordpiece import SPECIALS

PIECES = [*SPECIALS, "the", "cat", "##s", "dog", ".", "a", "e", "##e"]
TINY = bert_config(width=24, depth=3, heads=4, inner=48, max_length=32)


@pytest.fixture(scope="module")
def hub():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own imports warn of what other packages will drop
            import keras_hub
    except ImportError:
        missing("keras_hub")
    return keras_hub.models


def written(hub, folder, head):
    """Let KerasHub write a model with weights, biases and norms that matter; return it."""
    backbone = hub.BertBackbone(
        vocabulary_size=len(PIECES), num_layers=3, num_heads=4, hidden_dim=24, intermediate_dim=48,
        max_sequence_length=32,
    )  # fmt: skip
    model = hub.BertMaskedLM(backbone=backbone, preprocessor=None) if head else backbone
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    for i in range(3):  # KerasHub approximates the GELU
        dense = backbone.get_layer(f"transformer_layer_{i}")._feedforward_intermediate_dense
        dense.activation = partial(keras.activations.gelu, approximate=False)
    model.save_to_preset(str(folder))
    hub.BertTokenizer(vocabulary=PIECES, lowercase=True).save_to_preset(str(folder))
    return model


def test_what_keras_hub_writes_is_read_and_computes_the_same(hub, tmp_path):
    theirs = written(hub, tmp_path / "m", head=True)
    model = from_preset(tmp_path / "m")
    assert (model.config, model.missing_heads, model.pairs) == (TINY, ("order",), True)
    assert (model.wordpiece.pieces, model.wordpiece.rules.lowercase) == (tuple(PIECES), True)
    ids = np.random.default_rng(1).integers(0, len(PIECES), (3, 9)).astype(np.int32)
    blocks = (np.arange(9) < np.array([[9], [5], [2]])).astype(np.int32)
    places = np.arange(9, dtype=np.int32)[None].repeat(3, 0)
    rows = Rows(ids, blocks, places, np.zeros_like(ids))
    found = theirs.backbone({"token_ids": ids, "padding_mask": blocks, "segment_ids": rows.segments})
    hidden = keras.ops.convert_to_numpy(found["sequence_output"])
    np.testing.assert_allclose(model.hidden(rows)[blocks > 0], hidden[blocks > 0], atol=1e-4)
    at = np.flatnonzero(blocks.ravel()).astype(np.int32)
    head = theirs.get_layer("mlm_head")(found["sequence_output"], mask_positions=places)
    logits = keras.ops.convert_to_numpy(head).reshape(-1, len(PIECES))
    np.testing.assert_allclose(model.logits(rows, at), logits[at], atol=1e-4)


def test_an_encoder_without_heads_is_read_and_a_damaged_one_refused(hub, tmp_path):
    written(hub, tmp_path / "m", head=False)
    assert from_preset(tmp_path / "m").missing_heads == ("predict", "order")
    (tmp_path / "m" / "model.weights.h5").write_bytes(b"no")
    with pytest.raises(ModelFolderError, match=r"model\.weights\.h5: cannot be read"):
        from_preset(tmp_path / "m")


def test_another_kind_of_model_or_a_size_that_cannot_be_is_refused(hub, tmp_path):
    written(hub, tmp_path / "m", head=False)
    path = tmp_path / "m" / "config.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described | {"class_name": "AlbertBackbone"}))
    with pytest.raises(ModelFolderError, match="is a AlbertBackbone; a BertBackbone can be read"):
        from_preset(tmp_path / "m")
    path.write_text(json.dumps(described | {"config": described["config"] | {"num_layers": "3"}}))
    with pytest.raises(ModelFolderError, match="num_hidden_layers is '3'"):
        from_preset(tmp_path / "m")
    path.write_text(json.dumps(described | {"config": described["config"] | {"num_layers": 4}}))
    with pytest.raises(ModelFolderError, match=r"the weights lack encoder\.layer\.3"):
        from_preset(tmp_path / "m")
