"""Word vectors from texts, by passes on threads around the kernel; and text vectors from word vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Integral
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from sopan.errors import SopanError
from sopan.kernels import cbow_pass
from sopan.kernels.cbow_block import make_rows
from sopan.kernels.cbow_pass import HALF_RANGE, make_noise
from sopan.kernels.simd import LANES
from sopan.options.data import TokenRule
from sopan.options.rules import Between, OneOf, Rule
from sopan.steps.base import SEED, TEXT_RULES
from sopan.text.arrow import Buffers, on_every_core
from sopan.text.vectors import load_word_vectors, usable_vectors
from sopan.text.vocab import Vocabulary, build_vocabulary
from sopan.types import Encoded, Float32Array, FloatArray, Int64Array

NOISE_POWER = 0.75
"""Negatives are drawn in proportion to count ** 0.75 (Mikolov et al. 2013)."""
Pooling: TypeAlias = Literal["mean", "idf", "sif"]

SIF_SCALE = 1e-3
"""`a` of smooth inverse frequency; Arora et al. find anything from 1e-4 to 1e-3 to do."""
LAST_RATE = 1e-4
"""The learning rate at the end of training."""
PIECE_WORDS = 1 << 20
"""Between pieces of so many words Python looks up, and sees Ctrl-C."""
EPOCHS_AT_A_MILLION = 50
"""Passes over a corpus of a million words; one four times as large gets half as many."""
MIN_EPOCHS, MAX_EPOCHS = 3, 600
FEW_BYTES = 300_000
"""In less text than this, some 50,000 words, a word that occurs once has a vector too."""
VECTOR_RULES: Mapping[str, Rule] = {
    **TEXT_RULES,
    "dimension": Between(Integral, 1, 4096),
    "min_count": Between(Integral, 1, 1_000_000_000, optional=True),
    "deterministic": OneOf((True, False)),
    "n_jobs": Between(Integral, 1, 4096, optional=True),
    "random_state": SEED,
}
"""What the settings of every step that gives words vectors must keep to."""


@dataclass(frozen=True, slots=True)
class CbowSettings:
    """How word vectors are trained.

    Args:
        dimension: D, width of a vector.
        window: the most words on either side of a target; each target draws from 1 to `window`.
        negatives: noise words that a target is due.
        noise_words: how many neighbouring targets share in their place, 16 at most.
        epochs: passes over the corpus; after 0 the vectors are as they were drawn. None: `sensible_epochs`.
        subsample: words more frequent than this are thinned out; 0 keeps them all.
        learning_rate: at the start; it falls in a straight line.
        threads: with one, the result is the same to the last bit every time. More share the vectors without
            locks (Recht et al. 2011, "Hogwild!"), faster, and each time a little different.
    """

    dimension: int = 200
    window: int = 40
    negatives: int = 5
    noise_words: int = 12
    epochs: int | None = None
    subsample: float = 3e-5
    learning_rate: float = 0.1
    threads: int = 1


class EmbeddedWords(NamedTuple):
    """The words of a set of texts, with a vector each; what all trials of one tuning share.

    Args:
        vocabulary: V words.
        vectors: (V, D) float32.
        counts: (V,) occurrences in all texts, those without labels included.
        encoded: the N labelled texts.
        epochs: passes made over the texts; 0 where the vectors were loaded.
    """

    vocabulary: Vocabulary
    vectors: Float32Array
    counts: Int64Array
    encoded: Encoded
    epochs: int


def embed_words(
    texts: pa.LargeStringArray,
    unlabelled: pa.LargeStringArray,
    settings: CbowSettings,
    *,
    vectors: str | None,
    tokens: TokenRule,
    lowercase: bool,
    min_count: int | None,
    rng: np.random.Generator,
) -> EmbeddedWords:
    """Encode all texts; load vectors for their words, or train them on these texts.

    Args:
        texts: N labelled texts.
        unlabelled: further texts to learn from.
        settings: how to train.
        vectors: path of a file to load in place of training.
        tokens, lowercase: how texts are cut into words.
        min_count: words that occur less often have no vector. None: 2, or 1 where there is little text.
        rng: decides the training.
    """
    every = pa.concat_arrays([texts, unlabelled])
    if vectors is not None:
        loaded = usable_vectors(load_word_vectors(vectors), tokens, lowercase=lowercase)
        vocabulary = Vocabulary(loaded.words, None, tokens, lowercase)
        encoded = vocabulary.encode(every)
    else:
        least = min_count or (2 if _bytes_of(every) >= FEW_BYTES else 1)
        vocabulary, encoded = build_vocabulary(every, tokens, lowercase=lowercase, min_count=least)
    counts = np.bincount(encoded.ids[encoded.ids >= 0], minlength=len(vocabulary))
    if vectors is not None:
        table, epochs = loaded.vectors, 0
    else:
        epochs = sensible_epochs(len(encoded.ids)) if settings.epochs is None else settings.epochs
        table = train_word_vectors(encoded, counts, replace(settings, epochs=epochs), rng)
    bounds = encoded.offsets[: len(texts) + 1]
    own = Encoded(encoded.ids[: bounds[-1]], bounds)
    return EmbeddedWords(vocabulary, table, counts, own, epochs)


def _bytes_of(texts: pa.LargeStringArray) -> int:
    offsets = Buffers.of(texts).offsets
    return int(offsets[-1] - offsets[0])


def sensible_epochs(n_words: int) -> int:
    """Return how many passes a corpus wants: fewer the larger it is, by the square root of its words.

    Between the two plain rules, always the same number and always the same work, this one was near the best
    on corpora of 5 thousand to 13 million words (see `docs/log.md`).
    """
    wanted = EPOCHS_AT_A_MILLION * math.sqrt(1e6 / max(1, n_words))
    return round(min(max(wanted, MIN_EPOCHS), MAX_EPOCHS))


def keep_chances(counts: Int64Array, subsample: float) -> FloatArray:
    """Return the chance (V,) that an occurrence of a word is kept, as in word2vec's code: √(t/f) + t/f."""
    if subsample == 0:
        return np.ones(len(counts))
    ratio = subsample * counts.sum() / np.maximum(counts, 1)
    return np.asarray(np.minimum(1.0, np.sqrt(ratio) + ratio))


def train_word_vectors(
    encoded: Encoded, counts: Int64Array, settings: CbowSettings, rng: np.random.Generator
) -> Float32Array:
    """Train word vectors by CBOW with negative sampling.

    Args:
        encoded: N texts as ids of V words, -1 for words left out.
        counts: (V,) occurrences of each word in these texts, each at least 1.
        settings: how.
        rng: where the first vectors and all later chance come from.

    Returns:
        (V, D) float32, the input vectors.

    Raises:
        SopanError: the learning rate was so high that the vectors grew beyond all bounds.
    """
    encoded.check(len(counts))
    order = np.argsort(-counts, kind="stable")  # frequent words side by side: fewer cache misses
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    ids, counts = np.where(encoded.ids < 0, np.int32(-1), rank[encoded.ids]), counts[order]
    width = settings.dimension
    lanes = -(-width // LANES) * LANES  # columns beyond the width are and stay 0
    inputs, outputs = (make_rows(len(counts), lanes, np.float32) for _ in range(2))
    inputs[:, :width] = (rng.random((len(counts), width), dtype=np.float32) - 0.5) / width
    keep = keep_chances(counts, settings.subsample) * HALF_RANGE
    noise = make_noise(counts**NOISE_POWER / (counts**NOISE_POWER).sum())
    epochs = sensible_epochs(len(ids)) if settings.epochs is None else settings.epochs
    seeds = rng.integers(0, 2**63, epochs).astype(np.uint64)

    def train_share(offsets: Int64Array) -> None:
        pieces, passed = pieces_of(offsets), 0
        size = max(1, epochs * int(offsets[-1] - offsets[0]))
        fall = (settings.learning_rate - LAST_RATE) / size
        for seed in seeds:
            for piece in pieces:
                rate = settings.learning_rate - fall * passed
                passed += int(piece[-1] - piece[0])
                rates = (rate, settings.learning_rate - fall * passed)
                chances = (keep, noise, settings.noise_words, settings.negatives, settings.window)
                cbow_pass.train_stretch(inputs, outputs, ids, piece, *chances, *rates, seed)

    shares = cut(encoded.offsets, settings.threads)
    on_every_core(train_share, shares)
    if not np.isfinite(inputs).all():
        raise SopanError(
            f"the word vectors diverged at a learning rate of {settings.learning_rate}",
            next_step="lower learning_rate",
        )
    return inputs[:, :width][rank]


def pieces_of(offsets: Int64Array) -> list[Int64Array]:
    """Cut consecutive texts, given by their offsets, into pieces of about `PIECE_WORDS` words."""
    return cut(offsets, max(1, int(offsets[-1] - offsets[0]) // PIECE_WORDS))


def cut(offsets: Int64Array, parts: int) -> list[Int64Array]:
    """Cut N texts, given by their (N + 1,) offsets, into at most `parts` runs of about equally many words."""
    goals = np.linspace(offsets[0], offsets[-1], parts + 1)[1:-1]
    edges = np.unique([0, *np.searchsorted(offsets, goals), len(offsets) - 1])
    return [offsets[start : stop + 1] for start, stop in pairwise(edges)]


# ---- From word vectors to text vectors: Σ weight(w) · vector(w) / Σ weight(w) ---------------------


def bag(encoded: Encoded, n_words: int, *, distinct: bool) -> sp.csr_array:
    """Count the known words of N texts: (N, V) float32; with `distinct`, each word of a text counts once."""
    encoded.check(n_words)
    known = encoded.ids >= 0
    bounds = np.concatenate([[0], np.cumsum(known)])[encoded.offsets]
    ids = encoded.ids[known]
    counts = sp.csr_array((np.ones(len(ids), np.float32), ids, bounds), shape=(len(bounds) - 1, n_words))
    counts.sum_duplicates()
    if distinct:
        counts.data[:] = 1
    return counts


def word_weights(
    pooling: Pooling, word_counts: npt.NDArray[np.integer], text_counts: npt.NDArray[np.integer], n_texts: int
) -> FloatArray:
    """Say what each of V words weighs.

    Args:
        pooling: `mean`: all the same. `idf`: ln((1 + N) / (1 + texts with the word)) + 1, as in `bow`.
            `sif`: a / (a + p(word)), smooth inverse frequency (Arora, Liang & Ma 2017, "A simple but
            tough-to-beat baseline for sentence embeddings", algorithm 1).
        word_counts: (V,) occurrences, which p is estimated from.
        text_counts: (V,) how many of the labelled texts hold each word.
        n_texts: how many labelled texts there are.

    Returns:
        (V,) float64, all above 0.
    """
    if pooling == "idf":
        return np.asarray(np.log((1 + n_texts) / (1 + text_counts)) + 1)
    if pooling == "sif":
        return np.asarray(SIF_SCALE / (SIF_SCALE + word_counts / max(1, word_counts.sum())))
    return np.ones(len(word_counts))


def pool(counts: sp.csr_array, weights: Float32Array, vectors: Float32Array) -> Float32Array:
    """Average the vectors of each text's words.

    Args:
        counts: (N, V) float32, from `bag`.
        weights: (V,) float32, above 0.
        vectors: (V, D) float32.

    Returns:
        (N, D) float32; zeros for a text without known words.
    """
    data = counts.data * weights[counts.indices]
    weighed = sp.csr_array((data, counts.indices, counts.indptr), shape=counts.shape)
    total = np.maximum(weighed.sum(axis=1), np.finfo(np.float32).tiny)
    return np.asarray((weighed @ vectors) / total[:, None], np.float32)


def common_component(pooled: Float32Array) -> Float32Array:
    """Return the direction (D,) that N pooled texts (N, D) share most: their first right singular vector.

    SIF removes it, because it says how texts are written and not what they say (Arora et al., line 4).
    """
    exact = pooled.astype(np.float64)
    direction = np.linalg.eigh(exact.T @ exact)[1][:, -1]
    return np.asarray(direction, np.float32)


def without_component(pooled: Float32Array, direction: Float32Array) -> Float32Array:
    """Take each text's projection on a unit direction (D,) out of pooled texts (N, D)."""
    return pooled - (pooled @ direction)[:, None] * direction
