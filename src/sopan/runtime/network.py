"""What a runtime is told of a network: its weights by path, and how they go together.

    a step's settings and state -> `network_of` -> Network -> a runtime's program
                                -> `intake_of`  -> Intake: texts to ids, logits to texts

Nothing here knows Keras: a model folder is served without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sopan.errors import DataError
from sopan.runtime.encoder_config import EncoderConfig, sinusoid_rates, transformer_config
from sopan.text.batch import FIRST_WORD, MULTIPLE, open_length
from sopan.text.intake import Intake, PieceIntake, WordIntake
from sopan.text.piece_tokenizer import PieceTokenizer
from sopan.text.wordpiece import kept_tokenizer
from sopan.types import Arrays, Float32Array, Json, StepState

Output = Literal["logits", "vector"]
NETWORKS = ("attention", "self_attention", "transformer", "bert")
"""The steps that are networks."""


@dataclass(frozen=True, slots=True)
class EncoderBody:
    """An encoder, as `sopan.steps.encoder.encode`, and a summary of `longest` words at most."""

    config: EncoderConfig
    summary: str
    longest: int


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


def network_of(step: str, settings: Mapping[str, Json], state: StepState) -> Network:
    """Return the network of a fitted step, from what its model folder holds.

    Args:
        step: one of `NETWORKS`.
        settings: all that `get_params` gives.
        state: what `Step.state` gives.

    Raises:
        KeyError: a setting is missing.
        DataError: the vectors are not those of the words.
    """
    vectors, words = len(state.arrays["words/embeddings"]), len(state.words)
    if vectors - words != (0 if step == "bert" else FIRST_WORD):
        raise DataError(f"{vectors:,} vectors for {words:,} words")
    return Network(state.arrays, _body(step, settings, state))


def intake_of(step: str, settings: Mapping[str, Json], state: StepState) -> Intake:
    """Return how texts come to the network of a fitted step; see `network_of`."""
    if step == "bert":
        config, wordpiece = EncoderConfig(**state.settings["encoder"]), wordpiece_of(state)
        return piece_intake(wordpiece, config, settings)
    from sopan.text.vocab import Vocabulary  # noqa: PLC0415  # brings compiled kernels in, which pieces do without

    vocabulary = Vocabulary(state.words, None, settings["tokens"], settings["lowercase"])
    return WordIntake(vocabulary, settings["max_length"])


def piece_intake(
    wordpiece: PieceTokenizer, config: EncoderConfig, settings: Mapping[str, Json]
) -> PieceIntake:
    """Return how texts come to an encoder of pieces, by the settings of `bert`."""
    most = settings["max_length"]
    choices = (settings[name] for name in ("long_texts", "max_windows", "pool"))
    return PieceIntake(wordpiece, min(most, config.places or most), *choices)


def wordpiece_of(state: StepState) -> PieceTokenizer:
    """Return what cuts the texts of a fitted `bert`."""
    return kept_tokenizer(state.words, state.settings)


def _body(step: str, settings: Mapping[str, Json], state: StepState) -> Body:
    if step == "attention":
        return ReaderBody(settings["look"], settings["scoring"], settings["reads"], settings["window"])
    summary, longest = settings["summary"], settings["max_length"]
    if step == "self_attention":
        return SelfAttentionBody(settings["heads"], settings["causal"], summary)
    if step == "transformer":
        return EncoderBody(transformer_config(settings), summary, longest + (summary == "cls"))
    config = EncoderConfig(**state.settings["encoder"])
    return EncoderBody(config, summary, config.places or longest)


def place_table(network: Network, width: int) -> Float32Array | None:
    """Return what is added to the word in each place, (P, width): places and, where there are any, segment 0.

    P covers the longest rectangle, whose padding reaches a little beyond the last place, and the summary
    that may stand before its words. None: nothing is.
    """
    body, arrays = network.body, network.arrays
    assert isinstance(body, EncoderBody)
    rows = open_length(body.longest) + MULTIPLE
    table = np.zeros((rows, width), np.float32)
    if body.config.positions == "learned":
        learned = arrays["positions/vectors"][:rows]
        table[: len(learned)] = learned
    elif body.config.positions == "sinusoidal":
        angle = np.arange(rows, dtype=np.float32)[:, None] * sinusoid_rates(width)
        table = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(rows, width)
    elif "segment_vectors/embeddings" not in arrays:
        return None
    if "segment_vectors/embeddings" in arrays:
        table = table + arrays["segment_vectors/embeddings"][0]
    return table
