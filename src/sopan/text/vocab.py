"""Vocabularies and word ids (provisional inside; signatures are settled)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sopan.errors import DataError
from sopan.text.arrow import Texts, as_texts
from sopan.text.tokenize import TokenRule, tokenize
from sopan.types import Encoded, Int64Array


@dataclass(frozen=True)
class Vocabulary:
    """Words in id order, sorted by code point.

    Args:
        words: V words.
        counts: (V,) int64 occurrences in the texts it was built from, or None if not known.
        rule, lowercase: how texts are cut into words.
    """

    words: tuple[str, ...]
    counts: Int64Array | None = None
    rule: TokenRule = "words"
    lowercase: bool = True

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    def encode(self, texts: Texts) -> Encoded:
        """Turn N texts into word ids; a word not in the vocabulary is -1."""
        ids: list[int] = []
        offsets = [0]
        for text in as_texts(texts).to_pylist():
            ids += [self._index.get(w, -1) for w in tokenize(text, self.rule, lowercase=self.lowercase).words]
            offsets.append(len(ids))
        return Encoded(np.array(ids, np.int32), np.array(offsets, np.int64))


def build_vocabulary(
    texts: Texts, rule: TokenRule = "words", *, lowercase: bool = True, min_count: int = 1
) -> tuple[Vocabulary, Encoded]:
    """Collect the words of N texts and encode the texts with them.

    Raises:
        DataError: no word occurs `min_count` times.
    """
    counts = Counter(w for t in as_texts(texts).to_pylist() for w in tokenize(t, rule, lowercase=lowercase).words)
    words = tuple(sorted(w for w, n in counts.items() if n >= min_count))
    if not words:
        raise DataError("the texts hold no words")
    vocabulary = Vocabulary(words, np.array([counts[w] for w in words], np.int64), rule, lowercase)
    return vocabulary, vocabulary.encode(texts)
