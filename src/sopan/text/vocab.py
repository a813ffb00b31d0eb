"""Vocabularies: which words there are, and texts as their ids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from sopan.errors import DataError
from sopan.kernels.lexicon import Lexicon
from sopan.options.data import TokenRule
from sopan.text.arrow import Texts, as_texts
from sopan.text.encode import index_words, lexicon_of, look_up
from sopan.types import Encoded, Int64Array


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words and the rule that finds them in a text. A word's id is its place in `words`.

    Args:
        words: V distinct words in normal form, sorted by code point if `build_vocabulary` made them.
        counts: (V,) int64 occurrences in the texts they were collected from, or None where not known.
        rule: how texts are cut into words.
        lowercase: whether texts are folded to lower case first.
    """

    words: tuple[str, ...]
    counts: Int64Array | None = None
    rule: TokenRule = "words"
    lowercase: bool = True

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, texts: Texts) -> Encoded:
        """Turn N texts into word ids; a word that is not in the vocabulary is -1.

        Raises:
            DataError: a text is missing or is not valid Unicode.
            ConfigError: the vocabulary holds a word twice.
        """
        return look_up(as_texts(texts), self._lexicon, self.rule, self.lowercase)

    @cached_property
    def _lexicon(self) -> Lexicon:
        return lexicon_of(pa.array(self.words, pa.large_string()))


def build_vocabulary(
    texts: Texts, rule: TokenRule = "words", *, lowercase: bool = True, min_count: int = 1
) -> tuple[Vocabulary, Encoded]:
    """Collect the words of N texts and encode the texts with them.

    Args:
        texts: N texts.
        rule: how texts are cut into words.
        lowercase: fold to lower case first.
        min_count: leave out words that occur fewer times; they are -1 in the encoded texts.

    Raises:
        DataError: no word occurs `min_count` times, or a text is missing or is not valid Unicode.
    """
    words, encoded = index_words(as_texts(texts), rule, lowercase)
    counts = np.bincount(encoded.ids, minlength=len(words)).astype(np.int64)
    kept = counts >= min_count
    if not kept.any():
        raise no_words(rule, len(words), f"min_count={min_count}")
    if not kept.all():
        new_id = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
        words, counts = words.filter(pa.array(kept)), counts[kept]
        encoded = Encoded(new_id[encoded.ids], encoded.offsets)
    return Vocabulary(tuple(words.to_pylist()), counts, rule, lowercase), encoded


def no_words(rule: TokenRule, found: int, pruning: str) -> DataError:
    """Return the error for an empty vocabulary, with the likely remedy."""
    if found:
        return DataError(f"none of the {found} words is left after {pruning}", next_step="prune less")
    wider = "--tokens words also takes words of one letter and other scripts"
    column = "check that --text names the column of texts"
    return DataError("the texts hold no words", next_step=wider if rule == "sklearn" else column)
