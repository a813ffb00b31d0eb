"""Vocabularies: which words there are, and texts as their ids, straight from Arrow's buffers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import ConfigError, DataError
from sopan.kernels.ascii_words import AS_IS, LOWER
from sopan.kernels.lexicon import Lexicon, empty_lexicon, find_words, find_words_of_texts
from sopan.options.data import TokenRule
from sopan.text.arrow import Buffers, Texts, as_texts, cores, on_every_core, read_only, shares_of, strings
from sopan.text.tokenize import rule_classes
from sopan.text.unicode import normal_forms
from sopan.types import BoolArray, Encoded, Int64Array

PIECE_BYTES = 4 << 20
"""Texts are normalised and encoded so many bytes at a time, so that memory stays small."""
SHARE_BYTES = 1 << 20
"""Least work for which another thread is worth its start."""


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


# ---- on every core -----------------------------------------------------------------------


def look_up(texts: pa.LargeStringArray, lexicon: Lexicon, rule: TokenRule, lowercase: bool) -> Encoded:
    """Encode N texts with the words of a lexicon; an unknown word is -1."""

    def work(share: slice) -> Encoded:
        part = texts.slice(share.start, share.stop - share.start)
        return _encode(part, lexicon, rule, lowercase, add=False)[1]

    return _joined(on_every_core(work, shares_of(Buffers.of(texts).offsets, SHARE_BYTES, cores())))


def index_words(
    texts: pa.LargeStringArray, rule: TokenRule, lowercase: bool
) -> tuple[pa.LargeStringArray, Encoded]:
    """Find the distinct words of N texts and encode the texts with them.

    Returns:
        V words, sorted by code point, and the texts as indices into them.
    """

    def work(share: slice) -> tuple[Lexicon, Encoded]:
        part = texts.slice(share.start, share.stop - share.start)
        return _encode(part, empty_lexicon(), rule, lowercase, add=True)

    parts = on_every_core(work, shares_of(Buffers.of(texts).offsets, SHARE_BYTES, cores()))
    lexicon = parts[0][0]
    renamed = [np.arange(lexicon.size[0], dtype=np.int32)]
    for other, _ in parts[1:]:
        bounds = other.bounds[: other.size[0] + 1]
        ids = np.empty(other.size[0], np.int32)
        lexicon = find_words(lexicon, read_only(other.pool), bounds[:-1], bounds[1:], True, ids)
        renamed.append(ids)
    words = strings(lexicon.pool, lexicon.bounds[: lexicon.size[0] + 1])
    order = pc.array_sort_indices(words).to_numpy()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    encoded = [
        Encoded(rank[names][part.ids], part.offsets) for names, (_, part) in zip(renamed, parts, strict=True)
    ]
    return words.take(pa.array(order)), _joined(encoded)


def lexicon_of(words: pa.LargeStringArray) -> Lexicon:
    """Make a lexicon in which each word has its index as its id.

    Raises:
        ConfigError: a word stands in the list twice.
    """
    data, offsets = Buffers.of(words)
    ids = np.empty(len(words), np.int32)
    starts, ends = offsets[:-1].copy(), offsets[1:].copy()  # writable, as everywhere else: see `read_only`
    lexicon = find_words(empty_lexicon(len(words)), data, starts, ends, True, ids)
    if lexicon.size[0] < len(words):
        twice = words[int(np.flatnonzero(ids != np.arange(len(ids)))[0])]
        raise ConfigError(f"the vocabulary holds {twice.as_py()!r} twice")
    return lexicon


def _encode(
    texts: pa.LargeStringArray, lexicon: Lexicon, rule: TokenRule, lowercase: bool, *, add: bool
) -> tuple[Lexicon, Encoded]:
    """Encode N texts one after the other; new words are added to the lexicon, or else are -1."""
    classes, shortest = rule_classes(rule)
    fold = LOWER if lowercase else AS_IS
    ids, lengths = [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
    for plain, is_ascii, others in normal_pieces(texts, rule, lowercase):
        lexicon, found, bounds = find_words_of_texts(
            lexicon, *Buffers.of(plain), is_ascii, *Buffers.of(others), classes, shortest, fold, add
        )
        ids.append(found)
        lengths.append(np.diff(bounds))
    return lexicon, Encoded(np.concatenate(ids), np.cumsum(np.concatenate(lengths)))


def normal_pieces(
    texts: pa.LargeStringArray, rule: TokenRule, lowercase: bool
) -> Iterator[tuple[pa.LargeStringArray, BoolArray, pa.LargeStringArray]]:
    """Yield pieces of the texts: as they are, which of them are ASCII, and the others' normal forms.

    Raises:
        ConfigError: there is no such rule.
        DataError: a text is not valid UTF-8.
    """
    if rule not in get_args(TokenRule):
        rules = ", ".join(get_args(TokenRule))
        raise ConfigError(f"no token rule is called {rule!r}", next_step=f"rules: {rules}")
    for piece in shares_of(Buffers.of(texts).offsets, PIECE_BYTES):
        part = texts.slice(piece.start, piece.stop - piece.start)
        is_ascii = pc.string_is_ascii(part)
        forms = normal_forms(part.filter(pc.invert(is_ascii)), rule, lowercase)
        yield part, is_ascii.to_numpy(zero_copy_only=False), forms


def _joined(parts: list[Encoded]) -> Encoded:
    """Put encoded texts end to end."""
    lengths = [np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)]
    return Encoded(np.concatenate([part.ids for part in parts]), np.cumsum(np.concatenate(lengths)))
