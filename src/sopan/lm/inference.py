"""What a language model predicts at some places of many texts, a few rectangles at a time.

queries -> batches of like length -> logits -> log-probabilities of all pieces at each place (A, V)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple, Protocol

import numpy as np

from sopan.errors import ConfigError
from sopan.text.batch import READ_TEXTS, plan
from sopan.text.packing import Rows
from sopan.text.piece_tokenizer import PieceTokenizer
from sopan.types import Float32Array, Int32Array, Int64Array

LENGTHS = tuple(step << shift for shift in range(3, 14) for step in (2, 3))
"""Lengths of rectangles: 16, 24, 32, 48, 64 … A compiler makes one program for each."""
AT_ONCE = 2048
"""Queries that are held at a time."""
MOST_LOGITS = 1 << 24
"""Logits of a batch, at most, but for one query that has more: 64 MiB."""


class Sized(Protocol):
    """What is needed of an encoder's configuration."""

    @property
    def max_length(self) -> int:
        """The most pieces that it reads."""


class AnyLanguageModel(Protocol):
    """A language model: `LanguageModel`, or one in a runtime."""

    @property
    def config(self) -> Sized:
        """Of its encoder."""

    @property
    def wordpiece(self) -> PieceTokenizer:
        """Cuts texts."""

    @property
    def missing_heads(self) -> tuple[str, ...]:
        """Heads that hold their initial weights."""

    @property
    def objective(self) -> Literal["masked", "causal"]:
        """Whether it fills blanks or predicts the next piece."""

    def logits(self, rows: Rows, at: Int32Array) -> Float32Array:
        """Return the logits (P, V) of the pieces at P places in B · T."""


class Query(NamedTuple):
    """At which places of one text the pieces are to be predicted.

    Args:
        ids: (T,) int32, `[CLS]` and `[SEP]` among them; at most the model's `max_length`.
        at: (A,) int32, the places in them.
    """

    ids: Int32Array
    at: Int32Array


class Window(NamedTuple):
    """A part of a long text, and which pieces are read off it.

    Args:
        start, stop: of the part.
        first, last: `first` to `last - 1` are read off it.
    """

    start: int
    stop: int
    first: int
    last: int


def overlapping_windows(length: int, room: int, before: int) -> list[Window]:
    """Cover a text with windows of at most `room` pieces, each half a room after the one before it.

    Args:
        length: P of the text.
        room: pieces of a window.
        before: how many pieces at least stand in the window before those read off it, where the text has
            so many; `room // 4` gives as many behind them, `room // 2` none.
    """
    if length <= room:
        return [Window(0, length, 0, length)] if length else []
    stride = max(1, room // 2)
    starts = [*range(0, length - room, stride), length - room]
    firsts = [0, *(start + before for start in starts[1:])]
    return [
        Window(start, start + room, first, last)
        for start, first, last in zip(starts, firsts, [*firsts[1:], length], strict=True)
    ]


def check_head(model: AnyLanguageModel) -> None:
    """Hold that a model has learnt to predict pieces.

    Raises:
        ConfigError: it came without the head that does.
    """
    if "predict" in model.missing_heads:
        raise ConfigError(
            "this model came without the head that says what belongs in a blank",
            next_step="take one that has it, such as sopan-mini",
        )


def fill_rectangle(texts: Sequence[Int32Array], height: int, length: int) -> Rows:
    """Write texts of ids one to a row; further rows, and what is right of a text, stay empty."""
    rows = Rows(*(np.zeros((height, length), np.int32) for _ in Rows._fields))
    for row, ids in enumerate(texts):
        rows.ids[row, : len(ids)] = ids
        rows.blocks[row, : len(ids)] = 1
        rows.places[row, : len(ids)] = np.arange(len(ids))
    return rows


def log_probabilities(
    model: AnyLanguageModel, queries: Iterable[Query]
) -> Iterator[tuple[int, Float32Array]]:
    """Yield of each query its number and the log-probabilities (A, V) of the pieces at its places.

    Args:
        model: masked: which piece stands at the place; causal: which stands behind it.
        queries: read a few thousand at a time. Of these, the shortest come first.
    """
    number = 0
    waiting = iter(queries)
    while some := list(islice(waiting, AT_ONCE)):
        for index, found in _predict(model, some):
            yield number + index, found
        number += len(some)


def _predict(model: AnyLanguageModel, queries: list[Query]) -> Iterator[tuple[int, Float32Array]]:
    lengths = np.array([len(query.ids) for query in queries], np.int64)
    places = max(len(query.at) for query in queries)
    most = max(1, min(READ_TEXTS, MOST_LOGITS // (places * len(model.wordpiece))))
    for members, height, length in plan(lengths, LENGTHS, most=most):
        chosen = [queries[index] for index in members]
        rows = fill_rectangle([query.ids for query in chosen], height, length)
        at = np.zeros(height * (1 if places == 1 else length), np.int32)  # few sizes, as of the rectangles
        ends = np.cumsum([len(query.at) for query in chosen])
        at[: ends[-1]] = np.concatenate(
            [query.at + row * length for row, query in enumerate(chosen)], dtype=np.int32
        )
        found = log_softmax(model.logits(rows, at)[: ends[-1]])
        yield from zip(members.tolist(), np.split(found, ends[:-1]), strict=True)


def log_softmax(logits: Float32Array) -> Float32Array:
    """Turn logits (P, V) into log-probabilities."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    sums = np.exp(logits).sum(axis=-1, keepdims=True, dtype=np.float64)
    return np.asarray(logits - np.log(sums), np.float32)


def with_marks(model: AnyLanguageModel, *parts: Int32Array | Int64Array) -> Int32Array:
    """Return pieces end to end between `[CLS]` and `[SEP]`, as the model was trained on them."""
    specials = model.wordpiece.specials
    return np.concatenate([[specials["[CLS]"]], *parts, [specials["[SEP]"]]], dtype=np.int32)
