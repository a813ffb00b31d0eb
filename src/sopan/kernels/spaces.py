"""Collapse white space in UTF-8 bytes, in place of a regular expression thirty times as slow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sopan.types import Int64Array

Bytes = npt.NDArray[np.uint8]


@njit(cache=True, nogil=True)
def _space_width(data: Bytes, at: int, end: int) -> int:
    """Return how many bytes the white-space character at `at` has, 0 if it is none (Unicode White_Space)."""
    first = data[at]
    if first == 0x20 or 0x09 <= first <= 0x0D:
        return 1
    second = data[at + 1] if at + 1 < end else 0
    if first == 0xC2:  # U+0085, U+00A0
        return 2 if second in (0x85, 0xA0) else 0
    third = data[at + 2] if at + 2 < end else 0
    wide = (
        (first == 0xE2 and second == 0x80 and (0x80 <= third <= 0x8A or third in (0xA8, 0xA9, 0xAF)))
        or (first == 0xE2 and second == 0x81 and third == 0x9F)  # above: U+2000..200A, 2028, 2029, 202F
        or (first == 0xE3 and second == 0x80 and third == 0x80)  # U+3000, and above U+205F
        or (first == 0xE1 and second == 0x9A and third == 0x80)  # U+1680
    )
    return 3 if wide else 0


@njit(cache=True, nogil=True)
def collapse_spaces(data: Bytes, offsets: Int64Array) -> tuple[Bytes, Int64Array]:
    """Turn every run of white space into one space, and take it off both ends of each text.

    Args:
        data: UTF-8 bytes of N texts, end to end.
        offsets: (N + 1,) int64, where each text begins and the last one ends.

    Returns:
        The new bytes and their (N + 1,) offsets, which start at 0.
    """
    out = np.empty(offsets[-1] - offsets[0], np.uint8)
    new = np.zeros(len(offsets), np.int64)
    to = 0
    for text in range(len(offsets) - 1):
        at, end = offsets[text], offsets[text + 1]
        pending = False
        begin = to
        while at < end:
            width = _space_width(data, at, end)
            if width:
                pending = True
                at += width
                continue
            if pending and to > begin:
                out[to] = 0x20
                to += 1
            pending = False
            out[to] = data[at]
            to += 1
            at += 1
        new[text + 1] = to
    return out[:to], new
