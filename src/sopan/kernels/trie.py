"""Count a fixed list of n-grams in new texts: a trie over word ids whose edges are in a hash table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sopan.kernels.count import END
from sopan.kernels.lexicon import first_slot
from sopan.kernels.segment import doubled, kernel
from sopan.kernels.words import sort_ids
from sopan.types import Int32Array, Int64Array


class Trie(NamedTuple):
    """F n-grams by their first word, and from node to node by the next.

    Args:
        roots: (V,) int32, the node of each word as first word, or -1.
        slots: (2 x power of two,) int64, at most half full: node << 32 | next word, and the node it leads to
            + 1, 0 where free. Nodes 0 … F - 1 are the n-grams; nodes from F on only lead to longer ones.
    """

    roots: Int32Array
    slots: Int64Array


@kernel
def step_to(slots: Int64Array, node: np.int64, word: int) -> np.int64:
    """Return the node that a word leads to, or -1."""
    key = node << 32 | np.int64(word)
    at = first_slot(key, slots)
    while slots[2 * at + 1] != 0:
        if slots[2 * at] == key:
            return np.int64(slots[2 * at + 1] - 1)
        at = (at + 1) & (len(slots) // 2 - 1)
    return np.int64(-1)


@kernel
def add_step(slots: Int64Array, node: np.int64, word: int, target: np.int64) -> np.int64:
    """Return the node that a word leads to; if it leads nowhere yet, to `target`."""
    key = node << 32 | np.int64(word)
    at = first_slot(key, slots)
    while slots[2 * at + 1] != 0:
        if slots[2 * at] == key:
            return np.int64(slots[2 * at + 1] - 1)
        at = (at + 1) & (len(slots) // 2 - 1)
    slots[2 * at], slots[2 * at + 1] = key, target + 1
    return target


@kernel
def plant(ids: Int32Array, offsets: Int64Array, order: Int64Array, words: int) -> tuple[Trie, int]:
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
    return Trie(roots, slots), repeated


@kernel
def count_known_ngrams(  # noqa: C901 - one pass over the texts
    stream: Int32Array,
    bounds: Int64Array,
    trie: Trie,
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
