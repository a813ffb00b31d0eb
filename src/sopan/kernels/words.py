"""Count single words, text by text: what n-grams of length 1 come to, without a stream or a trie."""

from __future__ import annotations

import numpy as np

from sopan.kernels.segment import doubled, kernel
from sopan.types import Int32Array, Int64Array

FEW = 32
"""Up to so many ids are sorted by insertion."""


@kernel
def sort_ids(ids: Int32Array, spare: Int32Array, limit: int) -> Int32Array:
    """Sort ids: a few by insertion, more of them byte by byte from the lowest (LSD radix sort).

    Args:
        ids, spare: (n,) int32; one of them is returned, both are overwritten.
        limit: above all ids, which are 0 or more.
    """
    if len(ids) <= FEW:
        for i in range(1, len(ids)):
            value, to = ids[i], i
            while to > 0 and ids[to - 1] > value:
                ids[to] = ids[to - 1]
                to -= 1
            ids[to] = value
        return ids
    shift = 0
    starts = np.empty(257, np.int64)
    while limit > 1 << shift:
        starts[:] = 0
        for value in ids:
            starts[((value >> shift) & 255) + 1] += 1
        for digit in range(256):
            starts[digit + 1] += starts[digit]
        for value in ids:
            digit = (value >> shift) & 255
            spare[starts[digit]] = value
            starts[digit] += 1
        ids, spare = spare, ids
        shift += 8
    return ids


@kernel
def count_words(
    ids: Int32Array, offsets: Int64Array, columns: Int32Array, features: int
) -> tuple[Int64Array, Int32Array, Int64Array]:
    """Count the words of N texts that have a column.

    Args:
        ids, offsets: text i is ids[offsets[i]:offsets[i + 1]]; a negative id is an unknown word.
        columns: (V,) int32, each word's column; one below 0, or not below `features`, is none.
        features: number of columns.

    Returns:
        The matrix by rows (CSR): indptr (N + 1,), indices, data; columns are sorted within each row.
    """
    n = len(offsets) - 1
    longest = 0
    for text in range(n):
        longest = max(longest, offsets[text + 1] - offsets[text])
    found, spare = np.empty(longest + 1, np.int32), np.empty(longest + 1, np.int32)
    tally = np.zeros(features, np.int32)
    indptr = np.zeros(n + 1, np.int64)
    indices, data = np.empty(4096, np.int32), np.empty(4096, np.int64)
    filled = 0
    for text in range(n):
        distinct = 0
        for i in range(offsets[text], offsets[text + 1]):
            column = columns[ids[i]] if ids[i] >= 0 else -1
            if 0 <= column < features:
                found[distinct] = column
                distinct += tally[column] == 0
                tally[column] += 1
        row = sort_ids(found[:distinct], spare[:distinct], features)
        indices, data = doubled(indices, filled + distinct), doubled(data, filled + distinct)
        for column in row:
            indices[filled], data[filled] = column, tally[column]
            tally[column] = 0
            filled += 1
        indptr[text + 1] = filled
    return indptr, indices[:filled], data[:filled]


@kernel
def tally_texts(ids: Int32Array, offsets: Int64Array, words: int) -> tuple[Int64Array, Int64Array]:
    """Count for each word the texts that hold it, and how often it occurs: (words,) int64 both.

    Args:
        ids, offsets: of N texts, as in `count_words`.
        words: V.
    """
    last = np.full(words, -1, np.int64)
    texts, total = np.zeros(words, np.int64), np.zeros(words, np.int64)
    for text in range(len(offsets) - 1):
        for i in range(offsets[text], offsets[text + 1]):
            word = ids[i]
            texts[word] += last[word] != text
            total[word] += 1
            last[word] = text
    return texts, total
