"""What each word did to a network's logits: gradients, added up on the way from no words to the text.

    vectors (T, D) = start + α · (end - start),  α from 0 to 1        start: a blank, where a word is known
    contribution of word t to class c = (end - start)_t · ∫ ∂ logit_c / ∂ vector_t dα

The sum over all words is logit(end) - logit(start): completeness. The integral is taken by Gauss-Legendre
nodes, as many as it takes; what is missing is seen in `Evidence`: logits - base - contributions.sum(0).

Sources: M. Sundararajan, A. Taly and Q. Yan, "Axiomatic Attribution for Deep Networks" (ICML 2017), eq. 1;
for attention between words, K. Clark et al., "What Does BERT Look At?" (2019), section 4.1.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import NamedTuple, Protocol, TypeAlias

import keras
import numpy as np
from keras import ops

from sopan.text.arrow import Texts, as_texts
from sopan.text.batch import MULTIPLE, Clipped, batches
from sopan.text.intake import Intake
from sopan.types import BoolArray, Evidence, Float32Array, FloatArray, Int64Array, Tensor

Gradient: TypeAlias = Callable[[Float32Array, Float32Array], Float32Array]
"""From vectors (B, T, D) and weights (B, C) to the gradient of the weighed logits (B, T, D), row by row."""

NODES = (16, 32, 64, 128)
"""How many points of the way are looked at: first the fewest, then more while too much is missing."""
TOLERANCE = 0.01
"""How much may be missing: this share of the largest change of a logit, or of 1 if that is less."""
WORDS_AT_ONCE = 4096
"""Points of the way are taken together, up to so many words."""


class OnNetwork(Protocol):
    """What of a step on a network is needed here."""

    network_: keras.Model
    buckets_: tuple[int, ...]

    @property
    def intake(self) -> Intake:
        """How texts come to the network."""

    def logits(self, X: Texts) -> FloatArray:
        """Score N texts: (N, C)."""


def network_evidence(estimator: OnNetwork, text: str, *, lowercase: bool = False) -> Evidence:
    """Tell the words' parts in a network's logits, and the attention between words.

    The base is what the network says of as many words without meaning: vectors of zeros or, of pieces, those
    of `[MASK]`. Words that it does not know are as they always are to it, so that they add nothing. A word's
    part is the sum of its pieces'; attention between pieces is summed to a word and averaged from it. Where a
    text is read in windows, parts are pooled as the logits are: averaged, or for each class those of the
    window that decides; attention is then the mean over the heads.

    Args:
        estimator: fitted; its network is `body([words(ids), mask])`, and `body` gives `logits` (B, C),
            `attention`, a list of (B, H, Q, T), and more.
        text: one text.
        lowercase: spell the words so.
    """
    texts, intake = as_texts([text]), estimator.intake
    windows, logits, cut = intake.windows(texts), estimator.logits(texts)[0], intake.tokenize(text)
    tokens, word_of = cut.words.tokens, cut.word_of[cut.kept]  # of each word or piece that is read
    if lowercase:
        tokens = replace(tokens, words=tuple(word.lower() for word in tokens.words))
    added, read = np.zeros((len(tokens.words), len(logits))), np.zeros(len(tokens.words), bool)
    if not len(word_of):
        return Evidence(tokens, read, added, logits, logits, "integrated gradients")
    words, blank = estimator.network_.get_layer("words"), np.zeros(1, np.float32)
    if intake.blank is not None:
        blank = _array(words(np.array([[intake.blank]], np.int32)))[0, 0]
    found = [_window(estimator, windows.clipped, number, blank) for number in range(len(windows.of))]
    said = np.stack([window.logits for window in found])
    shares = np.full(said.shape, 1 / len(found))  # what each window counts for each class
    if intake.pool == "max":
        shares = np.eye(len(found))[said.argmax(axis=0)].T
    parts = np.concatenate([w.contributions * share for w, share in zip(found, shares, strict=True)])
    np.add.at(added, word_of, parts)
    read[word_of[cut.units.known[cut.kept]]] = True
    base = (np.stack([window.base for window in found]) * shares).sum(axis=0)
    attended = np.unique(word_of)
    attention = _between_words([window.attention for window in found], np.searchsorted(attended, word_of))
    return Evidence(tokens, read, added, base, logits, "integrated gradients", attention, attended)


class WindowEvidence(NamedTuple):
    """What was found in one window of T words or pieces.

    Args:
        contributions: (T, C) float64, of each to each logit.
        base, logits: (C,) float64, of blanks and of the text.
        attention: for each layer that attends, (H, Q, T) float32.
    """

    contributions: FloatArray
    base: FloatArray
    logits: FloatArray
    attention: list[Float32Array]


def _window(estimator: OnNetwork, clipped: Clipped, number: int, blank: Float32Array) -> WindowEvidence:
    """Lead the network from blanks, (D,) or (1,), to one window; what is found of marks is left out."""
    network, intake, length = estimator.network_, estimator.intake, int(clipped.lengths[number])
    padded = min(-(-length // MULTIPLE) * MULTIPLE, estimator.buckets_[-1])
    (batch,) = batches(clipped, [(np.array([number]), 1, padded)])
    known, slopes = intake.knows(batch.ids[0]) & batch.mask[0], slopes_of(network.get_layer("body"))
    end = _array(network.get_layer("words")(batch.ids))[0]  # (T, D)
    start, n_classes = np.where(known[:, None], blank, end), network.output["logits"].shape[-1]

    def tiled(points: Float32Array, weights: Float32Array) -> Slope:
        return slopes(points, np.tile(batch.mask, (len(points), 1)), weights)

    ends = tiled(np.stack([start, end]), np.zeros((2, n_classes), np.float32))
    base, logits = ends.logits.astype(np.float64)
    contributions = integrated_gradients(lambda *point: tiled(*point).gradient, start, end, logits - base)
    inner = slice(intake.marks, length - intake.marks)
    attention = [
        weights[:, inner if weights.shape[1] == padded else slice(None), inner]
        for weights in (_array(layer)[1] for layer in ends.attention)
    ]  # the queries of a `Reader` are no words
    return WindowEvidence(contributions[inner], base, logits, attention)


def _array(tensor: Tensor) -> Float32Array:
    return np.asarray(ops.convert_to_numpy(tensor), np.float32)


def _between_words(windows: list[list[Float32Array]], word_of: Int64Array) -> tuple[Float32Array, ...]:
    """Turn attention between the words or pieces of each window, layer by layer, into that between A words.

    Args:
        windows: for each window, for each layer (H, T, T), or (H, Q, T) where the queries are no words.
        word_of: (all windows' T together,) which of the A words each piece is of.
    """
    n_words = int(word_of.max()) + 1
    sizes = np.bincount(word_of, minlength=n_words)
    bounds = np.cumsum([0, *(window[0].shape[-1] for window in windows)])
    layers = []
    for parts in zip(*windows, strict=True):
        layer = np.zeros(1, np.float32)
        for weights, low, high in zip(parts, bounds[:-1], bounds[1:], strict=True):
            own = np.arange(n_words)[:, None] == word_of[low:high]  # (A, T)
            some = weights.mean(axis=0, keepdims=True) if len(windows) > 1 else weights
            if some.shape[1] == some.shape[2]:
                some = (own / sizes[:, None]).astype(np.float32) @ some
            layer = layer + some @ own.T.astype(np.float32)
        layers.append(layer)
    return tuple(layers)


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
            return Slope(_array(found["logits"]), _array(gradient), found["attention"])

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
