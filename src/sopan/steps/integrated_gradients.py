"""What each word did to a neural step's logits: gradients, added up on the way from no words to the text.

    vectors (T, D) = start + α · (end - start),  α from 0 to 1        start: zeros, where a word is known
    contribution of word t to class c = (end - start)_t · ∫ ∂ logit_c / ∂ vector_t dα

The sum over all words is logit(end) - logit(start): completeness. The integral is taken by Gauss-Legendre
nodes, as many as it takes; what is missing is seen in `Evidence`: logits - base - contributions.sum(0).

Source: M. Sundararajan, A. Taly and Q. Yan, "Axiomatic Attribution for Deep Networks" (ICML 2017), eq. 1.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple, Protocol, TypeAlias

import keras
import numpy as np
import pyarrow as pa
from keras import ops

from sopan.options.data import TokenRule
from sopan.text.arrow import Texts, as_texts
from sopan.text.batch import FIRST_WORD, MULTIPLE, PADDING, clip, kept_words
from sopan.text.tokenize import tokenize
from sopan.text.vocab import Vocabulary
from sopan.types import BoolArray, Evidence, Float32Array, FloatArray, Int32Array, Int64Array, Tensor

Gradient: TypeAlias = Callable[[Float32Array, Float32Array], Float32Array]
"""From vectors (B, T, D) and weights (B, C) to the gradient of the weighed logits (B, T, D), row by row."""

NODES = (16, 32, 64, 128)
"""How many points of the way are looked at: first the fewest, then more while too much is missing."""
TOLERANCE = 0.01
"""How much may be missing: this share of the largest change of a logit, or of 1 if that is less."""
WORDS_AT_ONCE = 4096
"""Points of the way are taken together, up to so many words."""


class OverWords(Protocol):
    """What of a step over words is needed here."""

    tokens: TokenRule
    lowercase: bool
    max_length: int
    vocabulary_: Vocabulary
    network_: keras.Model

    def logits(self, X: Texts) -> FloatArray:
        """Score N texts: (N, C)."""


def word_evidence(estimator: OverWords, text: str) -> Evidence:
    """Tell the words' parts in the logits of a step over words, and their attention.

    The base is what the network says of as many words without meaning: known words' vectors are zeros, and
    words that it does not know are as they always are to it, so that they add nothing.

    Args:
        estimator: fitted; see `window_evidence` for its network.
        text: one text.
    """
    texts = as_texts([text])
    tokens = tokenize(text, estimator.tokens, lowercase=estimator.lowercase)
    n_words, logits = len(tokens.words), estimator.logits(texts)[0]
    read, added = np.zeros(n_words, bool), np.zeros((n_words, len(logits)))
    if n_words == 0:
        return Evidence(tokens, read, added, logits, logits, "integrated gradients")
    ids, places = _ids(estimator, texts, n_words)
    known, n = ids >= FIRST_WORD, len(places)
    found = window_evidence(estimator.network_, ids, ids != PADDING, known, np.zeros(1, np.float32))
    added[places], read[places] = found.contributions[:n], known[:n]
    # A reader's queries are no words: only where words attend to words are there as many.
    attention = tuple(w[:, : n if w.shape[1] == w.shape[2] else None, :n] for w in found.attention)
    return Evidence(tokens, read, added, found.base, logits, "integrated gradients", attention, places)


def _ids(estimator: OverWords, texts: pa.LargeStringArray, n_words: int) -> tuple[Int32Array, Int64Array]:
    """Return the network's ids of one text's words, padded as in any batch, and which words they are."""
    first, last = kept_words(n_words, estimator.max_length)
    places = np.concatenate([np.arange(first), np.arange(n_words - last, n_words)])
    clipped = clip(estimator.vocabulary_.encode(texts), len(estimator.vocabulary_), estimator.max_length)
    return np.pad(clipped.encoded.ids, (0, -len(places) % MULTIPLE), constant_values=PADDING), places


class WindowEvidence(NamedTuple):
    """What was found in one window of T words, padding included.

    Args:
        contributions: (T, C) float64, of each word to each logit.
        base, logits: (C,) float64, at the start and at the end of the way.
        attention: for each layer that attends, (H, Q, T) float32, at the end.
    """

    contributions: FloatArray
    base: FloatArray
    logits: FloatArray
    attention: list[Float32Array]


def window_evidence(
    network: keras.Model, ids: Int32Array, mask: BoolArray, known: BoolArray, blank: Float32Array
) -> WindowEvidence:
    """Lead a network from a window of blanks to one of a text.

    Args:
        network: `body([words(ids), mask])`; `body` gives `logits` (B, C), `attention`, a list of
            (B, H, Q, T), and more.
        ids, mask: (T,) of the text.
        known: (T,) bool, which words are blank at the start; the others stay as they are.
        blank: (D,) or (1,), the vector of a blank.
    """
    slopes = slopes_of(network.get_layer("body"))
    end = ops.convert_to_numpy(network.get_layer("words")(ids[None]))[0].astype(np.float32)  # (T, D)
    start, n_classes = np.where(known[:, None], blank, end), network.output["logits"].shape[-1]

    def tiled(points: Float32Array, weights: Float32Array) -> Slope:
        return slopes(points, np.tile(mask, (len(points), 1)), weights)

    ends = tiled(np.stack([start, end]), np.zeros((2, n_classes), np.float32))
    base, logits = ends.logits.astype(np.float64)
    contributions = integrated_gradients(lambda *point: tiled(*point).gradient, start, end, logits - base)
    attention = [np.asarray(ops.convert_to_numpy(layer)[1], np.float32) for layer in ends.attention]
    return WindowEvidence(contributions, base, logits, attention)


def integrated_gradients(
    gradient: Gradient, start: Float32Array, end: Float32Array, change: FloatArray
) -> FloatArray:
    """Share the change of every logit between two texts of T vectors among the vectors.

    Args:
        gradient: of the logits by the vectors.
        start, end: (T, D) float32.
        change: (C,) float64, the logits at the end less those at the start.

    Returns:
        (T, C) float64.
    """
    enough = TOLERANCE * max(1.0, float(np.abs(change).max()))
    contributions = np.zeros((len(start), len(change)))
    for n in NODES:
        contributions = _along(gradient, start, end, len(change), n)
        if np.abs(change - contributions.sum(axis=0)).max() <= enough:
            break
    return contributions


def _along(gradient: Gradient, start: Float32Array, end: Float32Array, n_classes: int, n: int) -> FloatArray:
    """Integrate by n nodes of Gauss and Legendre: (T, C)."""
    nodes, weights = np.polynomial.legendre.leggauss(n)  # on [-1, 1]
    step, total = end - start, np.zeros((n_classes, *end.shape))
    for some in np.array_split(np.arange(n), -(-n * len(end) // WORDS_AT_ONCE)):
        alphas = ((nodes[some] + 1) / 2).astype(np.float32)
        points = start + alphas[:, None, None] * step  # (B, T, D)
        for c, unit in enumerate(np.eye(n_classes, dtype=np.float32)):
            slope = gradient(points, np.tile(unit, (len(points), 1)))
            total[c] += np.einsum("b,btd->td", weights[some] / 2, slope)
    return np.asarray(np.einsum("ctd,td->tc", total, step.astype(np.float64)))


# ---- How logits change with word vectors: the one thing that Keras leaves to each backend --------


class Slope(NamedTuple):
    """What a network says of B texts, and where it is steep.

    Args:
        logits: (B, C) float32.
        gradient: (B, T, D) float32, of the weighed sum of each row's logits by its own vectors.
        attention: for each layer that attends, (B, H, Q, T), as the backend has it.
    """

    logits: Float32Array
    gradient: Float32Array
    attention: list[Tensor]


Slopes: TypeAlias = Callable[[Float32Array, BoolArray, Float32Array], Slope]
"""From vectors (B, T, D), mask (B, T) and the weights of the logits (B, C)."""
Differentiate: TypeAlias = Callable[[Tensor, Tensor, Tensor], tuple[dict[str, Tensor], Tensor]]
"""The same in tensors, to all results of the network and the gradient."""

_MADE: weakref.WeakKeyDictionary[keras.Model, Slopes] = weakref.WeakKeyDictionary()
"""What was compiled for a network, for as long as it lives: compiling takes longer than running."""


def slopes_of(body: keras.Model) -> Slopes:
    """Return how to differentiate a network, compiled where the backend compiles.

    Args:
        body: `[vectors (B, T, D), mask (B, T)]` to `logits` (B, C), `attention` and more.
    """
    if body not in _MADE:
        by_backend = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
        run = by_backend[keras.backend.backend()](weakref.proxy(body))

        def slopes(vectors: Float32Array, mask: BoolArray, weights: Float32Array) -> Slope:
            found, gradient = run(vectors, mask, weights)
            logits, slope = (ops.convert_to_numpy(x) for x in (found["logits"], gradient))
            return Slope(logits.astype(np.float32), slope.astype(np.float32), found["attention"])

        _MADE[body] = slopes
    return _MADE[body]


def _total(found: dict[str, Tensor], weights: Tensor) -> Tensor:
    return ops.sum(ops.cast(found["logits"], "float32") * weights)


def _tensorflow(body: keras.Model) -> Differentiate:
    tf = import_module("tensorflow")

    def run(vectors: Tensor, mask: Tensor, weights: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(vectors)
            found = body([vectors, mask], training=False)
            total = _total(found, weights)
        return found, tape.gradient(total, vectors, unconnected_gradients="zero")

    width, classes = body.inputs[0].shape[-1], body.output["logits"].shape[-1]
    shapes = (([None, None, width], "float32"), ([None, None], "bool"), ([None, classes], "float32"))
    compiled: Differentiate = tf.function(run, input_signature=[tf.TensorSpec(*shape) for shape in shapes])
    return compiled


def _jax(body: keras.Model) -> Differentiate:
    jax = import_module("jax")

    def total(vectors: Tensor, trained: Tensor, fixed: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
        found, _ = body.stateless_call(trained, fixed, [vectors, mask], training=False)
        return _total(found, weights), found

    compiled = jax.jit(jax.value_and_grad(total, has_aux=True))

    def run(vectors: Tensor, mask: Tensor, weights: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        groups = (body.trainable_variables, body.non_trainable_variables)
        values = [[variable.value for variable in group] for group in groups]
        (_, found), gradient = compiled(vectors, *values, mask, weights)
        return found, gradient

    return run


def _torch(body: keras.Model) -> Differentiate:
    torch = import_module("torch")

    def run(vectors: Tensor, mask: Tensor, weights: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        inputs = ops.convert_to_tensor(vectors).detach().requires_grad_()
        with torch.enable_grad():
            found = body([inputs, ops.convert_to_tensor(mask)], training=False)
            total = _total(found, ops.convert_to_tensor(weights))
        return found, torch.autograd.grad(total, inputs)[0]

    return run
