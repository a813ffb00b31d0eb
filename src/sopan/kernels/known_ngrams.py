"""Count the words or n-grams of a fixed list in texts: matrices by rows, and the weights of their entries.

Words have their columns in an array; longer n-grams are in a trie over word ids, its edges in a hash table.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sopan.kernels import doubled, kernel
from sopan.kernels.lexicon import first_slot
from sopan.kernels.streams import END
from sopan.types import Float32Array, FloatArray, Int32Array, Int64Array

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


class NgramTrie(NamedTuple):
    """F n-grams by their first word, and from node to node by the next.

    Args:
        roots: (V,) int32, the node of each word as first word, or -1.
        slots: (2 x power of two,) int64, at most half full: node << 32 | next word, and the node it leads to
            + 1, 0 where free. Nodes 0 … F - 1 are the n-grams; nodes from F on only lead to longer ones.
    """

    roots: Int32Array
    slots: Int64Array


@kernel
def edge_slot(slots: Int64Array, node: np.int64, word: int) -> tuple[np.int64, np.int64]:
    """Return the key of an edge and its place in `slots`, or the free place where it would stand."""
    key = node << 32 | np.int64(word)
    at = first_slot(key, slots)
    while slots[2 * at + 1] != 0 and slots[2 * at] != key:
        at = (at + 1) & (len(slots) // 2 - 1)
    return key, 2 * at


@kernel
def step_to(slots: Int64Array, node: np.int64, word: int) -> np.int64:
    """Return the node that a word leads to, or -1."""
    return np.int64(slots[edge_slot(slots, node, word)[1] + 1] - 1)


@kernel
def add_step(slots: Int64Array, node: np.int64, word: int, target: np.int64) -> np.int64:
    """Return the node that a word leads to; if it leads nowhere yet, to `target`."""
    key, at = edge_slot(slots, node, word)
    if slots[at + 1] == 0:
        slots[at], slots[at + 1] = key, target + 1
    return np.int64(slots[at + 1] - 1)


@kernel
def plant(ids: Int32Array, offsets: Int64Array, order: Int64Array, words: int) -> tuple[NgramTrie, int]:
    """Build the trie of F n-grams.

    Args:
        ids, offsets: n-gram f is ids[offsets[f]:offsets[f + 1]], not empty.
        order: (F,) the n-grams by length, so that a prefix is planted before what it leads to.
        words: V.

    Returns:
        The trie, and the place of an n-gram that is in the list twice, or -1.
    """
    room = 16
    while room < 2 * len(ids):
        room *= 2
    roots = np.full(words, -1, np.int32)
    slots = np.zeros(2 * room, np.int64)
    fresh = np.int64(len(order))  # the next node that is no n-gram
    repeated = -1
    for f in order:
        low, high = offsets[f], offsets[f + 1]
        if high - low == 1:
            if roots[ids[low]] >= 0:
                repeated = f
            roots[ids[low]] = f
            continue
        if roots[ids[low]] < 0:
            roots[ids[low]] = fresh
            fresh += 1
        node = np.int64(roots[ids[low]])
        for i in range(low + 1, high - 1):
            node = add_step(slots, node, ids[i], fresh)
            fresh += node == fresh
        if add_step(slots, node, ids[high - 1], np.int64(f)) != f:
            repeated = f
    return NgramTrie(roots, slots), repeated


@kernel
def count_known_ngrams(  # noqa: C901 - one pass over the texts
    stream: Int32Array,
    bounds: Int64Array,
    trie: NgramTrie,
    ngrams: int,
    shortest: int,
    longest: int,
    whole: bool,
) -> tuple[Int64Array, Int32Array, Int64Array]:
    """Count the n-grams of a trie in N texts.

    Args:
        stream, bounds: as from `stream_of`; END closes a sequence, other negative ids are unknown.
        trie: from `plant`.
        ngrams: F.
        shortest, longest, whole: as in `find_ngrams`.

    Returns:
        The matrix by rows (CSR): indptr (N + 1,), indices, data; columns are sorted within each row.
    """
    n = len(bounds) - 1
    indptr = np.zeros(n + 1, np.int64)
    most = 0
    for text in range(n):
        most = max(most, bounds[text + 1] - bounds[text])
    room = most * (longest - shortest + 2)
    found, spare = np.empty(room, np.int32), np.empty(room, np.int32)
    indices, data = np.empty(4096, np.int32), np.empty(4096, np.int64)
    filled = 0
    for text in range(n):
        hits = 0
        for start in range(bounds[text], bounds[text + 1]):
            node = np.int64(-1)
            for length in range(1, longest + 1):
                word = stream[start + length - 1]
                if word < 0:
                    break
                node = np.int64(trie.roots[word]) if length == 1 else step_to(trie.slots, node, word)
                if node < 0:
                    break
                counts = length >= shortest
                if whole and not counts:
                    counts = stream[start - 1] == END and stream[start + length] == END
                if counts and node < ngrams:
                    found[hits] = node
                    hits += 1
        row = sort_ids(found[:hits], spare[:hits], ngrams)
        indices, data = doubled(indices, filled + hits), doubled(data, filled + hits)
        for i in range(hits):
            if i > 0 and row[i] == row[i - 1]:
                data[filled - 1] += 1
            else:
                indices[filled], data[filled] = row[i], 1
                filled += 1
        indptr[text + 1] = filled
    return indptr, indices[:filled], data[:filled]


@kernel
def weigh_rows(
    bounds: Int64Array,
    indices: npt.NDArray,  # type: ignore[type-arg]
    counts: Int64Array,
    weights: FloatArray,
    idf: Float32Array,
    values: Float32Array,
) -> None:
    """Weigh the counts of N rows by number and by column, and bring each row to length 1.

    Args:
        bounds: (N + 1,) int64: row i is what lies between bounds[i] and bounds[i + 1] of the next three.
        indices: (entries,) columns.
        counts: (entries,) int64, 1 or more.
        weights: (most,) float64, what each count weighs: that of n is weights[n - 1].
        idf: (V,) float32.
        values: (entries,) written.
    """
    for row in range(len(bounds) - 1):
        squares = 0.0
        for i in range(bounds[row], bounds[row + 1]):
            value = weights[counts[i] - 1] * np.float64(idf[indices[i]])
            squares += value * value
        length = math.sqrt(squares)
        for i in range(bounds[row], bounds[row + 1]):
            value = weights[counts[i] - 1] * np.float64(idf[indices[i]])
            values[i] = np.float32(value / length)
