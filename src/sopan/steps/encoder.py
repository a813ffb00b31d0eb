"""The Transformer's encoder: places, then block upon block of self-attention and feed-forward.

    vectors (B, T, D) -> project to `width` if D differs -> + segments -> + positions -> norm (BERT) -> drop
    `depth` times:  x + attention, x + feed-forward, normalised before (pre) or after (post) each
    -> normalise (pre) -> hidden (B, T, width), and each layer's weights (B, H, T, T)

`build_bert` puts word ids before it and a pooler behind it, number for number as Hugging Face's `BertModel`.

Sources: A. Vaswani et al., "Attention Is All You Need" (2017), section 3.1; J. Devlin et al., "BERT" (2019).
"""

from __future__ import annotations

import keras

from sopan.steps.attend import Tensor
from sopan.steps.blocks import EncoderBlock, LearnedPositions, SinusoidalPositions
from sopan.steps.encoder_config import EncoderConfig
from sopan.steps.heads import kernel_initializer, seeds

# ---- Functional models -----------------------------------------------------------------------


def build_encoder(config: EncoderConfig, *, seed: int, vector_width: int | None = None) -> keras.Model:
    """Build the encoder of word vectors.

    Args:
        config: what it is made of.
        seed: decides the initial weights and the dropout.
        vector_width: D of the vectors that come in; where it is not `config.width`, a layer `project` makes
            it so.

    Returns:
        A model `encoder` from [vectors (B, T, D), mask (B, T) bool], and segments (B, T) int32 third if the
        configuration has some, to {"hidden": (B, T, width), "attention": depth times (B, H, T, T)}.
    """
    vectors = keras.Input((None, vector_width or config.width), name="vectors")
    mask = keras.Input((None,), dtype="bool", name="mask")
    segments = keras.Input((None,), dtype="int32", name="segments") if config.segments else None
    hidden, attention = encode(vectors, mask, segments, config=config, seed=seed)
    inputs = [one for one in (vectors, mask, segments) if one is not None]
    return keras.Model(inputs, {"hidden": hidden, "attention": attention}, name="encoder")


def encode(
    vectors: Tensor,
    mask: Tensor,
    segments: Tensor | None = None,
    places: Tensor | None = None,
    *,
    config: EncoderConfig,
    seed: int,
) -> tuple[Tensor, list[Tensor]]:
    """Make the encoder's layers and lead symbolic inputs through them, as part of a functional model.

    Args:
        vectors: (B, T, D), the words.
        mask: (B, T) bool, False hides a word from all; or (B, T, T) bool, False hides word k from word q.
        segments: (B, T) int32, each less than `config.segments`; None where there are none.
        places: (B, T) int32, where several texts share a row; None: 0 … T - 1.
        config: what the encoder is made of.
        seed: decides the initial weights and the dropout.

    Returns:
        hidden (B, T, width), and each layer's weights (B, H, T, T), lowest first.
    """
    of_project, of_positions, of_segments, of_drop, *of_blocks = seeds(seed, 4 + config.depth)
    x = vectors
    if x.shape[-1] != config.width:
        start = kernel_initializer(of_project, config.initial_std)
        x = keras.layers.Dense(config.width, kernel_initializer=start, name="project")(x)
    if segments is not None:
        start = embedding_initializer(of_segments)
        kinds = keras.layers.Embedding(config.segments, config.width, start, name="segment_vectors")(segments)
        x = keras.layers.Add(name="add_segments")([x, kinds])
    if config.positions == "sinusoidal":
        x = SinusoidalPositions(name="positions")(x, places)
    if config.positions == "learned":
        start = embedding_initializer(of_positions)
        x = LearnedPositions(config.max_length, initializer=start, name="positions")(x, places)
    if config.input_norm:
        x = keras.layers.LayerNormalization(epsilon=config.epsilon, name="input_norm")(x)
    x = keras.layers.Dropout(config.dropout, seed=of_drop, name="input_drop")(x)
    attention = []
    for i, of_block in enumerate(of_blocks):
        x, weights = EncoderBlock(config, seed=of_block, name=f"block_{i}")(x, mask)
        attention.append(weights)
    if config.norm == "pre":  # the last sum has not been normalised yet
        x = keras.layers.LayerNormalization(epsilon=config.epsilon, name="output_norm")(x)
    return x, attention


def build_bert(config: EncoderConfig, vocabulary: int, *, seed: int) -> keras.Model:
    """Build the encoder of word ids as BERT has it; `sopan.steps.bert_layout` carries weights in and out.

    Args:
        config: from `bert_config`.
        vocabulary: V, how many words there are.
        seed: decides the initial weights and the dropout.

    Returns:
        A model `bert` from [ids (B, T) int32, mask (B, T) bool], and segments (B, T) int32 third if the
        configuration has some, to {"hidden": (B, T, width), "pooled": (B, width), from the first word,
        "attention": depth times (B, H, T, T)}. Its layer `words` holds the word vectors (V, width), its
        layer `encoder` is what `build_encoder` gives.
    """
    of_words, of_encoder, of_pooler = seeds(seed, 3)
    ids = keras.Input((None,), dtype="int32", name="ids")
    mask = keras.Input((None,), dtype="bool", name="mask")
    segments = [keras.Input((None,), dtype="int32", name="segments")] if config.segments else []
    words = keras.layers.Embedding(vocabulary, config.width, embedding_initializer(of_words), name="words")
    outputs = build_encoder(config, seed=of_encoder)([words(ids), mask, *segments])
    start = kernel_initializer(of_pooler, config.initial_std)
    pooler = keras.layers.Dense(config.width, "tanh", kernel_initializer=start, name="pooler")
    outputs = {**outputs, "pooled": pooler(outputs["hidden"][:, 0])}
    return keras.Model([ids, mask, *segments], outputs, name="bert")


def embedding_initializer(seed: int) -> keras.initializers.Initializer:
    """Return how vectors of words, segments and places start: truncated normal of spread 0.02, as BERT's."""
    return keras.initializers.TruncatedNormal(stddev=0.02, seed=seed)
