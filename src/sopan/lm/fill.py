"""Fill blanks: which words a language model puts where a text says `[MASK]`.

A masked model reads both sides of a blank. A causal model reads the left side only: nothing behind a blank
counts, and the candidates of a blank are those behind the best filling of the blanks before it. The order in
which several blanks, and several pieces, are filled is told in `sopan.lm.blanks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from sopan.errors import ConfigError, DataError
from sopan.lm.ask import AnyLanguageModel, check_head
from sopan.lm.blanks import Frame, Words
from sopan.text.wordpiece import MASK, Pieces
from sopan.types import Int32Array, Int64Array, Json

BEAM = 16
"""Fillings that are kept at each piece, or as many as are asked for if that is more."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may fill one blank.

    Args:
        text: the word, as the vocabulary spells it.
        probability: of the model over its whole vocabulary; among given candidates, they sum to 1.
        pieces: the word's.
    """

    text: str
    probability: float
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filling:
    """What may fill all blanks together.

    Args:
        text: the whole text.
        words: one for each blank.
        probability: of them jointly, by the chain rule; among given candidates, all fillings sum to 1.
    """

    text: str
    words: tuple[str, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its blanks filled.

    Args:
        text: as given.
        reads: which side of a blank the model saw.
        truncated: the text is longer than the model reads: it saw the part around the blanks, or before
            the last of them.
        blanks: for each blank its candidates, likeliest first. The other blanks are blank meanwhile (masked),
            or those before it filled as in the best joint filling (causal).
        joint: of all blanks together, likeliest first.
    """

    text: str
    reads: str
    truncated: bool
    blanks: tuple[tuple[Candidate, ...], ...]
    joint: tuple[Filling, ...]

    def as_json(self) -> dict[str, Json]:
        """Return all of it as values that JSON takes."""
        return asdict(self)


def fill(
    model: AnyLanguageModel,
    text: str,
    *,
    top: int = 5,
    pieces: int | Sequence[int] = 1,
    candidates: Sequence[str] = (),
) -> Filled:
    """Fill the blanks of a text.

    Args:
        model: masked or causal.
        text: with one `[MASK]` or more.
        top: how many candidates of each blank, and how many joint fillings.
        pieces: how many pieces the words have, of all blanks or of each; a choice of words has its own.
        candidates: words to choose among, for every blank. A blank that is still to come is one mask.

    Raises:
        ConfigError: `top` or `pieces` cannot be used, or the model has no head that was trained.
        DataError: the text has no blank, its blanks stand too far apart, or a candidate cannot be spelt.
    """
    check_head(model)
    if top < 1:
        raise ConfigError(f"the top {top} candidates are none", next_step="give 1 or more")
    mask = model.wordpiece.specials[MASK]
    found = model.wordpiece.cut(text)
    places = np.flatnonzero(found.ids == mask)
    if not len(places):
        raise DataError("the text has no blank to fill", next_step=f"write {MASK} where a word is to stand")
    choice = _spelt(model, candidates)
    sizes = _sizes(1 if choice else pieces, len(places))
    longest = max(map(len, choice), default=1)
    more = len(sizes) * (longest - 1) + sum(sizes) - len(sizes)
    frame = Frame.around(model, found, places, more, choice)
    empty = tuple(np.full(size, mask, np.int32) for size in sizes)
    every, width = range(len(places)), max(BEAM, top)
    joint = frame.search(empty, every, width)
    blanks = []
    for blank in every:
        causal = model.objective == "causal"
        start = (*joint[0][1][:blank], *empty[blank:]) if causal else empty
        alone = joint if len(places) == 1 else frame.search(start, [blank], width)
        blanks.append(tuple(_candidate(model, log, words[blank]) for log, words in alone[:top]))
    return Filled(
        text=text,
        reads="the left side" if model.objective == "causal" else "both sides",
        truncated=frame.truncated,
        blanks=tuple(blanks),
        joint=tuple(_filling(model, text, found, places, *one) for one in joint[:top]),
    )


def _sizes(pieces: int | Sequence[int], n: int) -> list[int]:
    """Return how many pieces each of n blanks has."""
    given = [pieces] if isinstance(pieces, int) else list(pieces)
    sizes = given * n if len(given) == 1 else given
    if len(sizes) != n or min(sizes) < 1:
        raise ConfigError(
            f"{n} blanks cannot have {', '.join(map(str, given)) or 'no'} pieces",
            next_step="give one number, or one for each blank, 1 or more",
        )
    return sizes


def _spelt(model: AnyLanguageModel, candidates: Sequence[str]) -> tuple[Int32Array, ...]:
    """Cut candidates into pieces, each spelling once."""
    found: dict[bytes, Int32Array] = {}
    for word in candidates:
        ids = model.wordpiece.cut(word).ids
        if not len(ids) or np.isin(ids, list(model.wordpiece.specials.values())).any():
            raise DataError(f"the vocabulary cannot spell the candidate {word!r}", next_step="leave it out")
        found.setdefault(ids.tobytes(), ids)
    return tuple(found.values())


def _candidate(model: AnyLanguageModel, log: float, ids: Int32Array) -> Candidate:
    pieces = tuple(model.wordpiece.pieces[index] for index in ids)
    return Candidate(model.wordpiece.join(ids), float(np.exp(log)), pieces)


def _filling(
    model: AnyLanguageModel, text: str, found: Pieces, places: Int64Array, log: float, filled: Words
) -> Filling:
    """Write the words into the text as it was given."""
    words = tuple(model.wordpiece.join(ids) for ids in filled)
    written, behind = "", 0
    for word, place in zip(words, places, strict=True):
        written += text[behind : int(found.starts[place])] + word
        behind = int(found.ends[place])
    return Filling(written + text[behind:], words, float(np.exp(log)))
