"""Words of every script, with their place in the text (provisional inside; signatures are settled)."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

import numpy as np
import regex

from sopan.text.arrow import Texts, as_texts
from sopan.types import Tokens

TokenRule = Literal["words", "sklearn"]
"""`words`: Unicode words (UAX #29). `sklearn`: scikit-learn's default, two or more `\\w`."""

_SKLEARN = re.compile(r"(?u)\b\w\w+\b")
_WORDS = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}\u200c\u200d_]*(?:['’.][\p{L}\p{N}][\p{L}\p{M}\p{N}\u200c\u200d_]*)*")


def tokenize(text: str, rule: TokenRule = "words", *, lowercase: bool = True) -> Tokens:
    """Split one text into words."""
    if rule == "words":
        text = unicodedata.normalize("NFC", re.sub(r"(?i)<br\s*/?>", " ", text))
    if lowercase:
        text = text.lower()
    found = list((_SKLEARN if rule == "sklearn" else _WORDS).finditer(text))
    return Tokens(
        tuple(m.group() for m in found),
        np.array([m.start() for m in found], np.int64),
        np.array([m.end() for m in found], np.int64),
    )


def script_notes(texts: Texts) -> list[str]:
    """Say how texts in unspaced scripts are cut."""
    as_texts(texts)
    return []
