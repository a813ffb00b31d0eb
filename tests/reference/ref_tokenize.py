"""Slow, plain references for words and counts: UAX #29 rule by rule, and dictionaries."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import regex

WORD_BREAK = [
    *("ALetter", "Hebrew_Letter", "Numeric", "Katakana", "ExtendNumLet", "MidLetter", "MidNum", "MidNumLet"),
    *("Single_Quote", "Double_Quote", "Extend", "Format", "ZWJ", "CR", "LF", "Newline", "WSegSpace"),
    "Regional_Indicator",
]
_BY_NAME = {name: regex.compile(rf"\p{{WB={name}}}") for name in WORD_BREAK}
_PICTOGRAPH = regex.compile(r"\p{Extended_Pictographic}")
_SIGN = regex.compile(r"[©®‼⁉™]")
_LETTER = regex.compile(r"[\p{Alphabetic}\p{L}]")

SKIPPED = {"Extend", "Format", "ZWJ"}
AHLETTER = {"ALetter", "Hebrew_Letter"}
MID_NUM_LET_Q = {"MidNumLet", "Single_Quote"}


@cache
def standard_class(character: str) -> str:
    """Return the Word_Break property."""
    return next((name for name, pattern in _BY_NAME.items() if pattern.match(character)), "Other")


@cache
def sopan_class(character: str) -> str:
    """Return the Word_Break property with sopan's tailorings; emoji are "Emoji"."""
    name = standard_class(character)
    if character == "\u202f":
        return "Other"
    if name == "Katakana" or (name == "Other" and _LETTER.match(character)):
        return "Unspaced"
    if name == "Other" and is_pictograph(character) and not _SIGN.match(character):
        return "Emoji"
    return name


def is_pictograph(character: str) -> bool:
    return bool(_PICTOGRAPH.match(character))


def segments(text: str, kind: Callable[[str], str], joins_emoji: bool = False) -> list[str]:
    """Cut a text at every word boundary of UAX #29, with each rule written as the standard writes it."""
    kinds = [kind(c) for c in text]
    out: list[str] = []
    for i, character in enumerate(text):
        if out and not _breaks_before(text, kinds, i, joins_emoji):
            out[-1] += character
        else:
            out.append(character)
    return out


def _breaks_before(  # noqa: C901, PLR0911, PLR0912 - the standard's list of rules
    text: str, kinds: list[str], i: int, joins_emoji: bool
) -> bool:
    lines = {"CR", "LF", "Newline"}
    before, after = kinds[i - 1], kinds[i]
    if (before, after) == ("CR", "LF"):
        return False  # WB3
    if before in lines or after in lines:
        return True  # WB3a, WB3b
    bases = [k for k in kinds[:i] if k not in SKIPPED]
    if joins_emoji and before == "ZWJ" and after == "Emoji" and bases[-1:] == ["Emoji"]:
        return False  # WB3c, where an emoji is before the joiner (GB11)
    if before == after == "WSegSpace":
        return False  # WB3d
    if after in SKIPPED:
        return False  # WB4
    left = [k for j, k in enumerate(kinds[:i]) if k not in SKIPPED or j == 0 or kinds[j - 1] in lines]
    right = [k for k in kinds[i:] if k not in SKIPPED]
    left2, left1 = ["sot", "sot", *left][-2:]
    right1, right2 = [*right, "eot"][:2]
    if left1 in AHLETTER and right1 in AHLETTER:
        return False  # WB5
    if left1 in AHLETTER and right1 in MID_NUM_LET_Q | {"MidLetter"} and right2 in AHLETTER:
        return False  # WB6
    if left2 in AHLETTER and left1 in MID_NUM_LET_Q | {"MidLetter"} and right1 in AHLETTER:
        return False  # WB7
    if left1 == "Hebrew_Letter" and right1 == "Single_Quote":
        return False  # WB7a
    if left1 == "Hebrew_Letter" and right1 == "Double_Quote" and right2 == "Hebrew_Letter":
        return False  # WB7b
    if left2 == "Hebrew_Letter" and left1 == "Double_Quote" and right1 == "Hebrew_Letter":
        return False  # WB7c
    if left1 in AHLETTER | {"Numeric"} and right1 in AHLETTER | {"Numeric"}:
        return False  # WB8, WB9, WB10
    if left2 == "Numeric" and left1 in MID_NUM_LET_Q | {"MidNum"} and right1 == "Numeric":
        return False  # WB11
    if left1 == "Numeric" and right1 in MID_NUM_LET_Q | {"MidNum"} and right2 == "Numeric":
        return False  # WB12
    if left1 == right1 == "Katakana":
        return False  # WB13
    solid = AHLETTER | {"Numeric", "Katakana", "ExtendNumLet"}
    if left1 in solid and right1 == "ExtendNumLet":
        return False  # WB13a
    if left1 == "ExtendNumLet" and right1 in solid:
        return False  # WB13b
    if left1 == right1 == "Regional_Indicator":
        flags = len(left) - len("".join("x" if k == left1 else " " for k in left).rstrip("x"))
        return flags % 2 == 0  # WB15, WB16
    return True  # WB999


def ref_normal_form(text: str, rule: str, lowercase: bool = True) -> str:
    if rule == "sklearn":
        return text.lower() if lowercase else text
    text = unicodedata.normalize("NFC", text)
    text = "".join(c for c in text if c > "\uffff" or standard_class(c) != "Format")
    return unicodedata.normalize("NFC", text.lower() if lowercase else text)


def ref_words(text: str, rule: str, lowercase: bool = True) -> list[str]:
    """Cut a text into words."""
    text = ref_normal_form(text, rule, lowercase)
    if rule == "sklearn":
        return re.findall(r"(?u)\b\w\w+\b", text)
    text = re.sub(r"<br[ \t-\r]*/?>", " ", text, flags=re.ASCII | re.IGNORECASE)
    words: list[str] = []
    run: list[str] = []
    emoji = {"Emoji", "Regional_Indicator"} if rule == "words" else set()
    for segment in [*segments(text, sopan_class, joins_emoji=rule == "words"), " "]:
        kinds = {sopan_class(c) for c in segment}
        if "Unspaced" in kinds:
            run.append(segment)
            continue
        words += run if len(run) == 1 else [a + b for a, b in pairwise(run)]
        run = []
        if kinds & (AHLETTER | {"Numeric"} | emoji):
            words.append(segment)
    return words


def ref_character_ngrams(
    text: str, rule: str, shortest: int, longest: int, lowercase: bool = True
) -> list[str]:
    """Cut a text into character n-grams of padded words, each word that is too short being taken whole."""
    text = ref_normal_form(text, rule, lowercase)
    if rule != "sklearn":
        text = re.sub(r"<br[ \t-\r]*/?>", " ", text, flags=re.ASCII | re.IGNORECASE)
    out = []
    for word in (f" {w} " for w in text.split()):
        if len(word) < shortest:
            out.append(word)
        for n in range(shortest, longest + 1):
            out += [word[i : i + n] for i in range(len(word) - n + 1)]
    return out


def ref_ngrams(words: list[str], shortest: int, longest: int) -> list[str]:
    """Join neighbouring words."""
    return [
        " ".join(words[i : i + n]) for n in range(shortest, longest + 1) for i in range(len(words) - n + 1)
    ]


def ref_counts(
    texts: list[list[str]], min_df: int = 1, max_df: int | None = None
) -> tuple[list[str], list[dict[str, int]]]:
    """Return the features, sorted, and each text's counts of them."""
    counted = [Counter(text) for text in texts]
    df = Counter(feature for text in counted for feature in text)
    most = len(texts) if max_df is None else max_df
    features = sorted(f for f, n in df.items() if min_df <= n <= most)
    kept = set(features)
    return features, [{f: n for f, n in text.items() if f in kept} for text in counted]
