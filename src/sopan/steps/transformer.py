"""The Transformer: places, residuals, layer norms and feed-forward, block upon block.

Adds position and depth: each word carries its place, so that order counts, and every block of attention
builds on what the blocks below found. Lacks knowledge from unlabelled text: apart from its word vectors it
knows of language only what a few labelled texts show. Next step: `bert`, which reads unlabelled text first.

    vectors (B, T, D) -> width -> + positions -> `depth` encoder blocks -> summary (B, width) -> logits (B, C)

Source: A. Vaswani et al., "Attention Is All You Need" (2017), section 3; for the norm before each part,
R. Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import ClassVar, get_args

import keras
from keras import ops

from sopan.options.rules import Between, OneOf, Rule
from sopan.runtime.encoder_config import Norm, Positions, transformer_config
from sopan.steps.base import Settings
from sopan.steps.encoder import encode
from sopan.steps.layers import Seeds, Summary, dense, summarise
from sopan.steps.neural import NEURAL_RULES, NeuralStep, settings_to_try
from sopan.steps.teaching import DISTILLED
from sopan.text.facts import TrainingFacts
from sopan.types import Tensor


@keras.saving.register_keras_serializable("sopan")
class PrependClass(keras.layers.Layer):  # type: ignore[misc]  # an untyped base
    """Puts a learned vector before the words, for the network to gather there what the text says (`[CLS]`).

    Args:
        seed: of the vector.
    """

    def __init__(self, *, seed: int, **kwargs: object):
        super().__init__(**kwargs)
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the vector for words of shape (B, T, D)."""
        start = keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)
        self.vector = self.add_weight((1, 1, input_shape[-1]), initializer=start, name="vector")
        self.built = True

    def call(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the words (B, T + 1, D) and the mask (B, T + 1), the new place unmasked."""
        first = ops.zeros_like(x[:, :1]) + ops.cast(self.vector, x.dtype)
        return ops.concatenate([first, x], axis=1), ops.concatenate(
            [ops.ones_like(mask[:, :1]), mask], axis=1
        )

    def get_config(self) -> dict[str, object]:
        """Return the arguments that made this layer."""
        return {**super().get_config(), "seed": self.seed}


@dataclass(kw_only=True, eq=False, repr=False)
class Transformer(NeuralStep):
    """A Transformer encoder over words; further settings are those of `NeuralStep`.

    Args:
        width: of the encoder.
        depth: blocks.
        heads: H of each block.
        inner: width of the feed-forward part.
        norm: whether a block normalises before its parts (`pre`) or after them (`post`).
        positions: how places are told apart.
        summary: how the words become one vector; `cls` puts a learned one before them.
        attention_dropout: share of the attention weights hidden.
    """

    name: ClassVar[str] = "transformer"
    variants: ClassVar[Mapping[str, Mapping[str, object]]] = {
        **{norm: {"norm": norm} for norm in get_args(Norm)},
        **{f"{positions}": {"positions": positions} for positions in get_args(Positions)},
        **{summary: {"summary": summary} for summary in get_args(Summary)},
        "scratch": {"embeddings": "random"},
        **DISTILLED,
    }

    width: int = 128
    depth: int = 2
    heads: int = 4
    inner: int = 256
    norm: Norm = "pre"
    positions: Positions = "sinusoidal"
    summary: Summary = "mean"
    attention_dropout: float = 0.0
    learning_rate: float = 1e-3
    max_length: int = 256

    rules: ClassVar[Mapping[str, Rule]] = {
        **NEURAL_RULES,
        "width": Between(Integral, 1, 4096),
        "depth": Between(Integral, 1, 48),
        "heads": Between(Integral, 1, 64),
        "inner": Between(Integral, 1, 16_384),
        "norm": OneOf(get_args(Norm)),
        "positions": OneOf(get_args(Positions)),
        "summary": OneOf(get_args(Summary)),
        "attention_dropout": Between(Real, 0, 0.95),
    }

    def check_settings(self) -> None:
        """Refuse settings that cannot work."""
        super().check_settings()
        transformer_config(vars(self))  # refuses what does not go together

    def body(self, dimension: int, n_classes: int, seeds: Seeds) -> keras.Model:
        """Assemble the encoder, the summary and the logits."""
        vectors = keras.Input((None, dimension), name="vectors")
        mask = keras.Input((None,), dtype="bool", name="mask")
        x, seen = keras.layers.Dropout(self.dropout, seed=next(seeds), name="drop_in")(vectors), mask
        if self.summary == "cls":
            x, seen = PrependClass(seed=next(seeds), name="first")(x, mask)
        hidden, attention = encode(x, seen, config=transformer_config(vars(self)), seed=next(seeds))
        if self.summary == "cls":
            attention = [weights[:, :, 1:, 1:] for weights in attention]
        vector = summarise(hidden, seen, self.summary, seed=next(seeds))
        dropped = keras.layers.Dropout(self.dropout, seed=next(seeds), name="drop_out")(vector)
        logits = dense(n_classes, seeds, "logits")(dropped)
        outputs = {"logits": logits, "vector": vector, "attention": attention}
        return keras.Model([vectors, mask], outputs, name="body")

    @classmethod
    def candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """List settings, the best guess first."""
        return settings_to_try(facts, {"depth": 1})
