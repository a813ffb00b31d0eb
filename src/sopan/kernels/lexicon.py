"""Words to ids: a hash table over UTF-8 bytes, exact (equal hashes are settled by comparing the bytes)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sopan.kernels.segment import Bytes, doubled, kernel, segment_runs, segment_words
from sopan.types import BoolArray, Int32Array, Int64Array

MIX = -7046029254386353131  # 2**64 / golden ratio, odd, as a signed number
SHORT = 7
"""Words of so many bytes or fewer are told apart by their key alone."""

AS_IS = np.arange(256, dtype=np.uint8)
"""Folding that changes no byte."""
LOWER = AS_IS.copy()
"""Folding of ASCII capitals."""
LOWER[ord("A") : ord("Z") + 1] += 32
AS_IS.flags.writeable = LOWER.flags.writeable = False


class Lexicon(NamedTuple):
    """Distinct words in the order of their ids, with an open-addressing table to find them.

    Args:
        slots: (2 x power of two,) int64, at most half full: a word's key and its id + 1, 0 where free.
        pool: the words' bytes, end to end, with room to grow.
        bounds: (room + 1,) int64: word i is pool[bounds[i]:bounds[i + 1]].
        size: (1,) int64, number of words.
    """

    slots: Int64Array
    pool: Bytes
    bounds: Int64Array
    size: Int64Array


def empty_lexicon(words: int = 4096) -> Lexicon:
    """Return a lexicon with room for some words; it grows by itself."""
    room = 1 << max(4, (2 * words - 1).bit_length())
    bounds = np.zeros(room // 2 + 1, np.int64)
    return Lexicon(
        np.zeros(2 * room, np.int64), np.empty(8 * words + 8, np.uint8), bounds, np.zeros(1, np.int64)
    )


@kernel
def key_of(word: Bytes, fold: Bytes) -> np.int64:
    """Return 64 bits for folded bytes: their number and themselves if short, else a negative hash."""
    packed = np.int64(0)
    if len(word) <= SHORT:
        for byte in word:
            packed = packed << 8 | np.int64(fold[byte])
        return np.int64(len(word)) << 56 | packed
    mixed = np.int64(len(word))
    for i in range(len(word)):
        packed = packed << 8 | np.int64(fold[word[i]])
        if i & 7 == 7 or i == len(word) - 1:
            mixed = (mixed ^ packed) * np.int64(MIX)
            mixed ^= mixed >> 32
            packed = np.int64(0)
    return mixed | np.int64(-9223372036854775808)


@kernel
def first_slot(key: np.int64, slots: Int64Array) -> np.int64:
    """Return where the search for a key begins."""
    mixed = key * np.int64(MIX)
    return (mixed ^ mixed >> 32) & (len(slots) // 2 - 1)


@kernel
def same_bytes(word: Bytes, fold: Bytes, known: Bytes) -> bool:
    """Say whether a word, folded, equals a known one."""
    if len(word) != len(known):
        return False
    for i in range(len(word)):  # noqa: SIM110 - numba compiles no generators here
        if fold[word[i]] != known[i]:
            return False
    return True


@kernel
def grown(lexicon: Lexicon, more_bytes: int) -> Lexicon:
    """Return the same words with twice the room, and room for `more_bytes` besides."""
    slots, pool, bounds, size = lexicon
    wider = np.zeros(2 * len(slots), np.int64)
    mask = len(slots) - 1
    for old in range(0, len(slots), 2):
        if slots[old + 1] != 0:
            at = first_slot(slots[old], wider)
            while wider[2 * at + 1] != 0:
                at = (at + 1) & mask
            wider[2 * at], wider[2 * at + 1] = slots[old], slots[old + 1]
    return Lexicon(wider, doubled(pool, len(pool) + more_bytes), doubled(bounds, len(slots) // 2 + 1), size)


@kernel
def find_while_room(
    lexicon: Lexicon,
    data: Bytes,
    starts: Int64Array,
    ends: Int64Array,
    fold: Bytes,
    add: bool,
    ids: Int32Array,
    keys: Int64Array,
    done: int,
) -> int:
    """Do what `find_words` tells of from word `done` on, up to a new word for which there is no room."""
    slots, pool, bounds, size = lexicon
    mask = len(slots) // 2 - 1
    for i in range(done, len(starts)):
        word, key = data[starts[i] : ends[i]], keys[i]
        at = first_slot(key, slots)
        known = slots[2 * at + 1] - 1
        while known >= 0 and not (
            slots[2 * at] == key
            and (key >= 0 or same_bytes(word, fold, pool[bounds[known] : bounds[known + 1]]))
        ):
            at = (at + 1) & mask
            known = slots[2 * at + 1] - 1
        if known < 0 and add:
            known = size[0]
            begin = bounds[known]
            if 2 * (known + 1) > mask or begin + len(word) > len(pool):
                return i
            for j in range(len(word)):
                pool[begin + j] = fold[word[j]]
            bounds[known + 1] = begin + len(word)
            slots[2 * at], slots[2 * at + 1] = key, known + 1
            size[0] = known + 1
        ids[i] = known
    return len(starts)


@kernel
def find_words(
    lexicon: Lexicon,
    data: Bytes,
    starts: Int64Array,
    ends: Int64Array,
    fold: Bytes,
    add: bool,
    ids: Int32Array,
) -> Lexicon:
    """Write the id of each word data[starts[i]:ends[i]], folded byte by byte.

    Args:
        lexicon: known words; changed if `add`.
        data: UTF-8 bytes.
        starts, ends: (n,) byte ranges.
        fold: (256,) uint8: `LOWER` for ASCII texts, which may hold capitals, else `AS_IS`.
        add: give new words the next ids; else they are -1.
        ids: (n,) int32, written.

    Returns:
        The lexicon to use from now on.
    """
    keys = np.empty(len(starts), np.int64)
    for i in range(len(starts)):  # in a loop of its own, so that the table's cache misses below overlap
        keys[i] = key_of(data[starts[i] : ends[i]], fold)
    done = 0
    while True:
        done = find_while_room(lexicon, data, starts, ends, fold, add, ids, keys, done)
        if done == len(starts):
            return lexicon
        lexicon = grown(lexicon, ends[done] - starts[done])


@kernel
def find_words_of_texts(
    lexicon: Lexicon,
    data: Bytes,
    offsets: Int64Array,
    is_ascii: BoolArray,
    others: Bytes,
    other_offsets: Int64Array,
    classes: Bytes,
    shortest: int,
    fold: Bytes,
    add: bool,
) -> tuple[Lexicon, Int32Array, Int64Array]:
    """Cut N texts into words and write the words' ids.

    Args:
        lexicon: known words.
        data, offsets: (N + 1,) the texts as they came; text i is data[offsets[i]:offsets[i + 1]].
        is_ascii: (N,) whether text i is; if not, its normal form is read instead,
        others, other_offsets: which are the normal forms of the other texts, in order.
        classes: (0x110000,) classes of code points.
        shortest: 0 for Unicode words, else the least length of a run (see `segment`).
        fold: (256,) uint8, what to make of each byte of the ASCII texts: `LOWER` or `AS_IS`.
        add: give new words the next ids; else they are -1.

    Returns:
        The lexicon to use from now on, ids (T,), and offsets into them (N + 1,).
    """
    room = longest = 0
    for i in range(len(is_ascii)):
        longest = max(longest, offsets[i + 1] - offsets[i])
        room += (offsets[i + 1] - offsets[i]) // 2 + 1
    for k in range(len(other_offsets) - 1):
        longest = max(longest, other_offsets[k + 1] - other_offsets[k])
        room += (other_offsets[k + 1] - other_offsets[k]) // 2 + 1
    starts, ends = np.empty(longest // 2 + 1, np.int64), np.empty(longest // 2 + 1, np.int64)
    ids = np.empty(room, np.int32)
    bounds = np.zeros(len(is_ascii) + 1, np.int64)
    total = k = 0
    for i in range(len(is_ascii)):
        if is_ascii[i]:
            source, low, high, folded = data, offsets[i], offsets[i + 1], fold
        else:
            source, low, high, folded = others, other_offsets[k], other_offsets[k + 1], AS_IS
            k += 1
        if shortest == 0:
            n = segment_words(source, low, high, classes, starts, ends)
        else:
            n = segment_runs(source, low, high, classes, shortest, starts, ends)
        lexicon = find_words(lexicon, source, starts[:n], ends[:n], folded, add, ids[total : total + n])
        total += n
        bounds[i + 1] = total
    return lexicon, ids[:total].copy(), bounds
