"""MinHash over word shingles: which texts share most of their runs of words.

Source: Broder (1997), "On the resemblance and containment of documents", SEQUENCES '97. Two sets whose
Jaccard similarity is J have the same smallest element, under a random order of all elements, with
probability J. Bands of several such minima make texts collide that are much alike, and few others
(Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", section 3.4).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sopan.kernels import kernel, splitmix64
from sopan.types import FloatArray, Int32Array, Int64Array

UInt32Array = npt.NDArray[np.uint32]
UInt64Array = npt.NDArray[np.uint64]


@kernel
def hash_words(ids: Int32Array, start: int, end: int) -> np.uint64:
    """Hash the words `ids[start:end]` and their order to 64 bits."""
    value = np.uint64(end - start)
    for i in range(start, end):
        value = splitmix64(value ^ np.uint64(ids[i]))
    return value


@kernel
def shingles(ids: Int32Array, start: int, end: int, size: int) -> UInt64Array:
    """Return the distinct shingles of one text, sorted: hashes of each run of `size` words.

    A text shorter than `size` is one shingle; a text without words has none.
    """
    if end == start:
        return np.empty(0, np.uint64)
    width = min(size, end - start)
    found = np.empty(end - start - width + 1, np.uint64)
    for i in range(len(found)):
        found[i] = hash_words(ids, start + i, start + i + width)
    found.sort()
    distinct = 1
    for i in range(1, len(found)):
        if found[i] != found[distinct - 1]:
            found[distinct] = found[i]
            distinct += 1
    return found[:distinct]


@kernel
def text_hashes(ids: Int32Array, starts: Int64Array, ends: Int64Array) -> UInt64Array:
    """Hash each text's whole sequence of words, `ids[starts[i]:ends[i]]`; (N,) uint64."""
    hashes = np.empty(len(starts), np.uint64)
    for text in range(len(hashes)):
        hashes[text] = hash_words(ids, starts[text], ends[text])
    return hashes


@kernel
def signatures(ids: Int32Array, starts: Int64Array, ends: Int64Array, size: int, orders: int) -> UInt32Array:
    """Return each text's smallest shingle under several fixed pseudo-random orders.

    Args:
        ids: (T,) word ids.
        starts, ends: (N,) text i is `ids[starts[i]:ends[i]]`.
        size: words in a shingle.
        orders: how many orders. Order k maps a shingle x to a scrambled `(x xor s_k) * m_k`.

    Returns:
        (N, orders) uint32. The share of equal entries in two rows estimates the texts' Jaccard similarity.
    """
    salts, factors = np.empty(orders, np.uint32), np.empty(orders, np.uint32)
    for k in range(orders):
        salts[k] = splitmix64(np.uint64(2 * k)) >> np.uint64(32)
        factors[k] = (splitmix64(np.uint64(2 * k + 1)) >> np.uint64(32)) | np.uint64(1)
    minima = np.full((len(starts), orders), 0xFFFFFFFF, np.uint32)
    for text in range(len(starts)):
        start, end = starts[text], ends[text]
        width = min(size, end - start)
        row = minima[text]
        for first in range(start, end - width + 1 if width > 0 else start):
            x = np.uint32(hash_words(ids, first, first + width) >> np.uint64(32))
            for k in range(orders):
                y = np.uint32(np.uint32(x ^ salts[k]) * factors[k])
                y = np.uint32(np.uint32(y ^ (y >> np.uint32(16))) * np.uint32(0x85EBCA6B))
                row[k] = min(row[k], np.uint32(y ^ (y >> np.uint32(13))))
    return minima


@kernel
def band_keys(minima: UInt32Array, first: int, last: int) -> UInt64Array:
    """Hash columns `first` to `last` (exclusive) of the signatures to one key a text; (N,) uint64."""
    keys = np.empty(len(minima), np.uint64)
    for text in range(len(minima)):
        key = np.uint64(0)
        for k in range(first, last):
            key = splitmix64(key ^ np.uint64(minima[text, k]))
        keys[text] = key
    return keys


@kernel
def equal_key_pairs(keys: UInt64Array, order: Int64Array, window: int) -> tuple[Int64Array, Int64Array, int]:
    """Pair the texts that share a key, each with at most `window` that follow it.

    Args:
        keys: (N,) one key a text.
        order: (N,) a stable order that sorts the keys.
        window: a bucket of more than `window + 1` texts is not compared all with all, which would
            take quadratic time where a table is full of one template.

    Returns:
        (P,) first texts, (P,) second texts, and how many pairs the window left out.
    """
    nearest = np.empty(len(order), np.int64)  # where the texts begin that text i is paired with
    begin, pairs, skipped = 0, 0, 0
    for i in range(len(order)):
        if keys[order[i]] != keys[order[begin]]:
            begin = i
        nearest[i] = max(begin, i - window)
        pairs += i - nearest[i]
        skipped += nearest[i] - begin
    first, second = np.empty(pairs, np.int64), np.empty(pairs, np.int64)
    pairs = 0
    for i in range(len(order)):
        for j in range(nearest[i], i):
            first[pairs], second[pairs] = order[j], order[i]
            pairs += 1
    return first, second, skipped


@kernel
def jaccard(a: UInt64Array, b: UInt64Array) -> float:
    """Return |a ∩ b| / |a ∪ b| of two sorted sets; 0 where both are empty."""
    i, j, common = 0, 0, 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            common += 1
            i += 1
            j += 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    union = len(a) + len(b) - common
    return common / union if union else 0.0


@kernel
def pair_jaccards(
    ids: Int32Array, starts: Int64Array, ends: Int64Array, size: int, first: Int64Array, second: Int64Array
) -> FloatArray:
    """Return the true Jaccard similarity of the shingle sets of P pairs of texts; (P,) float64.

    Args:
        ids: (T,) word ids.
        starts, ends: (N,) text i is `ids[starts[i]:ends[i]]`.
        size: words in a shingle.
        first, second: (P,) the texts of each pair.
    """
    similarity = np.empty(len(first), np.float64)
    for pair in range(len(first)):
        a, b = first[pair], second[pair]
        similarity[pair] = jaccard(
            shingles(ids, starts[a], ends[a], size), shingles(ids, starts[b], ends[b], size)
        )
    return similarity
