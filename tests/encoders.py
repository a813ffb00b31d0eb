"""Encoders as whole Keras models, for tests of what they are made of; BERT's weights in and out of models."""

from __future__ import annotations

import keras

from sopan.steps import bert_layout
from sopan.steps.encoder import embedding_initializer, encode
from sopan.steps.heads import kernel_initializer, split_seed
from sopan.steps.layers import get_weights


def build_encoder(config, *, seed, vector_width=None):
    """`[vectors (B, T, D), mask (B, T)]`, and segments if there are some, to `hidden` and `attention`."""
    vectors = keras.Input((None, vector_width or config.width), name="vectors")
    mask = keras.Input((None,), dtype="bool", name="mask")
    segments = keras.Input((None,), dtype="int32", name="segments") if config.segments else None
    hidden, attention = encode(vectors, mask, segments, config=config, seed=seed)
    inputs = [one for one in (vectors, mask, segments) if one is not None]
    return keras.Model(inputs, {"hidden": hidden, "attention": attention}, name="encoder")


def build_bert(config, vocabulary, *, seed):
    """`[ids (B, T), mask (B, T)]`, and segments if there are some, to `hidden`, `pooled` and `attention`."""
    of_words, of_encoder, of_pooler = split_seed(seed, 3)
    ids = keras.Input((None,), dtype="int32", name="ids")
    mask = keras.Input((None,), dtype="bool", name="mask")
    segments = [keras.Input((None,), dtype="int32", name="segments")] if config.segments else []
    words = keras.layers.Embedding(vocabulary, config.width, embedding_initializer(of_words), name="words")
    outputs = build_encoder(config, seed=of_encoder)([words(ids), mask, *segments])
    start = kernel_initializer(of_pooler, config.initial_std)
    pooler = keras.layers.Dense(config.width, "tanh", kernel_initializer=start, name="pooler")
    outputs = {**outputs, "pooled": pooler(outputs["hidden"][:, 0])}
    return keras.Model([ids, mask, *segments], outputs, name="bert")


def to_hugging_face(model):
    """Return a model's weights under Hugging Face's names."""
    return bert_layout.to_hugging_face(get_weights(model))


def from_hugging_face(model, tensors):
    """Give a model weights with Hugging Face's names; return the names that were not used."""
    shapes = {weight.path: tuple(weight.shape) for weight in model.weights}
    values, unused = bert_layout.from_hugging_face(tensors, shapes)
    for weight in model.weights:
        weight.assign(values[weight.path])
    return unused
