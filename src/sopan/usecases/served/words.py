"""The words of a text as a step sees them: where they stand, which it knows, which it reads."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sopan.text.batch import kept_words
from sopan.text.tokenize import tokenize
from sopan.text.windows import kept_pieces, room_of
from sopan.text.wordpiece import SPECIALS
from sopan.types import BoolArray, Tokens


class Seen(NamedTuple):
    """The W words, or P pieces, of one text.

    Args:
        tokens: and their places.
        known: (W,) bool, the vocabulary holds it.
        read: (W,) bool, known, and not in the part of a long text that is left out.
    """

    tokens: Tokens
    known: BoolArray
    read: BoolArray


def seen(rung: Any, text: str) -> Seen:
    """Cut a text as a step over words does, or a step over pieces into whole words."""
    if rung.name == "bert":
        return _whole_words(rung, text)
    vocabulary = rung.vocabulary_
    tokens = tokenize(text, vocabulary.rule, lowercase=vocabulary.lowercase)
    known = np.asarray(vocabulary.encode([text]).ids >= 0)
    read = known.copy()
    if hasattr(rung, "max_length"):
        first, last = kept_words(len(tokens.words), rung.max_length)
        read[first : len(read) - last] = False
    return Seen(tokens, known, read)


def pieces_seen(rung: Any, text: str) -> Seen:
    """Cut a text into the pieces that a step over pieces reads."""
    pieces = rung.wordpiece_.cut(text, specials=False)
    known = np.array([piece not in SPECIALS for piece in pieces.pieces], bool)
    room = room_of(rung.window_length, rung.long_texts, rung.max_windows)
    first, last = kept_pieces(len(pieces.ids), room, rung.long_texts)
    read = known.copy()
    read[first : len(read) - last] = False
    return Seen(Tokens(pieces.pieces, pieces.starts, pieces.ends), known, read)


def _whole_words(rung: Any, text: str) -> Seen:
    """Put pieces together to the words that they were cut from; a word is read if one of its pieces is."""
    words = rung.wordpiece_.cut(text, specials=False).words
    pieces = pieces_seen(rung, text)
    firsts = np.flatnonzero(np.diff(words, prepend=-1))
    if not len(firsts):
        return Seen(Tokens((), np.empty(0, np.int64), np.empty(0, np.int64)), pieces.known, pieces.read)
    starts = pieces.tokens.starts[firsts]
    ends = np.maximum.reduceat(pieces.tokens.ends, firsts)
    spelt = tuple(text[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True))
    known, read = (np.maximum.reduceat(flags, firsts) for flags in (pieces.known, pieces.read))
    return Seen(Tokens(spelt, starts, ends), known, read)
