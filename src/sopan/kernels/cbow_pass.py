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
* All of it works on whole lanes of numbers (see `kernels.simd`): the small products, which BLAS takes longer
  to begin than to do, keep eight rows of sums in registers.

Random numbers are functions of a seed and of a place, so that they never depend on the order of execution.
Everything works in float32 (training) and in float64 (gradient checks): what is checked is what runs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sopan.kernels import float_kernel, splitmix64
from sopan.kernels.cbow_block import BLOCK, Floats, block_step, make_scratch
from sopan.kernels.simd import LANES
from sopan.types import FloatArray, Int32Array, Int64Array

_STRIDE, _32 = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
LOW_HALF = np.uint64(0xFFFFFFFF)
HALF_RANGE = 4294967296.0
"""2**32: chances are compared with the low half of 64 random bits."""


class Noise(NamedTuple):
    """A distribution over V words, drawn from in constant time: Walker's alias method (1977).

    Args:
        stay: (V,) float64, 2**32 times the chance that a slot gives its own word.
        other: (V,) int32, the word that it gives else.
    """

    stay: FloatArray
    other: Int32Array


@float_kernel
def random_bits(seed: np.uint64, place: int) -> np.uint64:
    """Return 64 random bits for a place: SplitMix64 as a counter."""
    return splitmix64(seed + _STRIDE * np.uint64(place))


@float_kernel
def below(bits: np.uint64, n: int) -> np.int64:
    """Turn the high half of 64 random bits into a number from 0 to n - 1."""
    return np.int64(((bits >> _32) * np.uint64(n)) >> _32)


@float_kernel
def make_noise(probabilities: FloatArray) -> Noise:
    """Prepare draws from V probabilities that sum to 1, so that at most two words share a slot."""
    n = len(probabilities)
    share = probabilities * n
    stay, other = np.ones(n), np.arange(n).astype(np.int32)
    queue = np.empty(n, np.int64)  # words with less than a slot grow from the left, the others from the right
    n_small, first_large = 0, n
    for word in range(n):
        if share[word] < 1.0:
            queue[n_small] = word
            n_small += 1
        else:
            first_large -= 1
            queue[first_large] = word
    while n_small > 0 and first_large < n:
        n_small -= 1
        small, large = queue[n_small], queue[first_large]
        stay[small], other[small] = share[small], large
        share[large] -= 1.0 - share[small]
        if share[large] < 1.0:
            first_large += 1
            queue[n_small] = large
            n_small += 1
    return Noise(stay * HALF_RANGE, other)


@float_kernel
def draw_noise(noise: Noise, seed: np.uint64, place: int, words: Int32Array) -> None:
    """Fill `words` (K,) with independent draws that belong to a place in the corpus."""
    for k in range(len(words)):
        bits = random_bits(seed, place * len(words) + k)
        slot = below(bits, len(noise.other))
        words[k] = slot if np.float64(bits & LOW_HALF) < noise.stay[slot] else noise.other[slot]


@float_kernel
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


@float_kernel
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
        noise_words: how many a block draws, `LANES` at most.
        negatives: how many a target is due: each drawn one weighs `negatives / noise_words`.
        window: the most words on either side of a target.
        first_rate, last_rate: the learning rate falls in a straight line from one to the other.
        seed: of this pass over the corpus.
    """
    kind, start, size = inputs.dtype.type, offsets[0], max(1, offsets[-1] - offsets[0])
    longest = 0
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    words, drawn = np.empty(longest, np.int32), np.full(LANES, -1, np.int32)
    low, high = np.empty(longest, np.int64), np.empty(longest, np.int64)
    room, weight = make_scratch(inputs, window), kind(negatives / noise_words)
    for i in range(len(offsets) - 1):
        begin, end = offsets[i], offsets[i + 1]
        n = sample_text(ids, begin, end, keep, window, seed, words, low, high)
        if n < 2:  # a word alone has no context
            continue
        rate = kind(first_rate + (last_rate - first_rate) * ((begin - start) / size))
        for first in range(0, n, BLOCK):
            draw_noise(noise, ~seed, begin + first, drawn[:noise_words])
            last = min(first + BLOCK, n)
            block_step(inputs, outputs, words, low, high, first, last, drawn, weight, rate, room)
