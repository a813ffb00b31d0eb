"""The step `attention` in the operations of runtimes: a GRU in both directions, read by attention.

Source: M.-T. Luong, H. Pham and C. Manning, "Effective Approaches to Attention-based Neural Machine
Translation" (2015); equations as in `sopan.steps.attention`, whose `Reader` this is.
"""

from __future__ import annotations

import numpy as np

from sopan.runtime.network import ReaderBody
from sopan.runtime.operations import HIDDEN, Array, Arrays, Operations, Tensor


def read(ops: Operations, arrays: Arrays, body: ReaderBody, x: Tensor, mask: Tensor) -> Tensor:
    """Return the vectors (B, units) of the words x (B, T, D) and their mask (B, T)."""
    number = ops.cast(mask, np.float32)
    words = ops.reduce("sum", number, 1, keepdims=True)  # (B, 1)
    cells = [f"both_ways/{way}_gru/gru_cell" for way in ("forward", "backward")]
    kernels = [
        (_still(arrays[f"{cell}/kernel"]), arrays[f"{cell}/recurrent_kernel"], arrays[f"{cell}/bias"])
        for cell in cells
    ]
    padding = ops.subtract(ops.constant(np.float32(1)), ops.reshape(number, (0, -1, 1)))  # (B, T, 1)
    states, final = ops.gru(ops.concatenate([x, padding], 2), kernels)  # (B, T, E), (B, E)
    width, reads = arrays["reader/own"].shape[1], body.reads
    kernel = arrays["reader/to_query"].reshape(width, reads * width)
    query = ops.reshape(ops.dense(final, kernel), (0, reads, width))
    query = ops.tanh(ops.add(query, ops.constant(arrays["reader/own"])))  # (B, K, E)
    contexts = _attend(ops, arrays, body, query, states, mask, words)
    both = ops.concatenate([ops.reshape(contexts, (0, reads * width)), final], 1)
    return ops.tanh(ops.dense(both, arrays["vector/kernel"], arrays["vector/bias"]))  # eq. 5


def _still(kernel: Array) -> Array:
    """Add a row for padding to a GRU's kernel (D, 3 · U): the gate z opens, and the state stays as it is.

    Runtimes take the lengths of texts in ways of their own: OpenVINO 2026.4 does not look at them.
    """
    row = np.zeros((1, kernel.shape[1]), kernel.dtype)
    row[:, : kernel.shape[1] // 3] = 100  # its sigmoid is 1 to the last bit
    return np.concatenate([kernel, row])


def _attend(
    ops: Operations,
    arrays: Arrays,
    body: ReaderBody,
    query: Tensor,
    states: Tensor,
    mask: Tensor,
    words: Tensor,
) -> Tensor:
    """Return the contexts (B, K, E); a read that may look nowhere gives zeros."""
    seen = ops.reshape(mask, (0, 1, -1))  # (B, 1, T)
    if body.look != "global":
        distance = _distance(ops, arrays, body, query, mask, words)  # (B, K, T)
        near = ops.less_equal(ops.abs(distance), ops.constant(np.float32(body.window)))
        seen = ops.logical_and(seen, near)
    hide = ops.where(seen, ops.constant(np.float32(0)), ops.constant(HIDDEN))
    weights = ops.softmax(ops.add(_score(ops, arrays, body, query, states), hide))
    if body.look == "local-p":
        spread = np.float32(-1 / (2 * (body.window / 2) ** 2))
        weights = ops.multiply(
            weights, ops.exp(ops.multiply(ops.multiply(distance, distance), ops.constant(spread)))
        )  # eq. 10
    some = ops.reduce("max", ops.cast(seen, np.float32), 2, keepdims=True)
    return ops.multiply(ops.matmul(weights, states), some)


def _distance(
    ops: Operations, arrays: Arrays, body: ReaderBody, query: Tensor, mask: Tensor, words: Tensor
) -> Tensor:
    """Return how far each word stands from the place that each read looks at: (B, K, T)."""
    if body.look == "local-m":
        share = ops.constant(((np.arange(body.reads, dtype=np.float32) + 0.5) / body.reads)[None, :])
    else:
        guess = ops.tanh(ops.dense(query, arrays["reader/of_place"]))
        share = ops.reshape(ops.sigmoid(ops.dense(guess, arrays["reader/place"])), (0, -1))  # (B, K)
    one, none = ops.constant(np.float32(1)), ops.constant(np.float32(0))
    place = ops.multiply(share, ops.maximum(ops.subtract(words, one), none))  # (B, K)
    return ops.subtract(ops.reshape(ops.places(mask), (1, 1, -1)), ops.reshape(place, (0, -1, 1)))


def _score(ops: Operations, arrays: Arrays, body: ReaderBody, query: Tensor, states: Tensor) -> Tensor:
    """Return the scores (B, K, T): eq. 8."""
    if body.scoring == "dot":
        return ops.matmul(query, states, turned=True)
    if body.scoring == "general":
        return ops.matmul(ops.dense(query, arrays["reader/general"]), states, turned=True)
    width = arrays["reader/own"].shape[1]
    of_query = ops.reshape(ops.dense(query, arrays["reader/of_query"]), (0, body.reads, 1, width))
    of_state = ops.reshape(ops.dense(states, arrays["reader/of_state"]), (0, 1, -1, width))
    bent = ops.tanh(ops.add(of_query, of_state))  # (B, K, T, E)
    return ops.reshape(ops.dense(bent, arrays["reader/additive"]), (0, 0, -1))
