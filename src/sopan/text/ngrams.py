"""Count n-grams of words or characters: what `CountVectorizer` counts, in the same order, on every core."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from sopan.errors import ConfigError
from sopan.kernels.ascii_words import AS_IS, LOWER
from sopan.kernels.known_ngrams import NgramTrie, count_known_ngrams, count_words, plant
from sopan.kernels.lexicon import Lexicon, empty_lexicon, find_words_of_texts
from sopan.kernels.streams import END, join_words, padded_words, stream_of
from sopan.options.data import TokenRule
from sopan.text.arrow import Buffers, Texts, as_texts, cores, on_every_core, shares_of, strings
from sopan.text.count_matrix import Columns, count_single_words, stacked
from sopan.text.tokenize import space_classes
from sopan.text.unicode import CODE_POINTS, LINE_BREAK
from sopan.text.vocab import SHARE_BYTES, index_words, lexicon_of, look_up, no_words, normal_pieces
from sopan.types import Int32Array, Int64Array

Analyzer = Literal["word", "char_wb"]
"""`word`: n-grams of words. `char_wb`: n-grams of characters inside words padded with a space on either side.

The second is scikit-learn's analyzer of that name. Unlike n-grams of the bare text, which it offers too, they
spend no features on the chance meetings of one word's end and the next word's start.
"""

_UNKNOWN = -2
"""In a stream: a word or character that no feature holds."""


@dataclass(frozen=True, eq=False)
class Spelling:
    """What F n-grams are made of.

    Args:
        names: finds the ids of words; of characters, they are a table by code point, (0x110000,) int32.
        known: number of ids.
        ids, offsets: n-gram f is ids[offsets[f]:offsets[f + 1]].
    """

    names: Lexicon | Int32Array
    known: int
    ids: Int32Array
    offsets: Int64Array


@dataclass(frozen=True, eq=False)
class NgramCounter:
    """A fixed list of n-grams, to be counted in any texts.

    Args:
        features: F distinct n-grams in column order; the words of a word n-gram are joined by one space.
        rule, lowercase: how texts are cut into words (see `sopan.text.tokenize`). For characters, `rule` sets
            the normal form, and whether line-break tags are spaces; words are what white space separates.
        analyzer: words or characters.
        ngram_range: lengths of the shortest and the longest n-gram.
        spelling: the features' words or characters, where they are known; else they are read off.
    """

    features: pa.LargeStringArray
    rule: TokenRule = "words"
    lowercase: bool = True
    analyzer: Analyzer = "word"
    ngram_range: tuple[int, int] = (1, 1)
    spelling: Spelling | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.features)

    def __getstate__(self) -> dict[str, object]:
        """Pickle what cannot be read off the features; the rest might come back read-only."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__} | {"spelling": None}

    def transform(self, texts: Texts) -> csr_matrix:
        """Count the features in N texts: (N, F) int64, column indices sorted in each row.

        Raises:
            DataError: a text is missing or is not valid Unicode.
            ConfigError: a feature stands in the list twice, or is empty.
        """
        array = as_texts(texts)
        self._index  # noqa: B018 - made once, before the threads ask for it
        shares = shares_of(Buffers.of(array).offsets, SHARE_BYTES, cores())
        rows = on_every_core(
            lambda share: self._count(array.slice(share.start, share.stop - share.start)), shares
        )
        return stacked(rows, len(self))

    def _count(self, texts: pa.LargeStringArray) -> tuple[Int64Array, Int32Array, Int64Array]:
        """Count the features in one thread's share of the texts: indptr, indices, data."""
        names, trie = self._index
        if isinstance(names, Lexicon):
            encoded = look_up(texts, names, self.rule, self.lowercase)
            if self.ngram_range == (1, 1):
                return count_words(encoded.ids, encoded.offsets, trie.roots, len(self))
            stream, bounds = stream_of(encoded.ids, encoded.offsets)
        else:
            points, bounds = character_stream(texts, self.rule, self.lowercase)
            stream = np.where(points == END, np.int32(END), names[points])
        whole = self.analyzer == "char_wb"
        return count_known_ngrams(stream, bounds, trie, len(self), *self.ngram_range, whole)

    @cached_property
    def _index(self) -> tuple[Lexicon | Int32Array, NgramTrie]:
        """Return ids for words or characters, and the features' trie over them."""
        spelling = self.spelling or (_spell_words if self.analyzer == "word" else _spell)(self.features)
        lengths = np.diff(spelling.offsets)
        if not lengths.all():
            raise ConfigError(f"feature {int(lengths.argmin())} is empty")
        order = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
        by_length = np.concatenate([np.empty(0, np.int64), *order])
        trie, repeated = plant(spelling.ids, spelling.offsets, by_length, spelling.known)
        if repeated >= 0:
            raise ConfigError(f"the features hold {self.features[repeated].as_py()!r} twice")
        return spelling.names, trie


def _spell_words(features: pa.LargeStringArray) -> Spelling:
    """Read off the words, which spaces separate."""
    is_ascii = pc.string_is_ascii(features)
    others = Buffers.of(features.filter(pc.invert(is_ascii)))
    names, ids, offsets = find_words_of_texts(
        empty_lexicon(len(features)), *Buffers.of(features), is_ascii.to_numpy(zero_copy_only=False),
        *others, space_classes(), 1, AS_IS, True,
    )  # fmt: skip
    return Spelling(names, int(names.size[0]), ids, offsets)


def _spell(features: pa.LargeStringArray) -> Spelling:
    """Read off the characters."""
    points = np.frombuffer("".join(features.to_pylist()).encode("utf-32-le"), np.int32)
    names = np.full(CODE_POINTS, _UNKNOWN, np.int32)
    alphabet = np.unique(points)
    names[alphabet] = np.arange(len(alphabet), dtype=np.int32)
    lengths = pc.utf8_length(features).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return Spelling(names, len(alphabet), names[points], offsets)


def count_ngrams(
    texts: Texts,
    rule: TokenRule = "words",
    *,
    lowercase: bool = True,
    analyzer: Analyzer = "word",
    ngram_range: tuple[int, int] = (1, 1),
    min_df: float = 1,
    max_df: float = 1.0,
    max_features: int | None = None,
) -> tuple[NgramCounter, csr_matrix]:
    """Find the n-grams of N texts and count them.

    Args:
        texts: N texts.
        rule, lowercase, analyzer, ngram_range: as in `NgramCounter`.
        min_df, max_df: least and greatest number of texts (an int) or share of them (a float) that an n-gram
            stands in.
        max_features: keep only so many, the most frequent in all texts together.

    Returns:
        A counter of the F n-grams that are kept, sorted by code point, and their counts in `texts`: (N, F)
        int64, column indices sorted in each row.

    Raises:
        ConfigError: a setting that cannot work.
        DataError: no n-gram is left, or a text is missing or is not valid Unicode.
    """
    array = as_texts(texts)
    least, most = _check_settings(len(array), analyzer, ngram_range, min_df, max_df, max_features)
    pruning = f"min_df={min_df} and max_df={max_df}"
    if analyzer == "word":
        words, encoded = index_words(array, rule, lowercase)
        if ngram_range[1] == 1:
            kept, counts = count_single_words(encoded, len(words), least, most, max_features)
            if not len(kept):
                raise no_words(rule, len(words), pruning)
            features = words if len(kept) == len(words) else words.take(pa.array(kept))
            made_of = _spelling(features, np.arange(len(kept), dtype=np.int32)[:, None])
            return NgramCounter(features, rule, lowercase, analyzer, ngram_range, made_of), counts
        stream, bounds = stream_of(encoded.ids, encoded.offsets)
        del encoded
    else:
        stream, bounds = character_stream(array, rule, lowercase)
        words, stream = _alphabet(stream)
    columns = Columns.find(stream, bounds, len(words), ngram_range, analyzer == "char_wb", least, most)
    chosen = columns.most_frequent(max_features)
    if not chosen.any():
        raise no_words(rule, len(words), pruning)
    ngrams = np.concatenate([part.ngrams for part in columns.parts])
    ngrams = ngrams if chosen.all() else ngrams[chosen]
    features = strings(*join_words(ngrams, *Buffers.of(words), analyzer == "word"))
    spelling = _spelling(words, ngrams) if analyzer == "word" else None
    return NgramCounter(features, rule, lowercase, analyzer, ngram_range, spelling), columns.matrix(chosen)


def _spelling(words: pa.LargeStringArray, ngrams: Int32Array) -> Spelling:
    """Note what F n-grams (F, longest), filled up with -1, are made of."""
    offsets = np.concatenate([[0], np.cumsum((ngrams >= 0).sum(axis=1))])
    return Spelling(lexicon_of(words), len(words), ngrams[ngrams >= 0], offsets)


def character_stream(
    texts: pa.LargeStringArray, rule: TokenRule, lowercase: bool
) -> tuple[Int32Array, Int64Array]:
    """Return the code points of N texts, word by word, and their bounds, as `stream_of` does for words."""
    fold = LOWER if lowercase else AS_IS
    parts, lengths = [np.full(1, END, np.int32)], [np.ones(1, np.int64)]
    for plain, is_ascii, others in normal_pieces(texts, rule, lowercase):
        ours, theirs = (Buffers.of(_without_tags(part, rule)) for part in (plain, others))
        found, sizes = padded_words(*ours, is_ascii, *theirs, space_classes(), fold)
        parts.append(found)
        lengths.append(sizes)
    return np.concatenate(parts), np.cumsum(np.concatenate(lengths))


def _without_tags(texts: pa.LargeStringArray, rule: TokenRule) -> pa.LargeStringArray:
    """Put a space for each line-break tag, where the rule says so."""
    return pc.replace_substring_regex(texts, LINE_BREAK, " ") if rule != "sklearn" else texts


def _alphabet(points: Int32Array) -> tuple[pa.LargeStringArray, Int32Array]:
    """Return the distinct characters of a stream, in order, and the stream as their numbers."""
    seen = np.zeros(CODE_POINTS + 1, np.bool_)
    seen[points] = True  # END lands in the last place
    seen[END] = False
    names = (np.cumsum(seen) - 1).astype(np.int32)
    names[END] = END
    return pa.array([chr(c) for c in np.flatnonzero(seen)], pa.large_string()), names[points]


def _check_settings(
    n: int,
    analyzer: str,
    ngram_range: tuple[int, int],
    min_df: float,
    max_df: float,
    max_features: int | None,
) -> tuple[int, int]:
    """Return the least and greatest number of texts for a feature.

    Raises:
        ConfigError: a setting that cannot work.
    """
    if analyzer not in ("word", "char_wb"):
        raise ConfigError(f"no analyzer is called {analyzer!r}", next_step="analyzers: word, char_wb")
    if not 1 <= ngram_range[0] <= ngram_range[1]:
        raise ConfigError(f"ngram_range={ngram_range} must hold two lengths, 1 or more, the shorter first")
    if max_features is not None and max_features < 1:
        raise ConfigError(f"max_features={max_features} would leave nothing")
    for name, value in (("min_df", min_df), ("max_df", max_df)):
        if value < 0 or (not isinstance(value, Integral) and value > 1):
            raise ConfigError(f"{name}={value} is neither a count nor a share between 0.0 and 1.0")
    least = min_df if isinstance(min_df, Integral) else math.ceil(min_df * n)
    most = max_df if isinstance(max_df, Integral) else math.floor(max_df * n)
    if most < least:
        raise ConfigError(f"max_df={max_df} stands for fewer texts ({most}) than min_df={min_df} ({least})")
    return int(least), int(most)
