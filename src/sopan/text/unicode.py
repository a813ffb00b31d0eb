"""The rules by which texts are cut into words, and the normal form that each brings them to first."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError
from sopan.options.data import TokenRule
from sopan.types import Int64Array

CODE_POINTS = 0x110000

LINE_BREAK = r"<[bB][rR][ \t-\r]*/?>"
"""HTML's line break tag, `<br>`, `<br/>` or `<br />`, in any case, with any ASCII white space within.

Rule `words` and the vocabularies of pieces that we train read it as a space. A pattern for `re`, for RE2
(Arrow, TensorFlow) and for Onigmo (`tokenizers`); `is_line_break_tag` of the kernels and
`without_line_breaks` of a saved model's graph are the same rule over bytes and over code points.
"""

FORMAT_CHARACTERS = re.compile(
    "[\u00ad\u061c\u180e\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
)
"""Word_Break=Format: soft hyphens, direction marks and other invisible characters that change no word.

Those beyond U+FFFF are left alone: they are signs of hieroglyphic, shorthand and musical notation.
"""

_SPECIAL = r"[^\x00-\x{AC}\x{AE}-\x{FF}\x{2013}-\x{2026}]"
"""Matches a character whose normal form may depend on its neighbours, may be several characters, or none: all
but those of Latin-1 (a soft hyphen is none) and the dashes, quotation marks, bullets and dots."""


def normal_form(text: str, rule: TokenRule, *, lowercase: bool = True) -> str:
    """Return the text that is then cut into words; a word's normal form is its slice of this.

    Rules `words` and `words-1`: NFC(lower(NFC(text) without `FORMAT_CHARACTERS`)). So canonically equivalent
    texts have equal words, and `lower` sees the whole text: a final sigma is final for what follows it.
    Rule `sklearn`: lower(text), nothing else. `lower` is `str.lower`: full mappings, no locale. No rule
    removes a combining mark. Without `lowercase` that step is left out.
    """
    if text.isascii() or rule == "sklearn":
        return text.lower() if lowercase else text
    composed = unicodedata.normalize("NFC", text)
    visible = FORMAT_CHARACTERS.sub("", composed)
    lowered = visible.lower() if lowercase else visible
    return lowered if lowered == composed else unicodedata.normalize("NFC", lowered)


def normal_forms(texts: pa.LargeStringArray, rule: TokenRule, lowercase: bool) -> pa.LargeStringArray:
    """Return each text's `normal_form`; by Arrow where it is lower case alone.

    Raises:
        DataError: a text is not valid UTF-8.
    """
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise DataError("a text is not valid UTF-8") from error
    forms = pc.utf8_lower(texts) if lowercase else texts
    special = pc.match_substring_regex(texts, _SPECIAL)
    rest = [normal_form(text, rule, lowercase=lowercase) for text in texts.filter(special).to_pylist()]
    return pc.replace_with_mask(forms, special, pa.array(rest, pa.large_string()))


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
    if rule != "sklearn":
        text, first, last = _composed(text, first, last)
        if FORMAT_CHARACTERS.search(text):
            kept = [i for i, c in enumerate(text) if not FORMAT_CHARACTERS.match(c)]
            text, first, last = "".join(text[i] for i in kept), first[kept], last[kept]
    if lowercase:
        lengths = [len(c.lower()) for c in text] if "İ" in text else 1  # the only one that becomes two
        text, first, last = text.lower(), np.repeat(first, lengths), np.repeat(last, lengths)
    return _composed(text, first, last) if rule != "sklearn" else (text, first, last)


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
