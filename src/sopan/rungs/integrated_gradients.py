"""What each word did to a neural step's logits: gradients, added up on the way from no words to the text.

    vectors (T, D) = start + α · (end - start),  α from 0 to 1        start: zeros, where a word is known
    contribution of word t to class c = (end - start)_t · ∫ ∂ logit_c / ∂ vector_t dα

The sum over all words is logit(end) - logit(start): completeness. The integral is taken by Gauss-Legendre
nodes, as many as it takes; what is missing is seen in `Evidence`: logits - base - contributions.sum(0).

Source: M. Sundararajan, A. Taly and Q. Yan, "Axiomatic Attribution for Deep Networks" (ICML 2017), eq. 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple, Protocol, TypeAlias

import keras
import numpy as np
import pyarrow as pa
from keras import ops

from sopan.text.arrow import Texts, as_texts
from sopan.text.batch import FIRST_WORD, MULTIPLE, PADDING, clip, kept_words
from sopan.text.tokenize import tokenize
from sopan.text.unicode import TokenRule
from sopan.text.vocab import Vocabulary
from sopan.types import Evidence, Float32Array, FloatArray, Int32Array, Int64Array

Tensor: TypeAlias = Any
"""A tensor of whichever backend Keras runs on."""
Scorer: TypeAlias = Callable[[Tensor], Tensor]
"""Word vectors (B, T, D) to logits (B, C), each row on its own."""

NODES = (16, 32, 64, 128)
"""How many points of the way are looked at: first the fewest, then more while too much is missing."""
TOLERANCE = 0.01
"""How much may be missing: this share of the largest change of a logit, or of 1 if that is less."""
WORDS_AT_ONCE = 4096
"""Points of the way are taken together, up to so many words."""


class Neural(Protocol):
    """What of a neural step is needed here."""

    tokens: TokenRule
    lowercase: bool
    max_length: int
    vocabulary_: Vocabulary
    network_: Any

    def logits(self, X: Texts) -> FloatArray:
        """Score N texts: (N, C)."""


class Way(NamedTuple):
    """What was found on the way to a text.

    Args:
        contributions: (T, C) float64.
        base, logits: (C,) float64, at its start and its end.
    """

    contributions: FloatArray
    base: FloatArray
    logits: FloatArray


def neural_evidence(rung: Neural, text: str) -> Evidence:
    """Tell the words' parts in a neural step's logits, and their attention.

    The base is what the network says of as many words without meaning: known words' vectors are zeros, and
    words that it does not know are as they always are to it, so that they add nothing.

    Args:
        rung: fitted; `network_` is `body([words(ids), mask])`, and among the results of `body` are `logits`
            (B, C) and `attention`, a list of (B, H, Q, T).
        text: one text.
    """
    texts = as_texts([text])
    tokens = tokenize(text, rung.tokens, lowercase=rung.lowercase)
    n_words, logits = len(tokens.words), rung.logits(texts)[0]
    read, added = np.zeros(n_words, bool), np.zeros((n_words, len(logits)))
    if n_words == 0:
        return Evidence(tokens, read, added, logits, logits, "integrated gradients")
    ids, places = _ids(rung, texts, n_words)
    vectors = ops.convert_to_numpy(rung.network_.get_layer("words")(ids[None]))[0].astype(np.float32)
    body, known, mask = rung.network_.get_layer("body"), ids >= FIRST_WORD, (ids != PADDING)[None]

    def result(points: Tensor) -> Mapping[str, Tensor]:
        shown = ops.convert_to_tensor(np.repeat(mask, points.shape[0], axis=0))
        outputs: Mapping[str, Tensor] = body([points, shown], training=False)
        return outputs

    start = np.where(known[:, None], 0, vectors)
    way = integrated_gradients(lambda points: result(points)["logits"], start, vectors)
    added[places], read[places] = way.contributions[: len(places)], known[: len(places)]
    attention = tuple(
        _in_text(ops.convert_to_numpy(layer)[0], places, n_words)
        for layer in result(ops.convert_to_tensor(vectors[None]))["attention"]
    )
    return Evidence(tokens, read, added, way.base, logits, "integrated gradients", attention)


def integrated_gradients(score: Scorer, start: Float32Array, end: Float32Array) -> Way:
    """Share the change of every logit between two texts of T vectors among the vectors.

    Args:
        score: (B, T, D) to (B, C), of Keras operations; rows must not depend on each other.
        start, end: (T, D) float32.
    """
    ends = ops.convert_to_numpy(score(ops.convert_to_tensor(np.stack([start, end])))).astype(np.float64)
    change = ends[1] - ends[0]
    enough = TOLERANCE * max(1.0, float(np.abs(change).max()))
    contributions = np.zeros((len(start), len(change)))
    for n in NODES:
        contributions = _along(score, start, end, n)
        if np.abs(change - contributions.sum(axis=0)).max() <= enough:
            break
    return Way(contributions, *ends)


def input_gradients(score: Scorer, inputs: Float32Array) -> Float32Array:
    """Differentiate each output by the inputs: the one thing that Keras leaves to its backends.

    Args:
        score: (B, T, D) to (B, C), of Keras operations; rows must not depend on each other.
        inputs: (B, T, D) float32.

    Returns:
        (C, B, T, D) float32: entry [c, b] is the gradient of output c of row b by its own inputs.
    """
    by_backend = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    gradients = by_backend[keras.backend.backend()](score, ops.convert_to_tensor(inputs))
    return np.stack([np.asarray(ops.convert_to_numpy(gradient), np.float32) for gradient in gradients])


def _along(score: Scorer, start: Float32Array, end: Float32Array, n: int) -> FloatArray:
    """Integrate by n nodes of Gauss and Legendre: (T, C)."""
    nodes, weights = np.polynomial.legendre.leggauss(n)  # on [-1, 1]
    step = end - start
    total = 0.0
    for some in np.array_split(np.arange(n), -(-n * len(end) // WORDS_AT_ONCE)):
        alphas = ((nodes[some] + 1) / 2).astype(np.float32)
        points = start + alphas[:, None, None] * step  # (B, T, D)
        total = total + np.einsum("b,cbtd->ctd", weights[some] / 2, input_gradients(score, points))
    return np.asarray(np.einsum("ctd,td->tc", total, step.astype(np.float64)))


def _ids(rung: Neural, texts: pa.LargeStringArray, n_words: int) -> tuple[Int32Array, Int64Array]:
    """Return the network's ids of one text's words, padded as in any batch, and which words they are."""
    first, last = kept_words(n_words, rung.max_length)
    places = np.concatenate([np.arange(first), np.arange(n_words - last, n_words)])
    clipped = clip(rung.vocabulary_.encode(texts), len(rung.vocabulary_), rung.max_length)
    return np.pad(clipped.encoded.ids, (0, -len(places) % MULTIPLE), constant_values=PADDING), places


def _in_text(weights: Float32Array, places: Int64Array, n_words: int) -> Float32Array:
    """Spread weights (H, Q, T) on the words that were read over all words of the text; the others have 0."""
    heads, queries, length = weights.shape
    by_words = queries == length
    spread = np.zeros((heads, n_words if by_words else queries, n_words), np.float32)
    rows = places if by_words else np.arange(queries)
    spread[:, rows[:, None], places] = weights[:, : len(rows), : len(places)]
    return spread


def _tensorflow(score: Scorer, inputs: Tensor) -> list[Tensor]:
    tf: Any = import_module("tensorflow")
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        outputs = tf.unstack(score(inputs), axis=1)
    return [tape.gradient(output, inputs, unconnected_gradients="zero") for output in outputs]


def _jax(score: Scorer, inputs: Tensor) -> list[Tensor]:
    jax: Any = import_module("jax")
    outputs, pull_back = jax.vjp(score, inputs)
    unit = np.eye(outputs.shape[1], dtype=outputs.dtype)
    return [pull_back(ops.convert_to_tensor(np.tile(one, (len(inputs), 1))))[0] for one in unit]


def _torch(score: Scorer, inputs: Tensor) -> list[Tensor]:
    torch: Any = import_module("torch")
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        totals = score(inputs).sum(dim=0)  # (C,)
    return [torch.autograd.grad(total, inputs, retain_graph=True)[0] for total in totals]
