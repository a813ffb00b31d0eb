"""Attention and the Transformer's block in slow NumPy, written from the papers, one number at a time."""

from __future__ import annotations

import math

import numpy as np

# ---- Vaswani et al. (2017), equation 1 -------------------------------------------------------


def attend_slowly(query, keys, values, seen, *, scaled=True):
    """query (Q, D), keys (T, D), values (T, E), seen (Q, T) bool -> context (Q, E), weights (Q, T)."""
    weights = np.zeros((len(query), len(keys)))
    context = np.zeros((len(query), values.shape[1]))
    for q in range(len(query)):
        looked_at = [k for k in range(len(keys)) if seen[q, k]]
        if not looked_at:
            continue
        scores = [sum(a * b for a, b in zip(query[q], keys[k], strict=True)) for k in looked_at]
        if scaled:
            scores = [score / math.sqrt(query.shape[1]) for score in scores]
        powers = [math.exp(score - max(scores)) for score in scores]
        for k, power in zip(looked_at, powers, strict=True):
            weights[q, k] = power / sum(powers)
            context[q] += weights[q, k] * values[k]
    return context, weights


def who_sees_whom(mask, *, causal=False):
    """mask (T,) bool -> (T, T) bool."""
    length = len(mask)
    return np.array([[mask[k] and (k <= q or not causal) for k in range(length)] for q in range(length)])


def multi_head_slowly(x, mask, weights, heads, *, causal=False):
    """x (T, D), mask (T,) -> (T, width), (H, T, T). weights: qkv and out, each with kernel and bias."""
    query, key, value = np.split(x @ weights["qkv/kernel"] + weights["qkv/bias"], 3, axis=1)
    size = query.shape[1] // heads
    contexts, looks = [], []
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        seen = who_sees_whom(mask, causal=causal)
        context, look = attend_slowly(query[:, own], key[:, own], value[:, own], seen)
        contexts.append(context)
        looks.append(look)
    side_by_side = np.concatenate(contexts, axis=1)
    if "out/kernel" in weights:
        side_by_side = side_by_side @ weights["out/kernel"] + weights["out/bias"]
    return side_by_side, np.array(looks)


# ---- The rest of the block -------------------------------------------------------------------


def gelu(x):
    """x · P(a standard normal is at most x): Hendrycks and Gimpel (2016), exactly."""
    return np.vectorize(lambda one: one * 0.5 * (1 + math.erf(one / math.sqrt(2))))(x)


def layer_norm(x, gamma, beta, epsilon):
    """Ba et al. (2016): each row to mean 0 and variance 1, then scaled and shifted."""
    rows = [(row - row.mean()) / math.sqrt(((row - row.mean()) ** 2).mean() + epsilon) for row in x]
    return np.array(rows) * gamma + beta


def sinusoids(length, width):
    """Vaswani et al. (2017), section 3.5: (length, width)."""
    table = np.zeros((length, width))
    for place in range(length):
        for i in range(width // 2):
            table[place, 2 * i] = math.sin(place / 10000 ** (2 * i / width))
            table[place, 2 * i + 1] = math.cos(place / 10000 ** (2 * i / width))
    return table


def block_slowly(x, mask, weights, *, heads, norm, epsilon, causal=False):
    """x (T, D), mask (T,) -> (T, D), (H, T, T). weights: by path inside an `EncoderBlock`."""

    def of(name):
        return {path[len(name) + 1 :]: w for path, w in weights.items() if path.startswith(name + "/")}

    def normalise(z, name):
        return layer_norm(z, weights[f"{name}/gamma"], weights[f"{name}/beta"], epsilon)

    def think(z):
        inner = gelu(z @ weights["feed_forward/up/kernel"] + weights["feed_forward/up/bias"])
        return inner @ weights["feed_forward/down/kernel"] + weights["feed_forward/down/bias"]

    if norm == "pre":
        read, looks = multi_head_slowly(
            normalise(x, "attention_norm"), mask, of("attention"), heads, causal=causal
        )
        x = x + read
        return x + think(normalise(x, "feed_forward_norm")), looks
    read, looks = multi_head_slowly(x, mask, of("attention"), heads, causal=causal)
    x = normalise(x + read, "attention_norm")
    return normalise(x + think(x), "feed_forward_norm"), looks
