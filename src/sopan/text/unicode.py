"""What each code point is to the word rules: tables over all of Unicode, one byte a code point.

`word_break.txt` holds the Word_Break property of Unicode 17 (UAX #29, table 3), as ranges. It ships with
sopan instead of being asked of the running Python, so that a saved model cuts words the same everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from sopan.kernels.segment import (
    DOUBLE_QUOTE,
    EXTEND,
    HEBREW,
    JOINER,
    LETTER,
    MID_EITHER,
    MID_LETTER,
    MID_NUMBER,
    NUMBER,
    SINGLE_QUOTE,
    UNSPACED,
)
from sopan.options.data import TokenRule

CODE_POINTS = 0x110000

WORD_CLASSES = {
    "Letter": LETTER,
    "Hebrew_Letter": HEBREW,
    "Numeric": NUMBER,
    "ExtendNumLet": JOINER,
    "Unspaced": UNSPACED,
    "Extend": EXTEND,
    "MidLetter": MID_LETTER,
    "MidNum": MID_NUMBER,
    "MidNumLet": MID_EITHER,
    "Single_Quote": SINGLE_QUOTE,
    "Double_Quote": DOUBLE_QUOTE,
}
"""Names in `word_break.txt` and the kernel's numbers. Every other code point separates words.

They are UAX #29's values with three tailorings, which the standard allows for and names:
`Unspaced` is Katakana and every letter or ideograph outside the standard's ALetter (Han, Hiragana, Thai, Lao,
Khmer, Myanmar …); `Extend` includes ZWJ and Format; U+202F, a narrow space, separates words.
"""

FORMAT_CHARACTERS = re.compile(
    "[\u00ad\u061c\u180e\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
)
"""Word_Break=Format: soft hyphens, direction marks and other invisible characters that change no word.

Those beyond U+FFFF are left alone: they are signs of hieroglyphic, shorthand and musical notation.
"""


@cache
def word_classes() -> npt.NDArray[np.uint8]:
    """Return the class of every code point under rule `words`: (0x110000,) uint8, read-only."""
    classes = np.zeros(CODE_POINTS, np.uint8)
    for line in files(__package__).joinpath("word_break.txt").read_text("ascii").splitlines():
        if not line.startswith("#"):
            first, last, name = line.split()
            classes[int(first, 16) : int(last, 16) + 1] = WORD_CLASSES[name]
    classes.flags.writeable = False
    return classes


@cache
def regex_word_classes() -> npt.NDArray[np.uint8]:
    """Return 1 for every code point that `re`'s `\\w` matches here: (0x110000,) uint8, read-only."""
    classes = np.fromiter((chr(c).isalnum() for c in range(CODE_POINTS)), np.uint8, CODE_POINTS)
    classes[ord("_")] = 1
    classes.flags.writeable = False
    return classes


@cache
def space_classes() -> npt.NDArray[np.uint8]:
    """Return 0 for code points at which `str.split` splits, else 1: (0x110000,) uint8, read-only."""
    classes = np.ones(CODE_POINTS, np.uint8)
    classes[[c for c in range(CODE_POINTS) if chr(c).isspace()]] = 0
    classes.flags.writeable = False
    return classes


def normal_form(text: str, rule: TokenRule, *, lowercase: bool = True) -> str:
    """Return the text that is then cut into words; a word's normal form is its slice of this.

    Rule `words`: NFC(lower(NFC(text) without `FORMAT_CHARACTERS`)). So canonically equivalent texts have
    equal words, and `lower` sees the whole text: a final sigma is final because of what follows it.
    Rule `sklearn`: lower(text), nothing else. `lower` is `str.lower`: full mappings, no locale. Neither rule
    removes a combining mark. Without `lowercase` that step is left out.
    """
    if text.isascii() or rule == "sklearn":
        return text.lower() if lowercase else text
    composed = unicodedata.normalize("NFC", text)
    visible = FORMAT_CHARACTERS.sub("", composed)
    lowered = visible.lower() if lowercase else visible
    return lowered if lowered == composed else unicodedata.normalize("NFC", lowered)
