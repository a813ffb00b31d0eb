"""What `tokenizers` does to a text before it looks up pieces, as arrays for a computation graph.

Everything is read off the library itself, one code point at a time: it follows Unicode versions of its own,
which are not this Python's, and the graph then does what the tokeniser did, character for character.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer, normalizers, pre_tokenizers

from sopan.errors import ConfigError
from sopan.fit.export.unicode_tables import ITSELF, PAIR, NormalTables, PointTable, Rewriting, assembled
from sopan.text.piece_rules import Rules, try_out
from sopan.text.piece_tokenizer import CONTINUES, UNK
from sopan.text.unicode import CODE_POINTS
from sopan.types import Int32Array, Int64Array, Json

IN_WORD, PUNCTUATION = 1, 2
"""Kinds of characters; 0 parts words and belongs to none."""

HIGHEST, LOWEST = "\u0345", "\u0334"
"""Marks of the highest and the lowest canonical combining class, 240 and 1."""

FIRST_ROOT, LATER_ROOT, ROOTS = 0, 1, 2
"""Nodes of a trie from which the first piece of a word, and the others, are spelt."""

NO_PIECE = -1

PART = "|"
"""Parts texts that go through the library as one: it changes nothing, and nothing changes it."""

_AT_ONCE = 1 << 16


# ---- the rules of a tokeniser --------------------------------------------------------------------


def rules_of(tokenizer: Tokenizer) -> tuple[Rules, int]:
    """Read off a tokeniser how it brings texts into normal form and cuts them.

    Returns:
        Its normal form, and the most characters of a word that it cuts.

    Raises:
        ConfigError: it is not BERT's: it folds, cuts or marks words by rules that the graph lacks.
    """
    stated = json.loads(tokenizer.to_str())
    model, rules = stated["model"], try_out(tokenizer.normalizer)
    normal_form = json.loads(rules.normalizer().__getstate__())
    known = {
        "normal form": normal_form == _explicit(stated["normalizer"] or {}),
        "cutting into words": (stated["pre_tokenizer"] or {}).get("type") == "BertPreTokenizer",
        "mark of later pieces": model["continuing_subword_prefix"] == CONTINUES,
        "unknown piece": model["unk_token"] == UNK,
        "added words": all(token["special"] for token in stated["added_tokens"]),
    }
    if not all(known.values()):
        strange = ", ".join(name for name, is_known in known.items() if not is_known)
        raise ConfigError(
            f"TensorFlow's graph cannot do what this tokenizer does: {strange}",
            next_step="a SavedModel is for tokenizers with BERT's rules",
        )
    return rules, int(model["max_input_chars_per_word"])


def _explicit(given: dict[str, Json]) -> dict[str, Json]:
    """Return a normal form's state that says whether marks are dropped: if not given, they are with case."""
    if "normalizers" in given:
        return {**given, "normalizers": [_explicit(step) for step in given["normalizers"]]}
    said = given.get("strip_accents", False)
    return {**given, "strip_accents": given["lowercase"]} if said is None else given


# ---- what the library does -----------------------------------------------------------------------


@cache
def normal_steps(rules: Rules) -> tuple[Rewriting | PointTable | NormalTables, ...]:
    """Return the steps that make of any text without `<br>` what the library makes of it, in their order.

    A `Rewriting` replaces each character, a `PointTable` of combining classes puts marks in canonical order,
    and `NormalTables` bring the text to NFC.

    Folding, cleaning and dropping look at one character at a time. Where all marks are dropped, that happens
    in canonical order, and a mark that is not dropped may have moved. Where some are dropped, the NFC after
    it orders the others: it is the same whether they are dropped from characters or from the text.
    """
    if rules.accents == "strip":
        apart = rules._replace(lowercase=False, accents="keep").normalizer()
        dropping = rules._replace(clean=False, ideographs=False).normalizer()
        first = _rewriting(normalizers.Sequence([apart, normalizers.NFD()]))
        return first, composition_tables().order, _rewriting(dropping)
    first = _rewriting(rules.normalizer())
    return (first, composition_tables()) if rules.accents == "strip-alphabets" else (first,)


@cache
def kind_table() -> PointTable:
    """Return `IN_WORD`, `PUNCTUATION` or 0 for each character, as BERT cuts words."""
    points = [*_points(), ord(PART)]
    text = "a" + "a".join(map(chr, points)) + "a"
    kinds = np.zeros(len(text), np.int32)
    for word, (start, end) in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text):
        kinds[start:end] = IN_WORD if end - start > 1 or word == "a" else PUNCTUATION
    values = np.zeros(CODE_POINTS, np.int32)
    values[points] = kinds[1::2]
    return PointTable.of(values)


@cache
def composition_tables() -> NormalTables:
    """Return the tables of NFC, read off the library."""
    apart, whole = normalizers.NFD(), normalizers.NFC()
    points = _points()
    texts = list(map(chr, points))
    forms = {c: form for c, form in zip(texts, _each(apart, texts), strict=True) if form != c}
    changed = [c for c, form in zip(forms, _each(whole, list(forms)), strict=True) if form != c]
    made = [c for c in forms if c not in set(changed)]
    firsts = _each(whole, [forms[c][:-1] for c in made])
    joined = {(ord(first), ord(forms[c][-1])): ord(c) for c, first in zip(made, firsts, strict=True)}
    return assembled(
        _combining_order(apart, [c for c in texts if c not in forms]),
        {ord(c): list(map(ord, form)) for c, form in forms.items()},
        joined,
        list(map(ord, changed)),
    )


def _combining_order(apart: normalizers.Normalizer, texts: Sequence[str]) -> Int32Array:
    """Return numbers (0x110000,) that rise with the canonical combining class; 0 is class 0.

    The library does not give classes. Between the highest and the lowest, which then change places, it shows
    which characters are marks; and a mark changes places with one before it that is of a higher class.
    """
    between = [HIGHEST + c + LOWEST for c in texts]
    marks = [c[1] for c, ordered in zip(between, _each(apart, between), strict=True) if ordered != c]
    pairs = [[mark + other for other in marks] for mark in marks]
    below = [
        sum(map(operator.ne, given, ordered))
        for given, ordered in zip(pairs, (_each(apart, given) for given in pairs), strict=True)
    ]
    order = np.zeros(CODE_POINTS, np.int32)
    order[list(map(ord, marks))] = np.unique(below, return_inverse=True)[1] + 1
    return order


def _rewriting(normalizer: normalizers.Normalizer) -> Rewriting:
    """Return what a normal form makes of each character alone."""
    points = _points()
    forms = zip(points, _each(normalizer, list(map(chr, points))), strict=True)
    return Rewriting.of(
        {point: [ITSELF if ord(c) == point else ord(c) for c in text] for point, text in forms}
    )


def _points() -> list[int]:
    """Return the code points that a text may hold, without `PART`."""
    return [point for point in chain(range(0xD800), range(0xE000, CODE_POINTS)) if point != ord(PART)]


def _each(normalizer: normalizers.Normalizer, texts: Sequence[str]) -> list[str]:
    """Bring texts without `PART` to a normal form, many at a time."""
    batches = (PART.join(texts[start : start + _AT_ONCE]) for start in range(0, len(texts), _AT_ONCE))
    return list(chain.from_iterable(normalizer.normalize_str(batch).split(PART) for batch in batches))


# ---- pieces as a trie ------------------------------------------------------------------------------


class PieceTrie(NamedTuple):
    """Pieces by their characters, in nodes numbered breadth first from `ROOTS` on.

    Args:
        edges: (E,) int64, sorted: `parent * PAIR + code point`; the i-th leads to node `ROOTS + i`.
        pieces: (E + ROOTS,) int32, the id of the piece that ends at a node, or `NO_PIECE`.
    """

    edges: Int64Array
    pieces: Int32Array


def trie_of(pieces: Sequence[str], longest: int) -> PieceTrie:
    """Lay out V pieces in id order as a trie.

    Args:
        pieces: those that begin with `CONTINUES` are spelt from `LATER_ROOT`, without it.
        longest: the most characters of a word that is cut; pieces that are longer are left out.
    """
    texts = [piece.removeprefix(CONTINUES) for piece in pieces]
    lengths = np.array(list(map(len, texts)))
    nodes = np.array([LATER_ROOT if piece.startswith(CONTINUES) else FIRST_ROOT for piece in pieces])
    used = np.flatnonzero((lengths > 0) & (lengths <= longest))
    points = np.zeros((len(used), lengths[used].max(initial=0)), np.int64)
    for row, index in enumerate(used):
        points[row, : lengths[index]] = list(map(ord, texts[index]))
    lengths, nodes = lengths[used], nodes[used]
    edges, n_nodes = [np.empty(0, np.int64)], ROOTS
    for depth in range(points.shape[1]):
        longer = lengths > depth
        found, which = np.unique(nodes[longer] * PAIR + points[longer, depth], return_inverse=True)
        nodes[longer] = n_nodes + which
        edges.append(found)
        n_nodes += len(found)
    ids = np.full(n_nodes, NO_PIECE, np.int32)
    ids[nodes] = used
    return PieceTrie(np.concatenate(edges), ids)
