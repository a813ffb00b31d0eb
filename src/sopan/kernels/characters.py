"""Texts as streams of characters, for n-grams of characters inside words."""

from __future__ import annotations

import numpy as np

from sopan.kernels.count import END
from sopan.kernels.segment import Bytes, code_point, kernel
from sopan.types import BoolArray, Int32Array, Int64Array

SPACE = 32


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
                    stream[at], stream[at + 1] = SPACE, END
                    at += 2
                inside = False
                continue
            if not inside:
                stream[at] = SPACE
                at += 1
            inside = True
            stream[at] = fold[point] if point < 0x80 else point
            at += 1
        if inside:
            stream[at], stream[at + 1] = SPACE, END
            at += 2
        lengths[i] = at - began
    return stream[:at].copy(), lengths
