"""What an encoder is made of, for the Keras network that is trained and for the graphs that serve it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from sopan.errors import ConfigError
from sopan.types import Float32Array, Int32Array, Json

Norm = Literal["pre", "post"]
Positions = Literal["none", "sinusoidal", "learned"]
FARTHEST = 128
"""Distances from this one on are all alike, where scores depend on distance."""

PIECE_SUMMARIES: Mapping[str, tuple[tuple[str, int], ...]] = {
    "cls": (("cls", 1),),
    "mean": (("mean", 1),),
    "first": (("cls", 1),),
    "third": (("mean", 3),),
    "joined": (("mean", 1), ("cls", 1), ("mean", 3)),
}
"""What becomes of the pieces of `bert`: vectors side by side, each the mean or the first piece (`cls`) of a
block, counted from the top. `cls` goes through BERT's pooler besides."""


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """What an encoder is made of.

    Args:
        width: of a word's vector inside the encoder.
        depth: how many blocks.
        heads: of each block's self-attention; they share the width.
        inner: width in the middle of the feed-forward.
        norm: normalise what goes into each sublayer (`pre`, trains without care), or the sum that
            comes out (`post`, as Vaswani et al. and BERT do).
        positions: how a word knows its place.
        max_length: the most words that `learned` positions have a vector for.
        segments: how many kinds of segment a word may belong to; 0: none are asked for.
        input_norm: normalise the sum of words, segments and positions, as BERT does.
        dropout: share dropped of the input and of each sublayer's output, in training.
        attention_dropout: share dropped of the attention weights, in training.
        epsilon: added to the variance when normalising.
        causal: a word sees itself and what stands before it, not what comes after.
        initial_std: spread of the initial kernels, a truncated normal; None: Glorot's.
        embedding_width: of words, segments and places, which are summed, normalised and then projected to
            `width`, as in ELECTRA; None: words are projected first, where they have another width.
        buckets: kinds of distance between two words that add to their scores, as in MPNet; 0: none do.

    Raises:
        ConfigError: a value that cannot work.
    """

    width: int = 128
    depth: int = 2
    heads: int = 4
    inner: int = 512
    norm: Norm = "pre"
    positions: Positions = "sinusoidal"
    max_length: int = 512
    segments: int = 0
    input_norm: bool = False
    dropout: float = 0.1
    attention_dropout: float = 0.1
    epsilon: float = 1e-6
    causal: bool = False
    initial_std: float | None = None
    embedding_width: int | None = None
    buckets: int = 0

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)
        if min(self.depth, self.inner, self.max_length) < 1 or self.segments < 0:
            raise ConfigError("depth, inner and max_length are 1 or more, segments 0 or more")
        if self.norm not in get_args(Norm) or self.positions not in get_args(Positions):
            raise ConfigError(
                f"norm {self.norm!r} or positions {self.positions!r} is unknown",
                next_step=f"norm: {', '.join(get_args(Norm))}; positions: {', '.join(get_args(Positions))}",
            )
        if not (0 <= self.dropout < 1 and 0 <= self.attention_dropout < 1):
            raise ConfigError("dropout and attention_dropout are 0 or more, and less than 1")
        if self.buckets % 4 or not 0 <= self.buckets < 2 * FARTHEST:
            raise ConfigError(
                f"{self.buckets} buckets of distances are not a multiple of 4 below {2 * FARTHEST}"
            )
        if self.positions == "sinusoidal" and self.width % 2:
            raise ConfigError(
                f"sinusoidal positions come in pairs: width {self.width} is odd",
                next_step="give an even width, or learned positions",
            )

    @property
    def embedded(self) -> int:
        """How wide the vectors of words are, in models whose words have no other width than that."""
        return self.embedding_width or self.width

    @property
    def places(self) -> int | None:
        """How many words it has places for; None: any."""
        return self.max_length if self.positions == "learned" else None


def summary_parts(summary: str, depth: int) -> list[tuple[str, int]]:
    """Say what a summary is made of: how words become one vector, and after how many blocks of `depth`."""
    return [(how, max(1, depth + 1 - top)) for how, top in PIECE_SUMMARIES.get(summary, ((summary, 1),))]


def blocks_read(summary: str, depth: int) -> int:
    """Return how many blocks of `depth` a summary needs."""
    return max(block for _, block in summary_parts(summary, depth))


def transformer_config(settings: Mapping[str, Json]) -> EncoderConfig:
    """Return the encoder of the step `transformer`, from its settings by name."""
    shared = ("width", "depth", "heads", "inner", "norm", "positions", "attention_dropout")
    return EncoderConfig(
        **{name: settings[name] for name in shared},
        max_length=-(-settings["max_length"] // 8) * 8 + 1,  # a rectangle's length, and the summary's place
        dropout=settings["dropout"] / 2,
    )


def bert_config(
    *,
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    inner: int = 3072,
    max_length: int = 512,
    segments: int = 2,
    dropout: float = 0.1,
    attention_dropout: float = 0.1,
    epsilon: float = 1e-12,
) -> EncoderConfig:
    """Return the configuration of a BERT, base by default; see `EncoderConfig`."""
    return EncoderConfig(
        width=width,
        depth=depth,
        heads=heads,
        inner=inner,
        norm="post",
        positions="learned",
        max_length=max_length,
        segments=segments,
        input_norm=True,
        dropout=dropout,
        attention_dropout=attention_dropout,
        epsilon=epsilon,
        initial_std=0.02,
    )


def check_heads(width: int, heads: int) -> None:
    """Hold that `heads` heads share `width` evenly.

    Raises:
        ConfigError: they do not.
    """
    if heads < 1 or width < 1 or width % heads:
        raise ConfigError(
            f"{heads} heads cannot share a width of {width}",
            next_step="give a width that is a multiple of the number of heads",
        )


def sinusoid_rates(width: int) -> Float32Array:
    """Return what a place is multiplied by, for each pair of columns (D / 2,): Vaswani et al. (2017), 3.5."""
    return np.asarray(1e-4 ** (np.arange(0, width, 2) / width), np.float32)


def distance_buckets(most: int, buckets: int) -> Int32Array:
    """Return the bucket of each distance from 1 - `most` to `most` - 1: (2 · most - 1,).

    Half of them are for what stands behind a word; of each half, the first half are for one distance each,
    and the others grow up to `FARTHEST`: Raffel et al. (2020), "T5", section 2.1.
    """
    distance = np.arange(1 - most, most)
    half = buckets // 2
    exact, far = half // 2, np.abs(distance)
    grown = np.log(np.maximum(far, 1).astype(np.float32) / exact) / math.log(FARTHEST / exact)
    wide = np.minimum(exact + (grown * (half - exact)).astype(np.int64), half - 1)
    return np.asarray(np.where(far < exact, far, wide) + half * (distance > 0), np.int32)
