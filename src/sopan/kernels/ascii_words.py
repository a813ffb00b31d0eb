"""Cut ASCII texts, and those nearly like them, into words without a branch that could be guessed wrong.

Whether an ASCII character belongs to a word depends on its own class and on those of its two neighbours, for
there are no marks to skip and no scripts to switch between. So one pass marks the characters of words, and
notes every place where that changes; these are the words' starts and ends, in turn. Where a text has letters,
numbers and signs beyond ASCII, but none with a rule of its own, each is read as an ASCII character of its
class. `segment` says the same of any text, ten times as slowly.
"""

from __future__ import annotations

import numpy as np

from sopan.kernels import kernel
from sopan.kernels.segment import (
    EMOJI,
    EXTEND,
    FLAG,
    HEBREW,
    JOINER,
    LETTER,
    MID_EITHER,
    MID_LETTER,
    MID_NUMBER,
    NUMBER,
    SINGLE_QUOTE,
    UNSPACED,
    code_point,
    is_line_break_tag,
)
from sopan.types import Bytes, Int64Array

AS_IS = np.arange(256, dtype=np.uint8)
"""Folding that changes no byte."""
LOWER = AS_IS.copy()
"""Folding of ASCII capitals."""
LOWER[ord("A") : ord("Z") + 1] += 32
AS_IS.flags.writeable = LOWER.flags.writeable = False

IN_WORD, IS_LETTER, IS_NUMBER, JOINS_LETTERS, JOINS_NUMBERS = 1, 2, 4, 8, 16
"""What a byte is to a word, one bit each. The last two, divided by 4, meet what they need on either side."""
_UNDERSCORE, _SPACE = ord("_"), ord(" ")

SYMBOLS = np.zeros(256, np.uint8)
"""An ASCII character for each class of code points; NUL for those that end words."""
for _kind, _symbol in {
    LETTER: "a",
    NUMBER: "0",
    JOINER: "_",
    MID_LETTER: ":",
    MID_NUMBER: ",",
    MID_EITHER: ".",
}.items():
    SYMBOLS[_kind] = ord(_symbol)


@kernel
def plain_kinds(classes: Bytes, shortest: int) -> Bytes:
    """Return what each byte is to the words of ASCII texts: (256,) uint8 of the bits above.

    Args:
        classes: (0x110000,) classes of code points.
        shortest: 0 for Unicode words; else a word is a run of code points whose class is not 0.
    """
    kinds = np.zeros(256, np.uint8)
    for byte in range(128):
        kind = classes[byte]
        if shortest > 0:
            kinds[byte] = IN_WORD if kind != 0 else 0
        elif kind == LETTER:
            kinds[byte] = IN_WORD | IS_LETTER
        elif kind == NUMBER:
            kinds[byte] = IN_WORD | IS_NUMBER
        elif kind == JOINER:
            kinds[byte] = IN_WORD
        elif kind == MID_LETTER:
            kinds[byte] = JOINS_LETTERS
        elif kind == MID_NUMBER:
            kinds[byte] = JOINS_NUMBERS
        elif kind in (MID_EITHER, SINGLE_QUOTE):
            kinds[byte] = JOINS_LETTERS | JOINS_NUMBERS
    return kinds


@kernel
def mark_edges(text: Bytes, kinds: Bytes, edges: Int64Array) -> int:
    """Write where words start and end in an ASCII text, in turn; return how many words there are.

    Args:
        text: (T,) bytes.
        kinds: from `plain_kinds`.
        edges: room for T + 2 places.
    """
    size, count = len(text), np.int64(0)
    before, here = np.uint8(0), kinds[text[0]] if size > 0 else np.uint8(0)
    was_inside = 0
    for i in range(size - 1):
        after = kinds[text[i + 1]]
        joined = (here >> 2) & before & after & (IS_LETTER | IS_NUMBER)
        inside = int((here | joined >> 1 | joined >> 2) & 1)
        edges[count] = i
        count += inside ^ was_inside
        before, here, was_inside = here, after, inside
    edges[count] = size - 1
    count += (here & 1) ^ was_inside
    edges[count] = size
    return int(count + 1) // 2


@kernel
def plain_words(
    source: Bytes,
    kinds: Bytes,
    shortest: int,
    fold: Bytes,
    text: Bytes,
    edges: Int64Array,
    starts: Int64Array,
    ends: Int64Array,
) -> int:
    """Fold an ASCII text into `text` and write its words; return how many there are.

    They are the words of `segment_words` or, where `shortest` is not 0, the runs of `segment_runs`.

    Args:
        source: (T,) bytes.
        kinds, shortest: see `plain_kinds`.
        fold: (256,) uint8, what to make of each byte: `LOWER` or `AS_IS`.
        text: room for T bytes.
        edges: room for T + 2 places.
        starts, ends: room for T // 2 + 1 words each.
    """
    for i in range(len(source)):
        text[i] = fold[source[i]]
    found = mark_edges(source, kinds, edges)
    count = 0
    for j in range(found):
        start, end = edges[2 * j], edges[2 * j + 1]
        starts[count], ends[count] = start, end
        if shortest > 0:
            count += end - start >= shortest
        elif text[start] != _UNDERSCORE and (end - start != 2 or start == 0 or text[start - 1] != 60):
            count += 1
        else:
            count += _counts_as_word(text, len(source), start, end)
    return count


@kernel
def _counts_as_word(text: Bytes, size: int, start: int, end: int) -> bool:
    """Say whether there is more to a word than underscores, and it is not of a line-break tag."""
    for i in range(start, end):
        if text[i] != _UNDERSCORE:
            return not is_line_break_tag(text, 0, size, start, end)
    return False


@kernel
def mixed_words(
    data: Bytes,
    low: int,
    high: int,
    classes: Bytes,
    kinds: Bytes,
    shortest: int,
    symbols: Bytes,
    places: Int64Array,
    text: Bytes,
    edges: Int64Array,
    starts: Int64Array,
    ends: Int64Array,
) -> int:
    """Write the words of data[low:high] and return how many there are, or -1 if `segment` must find them.

    Args:
        data: UTF-8 bytes, already in normal form.
        classes: (0x110000,) classes of code points.
        kinds, shortest, text, edges, starts, ends: see `plain_words`.
        symbols: room for T bytes.
        places: room for T + 1.
    """
    at, count = low, 0
    while at < high:
        symbols[count], places[count] = data[at], at
        step = 1
        if data[at] >= 0x80:
            point, step = code_point(data, at)
            kind = classes[point]
            if shortest > 0:
                symbols[count] = SYMBOLS[LETTER] if kind != 0 else _SPACE
            elif kind in (EXTEND, HEBREW, UNSPACED, EMOJI, FLAG):
                return -1
            else:
                symbols[count] = SYMBOLS[kind]
        at += step
        count += 1
    places[count] = high
    found = plain_words(symbols[:count], kinds, shortest, AS_IS, text, edges, starts, ends)
    for j in range(found):
        starts[j], ends[j] = places[starts[j]], places[ends[j]]
    return found
