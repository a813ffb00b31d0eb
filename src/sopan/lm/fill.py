"""Fill blanks: which words a language model puts where a text says `[MASK]`.

A masked model reads both sides of a blank. A causal model reads the left side only: nothing behind a blank
counts, and the candidates of a blank are those behind the best filling of the blanks before it.

Blanks are filled from left to right, and the pieces of a blank from left to right too, so that

    P(b_1, b_2, …) = P(b_1 | text) · P(b_2 | text with b_1) · …

A beam keeps the likeliest fillings at each piece. Left to right is one of the orders of Wang and Cho (2019),
"BERT has a Mouth, and It Must Speak"; one order for all fillings keeps them comparable, for a masked model's
conditionals need not agree with one joint distribution, and another order gives other numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from sopan.errors import ConfigError, DataError
from sopan.lm.inference import AnyLanguageModel, Query, check_head, log_probabilities, log_softmax, with_marks
from sopan.text.piece_tokenizer import BYTE_SPACE, MARKS, MASK, Pieces
from sopan.types import Float32Array, FloatArray, Int32Array, Int64Array

BEAM = 16
"""Fillings that are kept at each piece, or as many as are wanted if that is more."""

Words = tuple[Int32Array, ...]
"""What stands in each blank, masks or pieces."""
Hypothesis = tuple[float, Words]
"""A log-probability, and what stands in each blank."""


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

    def as_json(self) -> dict[str, object]:
        """Return all of it as values that JSON takes."""
        return asdict(self)


def fill_blanks(
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
    frame = BlankedText.around(model, found, places, more, choice)
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


# ---- The search --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class BlankedText:
    """A text around its B blanks.

    Args:
        model: fills them.
        parts: the pieces before, between and behind the blanks, B + 1 times.
        truncated: there was more text.
        choice: words to choose among, as pieces; none: any words.
    """

    model: AnyLanguageModel
    parts: tuple[Int32Array, ...]
    truncated: bool
    choice: tuple[Int32Array, ...] = ()

    @classmethod
    def around(
        cls,
        model: AnyLanguageModel,
        found: Pieces,
        blanks: Int64Array,
        more: int,
        choice: tuple[Int32Array, ...],
    ) -> Self:
        """Cut a text at its blanks, leaving out what the model has no room for.

        Args:
            model: what is to read it. A causal one sees nothing behind the last blank anyway.
            found: the text's pieces.
            blanks: their places, at least one.
            more: how many pieces the words may have beyond one for each blank.
            choice: see the class.

        Raises:
            DataError: the blanks stand too far apart.
        """
        room = model.config.max_length - MARKS - more
        first, last = int(blanks[0]), int(blanks[-1]) + 1
        if last - first > room:
            raise DataError(
                f"the blanks and what stands between them are {last - first + more} pieces, and the model "
                f"reads {room + more}",
                next_step="give blanks fewer pieces, or fill them one after the other",
            )
        start, stop = 0, last if model.objective == "causal" else len(found.ids)
        truncated = stop > room
        if truncated:
            start = min(max(0, (first + last - room) // 2), stop - room)
            stop = start + room
            while 0 < start < first and found.words[start] == found.words[start - 1]:
                start += 1  # to the beginning of a word
            while last < stop < len(found.ids) and found.words[stop] == found.words[stop - 1]:
                stop -= 1
        cuts = [start - 1, *blanks.tolist(), stop]
        return cls(model, tuple(found.ids[a + 1 : b] for a, b in pairwise(cuts)), truncated, choice)

    def search(self, start: Words, blanks: Sequence[int], width: int) -> list[Hypothesis]:
        """Fill blanks, and return the likeliest fillings, likeliest first.

        Args:
            start: what stands in all blanks at first.
            blanks: which of them to fill, rising.
            width: of the beam.

        Returns:
            At most `width` of them. Probabilities are the model's over its whole vocabulary; where there is
            a choice, they are shares of the given words at each blank.
        """
        beam: list[Hypothesis] = [(0.0, start)]
        for blank in blanks:
            if self.choice:
                beam = self._choose(beam, blank, width)
            else:
                for place in range(len(start[blank])):
                    beam = self._spell(beam, blank, place, width)
        return beam

    def _spell(self, beam: list[Hypothesis], blank: int, place: int, width: int) -> list[Hypothesis]:
        """Fill in one piece: one that begins a word, or goes on with it."""
        wordpiece = self.model.wordpiece
        special = np.isin(np.arange(len(wordpiece)), list(wordpiece.specials.values()))
        goes_on = wordpiece.continues
        if wordpiece.mark == BYTE_SPACE and not (blank or place or len(self.parts[0])):
            goes_on = np.zeros_like(special)  # no mark stands before a text's first word
        may = np.flatnonzero(goes_on if place else ~(goes_on | special))
        logs = np.zeros((len(beam), len(may)))
        queries = [self._query(words, blank, place) for _, words in beam]
        for number, found in log_probabilities(self.model, queries):
            logs[number] = found[0, may]

        def with_piece(row: int, column: int) -> Words:
            words = beam[row][1]
            changed = words[blank].copy()
            changed[place] = may[column]
            return (*words[:blank], changed, *words[blank + 1 :])

        return [(log, with_piece(row, column)) for log, row, column in _best(beam, logs, width)]

    def _choose(self, beam: list[Hypothesis], blank: int, width: int) -> list[Hypothesis]:
        """Fill in one of the given words; each is scored behind as many masks as it has pieces.

        Its later pieces are hidden while an earlier one is scored: the pseudo-likelihood of Kauf and Ivanova
        (2023), of one word.
        """
        mask = self.model.wordpiece.specials[MASK]
        queries: list[Query] = []
        of: list[tuple[int, int, int]] = []
        for row, (_, words) in enumerate(beam):
            for column, word in enumerate(self.choice):
                for place, piece in enumerate(word.tolist()):
                    shown = np.where(np.arange(len(word)) < place, word, np.int32(mask))
                    queries.append(self._query((*words[:blank], shown, *words[blank + 1 :]), blank, place))
                    of.append((row, column, piece))
        logs = np.zeros((len(beam), len(self.choice)), np.float32)
        for number, found in log_probabilities(self.model, queries):
            row, column, piece = of[number]
            logs[row, column] += found[0, piece]
        return [
            (log, (*beam[row][1][:blank], self.choice[column], *beam[row][1][blank + 1 :]))
            for log, row, column in _best(beam, log_softmax(logs), width)
        ]

    def _query(self, words: Words, blank: int, place: int) -> Query:
        """Return the query for one piece of one blank, given what stands in all of them."""
        line = [part for pair in zip(self.parts[:-1], words, strict=True) for part in pair]
        at = 1 + sum(map(len, line[: 2 * blank + 1])) + place
        ids = with_marks(self.model, *line, self.parts[-1])
        if self.model.objective == "causal":
            return Query(ids[:at], np.array([at - 1], np.int32))
        return Query(ids, np.array([at], np.int32))


def _best(
    beam: list[Hypothesis], logs: FloatArray | Float32Array, width: int
) -> list[tuple[float, int, int]]:
    """Return the likeliest ways on, (log-probability, which hypothesis, which way): logs is (beam, ways)."""
    totals = logs + np.array([[log] for log, _ in beam])
    order = np.argsort(-totals, axis=None, kind="stable")[:width]
    rows, columns = np.unravel_index(order, totals.shape)
    return [(float(totals[r, c]), int(r), int(c)) for r, c in zip(rows, columns, strict=True)]
