"""KerasHub's presets: it loads ours, we load its, and both compute the same."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
from conftest import missing

from sopan.errors import ConfigError, ModelFolderError
from sopan.lm.keras_hub import save_keras_hub
from sopan.steps.encoder_config import bert_config
from sopan.steps.language_model import LanguageModel
from sopan.steps.presets import from_preset
from sopan.text.packing import Rows
from sopan.text.wordpiece import SPECIALS, WordPiece

PIECES = [*SPECIALS, "the", "cat", "##s", "dog", ".", "a", "e", "##e"]
TINY = bert_config(width=24, depth=3, heads=4, inner=48, max_length=32)


def random_model(config=TINY, *, pairs=True, **rules):
    model = LanguageModel.make(config, WordPiece.of(PIECES, **rules), seed=0, pairs=pairs)
    rng = np.random.default_rng(0)
    model.set_weights({path: rng.normal(0, 0.3, array.shape) for path, array in model.weights().items()})
    return model


@pytest.fixture(scope="module")
def hub():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own imports warn of what other packages will drop
            import keras_hub
    except ImportError:
        missing("keras_hub")
    return keras_hub.models


def loaded(cls, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls.from_preset(str(folder))


def test_keras_hub_loads_what_we_write(hub, tmp_path):
    model = random_model()
    save_keras_hub(model, tmp_path / "m")
    backbone = loaded(hub.BertBackbone, tmp_path / "m")
    for i in range(TINY.depth):  # KerasHub approximates the GELU
        dense = backbone.get_layer(f"transformer_layer_{i}")._feedforward_intermediate_dense
        dense.activation = partial(keras.activations.gelu, approximate=False)
    ids = np.random.default_rng(1).integers(0, len(PIECES), (3, 9)).astype(np.int32)
    blocks = (np.arange(9) < np.array([[9], [5], [2]])).astype(np.int32)
    places = np.arange(9, dtype=np.int32)[None].repeat(3, 0)
    rows = Rows(ids, blocks, places, np.zeros_like(ids))
    theirs = backbone({"token_ids": ids, "padding_mask": blocks, "segment_ids": rows.segments})
    expected = keras.ops.convert_to_numpy(theirs["sequence_output"])
    np.testing.assert_allclose(model.hidden(rows)[blocks > 0], expected[blocks > 0], atol=1e-4)
    head = loaded(hub.MaskedLM, tmp_path / "m").get_layer("mlm_head")
    at = np.flatnonzero(blocks.ravel()).astype(np.int32)
    logits = keras.ops.convert_to_numpy(head(theirs["sequence_output"], mask_positions=places))
    np.testing.assert_allclose(model.logits(rows, at), logits.reshape(-1, len(PIECES))[at], atol=1e-4)
    tokenizer = loaded(hub.BertTokenizer, tmp_path / "m")
    assert list(tokenizer.get_vocabulary()) == PIECES


@pytest.mark.parametrize("pairs", [True, False])
def test_weights_come_back_bit_for_bit(tmp_path, pairs):
    model = random_model(pairs=pairs, accents="keep")
    save_keras_hub(model, tmp_path / "m")
    again = from_preset(tmp_path / "m")
    assert (again.config, again.missing_heads, again.pairs) == (TINY, ("order",), True)
    assert (again.wordpiece.pieces, again.wordpiece.rules.accents) == (tuple(PIECES), "keep")
    found = again.weights()
    for path, array in model.weights().items():
        if not path.startswith("order/"):
            np.testing.assert_array_equal(found[path], array)
    if not pairs:
        np.testing.assert_array_equal(found["pooler/kernel"], np.eye(24))


def test_we_load_what_keras_hub_writes(hub, tmp_path):
    backbone = loaded_from_nothing(hub)
    backbone.save_to_preset(str(tmp_path / "m"))
    hub.BertTokenizer(vocabulary=PIECES, lowercase=True).save_to_preset(str(tmp_path / "m"))
    model = from_preset(tmp_path / "m")
    assert model.missing_heads == ("predict", "order")
    table = keras.ops.convert_to_numpy(backbone.get_layer("token_embedding").embeddings)
    np.testing.assert_array_equal(model.weights()["words/embeddings"], table)
    assert model.wordpiece.rules.lowercase
    (tmp_path / "m" / "model.weights.h5").write_bytes(b"no")
    with pytest.raises(ModelFolderError, match="its weights cannot be read"):
        from_preset(tmp_path / "m")


def loaded_from_nothing(hub):
    return hub.BertBackbone(
        vocabulary_size=len(PIECES),
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=12,
        max_sequence_length=16,
    )


def test_what_keras_hub_lacks_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="KerasHub has no causal BERT; write it for Hugging Face"):
        save_keras_hub(random_model(replace(TINY, causal=True)), tmp_path / "m")
    with pytest.raises(ConfigError, match="strips accents from alphabets only"):
        save_keras_hub(random_model(accents="strip-alphabets"), tmp_path / "m")
    assert not (tmp_path / "m").exists()
