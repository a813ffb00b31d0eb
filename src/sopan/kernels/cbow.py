"""Continuous bag of words with negative sampling, as pure numba functions on arrays.

A word is guessed from the *mean* of the words around it. For a target t with context words c_1 … c_n
and noise words k, with input vectors u and output vectors v, where s is the logistic function
(Mikolov et al. 2013, "Distributed representations of words and phrases and their compositionality", eq. 4):

    h = (u_c1 + … + u_cn) / n
    loss = -log s(v_t · h) - sum over k of log s(-v_k · h)

Because h is a mean, a context vector's gradient is the gradient of h **divided by n**. word2vec and gensim
leave the division out; with it, CBOW is as good as skip-gram (İrsoy, Benton & Stratos 2021, "Corrected CBOW
performs as well as skip-gram").

What makes it fast:

* Neighbouring targets form a block that shares its noise words, so that the scores are one small matrix
  product (Ji et al. 2016, "Parallelizing word2vec in shared and distributed memory"). A block draws more
  noise words than a target is due, each weighing less: the expected gradient is the same and varies less.
  A block is one exact gradient step on the sum of its losses.
* The contexts' sums are differences of running sums, and their gradients are running sums of differences,
  so that the cost of a target does not grow with its window.

Random numbers (see `kernels.chance`) never depend on the order of execution.
Everything works in float32 (training) and in float64 (gradient checks): what is checked is what runs.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from sopan.kernels.chance import LOW_HALF, Noise, below, draw_noise, kernel, random_bits
from sopan.types import FloatArray, Int32Array, Int64Array

Floats: TypeAlias = npt.NDArray[np.floating[Any]]

BLOCK = 32
"""Targets that share their noise words."""


class Scratch(NamedTuple):
    """Room to work in, made once for many blocks of B targets with K noise words and windows up to W.

    Args:
        sums: (B + 2W + 1, D) running sums of the words' vectors, later of their changes.
        hidden: (B, D) mean context vectors.
        error: (B, D) by what the mean context vectors should change.
        own_gains: (B,) the rate times minus the derivative of the loss by the target's score.
        gains: (B, K) the same by the noise words' scores.
        noise: (K, D) the noise words' output vectors.
        push: (K, D) by what they should change.
    """

    sums: Floats
    hidden: Floats
    error: Floats
    own_gains: Floats
    gains: Floats
    noise: Floats
    push: Floats


@kernel
def sample_text(
    ids: Int32Array,
    begin: int,
    end: int,
    keep: FloatArray,
    window: int,
    seed: np.uint64,
    words: Int32Array,
    low: Int64Array,
    high: Int64Array,
) -> int:
    """Copy the text `ids[begin:end]` but for unknown words and those that chance drops; draw the windows.

    Args:
        ids: (T,) word ids of the corpus, -1 for unknown words.
        begin, end: where the text is.
        keep: (V,) 2**32 times the chance that an occurrence of a word is kept.
        window: the most words on either side; each target draws its own number from 1 to `window`.
        seed: of this pass over the corpus.
        words, low, high: filled: the words kept, and the bounds of the windows around them.

    Returns:
        How many words were kept.
    """
    n = 0
    for place in range(begin, end):
        word = ids[place]
        if word >= 0:
            bits = random_bits(seed, place)
            if np.float64(bits & LOW_HALF) < keep[word]:
                reach = 1 + int(below(bits, window))
                words[n], low[n], high[n] = word, max(n - reach, 0), n + reach + 1
                n += 1
    for t in range(n):
        high[t] = min(high[t], n)
    return n


# ---- one block of targets ----------------------------------------------------------------


@kernel
def make_scratch(like: Floats, window: int, noise_words: int) -> Scratch:
    """Make room for blocks of `BLOCK` targets over vectors like these (V, D)."""
    width, dtype = like.shape[1], like.dtype
    return Scratch(
        sums=np.empty((BLOCK + 2 * window + 1, width), dtype),
        hidden=np.empty((BLOCK, width), dtype),
        error=np.empty((BLOCK, width), dtype),
        own_gains=np.empty(BLOCK, dtype),
        gains=np.empty((BLOCK, noise_words), dtype),
        noise=np.empty((noise_words, width), dtype),
        push=np.empty((noise_words, width), dtype),
    )


@kernel
def block_step(
    inputs: Floats,
    outputs: Floats,
    words: Int32Array,
    low: Int64Array,
    high: Int64Array,
    first: int,
    last: int,
    noise_words: Int32Array,
    noise_weight: Any,
    rate: Any,
    room: Scratch,
) -> None:
    """Move the vectors by -rate times the gradient of the summed losses of a block of targets, in place.

    Args:
        inputs, outputs: (V, D) float32 or float64: the vectors u and v.
        words: (n,) word ids of a text.
        low, high: (n,) the context of target t is `words[low[t]:high[t]]` without t; it is not empty.
        first, last: the targets are `words[first:last]`, `BLOCK` of them at most.
        noise_words: (K,) word ids; one that is the target itself does not count for that target.
        noise_weight: each noise word's loss is multiplied by it.
        rate: the learning rate; like `noise_weight`, of the vectors' dtype.
        room: made by `make_scratch`.
    """
    n, one = last - first, inputs.dtype.type(1)
    hidden, error = room.hidden[:n], room.error[:n]
    left, right = low[first], high[first]
    for t in range(first + 1, last):
        left, right = min(left, low[t]), max(right, high[t])
    _average_contexts(inputs, words, low, high, first, left, right, room.sums, hidden)
    _ask_noise(outputs, words[first:last], noise_words, rate * noise_weight, hidden, error, room)
    _ask_targets(outputs, words[first:last], rate, hidden, error, room.own_gains)
    for b in range(n):
        _add(outputs, words[first + b], room.own_gains[b], hidden, b)
    for k in range(len(noise_words)):
        _add(outputs, noise_words[k], one, room.push, k)
    _spread_errors(inputs, words, low, high, first, left, right, error, room.sums)


@kernel
def _add(rows: Floats, i: int, gain: Any, others: Floats, j: int) -> None:
    """rows[i] += gain * others[j]."""
    for d in range(rows.shape[1]):
        rows[i, d] += gain * others[j, d]


@kernel
def _average_contexts(
    inputs: Floats,
    words: Int32Array,
    low: Int64Array,
    high: Int64Array,
    first: int,
    left: int,
    right: int,
    sums: Floats,
    hidden: Floats,
) -> None:
    """hidden[b] = the mean input vector of the words around target first + b."""
    width, one = inputs.shape[1], inputs.dtype.type(1)
    for d in range(width):
        sums[0, d] = 0
    for j in range(right - left):
        word = words[left + j]
        for d in range(width):
            sums[j + 1, d] = sums[j, d] + inputs[word, d]
    for b in range(len(hidden)):
        t = first + b
        target, i, j = words[t], low[t] - left, high[t] - left
        share = one / inputs.dtype.type(j - i - 1)
        for d in range(width):
            hidden[b, d] = (sums[j, d] - sums[i, d] - inputs[target, d]) * share


@kernel
def _ask_noise(
    outputs: Floats,
    targets: Int32Array,
    noise_words: Int32Array,
    rate: Any,
    hidden: Floats,
    error: Floats,
    room: Scratch,
) -> None:
    """Set `error` and `room.push` to the changes that the noise words' losses ask for."""
    one, noise, gains = outputs.dtype.type(1), room.noise, room.gains[: len(targets)]
    for k in range(len(noise_words)):
        word = noise_words[k]
        for d in range(outputs.shape[1]):
            noise[k, d] = outputs[word, d]
    np.dot(hidden, noise.T, gains)  # (B, K) scores
    for b in range(len(targets)):
        for k in range(len(noise_words)):
            if noise_words[k] == targets[b]:
                gains[b, k] = 0
            else:
                gains[b, k] = -rate / (one + np.exp(-gains[b, k]))
    np.dot(gains, noise, error)  # (B, D)
    np.dot(gains.T, hidden, room.push)  # (K, D)


@kernel
def _ask_targets(
    outputs: Floats, targets: Int32Array, rate: Any, hidden: Floats, error: Floats, own_gains: Floats
) -> None:
    """Add to `error`, and set `own_gains` to, the changes that the targets' own losses ask for."""
    one = outputs.dtype.type(1)
    for b in range(len(targets)):
        target, score = targets[b], outputs.dtype.type(0)
        for d in range(outputs.shape[1]):
            score += hidden[b, d] * outputs[target, d]
        own_gains[b] = rate / (one + np.exp(score))
        _add(error, b, own_gains[b], outputs, target)


@kernel
def _spread_errors(
    inputs: Floats,
    words: Int32Array,
    low: Int64Array,
    high: Int64Array,
    first: int,
    left: int,
    right: int,
    error: Floats,
    change: Floats,
) -> None:
    """Add to each context word's input vector the error of each window it is in, over the window's size."""
    one = inputs.dtype.type(1)
    for j in range(right - left + 1):
        for d in range(inputs.shape[1]):
            change[j, d] = 0
    for b in range(len(error)):
        t = first + b
        i, j = low[t] - left, high[t] - left
        share = one / inputs.dtype.type(j - i - 1)
        _add(change, i, share, error, b)  # from the window's first word on …
        _add(change, j, -share, error, b)  # … up to its last
        _add(inputs, words[t], -share, error, b)  # but a target is not in its own context
    for j in range(right - left):
        if j > 0:
            _add(change, j, one, change, j - 1)
        _add(inputs, words[left + j], one, change, j)


# ---- a stretch of the corpus -------------------------------------------------------------


@kernel
def train_stretch(
    inputs: Floats,
    outputs: Floats,
    ids: Int32Array,
    offsets: Int64Array,
    keep: FloatArray,
    noise: Noise,
    noise_words: int,
    negatives: int,
    window: int,
    first_rate: float,
    last_rate: float,
    seed: np.uint64,
) -> None:
    """Pass once over consecutive texts. Several threads may train the same vectors at once (hogwild).

    Args:
        inputs, outputs: (V, D) float32 or float64, trained in place.
        ids: (T,) int32 word ids of the whole corpus, -1 for unknown words.
        offsets: (m + 1,) int64: text i is `ids[offsets[i]:offsets[i + 1]]`.
        keep: (V,) float64, 2**32 times the chance that an occurrence is kept.
        noise: how negatives are drawn.
        noise_words: how many a block draws.
        negatives: how many a target is due: each drawn one weighs `negatives / noise_words`.
        window: the most words on either side of a target.
        first_rate, last_rate: the learning rate falls in a straight line from one to the other.
        seed: of this pass over the corpus.
    """
    kind, start, size = inputs.dtype.type, offsets[0], max(1, offsets[-1] - offsets[0])
    longest = 0
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    words, drawn = np.empty(longest, np.int32), np.empty(noise_words, np.int32)
    low, high = np.empty(longest, np.int64), np.empty(longest, np.int64)
    room, weight = make_scratch(inputs, window, noise_words), kind(negatives / noise_words)
    for i in range(len(offsets) - 1):
        begin, end = offsets[i], offsets[i + 1]
        n = sample_text(ids, begin, end, keep, window, seed, words, low, high)
        if n < 2:  # a word alone has no context
            continue
        rate = kind(first_rate + (last_rate - first_rate) * ((begin - start) / size))
        for first in range(0, n, BLOCK):
            draw_noise(noise, ~seed, begin + first, drawn)
            last = min(first + BLOCK, n)
            block_step(inputs, outputs, words, low, high, first, last, drawn, weight, rate, room)
