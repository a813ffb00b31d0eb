"""Words of every script, with their place in the text.

Two rules. Both first bring the text into its normal form (`sopan.text.unicode.normal_form`) and then cut it:

`words`, the default, gives the word segments of UAX #29 (Unicode word boundaries) that hold a letter or a
    digit. Combining marks, joiners (ZWJ, ZWNJ) and apostrophes stay inside a word, one-letter words count,
    `3.14` and `1,000` are one word each, HTML's `<br>` is a space, and no word holds white space. Scripts
    without spaces between words (Han, kana, Thai, Lao, Khmer, Myanmar) give overlapping pairs of
    characters, each with its marks, as in Lucene's CJK bigrams: 我爱北京 gives 我爱, 爱北, 北京. A character
    on its own gives itself.
`sklearn` gives what scikit-learn's vectorizers find by default:
    `re.findall(r"(?u)\\b\\w\\w+\\b", text.lower())`.

`Vocabulary` and `NgramCounter` use the same kernels, so they see the very words that `tokenize` shows.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow.compute as pc

from sopan.errors import DataError
from sopan.kernels.segment import segment_runs, segment_words
from sopan.options.data import TokenRule
from sopan.text.arrow import Texts, as_texts
from sopan.text.encode import read_only
from sopan.text.unicode import FORMAT_CHARACTERS, regex_word_classes, word_classes
from sopan.types import Int64Array, Tokens

UNSPACED_SCRIPTS = {
    "Chinese or Japanese": r"[\p{Han}\p{Hiragana}\p{Katakana}]",
    "Thai": r"\p{Thai}",
    "Lao": r"\p{Lao}",
    "Khmer": r"\p{Khmer}",
    "Burmese": r"\p{Myanmar}",
    "Tai": r"[\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Ahom}]",
}
"""Writing without spaces between words, as patterns for Arrow's regular expressions (RE2)."""


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
    if rule == "words":
        n = segment_words(data, 0, len(data), word_classes(), starts, ends)
    else:
        n = segment_runs(data, 0, len(data), regex_word_classes(), 2, starts, ends)
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


def aligned_normal_form(text: str, rule: TokenRule, lowercase: bool) -> tuple[str, Int64Array, Int64Array]:
    """Return the normal form, and for each of its characters where in `text` it starts and ends.

    Args:
        text: T characters.
        rule, lowercase: as in `tokenize`.

    Returns:
        `normal_form(text, rule)`, of F characters, and two arrays (F,) int64 of offsets in `text`.
    """
    first = np.arange(len(text))
    last = first + 1
    if rule == "words":
        text, first, last = _composed(text, first, last)
        if FORMAT_CHARACTERS.search(text):
            kept = [i for i, c in enumerate(text) if not FORMAT_CHARACTERS.match(c)]
            text, first, last = "".join(text[i] for i in kept), first[kept], last[kept]
    if lowercase:
        lengths = [len(c.lower()) for c in text] if "İ" in text else 1  # the only one that becomes two
        text, first, last = text.lower(), np.repeat(first, lengths), np.repeat(last, lengths)
    return _composed(text, first, last) if rule == "words" else (text, first, last)


def _composed(text: str, first: Int64Array, last: Int64Array) -> tuple[str, Int64Array, Int64Array]:
    """Return NFC(text), and where each of its characters starts and ends, given the same of `text`."""
    if unicodedata.is_normalized("NFC", text):
        return text, first, last
    edges = [i for i, c in enumerate(text) if i == 0 or _stands_alone(c)] + [len(text)]
    forms, firsts, lasts = [], [], []
    for a, b in pairwise(edges):
        form = unicodedata.normalize("NFC", text[a:b])
        forms.append(form)
        if form == text[a:b]:
            firsts.append(first[a:b])
            lasts.append(last[a:b])
        else:
            firsts.append(np.full(len(form), first[a]))
            lasts.append(np.full(len(form), last[b - 1]))
    return "".join(forms), np.concatenate(firsts), np.concatenate(lasts)


@cache
def _stands_alone(character: str) -> bool:
    """Say that normalising never joins or swaps a character with those before it."""
    head = unicodedata.normalize("NFD", character)[0]
    return not unicodedata.combining(head) and head not in _second_halves()


@cache
def _second_halves() -> frozenset[str]:
    """Return the characters that canonical composition may join to the one before, jamo included."""
    pairs = (unicodedata.decomposition(chr(c)).split() for c in range(0x20000))
    seconds = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and not pair[0].startswith("<")}
    return frozenset(seconds.union(map(chr, range(0x1161, 0x1176)), map(chr, range(0x11A8, 0x11C3))))
