"""Texts to word ids, straight from Arrow's UTF-8 buffers, on every core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import ConfigError, DataError
from sopan.kernels import Bytes
from sopan.kernels.ascii_words import AS_IS, LOWER
from sopan.kernels.lexicon import Lexicon, empty_lexicon, find_words, find_words_of_texts
from sopan.options.data import TokenRule
from sopan.text.cores import cores
from sopan.text.unicode import normal_form, regex_word_classes, word_classes
from sopan.types import BoolArray, Encoded, Int64Array

PIECE_BYTES = 4 << 20
"""Texts are normalised and encoded so many bytes at a time, so that memory stays small."""
SHARE_BYTES = 1 << 20
"""Least work for which another thread is worth its start."""

SPECIAL = r"[^\x00-\x{AC}\x{AE}-\x{FF}\x{2013}-\x{2026}]"
"""Matches a character whose normal form may depend on its neighbours, may be several characters, or none: all
but those of Latin-1 (a soft hyphen is none) and the dashes, quotation marks, bullets and dots."""

T = TypeVar("T")


def on_every_core(work: Callable[[Any], T], shares: list[Any]) -> list[T]:
    """Do the work on each share, in threads if there are several; kernels let go of the GIL."""
    if len(shares) < 2:
        return [work(share) for share in shares]
    with ThreadPoolExecutor(len(shares)) as pool:
        return list(pool.map(work, shares))


class Buffers(NamedTuple):
    """An Arrow array of N strings as the kernels see it: (bytes,) uint8 and (N + 1,) int64, read-only."""

    data: Bytes
    offsets: Int64Array

    @classmethod
    def of(cls, texts: pa.LargeStringArray) -> Buffers:
        """View an array's buffers without copying them."""
        _, offsets, data = texts.buffers()
        if len(texts) == 0:
            return cls(read_only(np.empty(0, np.uint8)), read_only(np.zeros(1, np.int64)))
        view = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        raw = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
        return cls(read_only(raw), read_only(view))


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view, so that a kernel is compiled for one kind of array and not for two."""
    view = array.view()
    view.flags.writeable = False
    return view


def shares_of(offsets: Int64Array, least: int, most_shares: int | None = None) -> list[slice]:
    """Cut N texts into consecutive slices of about equal size, each of at least about `least` bytes.

    Args:
        offsets: (N + 1,) int64.
        least: size of a share that is worth having.
        most_shares: no more than so many.
    """
    size = int(offsets[-1] - offsets[0])
    n = max(1, size // least)
    n = n if most_shares is None else min(n, most_shares)
    cuts = np.searchsorted(offsets, offsets[0] + size * np.arange(1, n) // n)
    edges = np.unique(np.concatenate([[0], cuts, [len(offsets) - 1]]))
    return [slice(int(a), int(b)) for a, b in pairwise(edges)] or [slice(0, 0)]


def normal_pieces(
    texts: pa.LargeStringArray, rule: TokenRule, lowercase: bool
) -> Iterator[tuple[pa.LargeStringArray, BoolArray, pa.LargeStringArray]]:
    """Yield pieces of the texts: as they are, which of them are ASCII, and the others' normal forms."""
    for piece in shares_of(Buffers.of(texts).offsets, PIECE_BYTES):
        part = texts.slice(piece.start, piece.stop - piece.start)
        is_ascii = pc.string_is_ascii(part)
        forms = normal_forms(part.filter(pc.invert(is_ascii)), rule, lowercase)
        yield part, is_ascii.to_numpy(zero_copy_only=False), forms


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
    special = pc.match_substring_regex(texts, SPECIAL)
    rest = [normal_form(text, rule, lowercase=lowercase) for text in texts.filter(special).to_pylist()]
    return pc.replace_with_mask(forms, special, pa.array(rest, pa.large_string()))


def encode(
    texts: pa.LargeStringArray, lexicon: Lexicon, rule: TokenRule, lowercase: bool, *, add: bool
) -> tuple[Lexicon, Encoded]:
    """Encode N texts one after the other; new words are added to the lexicon, or else are -1."""
    classes, shortest = (word_classes(), 0) if rule == "words" else (regex_word_classes(), 2)
    fold = LOWER if lowercase else AS_IS
    ids, lengths = [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
    for plain, is_ascii, others in normal_pieces(texts, rule, lowercase):
        lexicon, found, bounds = find_words_of_texts(
            lexicon, *Buffers.of(plain), is_ascii, *Buffers.of(others), classes, shortest, fold, add
        )
        ids.append(found)
        lengths.append(np.diff(bounds))
    return lexicon, Encoded(np.concatenate(ids), np.cumsum(np.concatenate(lengths)))


def look_up(texts: pa.LargeStringArray, lexicon: Lexicon, rule: TokenRule, lowercase: bool) -> Encoded:
    """Encode N texts with the words of a lexicon; an unknown word is -1."""

    def work(share: slice) -> Encoded:
        part = texts.slice(share.start, share.stop - share.start)
        return encode(part, lexicon, rule, lowercase, add=False)[1]

    check_texts(texts, rule)
    return joined(on_every_core(work, shares_of(Buffers.of(texts).offsets, SHARE_BYTES, cores())))


def index_words(
    texts: pa.LargeStringArray, rule: TokenRule, lowercase: bool
) -> tuple[pa.LargeStringArray, Encoded]:
    """Find the distinct words of N texts and encode the texts with them.

    Returns:
        V words, sorted by code point, and the texts as indices into them.
    """

    def work(share: slice) -> tuple[Lexicon, Encoded]:
        part = texts.slice(share.start, share.stop - share.start)
        return encode(part, empty_lexicon(), rule, lowercase, add=True)

    check_texts(texts, rule)
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
    return words.take(pa.array(order)), joined(encoded)


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


def strings(data: Bytes, offsets: Int64Array) -> pa.LargeStringArray:
    """Return UTF-8 bytes (offsets[-1],) and offsets (N + 1,) as N strings, without copying."""
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def joined(parts: list[Encoded]) -> Encoded:
    """Put encoded texts end to end."""
    lengths = [np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)]
    return Encoded(np.concatenate([part.ids for part in parts]), np.cumsum(np.concatenate(lengths)))


def check_texts(texts: pa.LargeStringArray, rule: str) -> None:
    """Refuse missing texts and unknown rules."""
    if rule not in ("words", "sklearn"):
        raise ConfigError(f"no token rule is called {rule!r}", next_step="rules: words, sklearn")
    if texts.null_count:
        row = int(np.flatnonzero(pc.is_null(texts).to_numpy(zero_copy_only=False))[0])
        raise DataError("a text is missing", where=f"row {row}")
