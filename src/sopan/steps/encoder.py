"""The Transformer's encoder: places, then block upon block of self-attention and feed-forward.

    vectors (B, T, D) -> project to `width` if D differs -> + segments -> + positions -> norm (BERT) -> drop
    (ELECTRA projects last, and MPNet adds to all scores a number for the distance between two words)
    `depth` times:  x + attention, x + feed-forward, normalised before (pre) or after (post) each
    -> normalise (pre) -> hidden (B, T, width), and each layer's weights (B, H, T, T)

With `bert_config`, number for number as Hugging Face's `BertModel`; `sopan.steps.families` names others.

Sources: A. Vaswani et al., "Attention Is All You Need" (2017), section 3; R. Xiong et al., "On Layer
Normalization in the Transformer Architecture" (2020) for where to normalise; J. Devlin et al., "BERT" (2019);
K. Song et al., "MPNet" (2020), as its authors' code has it, for distances.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Self

import keras
from keras import ops

from sopan.errors import ConfigError
from sopan.runtime.encoder_config import FARTHEST, EncoderConfig, distance_buckets, sinusoid_rates
from sopan.steps.heads import MultiHeadAttention, kernel_initializer, split_seed
from sopan.types import Tensor

# ---- Layers ----------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("sopan")
class SinusoidalPositions(keras.layers.Layer):  # type: ignore[misc]  # an untyped base
    """Add to each word sines and cosines of its place: Vaswani et al. (2017), section 3.5."""

    def call(self, x: Tensor, places: Tensor | None = None) -> Tensor:
        """Return x (B, T, D) with its places added, 0 … T - 1 or those given (B, T); D is even."""
        width = x.shape[-1]
        place = ops.arange(ops.shape(x)[1])[None] if places is None else places  # (1 or B, T)
        rate = ops.convert_to_tensor(sinusoid_rates(width))  # (D / 2,)
        angle = ops.cast(place, "float32")[..., None] * rate
        pairs = ops.stack([ops.sin(angle), ops.cos(angle)], axis=-1)  # (1 or B, T, D / 2, 2)
        return x + ops.cast(ops.reshape(pairs, (*ops.shape(place), width)), x.dtype)


@keras.saving.register_keras_serializable("sopan")
class LearnedPositions(keras.layers.Layer):  # type: ignore[misc]  # an untyped base
    """Add to each word a vector learnt for its place, as BERT does.

    Args:
        max_length: the most places there are.
        initializer: how the vectors start.
    """

    def __init__(
        self,
        max_length: int,
        *,
        initializer: str | keras.initializers.Initializer = "uniform",
        **kwargs: object,
    ):
        super().__init__(**kwargs)
        self.max_length = max_length
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the vectors (max_length, D)."""
        shape = (self.max_length, input_shape[-1])
        self.vectors = self.add_weight(shape=shape, initializer=self.initializer, name="vectors")

    def call(self, x: Tensor, places: Tensor | None = None) -> Tensor:
        """Return x (B, T, D) with its places added: 0 … T - 1, or those given (B, T), below `max_length`."""
        if places is not None:
            return x + ops.cast(ops.take(self.vectors, places, axis=0), x.dtype)
        length = ops.shape(x)[1]
        if isinstance(length, int) and length > self.max_length:
            raise ConfigError(f"{length} words have no place among {self.max_length} learned positions")
        return x + self.vectors[:length]

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...], places_shape: tuple[int | None, ...] | None = None
    ) -> tuple[int | None, ...]:
        """Say that x keeps its shape (B, T, D): Keras would try a T longer than there are places."""
        return x_shape

    def get_config(self) -> dict[str, object]:
        """Return the arguments that made this layer."""
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "max_length": self.max_length, "initializer": initializer}


@keras.saving.register_keras_serializable("sopan")
class DistanceBias(keras.layers.Layer):  # type: ignore[misc]  # an untyped base
    """Gives what the distance between two words adds to the score of one for the other, head by head.

    Args:
        heads: H.
        buckets: kinds of distance; see `sopan.runtime.encoder_config.distance_buckets`.
        seed: decides the initial numbers.
    """

    def __init__(self, heads: int, buckets: int, *, seed: int, **kwargs: object):
        super().__init__(**kwargs)
        self.heads, self.buckets, self.seed = heads, buckets, seed

    def build(self, *shapes: tuple[int | None, ...]) -> None:
        """Make the numbers (buckets, H)."""
        self.embeddings = self.add_weight(
            shape=(self.buckets, self.heads), initializer=embedding_initializer(self.seed), name="embeddings"
        )

    def call(self, x: Tensor, places: Tensor | None = None) -> Tensor:
        """Return (1 or B, H, T, T) for words x (B, T, D) at places 0 … T - 1, or those given (B, T)."""
        place = ops.arange(ops.shape(x)[1], dtype="int32")[None] if places is None else places
        distance = place[:, None, :] - place[:, :, None]  # (1 or B, T, T): from the query to the key
        far = ops.clip(distance, -FARTHEST, FARTHEST) + FARTHEST
        table = ops.take(self.embeddings, distance_buckets(FARTHEST + 1, self.buckets), axis=0)
        return ops.transpose(ops.take(table, far, axis=0), (0, 3, 1, 2))

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...], places_shape: tuple[int | None, ...] | None = None
    ) -> tuple[int | None, ...]:
        """Return the shape of the bias."""
        texts = 1 if places_shape is None else places_shape[0]
        return (texts, self.heads, x_shape[1], x_shape[1])

    def get_config(self) -> dict[str, object]:
        """Return the arguments that made this layer."""
        return {**super().get_config(), "heads": self.heads, "buckets": self.buckets, "seed": self.seed}


@keras.saving.register_keras_serializable("sopan")
class FeedForward(keras.layers.Layer):  # type: ignore[misc]  # an untyped base
    """Widen each word, bend it by the exact GELU, and narrow it again: Vaswani et al. (2017), eq. 2.

    Args:
        inner: width in the middle.
        seed: decides the initial weights.
        initial_std: see `EncoderConfig`.
    """

    def __init__(self, inner: int, *, seed: int, initial_std: float | None = None, **kwargs: object):
        super().__init__(**kwargs)
        self.inner, self.seed, self.initial_std = inner, seed, initial_std

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights for x of shape (B, T, D)."""
        width = int(input_shape[-1] or 0)
        up, down = (kernel_initializer(seed, self.initial_std) for seed in split_seed(self.seed, 2))
        policy = self.dtype_policy
        self.up = keras.layers.Dense(self.inner, kernel_initializer=up, name="up", dtype=policy)
        self.down = keras.layers.Dense(width, kernel_initializer=down, name="down", dtype=policy)
        self.up.build((None, None, width))
        self.down.build((None, None, self.inner))

    def call(self, x: Tensor) -> Tensor:
        """Return (B, T, D) for x (B, T, D)."""
        return self.down(keras.activations.gelu(self.up(x), approximate=False))

    def get_config(self) -> dict[str, object]:
        """Return the arguments that made this layer."""
        own = {"inner": self.inner, "seed": self.seed, "initial_std": self.initial_std}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("sopan")
class EncoderBlock(keras.layers.Layer):  # type: ignore[misc]  # an untyped base
    """Self-attention, then feed-forward, each added to its own input: Vaswani et al. (2017), section 3.1.

    Args:
        config: what the encoder is made of.
        seed: decides the initial weights and the dropout.
    """

    def __init__(self, config: EncoderConfig, *, seed: int, **kwargs: object):
        super().__init__(**kwargs)
        self.config, self.seed = config, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights for x of shape (B, T, D)."""
        config, policy = self.config, self.dtype_policy
        attention, feed_forward, *drops = split_seed(self.seed, 4)
        self.attention = MultiHeadAttention(
            int(input_shape[-1] or 0),
            config.heads,
            seed=attention,
            dropout=config.attention_dropout,
            causal=config.causal,
            initial_std=config.initial_std,
            name="attention",
            dtype=policy,
        )
        self.feed_forward = FeedForward(
            config.inner,
            seed=feed_forward,
            initial_std=config.initial_std,
            name="feed_forward",
            dtype=policy,
        )
        self.norms = [
            keras.layers.LayerNormalization(epsilon=config.epsilon, name=f"{of}_norm", dtype=policy)
            for of in ("attention", "feed_forward")
        ]
        self.drops = [keras.layers.Dropout(config.dropout, seed=one, dtype=policy) for one in drops]
        for layer in (self.attention, self.feed_forward, *self.norms):
            layer.build(input_shape)

    def call(
        self, x: Tensor, mask: Tensor, bias: Tensor | None = None, training: bool | None = None
    ) -> tuple[Tensor, Tensor]:
        """Apply self-attention, then the feed-forward to each word by itself.

        Args:
            x: (B, T, D) float.
            mask, bias: (B, T) or (B, T, T) bool, and (1 or B, H, T, T): see `MultiHeadAttention.call`.
            training: whether anything is dropped.

        Returns:
            (B, T, D), and the attention weights (B, H, T, T).
        """
        pre = self.config.norm == "pre"
        (first, second), (drop, drop_again) = self.norms, self.drops
        read, weights = self.attention(first(x) if pre else x, mask, bias, training=training)
        x = x + drop(read, training=training)
        x = x if pre else first(x)
        x = x + drop_again(self.feed_forward(second(x) if pre else x), training=training)
        return (x if pre else second(x)), weights

    def get_config(self) -> dict[str, object]:
        """Return the arguments that made this layer."""
        return {**super().get_config(), "config": asdict(self.config), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make the layer that gave this."""
        return cls(**{**config, "config": EncoderConfig(**config["config"])})


# ---- Functional model ------------------------------------------------------------------------


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
    hidden, attention = encode_blocks(vectors, mask, segments, places, config=config, seed=seed)
    return hidden[-1], attention


def encode_blocks(
    vectors: Tensor,
    mask: Tensor,
    segments: Tensor | None = None,
    places: Tensor | None = None,
    *,
    config: EncoderConfig,
    seed: int,
    blocks: int | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """Make the lowest so many `blocks` of an encoder, or all; further arguments are those of `encode`.

    Returns:
        What comes out of each block (B, T, width), and its weights (B, H, T, T), lowest first.
    """
    of_project, of_positions, of_segments, of_drop, *of_blocks = split_seed(seed, 4 + config.depth)
    start = kernel_initializer(of_project, config.initial_std)
    project = keras.layers.Dense(config.width, kernel_initializer=start, name="project")
    x = vectors
    if config.embedding_width is None and x.shape[-1] != config.width:
        x = project(x)
    if segments is not None:
        start = embedding_initializer(of_segments)
        kinds = keras.layers.Embedding(config.segments, x.shape[-1], start, name="segment_vectors")(segments)
        x = keras.layers.Add(name="add_segments")([x, kinds])
    if config.positions == "sinusoidal":
        x = SinusoidalPositions(name="positions")(x, places)
    if config.positions == "learned":
        start = embedding_initializer(of_positions)
        x = LearnedPositions(config.max_length, initializer=start, name="positions")(x, places)
    if config.input_norm:
        x = keras.layers.LayerNormalization(epsilon=config.epsilon, name="input_norm")(x)
    x = keras.layers.Dropout(config.dropout, seed=of_drop, name="input_drop")(x)
    if config.embedding_width is not None:
        x = project(x)
    bias = None
    if config.buckets:
        bias = DistanceBias(config.heads, config.buckets, seed=of_positions, name="distances")(x, places)
    hidden, attention = [], []
    for i, of_block in enumerate(of_blocks[:blocks]):
        x, weights = EncoderBlock(config, seed=of_block, name=f"block_{i}")(x, mask, bias)
        hidden.append(x)
        attention.append(weights)
    if config.norm == "pre" and len(hidden) == config.depth:  # the last sum has not been normalised yet
        hidden[-1] = keras.layers.LayerNormalization(epsilon=config.epsilon, name="output_norm")(x)
    return hidden, attention


def embedding_initializer(seed: int) -> keras.initializers.Initializer:
    """Return how vectors of words, segments and places start: truncated normal of spread 0.02, as BERT's."""
    return keras.initializers.TruncatedNormal(stddev=0.02, seed=seed)
