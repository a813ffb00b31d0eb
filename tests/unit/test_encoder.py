"""The encoder as software: what it refuses, what a seed decides, what is saved, BERT's weights in and out."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from encoders import build_bert, build_encoder, from_hugging_face, to_hugging_face

from sopan.errors import ConfigError, ModelFolderError
from sopan.runtime.encoder_config import EncoderConfig, bert_config
from sopan.steps.encoder import EncoderBlock, FeedForward, LearnedPositions, SinusoidalPositions
from sopan.steps.heads import MultiHeadAttention, split_seed

SMALL = EncoderConfig(width=8, depth=2, heads=2, inner=16)
BERT = bert_config(width=8, depth=2, heads=2, inner=16, max_length=12)
MASK = np.array([[True] * 5, [True] * 3 + [False] * 2])
WORDS = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
IDS = np.arange(10).reshape(2, 5)
SEGMENTS = np.array([[0, 0, 1, 1, 1]] * 2)


def hidden(model, *inputs, **how):
    return keras.ops.convert_to_numpy(model(list(inputs), **how)["hidden"])


# ---- Config ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"heads": 3}, "3 heads cannot share a width of 8"),
        ({"heads": 0}, "0 heads"),
        ({"depth": 0}, "depth"),
        ({"inner": 0}, "inner"),
        ({"max_length": 0}, "max_length"),
        ({"segments": -1}, "segments"),
        ({"norm": "both"}, "pre, post"),
        ({"positions": "rotary"}, "none, sinusoidal, learned"),
        ({"dropout": 1.0}, "dropout"),
        ({"attention_dropout": -0.1}, "dropout"),
        ({"width": 9, "heads": 3}, "width 9 is odd"),
    ],
)
def test_refuses_what_cannot_work(wrong, said):
    with pytest.raises(ConfigError, match=said):
        replace(SMALL, **wrong)


def test_refuses_heads_that_do_not_share_the_width():
    with pytest.raises(ConfigError, match="3 heads cannot share a width of 8"):
        MultiHeadAttention(8, 3, seed=0)


def test_refuses_more_words_than_there_are_learned_positions():
    layer = LearnedPositions(4)
    layer.build((None, None, 8))
    with pytest.raises(ConfigError, match="5 words have no place among 4"):
        layer(WORDS)


# ---- Shapes and names ------------------------------------------------------------------------


def test_gives_hidden_vectors_and_the_weights_of_every_layer():
    outputs = build_encoder(SMALL, seed=0, vector_width=6)([WORDS[..., :6], MASK])
    assert outputs["hidden"].shape == (2, 5, 8)
    assert [tuple(looks.shape) for looks in outputs["attention"]] == [(2, 2, 5, 5)] * 2


def test_weights_have_the_same_names_whatever_was_built_before():
    paths = [weight.path for weight in build_encoder(SMALL, seed=0, vector_width=6).weights]
    assert paths == [weight.path for weight in build_encoder(SMALL, seed=0, vector_width=6).weights]
    assert len(set(paths)) == len(paths)
    assert paths[:4] == [
        "project/kernel",
        "project/bias",
        "block_0/attention/qkv/kernel",
        "block_0/attention/qkv/bias",
    ]
    assert paths[-2:] == ["output_norm/gamma", "output_norm/beta"]


def test_bert_has_as_many_weights_as_the_published_tiny_one():
    """Turc et al. (2019): BERT-Tiny, 2 layers of 128, has 4.4 million."""
    tiny = build_bert(bert_config(width=128, depth=2, heads=2, inner=512), 30_522, seed=0)
    assert tiny.count_params() == 4_385_920


# ---- Seeds and dropout -----------------------------------------------------------------------


def test_one_seed_gives_many_and_the_same_ones():
    assert split_seed(5, 100) == split_seed(5, 100)
    assert len({*split_seed(5, 100), *split_seed(6, 100)}) == 200


def test_a_seed_decides_the_weights():
    one, same, other = (build_bert(BERT, 10, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True) if a.std() > 0)


def test_no_two_weights_start_alike():
    starts = [
        value.ravel()[:16].tobytes()
        for value in build_bert(BERT, 10, seed=1).get_weights()
        if value.std() > 0
    ]
    assert len(set(starts)) == len(starts) == 3 + 4 * 2 + 1


def test_a_seed_decides_the_dropout():
    first, again = (build_encoder(SMALL, seed=1) for _ in range(2))
    calm = hidden(first, WORDS, MASK)
    drawn = [hidden(first, WORDS, MASK, training=True) for _ in range(2)]
    assert not np.array_equal(drawn[0], calm)
    assert not np.array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn, [hidden(again, WORDS, MASK, training=True) for _ in range(2)])
    np.testing.assert_array_equal(hidden(first, WORDS, MASK), calm)


def test_dropped_weights_are_not_read():
    layer = MultiHeadAttention(200, 1, seed=0, dropout=0.5, project_out=False)
    x = np.ones((1, 100, 200), "float32")  # all alike: each word weighs 1 / 100
    mask = np.ones((1, 100), bool)
    calm, weights = map(keras.ops.convert_to_numpy, layer(x, mask))
    loud, same_weights = map(keras.ops.convert_to_numpy, layer(x, mask, training=True))
    np.testing.assert_array_equal(same_weights, weights)
    shares = (loud / calm)[0, :, 0]  # of 100 words, those kept count double
    assert 0.8 < shares.mean() < 1.2
    assert 0.05 < shares.std() < 0.2  # √(1 / 100) by the binomial


@pytest.mark.parametrize("into", [64, 16])
def test_queries_keys_and_values_each_start_as_glorot_would_have_it(into):
    layer = MultiHeadAttention(64, 4, seed=0)
    layer.build((None, None, into))
    for kernel in np.split(layer.qkv.kernel.numpy(), 3, axis=1):
        assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / (into + 64)), rel=0.02)
    assert (layer.qkv.bias.numpy() == 0).all()


def test_berts_kernels_start_within_two_spreads_of_0():
    for weight in build_bert(BERT, 10, seed=0).weights:
        if weight.path.endswith(("kernel", "embeddings", "vectors")):
            assert 0.01 < np.abs(weight.numpy()).max() <= 0.04


# ---- Saving ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [
        MultiHeadAttention(8, 2, seed=3, dropout=0.1, causal=True, project_out=False, initial_std=0.1),
        LearnedPositions(9, initializer=keras.initializers.TruncatedNormal(seed=3)),
        SinusoidalPositions(),
        FeedForward(16, seed=3, initial_std=0.1),
        EncoderBlock(replace(SMALL, causal=True), seed=3),
    ],
    ids=lambda layer: layer.name,
)
def test_a_layer_is_made_again_from_its_config(layer):
    twin = keras.layers.deserialize(keras.layers.serialize(layer))
    assert twin.get_config() == layer.get_config()
    takes_mask = isinstance(layer, MultiHeadAttention | EncoderBlock)
    for one in (layer, twin):
        one(WORDS, MASK) if takes_mask else one(WORDS)
    for a, b in zip(layer.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_saved_model_gives_the_same_bits(tmp_path):
    encoder, bert = build_encoder(SMALL, seed=0, vector_width=8), build_bert(BERT, 10, seed=0)
    for model, inputs in ((encoder, [WORDS, MASK]), (bert, [IDS, MASK, SEGMENTS])):
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(hidden(loaded, *inputs), hidden(model, *inputs))
        assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_is_near_and_finite(policy):
    exact = hidden(build_encoder(SMALL, seed=0), WORDS, MASK)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        half = build_encoder(SMALL, seed=0)
    finally:
        keras.config.set_dtype_policy(before)
    near = keras.ops.convert_to_numpy(keras.ops.cast(half([WORDS, MASK])["hidden"], "float32"))
    np.testing.assert_allclose(near, exact, atol=0.1)
    nothing = keras.ops.cast(half([WORDS, np.zeros_like(MASK)])["hidden"], "float32")
    assert np.isfinite(keras.ops.convert_to_numpy(nothing)).all()


# ---- BERT's weights in and out ---------------------------------------------------------------


def test_weights_go_out_and_in_under_names_old_and_new():
    one, other = build_bert(BERT, 10, seed=1), build_bert(BERT, 10, seed=2)
    tensors = to_hugging_face(one)
    assert tensors["encoder.layer.1.intermediate.dense.weight"].shape == (16, 8)
    query = one.get_layer("encoder").get_layer("block_1").attention.qkv.kernel.numpy()[:, :8]
    np.testing.assert_array_equal(tensors["encoder.layer.1.attention.self.query.weight"], query.T)
    endings = (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
    old = tensors
    for new_name, old_name in endings:
        old = {name.replace(new_name, old_name): value for name, value in old.items()}
    old = {f"bert.{name}": value for name, value in old.items()}
    heads = {"cls.predictions.bias": np.zeros(10)}
    assert from_hugging_face(other, {**old, **heads}) == ["cls.predictions.bias"]
    np.testing.assert_array_equal(hidden(other, IDS, MASK, SEGMENTS), hidden(one, IDS, MASK, SEGMENTS))


def test_weights_that_lack_or_do_not_fit_change_nothing():
    model = build_bert(BERT, 10, seed=1)
    before = to_hugging_face(model)
    tensors = {name: value + 1 for name, value in before.items()}
    name = "encoder.layer.0.attention.self.key.weight"
    for wrong, said in ((tensors[name][:4], r"key.weight has shape \(4, 8\)"), (None, "lack .*key.weight")):
        given = {**tensors, name: wrong}
        if wrong is None:
            del given[name]
        with pytest.raises(ModelFolderError, match=said):
            from_hugging_face(model, given)
        for kept, value in to_hugging_face(model).items():
            np.testing.assert_array_equal(value, before[kept])
