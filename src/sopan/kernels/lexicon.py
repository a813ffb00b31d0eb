"""Words to ids: a hash table over UTF-8 bytes, exact (equal hashes are settled by comparing the bytes)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sopan.kernels import doubled, kernel
from sopan.kernels.ascii_words import mixed_words, plain_kinds, plain_words
from sopan.kernels.segment import segment_words
from sopan.types import BoolArray, Bytes, Int32Array, Int64Array

MIX = -7046029254386353131  # 2**64 / golden ratio, odd, as a signed number
SHORT = 7
"""Words of so many bytes or fewer are distinguished by their key alone."""


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
def eight_bytes(data: Bytes, at: int, size: int) -> np.int64:
    """Return the first `size` bytes from a place on, at most eight, as one number; the others are 0."""
    packed = np.int64(0)
    if at + 8 > len(data):
        for i in range(min(size, 8)):
            packed |= np.int64(data[at + i]) << (8 * i)
        return packed
    first = np.uint64(at)  # unsigned, so that no place could be counted from the end: this becomes one load
    for i in range(8):
        packed |= np.int64(data[first + np.uint64(i)]) << (8 * i)
    return packed if size >= 8 else packed & ((np.int64(1) << (8 * size)) - 1)


@kernel
def mix_in(mixed: np.int64, packed: np.int64) -> np.int64:
    """Mix eight more bytes into a hash."""
    mixed = (mixed ^ packed) * np.int64(MIX)
    return mixed ^ mixed >> 32


@kernel
def key_of(data: Bytes, start: int, end: int) -> np.int64:
    """Return 64 bits for bytes: their number and themselves if they are few, else a negative hash.

    Up to 16 bytes it is made without a branch, which would be guessed wrong: short and long words alternate.
    """
    size = end - start
    first = eight_bytes(data, start, size)
    mixed = mix_in(np.int64(size), first)
    while end - start > 16:
        start += 8
        mixed = mix_in(mixed, eight_bytes(data, start, 8))
    mixed = mix_in(mixed, eight_bytes(data, max(end - 8, 0), 8)) | np.int64(-9223372036854775808)
    return np.int64(size) << 56 | first if size <= SHORT else mixed


@kernel
def first_slot(key: np.int64, slots: Int64Array) -> np.int64:
    """Return where the search for a key begins."""
    mixed = key * np.int64(MIX)
    return (mixed ^ mixed >> 32) & (len(slots) // 2 - 1)


@kernel
def same_bytes(data: Bytes, start: int, end: int, pool: Bytes, begin: int, finish: int) -> bool:
    """Say whether data[start:end] equals pool[begin:finish]."""
    size = end - start
    if size != finish - begin:
        return False
    for done in range(0, size, 8):
        if eight_bytes(data, start + done, size - done) != eight_bytes(pool, begin + done, size - done):
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
    add: bool,
    ids: Int32Array,
    keys: Int64Array,
    done: int,
) -> int:
    """Do the work of `find_words` from word `done` on, up to a new word for which there is no room."""
    slots, pool, bounds, size = lexicon
    mask = len(slots) // 2 - 1
    for i in range(done, len(starts)):
        key, start, end = keys[i], starts[i], ends[i]
        at = first_slot(key, slots)
        known = slots[2 * at + 1] - 1
        while known >= 0 and not (
            slots[2 * at] == key
            and (key >= 0 or same_bytes(data, start, end, pool, bounds[known], bounds[known + 1]))
        ):
            at = (at + 1) & mask
            known = slots[2 * at + 1] - 1
        if known < 0 and add:
            known = size[0]
            begin = bounds[known]
            if 2 * (known + 1) > mask or begin + end - start > len(pool):
                return i
            for j in range(end - start):
                pool[begin + j] = data[start + j]
            bounds[known + 1] = begin + end - start
            slots[2 * at], slots[2 * at + 1] = key, known + 1
            size[0] = known + 1
        ids[i] = known
    return len(starts)


@kernel
def find_words(
    lexicon: Lexicon, data: Bytes, starts: Int64Array, ends: Int64Array, add: bool, ids: Int32Array
) -> Lexicon:
    """Write the id of each word data[starts[i]:ends[i]].

    Args:
        lexicon: known words; changed if `add`.
        data: UTF-8 bytes.
        starts, ends: (n,) byte ranges.
        add: give new words the next ids; else they are -1.
        ids: (n,) int32, written.

    Returns:
        The lexicon to use from now on.
    """
    keys = np.empty(len(starts), np.int64)
    for i in range(len(starts)):  # in a loop of its own, so that the table's cache misses below overlap
        keys[i] = key_of(data, starts[i], ends[i])
    done = 0
    while True:
        done = find_while_room(lexicon, data, starts, ends, add, ids, keys, done)
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
    room, longest = room_for(offsets, other_offsets)
    kinds = plain_kinds(classes, shortest)
    text, edges = np.empty(longest, np.uint8), np.empty(longest + 2, np.int64)
    symbols, places = np.empty(longest, np.uint8), np.empty(longest + 1, np.int64)
    starts, ends = np.empty(longest // 2 + 1, np.int64), np.empty(longest // 2 + 1, np.int64)
    ids = np.empty(room, np.int32)
    bounds = np.zeros(len(is_ascii) + 1, np.int64)
    total = k = 0
    for i in range(len(is_ascii)):
        if is_ascii[i]:
            whole = data[offsets[i] : offsets[i + 1]]
            n = plain_words(whole, kinds, shortest, fold, text, edges, starts, ends)
            lexicon = find_words(lexicon, text, starts[:n], ends[:n], add, ids[total : total + n])
        else:
            low, high = other_offsets[k], other_offsets[k + 1]
            k += 1
            n = mixed_words(
                others, low, high, classes, kinds, shortest, symbols, places, text, edges, starts, ends
            )
            if n < 0:
                n = segment_words(others, low, high, classes, starts, ends)
            lexicon = find_words(lexicon, others, starts[:n], ends[:n], add, ids[total : total + n])
        total += n
        bounds[i + 1] = total
    return lexicon, ids[:total].copy(), bounds


@kernel
def room_for(offsets: Int64Array, other_offsets: Int64Array) -> tuple[int, int]:
    """Return how many words texts may have, in both forms together, and the bytes of the longest text."""
    room = longest = 0
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
        room += (offsets[i + 1] - offsets[i]) // 2 + 1
    for k in range(len(other_offsets) - 1):
        longest = max(longest, other_offsets[k + 1] - other_offsets[k])
        room += (other_offsets[k + 1] - other_offsets[k]) // 2 + 1
    return room, longest
