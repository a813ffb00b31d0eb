"""Chance for kernels: random numbers that are functions of a seed and of a place, and draws of noise words.

Nothing is kept between calls, so that what is drawn never depends on the order of execution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numba.extending import register_jitable

from sopan.types import FloatArray, Int32Array

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_STRIDE = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
LOW_HALF = np.uint64(0xFFFFFFFF)

HALF_RANGE = 4294967296.0
"""2**32: chances are compared with the low half of 64 random bits."""


def kernel(function: Kernel) -> Kernel:
    """Compile at first use, keep the machine code, run without the GIL; sums may be reordered (SIMD)."""
    compile_it = numba.njit(
        cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}
    )
    return cast(Kernel, compile_it(function))


def as_it_is(function: Kernel) -> Kernel:
    """Leave a function to Python as it is, and compile it into the kernels that call it."""
    return register_jitable(function)


class Noise(NamedTuple):
    """A distribution over V words, drawn from in constant time: Walker's alias method (1977).

    Args:
        stay: (V,) float64, 2**32 times the chance that a slot gives its own word.
        other: (V,) int32, the word that it gives else.
    """

    stay: FloatArray
    other: Int32Array


@kernel
def random_bits(seed: np.uint64, place: int) -> np.uint64:
    """Return 64 random bits for a place: SplitMix64 (Steele, Lea & Flood 2014) as a counter."""
    bits = seed + _STRIDE * np.uint64(place + 1)
    bits = (bits ^ (bits >> _30)) * _MIX_1
    bits = (bits ^ (bits >> _27)) * _MIX_2
    return bits ^ (bits >> _31)


@kernel
def below(bits: np.uint64, n: int) -> np.int64:
    """Turn the high half of 64 random bits into a number from 0 to n - 1."""
    return np.int64(((bits >> _32) * np.uint64(n)) >> _32)


@kernel
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


@kernel
def draw_noise(noise: Noise, seed: np.uint64, place: int, words: Int32Array) -> None:
    """Fill `words` (K,) with independent draws that belong to a place in the corpus."""
    for k in range(len(words)):
        bits = random_bits(seed, place * len(words) + k)
        slot = below(bits, len(noise.other))
        words[k] = slot if np.float64(bits & LOW_HALF) < noise.stay[slot] else noise.other[slot]
