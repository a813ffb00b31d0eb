"""One block of targets of CBOW: a gradient step on the sum of their losses; see `kernels.cbow_pass`."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba.extending import register_jitable

from sopan.kernels import float_kernel
from sopan.kernels.simd import (
    LANES,
    add,
    add_product,
    broadcast,
    load,
    logistic,
    multiply,
    store,
    subtract,
    total,
    turn,
    unlike,
)
from sopan.types import Int32Array, Int64Array

Number: TypeAlias = np.floating[Any]
Floats: TypeAlias = npt.NDArray[Number]

BLOCK = 32
"""Targets that share their noise words."""
CACHE_LINE = 64
"""Bytes."""


class Scratch(NamedTuple):
    """Room to work in, made once for many blocks of B targets with K noise words and windows up to W.

    Args:
        sums: (B + 2W + 1, D) running sums of the words' vectors, later of their changes.
        hidden: (B, D) mean context vectors.
        error: (B, D) by what the mean context vectors should change.
        own_gains: (1, B) the rate times minus the derivative of the loss by the target's score.
        gains: (B, LANES) the same by the noise words' scores, in the first K columns.
        noise: (LANES, D) in the first K rows the noise words' output vectors.
        turned: (D, LANES) `noise` transposed.
        push: (LANES, D) by what they should change.
    """

    sums: Floats
    hidden: Floats
    error: Floats
    own_gains: Floats
    gains: Floats
    noise: Floats
    turned: Floats
    push: Floats


@register_jitable
def make_rows(n: int, width: int, dtype: npt.DTypeLike) -> Floats:
    """Return zeros (n, width) that begin where a cache line does: lanes on two lines take twice as long."""
    room = np.zeros(n * width + LANES, dtype)
    begin = -np.int64(room.ctypes.data) % CACHE_LINE // room.itemsize
    return room[begin : begin + n * width].reshape(n, width)


@float_kernel
def make_scratch(like: Floats, window: int) -> Scratch:
    """Make room for blocks of `BLOCK` targets over vectors like these (V, D)."""
    width, dtype = like.shape[1], like.dtype
    return Scratch(
        sums=make_rows(BLOCK + 2 * window + 1, width, dtype),
        hidden=make_rows(BLOCK, width, dtype),
        error=make_rows(BLOCK, width, dtype),
        own_gains=make_rows(1, BLOCK, dtype),
        gains=make_rows(BLOCK, LANES, dtype),
        noise=make_rows(LANES, width, dtype),
        turned=make_rows(width, LANES, dtype),
        push=make_rows(LANES, width, dtype),
    )


@float_kernel
def block_step(
    inputs: Floats,
    outputs: Floats,
    words: Int32Array,
    low: Int64Array,
    high: Int64Array,
    first: int,
    last: int,
    noise_words: Int32Array,
    noise_weight: Number,
    rate: Number,
    room: Scratch,
) -> None:
    """Move the vectors by -rate times the gradient of the summed losses of a block of targets, in place.

    Args:
        inputs, outputs: (V, D) float32 or float64: the vectors u and v; D is a multiple of `LANES`.
        words: (n,) word ids of a text.
        low, high: (n,) the context of target t is `words[low[t]:high[t]]` without t; it is not empty.
        first, last: the targets are `words[first:last]`, `BLOCK` of them at most.
        noise_words: (LANES,) K word ids, then -1; one that is the target itself does not count for it.
        noise_weight: each noise word's loss is multiplied by it.
        rate: the learning rate; like `noise_weight`, of the vectors' dtype.
        room: made by `make_scratch`.
    """
    left, right = low[first], high[first]
    for t in range(first + 1, last):
        left, right = min(left, low[t]), max(right, high[t])
    targets = words[first:last]
    _average_contexts(inputs, words, low, high, first, last, left, right, room)
    _noise_gradient(outputs, targets, noise_words, rate * noise_weight, room)
    _target_gradient(outputs, targets, rate, room)
    _update_contexts(inputs, outputs, words, low, high, first, last, left, right, room)
    for b in range(len(targets)):
        _add(outputs, targets[b], room.own_gains[0, b], room.hidden, b)
    for k in range(LANES):
        if noise_words[k] >= 0:
            _add(outputs, noise_words[k], inputs.dtype.type(1), room.push, k)


@float_kernel
def _add(rows: Floats, i: int, gain: Number, others: Floats, j: int) -> None:
    """rows[i] += gain * others[j]."""
    for d in range(0, rows.shape[1], LANES):
        store(rows, i, d, add_product(load(rows, i, d), broadcast(gain), load(others, j, d)))


@float_kernel
def _product(left: Floats, right: Floats, rows: int, inner: int, out: Floats) -> None:
    """out = left (rows, inner) times right (inner, D), eight rows at once: up to seven more are written."""
    zero = broadcast(right.dtype.type(0))
    for i in range(0, rows, 8):
        for d in range(0, right.shape[1], LANES):
            s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = zero
            for k in range(inner):
                row = load(right, k, d)
                s0 = add_product(s0, broadcast(left[i, k]), row)
                s1 = add_product(s1, broadcast(left[i + 1, k]), row)
                s2 = add_product(s2, broadcast(left[i + 2, k]), row)
                s3 = add_product(s3, broadcast(left[i + 3, k]), row)
                s4 = add_product(s4, broadcast(left[i + 4, k]), row)
                s5 = add_product(s5, broadcast(left[i + 5, k]), row)
                s6 = add_product(s6, broadcast(left[i + 6, k]), row)
                s7 = add_product(s7, broadcast(left[i + 7, k]), row)
            store(out, i, d, s0)
            store(out, i + 1, d, s1)
            store(out, i + 2, d, s2)
            store(out, i + 3, d, s3)
            store(out, i + 4, d, s4)
            store(out, i + 5, d, s5)
            store(out, i + 6, d, s6)
            store(out, i + 7, d, s7)


@float_kernel
def _average_contexts(
    inputs: Floats,
    words: Int32Array,
    low: Int64Array,
    high: Int64Array,
    first: int,
    last: int,
    left: int,
    right: int,
    room: Scratch,
) -> None:
    """hidden[b] = the mean input vector of the words around target first + b."""
    sums, one = room.sums, inputs.dtype.type(1)
    for d in range(0, inputs.shape[1], LANES):
        so_far = broadcast(inputs.dtype.type(0))
        store(sums, 0, d, so_far)
        for j in range(right - left):
            so_far = add(so_far, load(inputs, words[left + j], d))
            store(sums, j + 1, d, so_far)
    for t in range(first, last):
        i, j = low[t] - left, high[t] - left
        share = broadcast(one / inputs.dtype.type(j - i - 1))
        for d in range(0, inputs.shape[1], LANES):
            window = subtract(load(sums, j, d), load(sums, i, d))
            store(room.hidden, t - first, d, multiply(subtract(window, load(inputs, words[t], d)), share))


@float_kernel
def _noise_gradient(
    outputs: Floats, targets: Int32Array, noise_words: Int32Array, rate: Number, room: Scratch
) -> None:
    """Set `error` and `push` to the steps against the gradient of the noise words' losses."""
    n, drawn = len(targets), 0
    for k in range(LANES):
        if noise_words[k] >= 0:
            drawn = k + 1
            for d in range(0, outputs.shape[1], LANES):
                store(room.noise, k, d, load(outputs, noise_words[k], d))
    for d in range(0, outputs.shape[1], LANES):
        turn(room.noise, 0, d, room.turned, d)
    _product(room.hidden, room.turned, n, outputs.shape[1], room.gains)  # the scores
    for b in range(n):
        counts = multiply(broadcast(-rate), unlike(outputs, noise_words, targets[b]))
        store(room.gains, b, 0, multiply(counts, logistic(load(room.gains, b, 0))))
    _product(room.gains, room.noise, n, drawn, room.error)
    _product(room.gains.T, room.hidden, drawn, n, room.push)


@float_kernel
def _target_gradient(outputs: Floats, targets: Int32Array, rate: Number, room: Scratch) -> None:
    """Set `own_gains` to the steps against the derivative of the targets' own losses."""
    gains = room.own_gains
    for b in range(len(targets)):
        score = broadcast(outputs.dtype.type(0))
        for d in range(0, outputs.shape[1], LANES):
            score = add_product(score, load(room.hidden, b, d), load(outputs, targets[b], d))
        gains[0, b] = -total(score)
    for b in range(0, len(targets), LANES):
        store(gains, 0, b, multiply(broadcast(rate), logistic(load(gains, 0, b))))


@float_kernel
def _update_contexts(
    inputs: Floats,
    outputs: Floats,
    words: Int32Array,
    low: Int64Array,
    high: Int64Array,
    first: int,
    last: int,
    left: int,
    right: int,
    room: Scratch,
) -> None:
    """Add to each context word's input vector the error of each window it is in, over the window's size."""
    one, change, nothing = inputs.dtype.type(1), room.sums, broadcast(inputs.dtype.type(0))
    for j in range(right - left + 1):
        for d in range(0, inputs.shape[1], LANES):
            store(change, j, d, nothing)
    for t in range(first, last):
        i, j, target = low[t] - left, high[t] - left, words[t]
        share, gain = broadcast(one / inputs.dtype.type(j - i - 1)), broadcast(room.own_gains[0, t - first])
        for d in range(0, inputs.shape[1], LANES):
            error = add_product(load(room.error, t - first, d), gain, load(outputs, target, d))
            error = multiply(error, share)
            store(change, i, d, add(load(change, i, d), error))  # from the window's first word on …
            store(change, j, d, subtract(load(change, j, d), error))  # … up to its last
            # but a target is not in its own context
            store(inputs, target, d, subtract(load(inputs, target, d), error))
    for d in range(0, inputs.shape[1], LANES):
        so_far = nothing
        for j in range(right - left):
            so_far = add(so_far, load(change, j, d))
            store(inputs, words[left + j], d, add(load(inputs, words[left + j], d), so_far))
