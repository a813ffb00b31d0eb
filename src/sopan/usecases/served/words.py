"""The words of a text as a step sees them: where they stand, which it knows, which it reads."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sopan.text.batch import kept_words
from sopan.text.intake import Intake, PieceIntake, WordIntake, kept_pieces, room_of
from sopan.text.tokenize import tokenize
from sopan.text.wordpiece import SPECIALS
from sopan.types import BoolArray, Tokens

NO_TOKENS = Tokens((), np.empty(0, np.int64), np.empty(0, np.int64))


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


def seen(vocabulary: Any, text: str, max_length: int | None = None) -> Seen:
    """Cut a text into words as a `Vocabulary` does; of a text that is too long the middle is not read."""
    tokens = tokenize(text, vocabulary.rule, lowercase=vocabulary.lowercase)
    known = np.asarray(vocabulary.encode([text]).ids >= 0)
    read = known.copy()
    if max_length is not None:
        first, last = kept_words(len(read), max_length)
        read[first : len(read) - last] = False
    return Seen(tokens, known, read)


def words_of(intake: Intake, text: str) -> Seen:
    """Cut a text into words as a network's intake does; pieces are put together to words."""
    if isinstance(intake, WordIntake):
        return seen(intake.vocabulary, text, intake.max_length)
    assert isinstance(intake, PieceIntake)
    return _whole_words(intake, text)


def pieces_of(intake: PieceIntake, text: str) -> Seen:
    """Cut a text into the pieces that a step over pieces reads."""
    pieces = intake.wordpiece.cut(text, specials=False)
    known = np.array([piece not in SPECIALS for piece in pieces.pieces], bool)
    room = room_of(intake.window_length, intake.long_texts, intake.max_windows)
    first, last = kept_pieces(len(pieces.ids), room, intake.long_texts)
    read = known.copy()
    read[first : len(read) - last] = False
    return Seen(Tokens(pieces.pieces, pieces.starts, pieces.ends), known, read)


def _whole_words(intake: PieceIntake, text: str) -> Seen:
    """Put pieces together to the words that they were cut from; a word is read if one of its pieces is."""
    words, pieces = intake.wordpiece.cut(text, specials=False).words, pieces_of(intake, text)
    firsts = np.flatnonzero(np.diff(words, prepend=-1))
    if not len(firsts):
        return Seen(NO_TOKENS, pieces.known, pieces.read)
    starts, ends = pieces.tokens.starts[firsts], np.maximum.reduceat(pieces.tokens.ends, firsts)
    spelt = tuple(text[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True))
    known, read = (np.logical_or.reduceat(flags, firsts) for flags in (pieces.known, pieces.read))
    return Seen(Tokens(spelt, starts, ends), known, read)
