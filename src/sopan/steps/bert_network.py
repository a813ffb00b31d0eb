"""A BERT that tells classes apart: the encoder of a language model, a summary of what it read, and logits.

    ids (B, T) -> piece vectors -> encoder -> hidden (B, T, width)
    `cls`: pooler over the first piece, as BERT's; `mean`: mean of the pieces -> vector (B, width) -> logits

Sources: J. Devlin et al., "BERT" (2019), section 4; for rates that differ from layer to layer J. Howard and
S. Ruder, "Universal Language Model Fine-tuning for Text Classification" (2018), section 3.2.
"""

from __future__ import annotations

from typing import Literal

import keras
from keras import ops

from sopan.runtime.encoder_config import EncoderConfig
from sopan.steps.encoder import embedding_initializer, encode
from sopan.steps.heads import kernel_initializer, split_seed
from sopan.steps.layers import summarise

PieceSummary = Literal["cls", "mean"]

HEAD = ("pooler/", "logits/")
"""Beginnings of the paths of weights that a language model need not have."""
EMBEDDINGS = ("words/", "positions/", "segment_vectors/", "input_norm/", "project/")
"""Beginnings of the paths of the lowest layer."""


# ---- Functional model ------------------------------------------------------------------------


def build_classifier(
    config: EncoderConfig, vocabulary: int, n_classes: int, *, summary: PieceSummary, seed: int
) -> keras.Model:
    """Build a classifier over pieces, with weights under the same paths as `build_language_model`.

    Args:
        config: from `bert_config`; its `dropout` is also that of the summary.
        vocabulary: V.
        n_classes: C.
        summary: what becomes of the pieces.
        seed: decides the initial weights and the dropout.

    Returns:
        A model from [ids (B, T) int32, mask (B, T) bool] to {"logits": (B, C), "vector": (B, width),
        "attention": depth times (B, H, T, T)}, all float32. Its layer `words` holds the vectors of pieces,
        its layer `body` goes from these to the results.
    """
    of_words, of_encoder, of_pooler, of_drop, of_logits = split_seed(seed, 5)
    vectors = keras.Input((None, config.width), name="vectors")
    mask = keras.Input((None,), dtype="bool", name="mask")
    segments = ops.zeros_like(mask, dtype="int32") if config.segments else None
    hidden, attention = encode(vectors, mask, segments, config=config, seed=of_encoder)
    vector = summarise(hidden, mask, summary, seed=0)  # neither way has weights
    if summary == "cls":
        start = kernel_initializer(of_pooler, config.initial_std)
        vector = keras.layers.Dense(config.width, "tanh", kernel_initializer=start, name="pooler")(vector)
    dropped = keras.layers.Dropout(config.dropout, seed=of_drop, name="drop_out")(vector)
    start = kernel_initializer(of_logits, config.initial_std)
    logits = keras.layers.Dense(n_classes, kernel_initializer=start, name="logits")(dropped)
    outputs = {"logits": logits, "vector": vector, "attention": attention}
    outputs = keras.tree.map_structure(lambda output: ops.cast(output, "float32"), outputs)
    body = keras.Model([vectors, mask], outputs, name="body")

    ids = keras.Input((None,), dtype="int32", name="ids")
    seen = keras.Input((None,), dtype="bool", name="mask")
    words = keras.layers.Embedding(vocabulary, config.width, embedding_initializer(of_words), name="words")
    return keras.Model([ids, seen], body([words(ids), seen]), name="bert")


# ---- Learning ---------------------------------------------------------------------------------


def layer_rates(depth: int, layer_decay: float) -> tuple[tuple[str, float], ...]:
    """Say by how much slower each layer learns than the head: by `layer_decay` for every layer between.

    Args:
        depth: blocks of the encoder.
        layer_decay: 1: all learn alike, and nothing is returned.
    """
    if layer_decay == 1:
        return ()
    blocks = tuple((f"block_{i}/", layer_decay ** (depth - i)) for i in range(depth))
    lowest = tuple((start, layer_decay ** (depth + 1)) for start in EMBEDDINGS)
    return (*blocks, *lowest, ("output_norm/", layer_decay))


def freeze(network: keras.Model, layers: int) -> None:
    """Keep the lowest layers from learning.

    Args:
        network: from `build_classifier`.
        layers: how many: the vectors of pieces and places are the first, then come the blocks.
    """
    if layers == 0:
        return
    frozen = EMBEDDINGS + tuple(f"block_{i}/" for i in range(layers - 1))
    network.get_layer("words").trainable = False
    for layer in network.get_layer("body").layers:
        if f"{layer.name}/".startswith(frozen):
            layer.trainable = False
