"""Texts as one stream of ids: of words, or of characters inside words; and n-grams spelt out again."""

from __future__ import annotations

import numpy as np

from sopan.kernels import kernel
from sopan.kernels.segment import code_point
from sopan.types import BoolArray, Bytes, Int32Array, Int64Array

END = -1
"""Closes a sequence in a stream. Other negative ids are unknown words: no n-gram holds one."""
_SPACE = ord(" ")


@kernel
def stream_of(ids: Int32Array, offsets: Int64Array) -> tuple[Int32Array, Int64Array]:
    """Put N texts of word ids into one stream, each closed by END.

    Args:
        ids: (T,) int32, -1 for unknown words.
        offsets: (N + 1,) int64.

    Returns:
        stream (1 + T + N,), which begins with an END of its own, and bounds (N + 1,): text i is
        stream[bounds[i]:bounds[i + 1]], its END included.
    """
    n = len(offsets) - 1
    stream = np.full(1 + len(ids) + n, END, np.int32)
    bounds = np.empty(n + 1, np.int64)
    for text in range(n):
        bounds[text] = offsets[text] + text + 1
        for i in range(offsets[text], offsets[text + 1]):
            stream[i + text + 1] = ids[i]
    bounds[n] = len(stream)
    return stream, bounds


@kernel
def tally_words(stream: Int32Array, low: int, high: int, words: int) -> Int64Array:
    """Count each word id in stream[low:high]: (words,) int64."""
    tally = np.zeros(words, np.int64)
    for i in range(low, high):
        if stream[i] >= 0:
            tally[stream[i]] += 1
    return tally


@kernel
def place_words(
    stream: Int32Array,
    bounds: Int64Array,
    first: int,
    last: int,
    cursors: Int64Array,
    places: Int64Array,
    texts: Int32Array,
) -> None:
    """Write where each word of texts first … last - 1 stands, grouped by word, in order of place.

    Args:
        stream, bounds: from `stream_of`.
        cursors: (V,) int64, where the next place of each word is to be written; moved on.
        places, texts: written: places in the stream, and the texts they are in.
    """
    for text in range(first, last):
        for i in range(bounds[text], bounds[text + 1]):
            word = stream[i]
            if word >= 0:
                at = cursors[word]
                cursors[word] = at + 1
                places[at] = i
                texts[at] = text


@kernel
def padded_words(
    data: Bytes,
    offsets: Int64Array,
    is_ascii: BoolArray,
    others: Bytes,
    other_offsets: Int64Array,
    classes: Bytes,
    fold: Bytes,
) -> tuple[Int32Array, Int64Array]:
    """Write each run of non-space characters of N texts with a space before and after it, closed by END.

    Args:
        data, offsets, is_ascii, others, other_offsets, fold: as in `lexicon.find_words_of_texts`.
        classes: (0x110000,) uint8, 0 for white space.

    Returns:
        The stream of code points, and the lengths (N,) of the texts in it.
    """
    room = 0
    for i in range(len(is_ascii)):
        room += 2 * (offsets[i + 1] - offsets[i]) + 2
    for k in range(len(other_offsets) - 1):
        room += 2 * (other_offsets[k + 1] - other_offsets[k]) + 2
    stream = np.empty(2 * room, np.int32)
    lengths = np.zeros(len(is_ascii), np.int64)
    at = k = 0
    for i in range(len(is_ascii)):
        began = at
        if is_ascii[i]:
            source, here, high = data, offsets[i], offsets[i + 1]
        else:
            source, here, high = others, other_offsets[k], other_offsets[k + 1]
            k += 1
        inside = False
        while here < high:
            point, step = code_point(source, here)
            here += step
            if classes[point] == 0:
                if inside:
                    stream[at], stream[at + 1] = _SPACE, END
                    at += 2
                inside = False
                continue
            if not inside:
                stream[at] = _SPACE
                at += 1
            inside = True
            stream[at] = fold[point] if point < 0x80 else point
            at += 1
        if inside:
            stream[at], stream[at + 1] = _SPACE, END
            at += 2
        lengths[i] = at - began
    return stream[:at].copy(), lengths


@kernel
def join_words(
    ngrams: Int32Array, data: Bytes, offsets: Int64Array, separator: bool
) -> tuple[Bytes, Int64Array]:
    """Spell out n-grams as UTF-8.

    Args:
        ngrams: (F, n) int32, filled up with -1.
        data, offsets: the words: word i is data[offsets[i]:offsets[i + 1]].
        separator: put a space between the words.

    Returns:
        Bytes, and the bounds (F + 1,) of each n-gram in them.
    """
    bounds = np.zeros(len(ngrams) + 1, np.int64)
    for f in range(len(ngrams)):
        size = 0
        for word in ngrams[f]:
            if word >= 0:
                size += offsets[word + 1] - offsets[word] + separator
        bounds[f + 1] = bounds[f] + size - separator
    text = np.empty(bounds[-1], np.uint8)
    for f in range(len(ngrams)):
        at = bounds[f]
        for word in ngrams[f]:
            if word >= 0:
                if separator and at > bounds[f]:
                    text[at] = 32
                    at += 1
                for i in range(offsets[word], offsets[word + 1]):
                    text[at] = data[i]
                    at += 1
    return text, bounds
