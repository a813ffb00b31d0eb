"""A word's vector where it stands, and the words of other texts that are nearest to it there.

A word's vector is the mean of its pieces' hidden states, in a layer of choice: lower layers know more of
form, upper ones more of meaning in context (Ethayarajh 2019, "How Contextual are Contextualized Word
Representations?"). The vectors of one layer share a direction, so that all cosines are high; what counts is
their order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import NamedTuple

import keras
import numpy as np

from sopan.errors import ConfigError, DataError
from sopan.lm.inference import LENGTHS, Window, fill_rectangle, overlapping_windows, with_marks
from sopan.steps.language_model import LanguageModel
from sopan.text.batch import plan
from sopan.text.packing import Rows
from sopan.text.piece_tokenizer import MARKS, Pieces
from sopan.training.backend import make_forward
from sopan.types import Float32Array, Int64Array

TEXTS_AT_ONCE = 256
"""Texts whose words are read together."""
SENTENCE_END = re.compile(r"[.!?।॥。！？][\"'”’)\]]*(?=\s)|[。！？]|\n")
"""Where a sentence ends, near enough to show one."""
MOST_SHOWN = 300
"""Characters of a sentence that are shown before a word and behind it, at most."""

States = Callable[[Rows], Float32Array]
"""From rows (B, T) to hidden states (B, T, D)."""


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A word in its context.

    Args:
        word: as it was written.
        cosine: with the given word in its own context.
        sentence: that it stands in.
        start, end: of the word, in characters of the sentence.
        row: of its text, from 0.
    """

    word: str
    cosine: float
    sentence: str
    start: int
    end: int
    row: int

    def as_json(self) -> dict[str, object]:
        """Return all of it as values that JSON takes."""
        return asdict(self)


class _Found(NamedTuple):
    """The words of one text: characters (W,) each, and vectors (W, D)."""

    starts: Int64Array
    ends: Int64Array
    vectors: Float32Array


def layer_states(model: LanguageModel, layer: int | None = None) -> States:
    """Return what gives the hidden states of one layer.

    Args:
        model: masked or causal.
        layer: 0 is what goes into the first block, 1 what comes out of it; None: the last.

    Raises:
        ConfigError: there is no such layer.
    """
    depth = model.config.depth
    if layer is None or layer == depth:
        return model.hidden
    if not 0 <= layer < depth:
        raise ConfigError(f"there is no layer {layer}", next_step=f"layers are 0 to {depth}")
    name = f"block_{layer - 1}" if layer else "input_drop"
    output = model.network.get_layer(name).output
    hidden = output[0] if layer else output
    below = keras.Model(model.network.inputs[:4], {"hidden": hidden}, name=f"up_to_layer_{layer}")
    forward = make_forward(below, ["hidden"])
    return lambda rows: forward(*rows)[0].astype(np.float32)


def find_contextual_neighbors(
    model: LanguageModel,
    word: str,
    text: str,
    texts: Iterable[tuple[int, str]],
    *,
    top: int = 10,
    layer: int | None = None,
) -> list[Neighbor]:
    """Find the words in context that are nearest to one in its own, by cosine, nearest first.

    Args:
        model: masked or causal.
        word: one word, or words that stand together.
        text: where it stands; its first place counts.
        texts: row and text, read once, a few at a time. Words with a letter or digit count, but the
            given one in the very sentence; what stands in equal sentences comes once.
        top: how many.
        layer: see `layer_states`.

    Raises:
        ConfigError: there is no such layer.
        DataError: the word does not stand in the text, or the texts have no words.
    """
    states = layer_states(model, layer)
    vector, start, end = word_in_context(model, word, text, states)
    direction = vector / max(float(np.linalg.norm(vector)), 1e-12)
    own = _placed(text, start, end)
    best: dict[tuple[str, int, int], Neighbor] = {}
    words = 0
    for row, read, found in _read_all(model, texts, states):
        norms = np.maximum(np.linalg.norm(found.vectors, axis=1), 1e-12)
        cosines = found.vectors @ direction / norms
        words += len(cosines)
        least = min(one.cosine for one in best.values()) if len(best) >= top else -np.inf
        fresh = 0
        for index in np.argsort(-cosines, kind="stable"):
            if cosines[index] <= least or fresh == top:
                break
            place = _placed(read, int(found.starts[index]), int(found.ends[index]))
            if place != own and place not in best:
                fresh += 1
                written = place[0][place[1] : place[2]]
                best[place] = Neighbor(written, float(cosines[index]), *place, row)
        kept = sorted(best, key=lambda place: -best[place].cosine)[:top]
        best = {place: best[place] for place in kept}
    if not words:
        raise DataError("there are no words in the texts to compare with", next_step="name a file with texts")
    return list(best.values())


def _placed(text: str, start: int, end: int) -> tuple[str, int, int]:
    """Return the sentence around a word, and the word's place in it."""
    before = max(0, start - MOST_SHOWN)
    before = max((match.end() for match in SENTENCE_END.finditer(text, before, start)), default=before)
    behind = SENTENCE_END.search(text, end, end + MOST_SHOWN)
    sentence = text[before : behind.end() if behind else end + MOST_SHOWN]
    indent = len(sentence) - len(sentence.lstrip())
    return sentence.strip(), start - before - indent, end - before - indent


def word_in_context(
    model: LanguageModel, word: str, text: str, states: States
) -> tuple[Float32Array, int, int]:
    """Return the vector (D,) of a word where it first stands in a text, its start and its end in characters.

    Raises:
        DataError: the word does not stand in the text, as the model cuts both.
    """
    wanted, pieces = model.wordpiece.cut(word).ids, model.wordpiece.cut(text)
    size = len(wanted)
    bounds = {0, len(pieces.ids), *(np.flatnonzero(np.diff(pieces.words)) + 1).tolist()}
    for first in sorted(bounds):
        last = first + size
        if size and last in bounds and np.array_equal(pieces.ids[first:last], wanted):
            room = model.config.max_length - MARKS
            begin = max(0, min((first + last - room) // 2, len(pieces.ids) - room))
            ids = with_marks(model, pieces.ids[begin : begin + room])
            found = states(fill_rectangle([ids], 1, len(ids)))[0]
            vector = found[1 + first - begin : 1 + min(last - begin, room)].mean(axis=0)
            return vector, int(pieces.starts[first]), int(pieces.ends[last - 1])
    raise DataError(f"{word!r} does not stand in the text", next_step="give a text that has the word")


def _read_all(
    model: LanguageModel, texts: Iterable[tuple[int, str]], states: States
) -> Iterator[tuple[int, str, _Found]]:
    """Yield row, text and words of each text that has words, in their order."""
    group: list[tuple[int, str, Pieces]] = []
    for row, text in texts:
        pieces = model.wordpiece.cut(text)
        if len(pieces.ids):
            group.append((row, text, pieces))
        if len(group) == TEXTS_AT_ONCE:
            yield from _read_group(model, group, states)
            group = []
    yield from _read_group(model, group, states)


def _read_group(
    model: LanguageModel, group: list[tuple[int, str, Pieces]], states: States
) -> Iterator[tuple[int, str, _Found]]:
    room = model.config.max_length - MARKS
    parts: list[tuple[int, Window]] = []
    for index, (_, _, pieces) in enumerate(group):
        parts += [(index, window) for window in overlapping_windows(len(pieces.ids), room, room // 4)]
    hidden = [np.empty((len(pieces.ids), model.config.width), np.float32) for _, _, pieces in group]
    lengths = np.array([window.stop - window.start + MARKS for _, window in parts], np.int64)
    for members, height, length in plan(lengths, LENGTHS):
        chosen = [parts[member] for member in members]
        ids = [with_marks(model, group[index][2].ids[window.start : window.stop]) for index, window in chosen]
        found = states(fill_rectangle(ids, height, length))
        for (index, window), line in zip(chosen, found, strict=False):
            inside = slice(1 + window.first - window.start, 1 + window.last - window.start)
            hidden[index][window.first : window.last] = line[inside]
    for (row, text, pieces), vectors in zip(group, hidden, strict=True):
        yield row, text, _words(text, pieces, vectors)


def _words(text: str, pieces: Pieces, vectors: Float32Array) -> _Found:
    """Return the words that have a letter or a digit, each with the mean of its pieces."""
    firsts = np.flatnonzero(np.diff(pieces.words, prepend=-1))
    lasts = np.append(firsts[1:], len(pieces.ids))
    means = np.add.reduceat(vectors, firsts, axis=0) / (lasts - firsts)[:, None]
    starts, ends = pieces.starts[firsts], pieces.ends[lasts - 1]
    says = [any(map(str.isalnum, text[start:end])) for start, end in zip(starts, ends, strict=True)]
    return _Found(starts[says], ends[says], means[says].astype(np.float32))
