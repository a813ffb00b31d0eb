"""What a runtime is told of a network: its weights by path, and how they go together.

    a step's settings and state -> `describe` -> Network -> a runtime's program

Nothing here knows Keras: a model folder is served without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sopan.text.batch import MULTIPLE, open_length
from sopan.types import Arrays, Float32Array, Json, StepState

Output = Literal["logits", "vector"]


@dataclass(frozen=True, slots=True)
class EncoderBody:
    """An encoder of `depth` blocks, as `sopan.steps.encoder.encode`, and a summary; see `EncoderConfig`."""

    depth: int
    heads: int
    norm: str
    positions: str
    epsilon: float
    causal: bool
    summary: str
    places: int


@dataclass(frozen=True, slots=True)
class SelfAttentionBody:
    """One layer of attention and a summary, as `sopan.steps.self_attention.SelfAttention`."""

    heads: int
    causal: bool
    summary: str


@dataclass(frozen=True, slots=True)
class ReaderBody:
    """A bidirectional GRU that is read by attention, as `sopan.steps.attention.Attention`."""

    look: str
    scoring: str
    reads: int
    window: int


Body: TypeAlias = EncoderBody | SelfAttentionBody | ReaderBody


@dataclass(frozen=True, slots=True)
class Network:
    """A network from ids (B, T) int32 and mask (B, T) bool to logits (B, C) and vectors (B, E).

    Args:
        arrays: every weight by its path; parts that a network may lack are there if their weights are.
        body: how they go together.
    """

    arrays: Arrays
    body: Body

    @property
    def classes(self) -> int:
        """C."""
        return int(self.arrays["logits/kernel"].shape[1])


def describe(step: str, settings: Mapping[str, Json], state: StepState) -> Network:
    """Return the network of a fitted step, from what its model folder holds.

    Args:
        step: its name, without a variant.
        settings: all that `get_params` gives.
        state: what `Step.state` gives.

    Raises:
        KeyError: the step has no network, or a setting is missing.
    """
    return Network(state.arrays, _BODIES[step](settings, state.settings))


def encoder_body(encoder: Mapping[str, Json], summary: str, max_length: int) -> EncoderBody:
    """Return how an encoder over pieces goes together.

    Args:
        encoder: the fields of an `EncoderConfig`.
        summary: see `EncoderBody`.
        max_length: the most pieces that come, where its places are not learnt.
    """
    names = ("depth", "heads", "norm", "positions", "epsilon", "causal")
    longest = encoder["max_length"] if encoder["positions"] == "learned" else max_length
    return EncoderBody(**{name: encoder[name] for name in names}, summary=summary, places=int(longest))


def _of_bert(settings: Mapping[str, Json], state: Mapping[str, Json]) -> EncoderBody:
    return encoder_body(state["encoder"], settings["summary"], settings["max_length"])


def _of_transformer(settings: Mapping[str, Json], state: Mapping[str, Json]) -> EncoderBody:
    names = ("depth", "heads", "norm", "positions", "summary")
    return EncoderBody(
        **{name: settings[name] for name in names},
        epsilon=1e-6,  # what `EncoderConfig` says where it is not told
        causal=False,
        places=int(settings["max_length"]) + (settings["summary"] == "cls"),
    )


def _of_self_attention(settings: Mapping[str, Json], state: Mapping[str, Json]) -> SelfAttentionBody:
    return SelfAttentionBody(settings["heads"], settings["causal"], settings["summary"])


def _of_attention(settings: Mapping[str, Json], state: Mapping[str, Json]) -> ReaderBody:
    return ReaderBody(settings["look"], settings["scoring"], settings["reads"], settings["window"])


_BODIES: dict[str, Callable[[Mapping[str, Json], Mapping[str, Json]], Body]] = {
    "attention": _of_attention,
    "self_attention": _of_self_attention,
    "transformer": _of_transformer,
    "bert": _of_bert,
}
NETWORKS = tuple(_BODIES)
"""The steps that are networks."""


def place_table(network: Network, width: int) -> Float32Array | None:
    """Return what is added to the word in each place, (P, width): places and, where there are any, segment 0.

    P covers the longest rectangle, whose padding reaches a little beyond the last place, and the summary
    that may stand before its words. None: nothing is.
    """
    body, arrays = network.body, network.arrays
    assert isinstance(body, EncoderBody)
    rows = open_length(body.places) + MULTIPLE
    table = np.zeros((rows, width), np.float32)
    if body.positions == "learned":
        learned = arrays["positions/vectors"][:rows]
        table[: len(learned)] = learned
    elif body.positions == "sinusoidal":
        rate = (1e-4 ** (np.arange(0, width, 2) / width)).astype(np.float32)
        angle = np.arange(rows, dtype=np.float32)[:, None] * rate
        table = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(rows, width)
    elif "segment_vectors/embeddings" not in arrays:
        return None
    if "segment_vectors/embeddings" in arrays:
        table = table + arrays["segment_vectors/embeddings"][0]
    return table
