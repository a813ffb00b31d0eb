"""Words of every script, with their place in the text.

Three rules. All first bring the text into its normal form (`sopan.text.unicode.normal_form`) and then cut it:

`words`, the default, gives the word segments of UAX #29 (Unicode word boundaries) that hold a letter or a
    digit. Combining marks, joiners (ZWJ, ZWNJ) and apostrophes stay inside a word, one-letter words count,
    `3.14` and `1,000` are one word each, HTML's `<br>` is a space, and no word holds white space. Scripts
    without spaces between words (Han, kana, Thai, Lao, Khmer, Myanmar) give overlapping pairs of
    characters, each with its marks, as in Lucene's CJK bigrams: 我爱北京 gives 我爱, 爱北, 北京. A character
    on its own gives itself. An emoji is a word, its modifiers and what ZWJ joins to it included (👍🏽 is
    one), and so is a flag. ©, ®, ‼, ⁉ and ™ are no words, nor are `#` and `*` on keycaps.
`words-1` gives the same without emoji. Models that were saved before emoji were words keep to it.
`sklearn` gives what scikit-learn's vectorizers find by default:
    `re.findall(r"(?u)\\b\\w\\w+\\b", text.lower())`.

`Vocabulary` and `NgramCounter` use the same kernels, so they see the very words that `tokenize` shows.

What each code point is to the rules stands in tables over all of Unicode, one byte a code point.
`word_break.txt` holds the Word_Break property of Unicode 17 (UAX #29, table 3), as ranges. It ships with
sopan instead of being taken from the running Python, so that a saved model cuts words the same everywhere.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
import pyarrow.compute as pc

from sopan.errors import DataError
from sopan.kernels.segment import BREAK, CLASSES, EMOJI, segment_runs, segment_words
from sopan.options.data import TokenRule
from sopan.text.arrow import Texts, as_texts, read_only
from sopan.text.unicode import CODE_POINTS, aligned_normal_form
from sopan.types import Bytes, Tokens

UNSPACED_SCRIPTS = {
    "Chinese or Japanese": r"[\p{Han}\p{Hiragana}\p{Katakana}]",
    "Thai": r"\p{Thai}",
    "Lao": r"\p{Lao}",
    "Khmer": r"\p{Khmer}",
    "Burmese": r"\p{Myanmar}",
    "Tai": r"[\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Ahom}]",
}
"""Writing without spaces between words, as patterns for Arrow's regular expressions (RE2)."""


@cache
def word_classes(*, emoji: bool = True) -> Bytes:
    """Return the class of every code point under rule `words`: (0x110000,) uint8, read-only.

    Args:
        emoji: whether they are words; else they are `Break`, as under rule `words-1`.
    """
    classes = np.zeros(CODE_POINTS, np.uint8)
    for line in files(__package__).joinpath("word_break.txt").read_text("ascii").splitlines():
        if not line.startswith("#"):
            first, last, name = line.split()
            classes[int(first, 16) : int(last, 16) + 1] = CLASSES.index(name)
    if not emoji:
        classes[classes >= EMOJI] = BREAK
    classes.flags.writeable = False
    return classes


@cache
def regex_word_classes() -> Bytes:
    """Return 1 for every code point that `re`'s `\\w` matches here: (0x110000,) uint8, read-only."""
    classes = np.fromiter((chr(c).isalnum() for c in range(CODE_POINTS)), np.uint8, CODE_POINTS)
    classes[ord("_")] = 1
    classes.flags.writeable = False
    return classes


@cache
def space_classes() -> Bytes:
    """Return 0 for code points at which `str.split` splits, else 1: (0x110000,) uint8, read-only."""
    classes = np.ones(CODE_POINTS, np.uint8)
    classes[[c for c in range(CODE_POINTS) if chr(c).isspace()]] = 0
    classes.flags.writeable = False
    return classes


def rule_classes(rule: TokenRule) -> tuple[Bytes, int]:
    """Return what a rule goes by.

    Returns:
        The class of every code point (0x110000,) uint8, and the least length of a run of those whose class is
        not 0, or 0 where words are those of `segment_words`.
    """
    if rule == "sklearn":
        return regex_word_classes(), 2
    return word_classes(emoji=rule == "words"), 0


def tokenize(text: str, rule: TokenRule = "words", *, lowercase: bool = True) -> Tokens:
    """Cut one text into words.

    Args:
        text: any string, as the user gave it.
        rule: see the top of this file.
        lowercase: fold to lower case first.

    Returns:
        The words in normal form, and their offsets in characters of `text` itself. Where normalising joined
        characters into one that a word holds, all of them are within the offsets.

    Raises:
        DataError: the text holds a lone surrogate.
    """
    form, first, last = aligned_normal_form(text, rule, lowercase)
    try:
        data = read_only(np.frombuffer(form.encode(), np.uint8))
    except UnicodeEncodeError as error:
        raise DataError("a text holds a lone surrogate and is not valid Unicode") from error
    starts, ends = (np.empty(len(data) // 2 + 1, np.int64) for _ in range(2))
    classes, shortest = rule_classes(rule)
    if shortest:
        n = segment_runs(data, 0, len(data), classes, shortest, starts, ends)
    else:
        n = segment_words(data, 0, len(data), classes, starts, ends)
    character = np.cumsum(np.append(data & 0xC0 != 0x80, True)) - 1  # of each byte, and of the end
    starts, ends = character[starts[:n]], character[ends[:n]]
    words = tuple(form[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True))
    return Tokens(words, first[starts], last[ends - 1])


def script_notes(texts: Texts, *, least_share: float = 0.01) -> list[str]:
    """Say which of the scripts in N texts rule `words` cuts into character pairs.

    Args:
        texts: N texts.
        least_share: a script that fewer of the texts hold is not worth a note.
    """
    array = as_texts(texts)
    others = array.filter(pc.invert(pc.string_is_ascii(array)))
    notes = []
    for script, pattern in UNSPACED_SCRIPTS.items():
        n = pc.sum(pc.match_substring_regex(others, pattern)).as_py() or 0
        if n and n >= least_share * len(array):
            notes.append(
                f"{script} has no spaces between words: pairs of characters are used as words "
                f"({n} of {len(array)} texts); WordPiece or character n-grams are alternatives"
            )
    return notes
