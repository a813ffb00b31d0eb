"""Language models over the encoder: which piece belongs in a blank, or comes next.

    ids (B, T), blocks (B, T) -> word vectors -> encoder -> the asked places (P, D)
    -> dense, GELU, norm -> fit with each word vector (tied: Press & Wolf 2017) + bias -> logits (P, V)

Masked, a word sees both sides (Devlin et al. 2019, "BERT", section 3.1); causal, only what stands before it.
Several texts may share a row: a word sees its own block only, and places count from each block's start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import keras
import numpy as np
from keras import ops

from sopan.errors import ModelFolderError
from sopan.options.language import Objective, Precision
from sopan.runtime.encoder_config import EncoderConfig
from sopan.steps.encoder import embedding_initializer, encode
from sopan.steps.heads import kernel_initializer, split_seed
from sopan.steps.layers import computing_in, get_weights, set_weights
from sopan.text.packing import Rows
from sopan.text.piece_tokenizer import PieceTokenizer
from sopan.training.backend import make_forward
from sopan.training.quiet import quiet
from sopan.types import Array, Arrays, Float32Array, Int32Array, Tensor

# ---- Layers ----------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("sopan")
class Bias(keras.layers.Layer):  # type: ignore[misc]  # an untyped base
    """Adds a learned number to each column."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the numbers (V,) for x of shape (P, V)."""
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, x: Tensor) -> Tensor:
        """Return x (P, V) + bias."""
        return x + ops.cast(self.bias, x.dtype)


# ---- Functional model ------------------------------------------------------------------------


def build_language_model(
    config: EncoderConfig, vocabulary: int, *, seed: int, pairs: bool = False
) -> keras.Model:
    """Build a language model with the weights of BERT; `sopan.steps.bert_layout` carries them in and out.

    Args:
        config: from `bert_config`; `causal` decides what a word may see.
        vocabulary: V, how many pieces there are.
        seed: decides the initial weights and the dropout.
        pairs: with a pooler and a head that says whether two texts belong together.

    Returns:
        A model from [ids, blocks, places, segments (each (B, T) int32), at (P,) int32], and firsts (S,)
        int32 last with `pairs`, to {"logits": (P, V), "hidden": (B, T, width), "attention": depth times
        (B, H, T, T)}, and "order" (S, 2) with `pairs`. `at` and `firsts` count through B · T; the latter
        are the places of the pairs' `[CLS]`.
    """
    of_words, of_encoder, of_pooler, of_predict, of_order = split_seed(seed, 5)
    grid = [keras.Input((None,), dtype="int32", name=n) for n in ("ids", "blocks", "places", "segments")]
    ids, blocks, places, segments = grid
    at = keras.Input((), dtype="int32", name="at")
    words = keras.layers.ReversibleEmbedding(
        vocabulary, config.embedded, embeddings_initializer=embedding_initializer(of_words), name="words"
    )
    mask = ops.logical_and(ops.equal(blocks[:, :, None], blocks[:, None, :]), (blocks > 0)[:, None, :])
    hidden, attention = encode(
        words(ids), mask, segments if config.segments else None, places, config=config, seed=of_encoder
    )
    flat = ops.reshape(hidden, (-1, config.width))
    start = kernel_initializer(of_predict, config.initial_std)
    asked = keras.layers.Dense(config.embedded, kernel_initializer=start, name="predict")(
        ops.take(flat, at, axis=0)
    )
    asked = keras.activations.gelu(asked, approximate=False)
    asked = keras.layers.LayerNormalization(epsilon=config.epsilon, name="predict_norm")(asked)
    logits = Bias(name="predict_bias")(words(asked, reverse=True))
    outputs = {"logits": logits, "hidden": hidden, "attention": attention}
    if not pairs:
        return keras.Model([*grid, at], outputs, name="language_model")
    firsts = keras.Input((), dtype="int32", name="firsts")
    start = kernel_initializer(of_pooler, config.initial_std)
    pooler = keras.layers.Dense(config.width, "tanh", kernel_initializer=start, name="pooler")
    start = kernel_initializer(of_order, config.initial_std)
    order = keras.layers.Dense(2, kernel_initializer=start, name="order")
    outputs["order"] = order(pooler(ops.take(flat, firsts, axis=0)))
    return keras.Model([*grid, at, firsts], outputs, name="language_model")


# ---- The whole -------------------------------------------------------------------------------


@dataclass(eq=False)
class LanguageModel:
    """A language model with the pieces that it reads.

    Args:
        config: of its encoder; `config.causal` says which kind it is.
        wordpiece: cuts texts.
        network: from `build_language_model`.
        pairs: whether it has a pooler and a head for pairs of texts.
        missing_heads: heads that a folder lacked, so that they hold initial weights: `predict`, `order`.
    """

    config: EncoderConfig
    wordpiece: PieceTokenizer
    network: keras.Model
    pairs: bool = False
    missing_heads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._logits = make_forward(self.network, ["logits"])
        self._hidden = make_forward(self.network, ["hidden"])

    @classmethod
    def make(
        cls,
        config: EncoderConfig,
        wordpiece: PieceTokenizer,
        *,
        seed: int,
        pairs: bool = False,
        precision: Precision = "float32",
    ) -> Self:
        """Make one with initial weights."""
        with quiet(), computing_in(precision):
            network = build_language_model(config, len(wordpiece), seed=seed, pairs=pairs)
        return cls(config, wordpiece, network, pairs)

    @property
    def objective(self) -> Objective:
        """Whether it fills blanks or predicts the next piece."""
        return "causal" if self.config.causal else "masked"

    def weights(self) -> dict[str, Array]:
        """Return every weight by its path, as float32."""
        return get_weights(self.network)

    def set_weights(self, weights: Arrays) -> None:
        """Take weights by path; further ones, such as those of heads that this model lacks, are left.

        Raises:
            ModelFolderError: one is missing, or of another shape.
        """
        set_weights(self.network, weights)

    def logits(self, rows: Rows, at: Int32Array) -> Float32Array:
        """Return the logits (P, V) float32 of the pieces at P places in B · T.

        Raises:
            ModelFolderError: the head that gives them has learnt nothing.
        """
        if "predict" in self.missing_heads:
            raise ModelFolderError(
                "this BERT came without the head that fills blanks",
                next_step="train one on your texts with sopan adapt, or take another preset: sopan presets",
            )
        firsts = [np.zeros(1, np.int32)] if self.pairs else []
        return self._logits(*rows, at, *firsts)[0].astype(np.float32)

    def hidden(self, rows: Rows) -> Float32Array:
        """Return the pieces in their context (B, T, width) float32."""
        at = [np.zeros(1, np.int32)] * (1 + self.pairs)
        return self._hidden(*rows, *at)[0].astype(np.float32)
