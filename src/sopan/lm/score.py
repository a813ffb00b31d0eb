"""How likely a language model finds a text: by piece, by word, as a whole.

    word-l2r (masked)   Σ_t log P(w_t | W without w_t and without the later pieces of its word): Kauf and
                        Ivanova 2023, "A Better Way to Do Masked Language Model Scoring"; a word of several
                        pieces would else all but spell itself
    original (masked)   Σ_t log P(w_t | W without w_t): Salazar et al. 2020, "Masked Language Model Scoring",
                        eq. 1
    causal              Σ_t log P(w_t | w_<t)

A word is what the tokenizer takes for one: a run of letters and digits, or one punctuation mark. `[CLS]` and
`[SEP]` are context and not scored; nor is a special piece that stands in the text as such. Logarithms are
natural.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import numpy as np

from sopan.errors import ConfigError
from sopan.lm.inference import (
    AT_ONCE,
    AnyLanguageModel,
    Query,
    check_head,
    log_probabilities,
    overlapping_windows,
    with_marks,
)
from sopan.text.piece_tokenizer import CLS, MARKS, MASK, PAD, SEP, UNK, Pieces
from sopan.types import BoolArray, FloatArray, Int64Array

Method = Literal["word-l2r", "original", "causal"]
CONTEXT = (PAD, CLS, SEP, MASK)
"""Pieces that are not scored where a text holds them."""
HIGHEST = 1e300
"""Perplexities end here, so that they stay numbers."""


@dataclass(frozen=True, slots=True)
class ScoredWord:
    """One word and how likely the model finds it.

    Args:
        text: as it was written.
        start, end: in characters of the text.
        log_probability: of its pieces together.
        known: False if the vocabulary cannot spell it: then this is the probability of `[UNK]`.
        pieces: P of them.
        of_pieces: the log-probability of each.
    """

    text: str
    start: int
    end: int
    log_probability: float
    known: bool
    pieces: tuple[str, ...]
    of_pieces: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TextScore:
    """How likely a model finds one text.

    Args:
        text: as given.
        method: how it was scored.
        total: log-probability of all words together, pseudo- for a masked model.
        windowed: the text is longer than the model reads at once: each piece was scored in the part of the
            text around it (masked) or before it (causal).
        words: all of them.
    """

    text: str
    method: Method
    total: float
    windowed: bool
    words: tuple[ScoredWord, ...]

    @property
    def n_pieces(self) -> int:
        """How many pieces were scored."""
        return sum(len(word.pieces) for word in self.words)

    def as_json(self) -> dict[str, object]:
        """Return all of it with the counts and perplexities, as values that JSON takes."""
        return {
            **asdict(self),
            "n_words": len(self.words),
            "n_pieces": self.n_pieces,
            "n_unknown": sum(not word.known for word in self.words),
            "perplexity_per_word": perplexity(self.total, len(self.words)),
            "perplexity_per_piece": perplexity(self.total, self.n_pieces),
        }


def perplexity(total: float, n: int) -> float | None:
    """Return exp(-total / n), of a masked model the pseudo-perplexity (Salazar et al. 2020, eq. 2 and 3).

    Args:
        total: log-probability of n words or pieces, of one text or of many.
        n: how many; None comes back for 0.
    """
    return math.exp(min(-total / n, math.log(HIGHEST))) if n else None


def check_method(model: AnyLanguageModel, method: Method | None) -> Method:
    """Return the method that is meant, `word-l2r` or `causal` if none is named.

    Raises:
        ConfigError: it is unknown, or not of this kind of model.
    """
    fitting = [name for name in get_args(Method) if (name == "causal") == (model.objective == "causal")]
    if method is None:
        return fitting[0]  # type: ignore[no-any-return]  # of get_args
    if method not in fitting:
        raise ConfigError(
            f"a {model.objective} model does not score by {method!r}", next_step=f"use {' or '.join(fitting)}"
        )
    return method


def score_text(model: AnyLanguageModel, text: str, *, method: Method | None = None) -> TextScore:
    """Score one text, as `score_texts` does many."""
    return next(score_texts(model, [text], method=method))


def score_texts(
    model: AnyLanguageModel, texts: Iterable[str], *, method: Method | None = None
) -> Iterator[TextScore]:
    """Score texts in their order, as many at a time as fill some batches.

    A masked model reads a text once for each of its pieces, a causal one once.

    Args:
        model: masked or causal.
        texts: of any length, in any number.
        method: None: `word-l2r` for a masked model, `causal` for a causal one.

    Raises:
        ConfigError: the method is not one of this kind of model, or the model has no head that was trained.
        DataError: a text is not valid Unicode.
    """
    check_head(model)
    chosen = check_method(model, method)
    group: list[tuple[str, Pieces]] = []
    size = 0
    for text in texts:
        pieces = model.wordpiece.cut(text)
        group.append((text, pieces))
        size += len(pieces.ids)
        if size >= AT_ONCE or len(group) >= AT_ONCE:
            yield from _score_group(model, group, chosen)
            group, size = [], 0
    yield from _score_group(model, group, chosen)


def _score_group(
    model: AnyLanguageModel, group: list[tuple[str, Pieces]], method: Method
) -> Iterator[TextScore]:
    found = [np.full(len(pieces.ids), np.nan) for _, pieces in group]
    origins: list[tuple[int, Int64Array]] = []
    queries_of = _causal_queries if method == "causal" else _masked_queries

    def queries() -> Iterator[Query]:
        for index, (_, pieces) in enumerate(group):
            for query, places in queries_of(model, pieces, method):
                origins.append((index, places))
                yield query

    for number, logs in log_probabilities(model, queries()):
        index, places = origins[number]
        found[index][places] = logs[np.arange(len(places)), group[index][1].ids[places]]
    room = model.config.max_length - (1 if method == "causal" else MARKS)
    for (text, pieces), of_pieces in zip(group, found, strict=True):
        words = tuple(_words(model, text, pieces, of_pieces))
        total = sum(word.log_probability for word in words)
        yield TextScore(text, method, total, len(pieces.ids) > room, words)


def _scored(model: AnyLanguageModel, pieces: Pieces) -> BoolArray:
    return ~np.isin(pieces.ids, [model.wordpiece.specials[special] for special in CONTEXT])


def _masked_queries(
    model: AnyLanguageModel, pieces: Pieces, method: Method
) -> Iterator[tuple[Query, Int64Array]]:
    """Hide one piece after the other, in the middle of as much text as the model reads."""
    room = model.config.max_length - MARKS
    ends = np.searchsorted(pieces.words, pieces.words, side="right")
    for place in np.flatnonzero(_scored(model, pieces)).tolist():
        start = max(0, min(place - room // 2, len(pieces.ids) - room))
        ids = with_marks(model, pieces.ids[start : start + room])
        at = place - start + 1
        hidden = int(ends[place]) - place if method == "word-l2r" else 1
        ids[at : min(at + hidden, len(ids) - 1)] = model.wordpiece.specials[MASK]
        yield Query(ids, np.array([at], np.int32)), np.array([place])


def _causal_queries(
    model: AnyLanguageModel, pieces: Pieces, method: Method
) -> Iterator[tuple[Query, Int64Array]]:
    """Predict every piece from what is before it; of a long text, in windows that overlap by half."""
    room = model.config.max_length - 1
    scored = _scored(model, pieces)
    for window in overlapping_windows(len(pieces.ids), room, room // 2):
        places = window.first + np.flatnonzero(scored[window.first : window.last])
        if len(places):
            ids = with_marks(model, pieces.ids[window.start : window.stop])[:-1]
            yield Query(ids, (places - window.start).astype(np.int32)), places


def _words(model: AnyLanguageModel, text: str, pieces: Pieces, logs: FloatArray) -> Iterator[ScoredWord]:
    unknown = pieces.ids == model.wordpiece.specials[UNK]
    bounds = np.flatnonzero(np.diff(pieces.words, prepend=-1, append=-1))
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if np.isnan(logs[first]):
            continue
        start, end = int(pieces.starts[first]), int(pieces.ends[last - 1])
        yield ScoredWord(
            text=text[start:end],
            start=start,
            end=end,
            log_probability=float(logs[first:last].sum()),
            known=not unknown[first:last].any(),
            pieces=pieces.pieces[first:last],
            of_pieces=tuple(logs[first:last].tolist()),
        )
