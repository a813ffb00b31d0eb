"""What each word of a text did to the logits, for the steps whose logits are sums: exactly, from the weights.

logits = base + Σ over features (what the feature adds)
a feature's part is shared equally by its places in the text, and at each by the words that it covers
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sopan.steps.linear import LinearModel
from sopan.text.ngrams import NgramCounter
from sopan.text.tokenize import tokenize
from sopan.text.unicode import LINE_BREAK, aligned_normal_form
from sopan.text.vocab import Vocabulary
from sopan.types import Array, BoolArray, Evidence, FloatArray, Int32Array, Int64Array, Tokens


class Found(NamedTuple):
    """Where features stand: feature ids[i] covers lengths[i] places from starts[i] on; each (n,) int64."""

    ids: Int64Array
    starts: Int64Array
    lengths: Int64Array

    @classmethod
    def of(cls, found: list[tuple[int, int, int]]) -> Found:
        """Take features as they were met: id, start, length."""
        return cls(*np.array(found, np.int64).reshape(-1, 3).T)


def contributions_of(model: LinearModel, features: sp.csr_array | npt.NDArray[np.float32]) -> FloatArray:
    """Return what each row of features (n, V) adds to the logits: (n, C) float64, the bias left out."""
    return LinearModel(model.weights, np.zeros_like(model.bias)).logits(features)


def bag_evidence(
    text: str, counters: Sequence[NgramCounter], features: sp.csr_array, model: LinearModel
) -> Evidence:
    """Tell the words' parts in the logits of weighed n-gram counts; the base is the bias.

    The weights of a text's features depend on its length and on each other's counts (rows have length 1);
    they are taken as they are in this text. A run of characters between spaces that holds no word but is
    known to character n-grams, such as `:-)`, stands among the words.

    Args:
        text: one text.
        counters: the features, block after block: words, characters, or both.
        features: (1, V) float32, the text's, weighed.
        model: fitted on such features.
    """
    rule, lowercase = counters[0].rule, counters[0].lowercase
    tokens = tokenize(text, rule, lowercase=lowercase)
    base = LinearModel(model.weights[:0], model.bias).logits(np.zeros((1, 0), np.float32))[0]  # no features
    held = LinearModel(model.weights[features.indices], model.bias)
    n = len(features.data)
    diagonal = sp.csr_array((features.data, np.arange(n), np.arange(n + 1)), shape=(n, n))
    parts = contributions_of(held, diagonal)  # (n, C)
    bounds = np.cumsum([0, *map(len, counters)])
    words = np.arange(len(tokens.words))  # where each word stands, once runs without words stand beside it
    added, read = np.zeros((len(words), len(base))), np.zeros(len(words), bool)
    blocks = []
    for counter, (low, high) in zip(counters, pairwise(bounds), strict=True):
        ours = (features.indices >= low) & (features.indices < high)
        names = counter.features.take(features.indices[ours] - low).to_pylist()
        blocks.append((counter, {name: place for place, name in enumerate(names)}, parts[ours]))
    for counter, ids, of_block in reversed(blocks):  # characters first: they may add runs to the words
        if counter.analyzer == "char_wb":
            tokens, words, added, read = _by_characters(text, tokens, counter, ids, of_block)
            continue
        found = word_ngrams([tokens.words[word] for word in words.tolist()], counter.ngram_range, ids)
        more, met = share_out(found, of_block, len(words))
        added[words] += more
        read[words] |= met
    return Evidence(tokens, read, added, base, model.logits(features)[0], "exact")


def vocabulary_evidence(
    text: str,
    vocabulary: Vocabulary,
    ids: Int32Array,
    parts: FloatArray,
    base: FloatArray,
    logits: FloatArray,
) -> Evidence:
    """Share what each known word of a text adds among its occurrences.

    Args:
        text: one text.
        vocabulary: the words known.
        ids: (F,) those that the text holds, each once.
        parts: (F, C) float64, what each adds to the logits.
        base, logits: (C,) float64.
    """
    tokens = tokenize(text, vocabulary.rule, lowercase=vocabulary.lowercase)
    known = {vocabulary.words[word]: place for place, word in enumerate(ids.tolist())}
    found = word_ngrams(tokens.words, (1, 1), known)
    added, read = share_out(found, parts, len(tokens.words))
    return Evidence(tokens, read, added, base, logits, "exact")


def word_ngrams(words: Sequence[str], lengths: tuple[int, int], ids: Mapping[str, int]) -> Found:
    """Find the known n-grams of a text's words; places are words."""
    found = []
    for length in range(lengths[0], lengths[1] + 1):
        for start in range(len(words) - length + 1):
            place = ids.get(" ".join(words[start : start + length]))
            if place is not None:
                found.append((place, start, length))
    return Found.of(found)


def character_ngrams(form: str, lengths: tuple[int, int], ids: Mapping[str, int]) -> Found:
    """Find the known n-grams inside a text's runs between spaces; places are characters of `form`.

    The space that pads a run on either side is no place: its n-gram stands on the characters that it holds
    besides, or, if it is all of it, on the run's nearest.
    """
    found = []
    for run in re.finditer(r"\S+", form):
        padded = f" {run.group()} "
        spans = [
            (start, start + length)
            for length in range(lengths[0], lengths[1] + 1)
            for start in range(len(padded) - length + 1)
        ]
        if len(padded) < lengths[0]:
            spans = [(0, len(padded))]
        for start, end in spans:
            place = ids.get(padded[start:end])
            if place is not None:
                low = min(max(start - 1, 0), len(padded) - 3)
                high = max(min(end - 1, len(padded) - 2), low + 1)
                found.append((place, run.start() + low, high - low))
    return Found.of(found)


def share_out(found: Found, parts: FloatArray, n_places: int) -> tuple[FloatArray, BoolArray]:
    """Share features' parts (F, C) equally among their occurrences, and each of those among its places.

    Returns:
        What came to each place, (places, C) float64, and which places a feature covers, (places,) bool.
    """
    times = np.bincount(found.ids, minlength=len(parts))[found.ids]
    each = parts[found.ids] / (times * found.lengths)[:, None]
    came, covered = np.zeros((n_places, parts.shape[1])), np.zeros(n_places, bool)
    for step in range(int(found.lengths.max(initial=0))):
        within = found.lengths > step
        np.add.at(came, found.starts[within] + step, each[within])
        covered[found.starts[within] + step] = True
    return came, covered


def _by_characters(
    text: str, tokens: Tokens, counter: NgramCounter, ids: Mapping[str, int], parts: FloatArray
) -> tuple[Tokens, Int64Array, FloatArray, BoolArray]:
    """Bring what character n-grams add to the words that the characters belong to.

    Returns:
        The words, runs without words among them; where the words given stand in that list; what came to
        each, (W, C); and which were read, (W,).
    """
    form, first, last = aligned_normal_form(text, counter.rule, counter.lowercase)
    if counter.rule != "sklearn":
        form = re.sub(LINE_BREAK, lambda tag: " " * len(tag.group()), form)
    came, covered = share_out(character_ngrams(form, counter.ngram_range, ids), parts, len(form))
    runs = np.array([run.span() for run in re.finditer(r"\S+", form)], np.int64).reshape(-1, 2)
    low, high = _owners(tokens, first)
    owned = np.concatenate([[0], np.cumsum(high > low)])
    met = np.concatenate([[0], np.cumsum(covered)])
    stray = (owned[runs[:, 1]] == owned[runs[:, 0]]) & (met[runs[:, 1]] > met[runs[:, 0]])
    strays = Tokens(
        tuple(form[a:b] for a, b in runs[stray].tolist()), first[runs[stray, 0]], last[runs[stray, 1] - 1]
    )
    tokens, words = merge_tokens(tokens, strays)
    low, high = _owners(tokens, first)
    at = np.flatnonzero(covered)
    run = np.searchsorted(runs[:, 1], at, side="right")
    low, high = low[at], high[at]
    alone = high == low  # punctuation goes to the word before it in its run, or else to the one after it
    begin = np.searchsorted(tokens.starts, first[runs[run, 0]])  # each run's first word
    before = alone & (low > begin)
    low, high = low - before, high + (alone & ~before)
    added, read = share_out(Found(np.arange(len(at)), low, high - low), came[at], len(tokens.words))
    return tokens, words, added, read


def _owners(tokens: Tokens, at: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return the range of words that hold each of some places in the text; words may overlap."""
    return np.searchsorted(tokens.ends, at, side="right"), np.searchsorted(tokens.starts, at, side="right")


def weigh_together(parts: Sequence[tuple[float, Evidence]]) -> Evidence:
    """Tell the words' parts in a weighed sum of several steps' logits, which may cut a text differently.

    The words are the first one's. What another's word added is shared equally by those that it overlaps;
    where it overlaps none, as a smiley may, it stands among them itself.

    Args:
        parts: what each step's logits are multiplied by, and what the step made of the text.
    """
    factor, first = parts[0]
    tokens, read, added = first.tokens, first.read.copy(), factor * first.contributions
    for factor, other in parts[1:]:
        theirs = other.tokens
        low, high = _overlapped(tokens, theirs)
        alone = np.flatnonzero(other.read & (low == high))
        strays = Tokens(
            tuple(theirs.words[i] for i in alone.tolist()), theirs.starts[alone], theirs.ends[alone]
        )
        tokens, places = merge_tokens(tokens, strays)
        read, added = _moved(read, places, len(tokens.words)), _moved(added, places, len(tokens.words))
        low, high = _overlapped(tokens, theirs)
        theirs_read = np.flatnonzero(other.read)
        low, high = low[theirs_read], high[theirs_read]
        found = Found(np.arange(len(theirs_read)), low, high - low)
        more, met = share_out(found, factor * other.contributions[theirs_read], len(tokens.words))
        added, read = added + more, read | met
    methods = [evidence.method for _, evidence in parts if evidence.method != "exact"]
    return Evidence(
        tokens,
        read,
        added,
        np.sum([factor * evidence.base for factor, evidence in parts], axis=0),
        np.sum([factor * evidence.logits for factor, evidence in parts], axis=0),
        methods[0] if methods else "exact",
    )


def _overlapped(tokens: Tokens, theirs: Tokens) -> tuple[Int64Array, Int64Array]:
    """Return for each of their words the range of ours that it shares a character with."""
    low = np.searchsorted(tokens.ends, theirs.starts, side="right")
    return low, np.maximum(low, np.searchsorted(tokens.starts, theirs.ends, side="left"))


def _moved(values: Array, places: Int64Array, n: int) -> Array:
    """Put rows at new places among n, with zeros between them."""
    moved = np.zeros((n, *values.shape[1:]), values.dtype)
    moved[places] = values
    return moved


def merge_tokens(tokens: Tokens, more: Tokens) -> tuple[Tokens, Int64Array]:
    """Put two lists of words in one, in the order of the text, and say where the first's now stand."""
    words, starts = (*tokens.words, *more.words), np.concatenate([tokens.starts, more.starts])
    order = np.argsort(starts, kind="stable")
    merged = Tokens(
        tuple(words[i] for i in order.tolist()),
        starts[order],
        np.concatenate([tokens.ends, more.ends])[order],
    )
    return merged, np.argsort(order)[: len(tokens.words)]
