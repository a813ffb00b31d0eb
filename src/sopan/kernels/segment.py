"""Cut UTF-8 bytes into words: byte ranges, found in one pass by table-driven automata; collapse white space.

All functions expect valid UTF-8 and read `data[low:high]` only. `classes` gives the class of every code
point. Words are written to `starts` and `ends`, which must have room for `(high - low) // 2 + 1` of them:
enough, because words of one byte are never neighbours and every other word has two bytes to itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sopan.kernels import kernel
from sopan.types import Bytes, Int64Array

# Classes of code points (UAX #29, table 3) ------------------------------------------------------------
CLASSES = (
    *("Break", "Letter", "Hebrew_Letter", "Numeric", "ExtendNumLet", "Unspaced"),
    *("Extend", "MidLetter", "MidNum", "MidNumLet", "Single_Quote", "Double_Quote"),
    *("Emoji", "Flag"),
)
"""Their names in `word_break.txt`; `Break` is every other code point, which separates words.

They are UAX #29's values with four tailorings, which the standard allows for and names: `Unspaced` is
Katakana and every letter or ideograph outside the standard's ALetter (Han, Hiragana, Thai, Lao, Khmer,
Myanmar …); `Extend` includes ZWJ and Format; U+202F, a narrow space, separates words; `Emoji` is what
Extended_Pictographic has beyond letters and beyond ©, ®, ‼, ⁉ and ™, and `Flag` is Regional_Indicator.
"""
BREAK, LETTER, HEBREW, NUMBER, JOINER, UNSPACED = range(6)
EXTEND, MID_LETTER, MID_NUMBER, MID_EITHER, SINGLE_QUOTE, DOUBLE_QUOTE = range(6, 12)
EMOJI, FLAG = range(12, 14)

ZERO_WIDTH_JOINER = 0x200D

LESS_THAN, GREATER_THAN, SLASH, LETTER_B, LETTER_R = (ord(c) for c in "<>/br")

# States of the word automaton. In the first six the word reaches up to here, and they are called after the
# class of the last character. In those that wait, it does so only if the right class follows.
IN_HEBREW_QUOTE, IN_EMOJI, HALF_FLAG, WHOLE_FLAG = range(6, 10)
WAIT_LETTER, WAIT_NUMBER, WAIT_HEBREW = range(10, 13)


def _transitions() -> npt.NDArray[np.uint8]:
    """Return next_state[state, class]; 0 ends the word, and another starts with the same character.

    The rules are those of UAX #29 (WB5 to WB13b), read as an automaton. WB4 (Extend changes nothing) is in
    the loop below, as is what joins emoji (WB3c), and line ends and spaces (WB3) are BREAK: no words.
    """
    step = np.zeros((13, len(CLASSES)), np.uint8)
    for letter in (LETTER, HEBREW):
        step[letter, [LETTER, HEBREW, NUMBER, JOINER]] = LETTER, HEBREW, NUMBER, JOINER  # WB5, WB9, WB13a
        step[letter, [MID_LETTER, MID_EITHER, SINGLE_QUOTE]] = WAIT_LETTER  # WB6
    step[WAIT_LETTER, [LETTER, HEBREW]] = LETTER, HEBREW  # WB7
    step[HEBREW, SINGLE_QUOTE] = IN_HEBREW_QUOTE  # WB7a
    step[IN_HEBREW_QUOTE, [LETTER, HEBREW]] = LETTER, HEBREW  # WB7
    step[HEBREW, DOUBLE_QUOTE] = WAIT_HEBREW  # WB7b
    step[WAIT_HEBREW, HEBREW] = HEBREW  # WB7c
    step[NUMBER, [LETTER, HEBREW, NUMBER, JOINER]] = LETTER, HEBREW, NUMBER, JOINER  # WB10, WB8, WB13a
    step[NUMBER, [MID_NUMBER, MID_EITHER, SINGLE_QUOTE]] = WAIT_NUMBER  # WB12
    step[WAIT_NUMBER, NUMBER] = NUMBER  # WB11
    step[JOINER, [LETTER, HEBREW, NUMBER, JOINER]] = LETTER, HEBREW, NUMBER, JOINER  # WB13a, WB13b
    step[UNSPACED, UNSPACED] = UNSPACED  # a run, cut into bigrams below
    step[BREAK, [LETTER, HEBREW, NUMBER, JOINER, UNSPACED]] = LETTER, HEBREW, NUMBER, JOINER, UNSPACED
    step[BREAK, [EMOJI, FLAG]] = IN_EMOJI, HALF_FLAG
    step[HALF_FLAG, FLAG] = WHOLE_FLAG  # WB15, WB16
    return step


STEP = _transitions()


@kernel
def code_point(data: Bytes, at: int) -> tuple[np.int64, int]:
    """Return the code point that starts at a byte, and how many bytes it takes."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | data[at + 1] & 0x3F, 2
    if first < 0xF0:
        return (first & 0x0F) << 12 | (data[at + 1] & 0x3F) << 6 | data[at + 2] & 0x3F, 3
    high = (first & 0x07) << 18 | (data[at + 1] & 0x3F) << 12
    return high | (data[at + 2] & 0x3F) << 6 | data[at + 3] & 0x3F, 4


@kernel
def is_line_break_tag(data: Bytes, low: int, high: int, start: int, end: int) -> bool:
    """Say whether a word of data[low:high] is the `br` of `<br>`, `<br/>`, `<br />`, in any case."""
    if end - start != 2 or start == low or data[start - 1] != LESS_THAN:
        return False
    if data[start] | 32 != LETTER_B or data[start + 1] | 32 != LETTER_R:
        return False
    while end < high and (data[end] == 32 or 9 <= data[end] <= 13):
        end += 1
    if end < high and data[end] == SLASH:
        end += 1
    return end < high and data[end] == GREATER_THAN


@kernel
def segment_words(  # noqa: C901, PLR0912 - one pass over the bytes
    data: Bytes, low: int, high: int, classes: Bytes, starts: Int64Array, ends: Int64Array
) -> int:
    """Write the Unicode words of data[low:high] and return how many there are.

    A word is a UAX #29 word segment that has a letter or a digit. A run of letters of unspaced scripts gives
    its overlapping pairs of clusters instead, a cluster being a letter with the EXTEND characters after it;
    a cluster on its own gives itself. An emoji is a word with its modifiers and with the emoji that ZWJ
    joins to it, and so is a flag, two regional indicators. Line-break tags give nothing.

    Args:
        data: UTF-8 bytes, already in normal form.
        classes: (0x110000,) from `sopan.text.tokenize.word_classes`.
        starts, ends: room for the words, see the top of this file.
    """
    count = 0
    state = BREAK
    start = end = low  # of the word so far
    cluster = low  # start of the last unspaced cluster; the one before it starts at `start`
    has_content = False  # a letter, a digit or an emoji, not only joiners
    joins = False  # the character before is ZWJ
    at = low
    while at <= high:
        if state == LETTER:  # nearly all bytes of nearly all languages pass through one of these two loops
            while at < high and data[at] < 0x80 and classes[data[at]] == LETTER:
                at += 1
            end = at
        elif state == BREAK:
            while at < high and data[at] < 0x80 and classes[data[at]] == BREAK:
                at += 1
        step = 1
        kind = np.uint8(BREAK)  # also past the last byte, so that the last word ends there
        if at < high:
            point, step = code_point(data, at)
            kind = classes[point]
        if kind == EXTEND:
            at += step
            if BREAK < state <= WHOLE_FLAG:
                end = at
            joins = point == ZERO_WIDTH_JOINER
            continue
        following = STEP[state, kind]
        if joins:
            joins = False
            if state == IN_EMOJI and kind == EMOJI:  # WB3c, after an emoji alone, as in GB11
                following = np.uint8(IN_EMOJI)
        if following == BREAK and state != BREAK:
            if has_content and not is_line_break_tag(data, low, high, start, end):
                starts[count], ends[count] = start, end
                count += 1
            state, has_content = BREAK, False
            following = STEP[BREAK, kind]
        if state == BREAK:
            start = cluster = at
        elif following == UNSPACED:
            if cluster > start:
                starts[count], ends[count] = start, end
                count += 1
            start, cluster = cluster, at
        at += step
        state = following
        if BREAK < state <= WHOLE_FLAG:
            end = at
            has_content |= state != JOINER
    return count


@kernel
def segment_runs(
    data: Bytes,
    low: int,
    high: int,
    classes: Bytes,
    shortest: int,
    starts: Int64Array,
    ends: Int64Array,
) -> int:
    """Write the longest runs of code points whose class is not 0 in data[low:high]; return how many.

    Args:
        data: UTF-8 bytes, already in normal form.
        classes: (0x110000,) of 0 and 1: `regex_word_classes` for scikit-learn's words.
        shortest: least number of code points of a run that counts, 1 or more.
        starts, ends: room for the runs, see the top of this file.
    """
    count = length = 0
    start = at = low
    while at < high:
        point, step = code_point(data, at)
        if classes[point] != 0:
            length += 1
        else:
            if length >= shortest:
                starts[count], ends[count] = start, at
                count += 1
            start, length = at + step, 0
        at += step
    if length >= shortest:
        starts[count], ends[count] = start, at
        count += 1
    return count


@kernel
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


@kernel
def collapse_spaces(data: Bytes, offsets: Int64Array) -> tuple[Bytes, Int64Array]:
    """Turn every run of white space into one space, and take it off both ends of each text.

    A regular expression takes thirty times as long.

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
