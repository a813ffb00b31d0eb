"""What Python knows of Unicode, as small arrays that a computation graph can look things up in.

Everything is read off this Python's own `str.lower` and `unicodedata`: the graph then follows the very
version of Unicode that the model was trained with, wherever it runs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

import numpy as np

from sopan.options.data import TokenRule
from sopan.text.tokenize import rule_classes
from sopan.text.unicode import CODE_POINTS, FORMAT_CHARACTERS
from sopan.types import Array, BoolArray, Int32Array, Int64Array

SEPARATOR = CODE_POINTS
"""Stands before each text and after the last one: a number beyond all code points, at which words end."""

PAIR = 1 << 21
"""A pair of code points as one number is `first * PAIR + second`."""

HANGUL = range(0xAC00, 0xD7A4)
CAPITAL_SIGMA, FINAL_SIGMA, CAPITAL_I_WITH_DOT = ord("Σ"), ord("ς"), ord("İ")

ITSELF = -1
"""In what a character is rewritten to: the character."""


class PointTable(NamedTuple):
    """A value for each code point, and 0 for `SEPARATOR`, in pages of 256 of which most are alike.

    Args:
        starts: (0x1101,) int32, where the page of each 256 code points starts in `pages`.
        pages: (256 · distinct pages,) int32.
    """

    starts: Int32Array
    pages: Int32Array

    @classmethod
    def of(cls, values: Array) -> PointTable:
        """Pack the values of all code points, (0x110000,)."""
        whole = np.concatenate([values.astype(np.int32), np.zeros(256, np.int32)]).reshape(-1, 256)
        found: dict[bytes, int] = {}
        which = [found.setdefault(page.tobytes(), len(found)) for page in whole]
        return cls(np.array(which, np.int32) * 256, np.frombuffer(b"".join(found), np.int32))


class Rewriting(NamedTuple):
    """What each character is replaced with.

    Args:
        number: which of R replacements a character has; 0 is `ITSELF` alone.
        starts, lengths: (R,) int64, where each stands in `parts`, and how long it is: 0 if it is empty.
        parts: int32, the replacements end to end.
    """

    number: PointTable
    starts: Int64Array
    lengths: Int64Array
    parts: Int32Array

    @classmethod
    def of(cls, replaced: Mapping[int, Sequence[int]]) -> Rewriting:
        """Lay out what code points are replaced with; the others stay as they are."""
        number = np.zeros(CODE_POINTS, np.int32)
        known: dict[tuple[int, ...], int] = {(ITSELF,): 0}
        for point, parts in replaced.items():
            number[point] = known.setdefault(tuple(parts), len(known))
        lengths = np.array(list(map(len, known)), np.int64)
        parts_of_all = np.array(list(chain.from_iterable(known)), np.int32)
        return cls(PointTable.of(number), np.cumsum(lengths) - lengths, lengths, parts_of_all)


class LowerTables(NamedTuple):
    """What `str.lower` does.

    Args:
        shift: what is added to a code point, as a table.
        skipped: 1 for characters that a final sigma's surroundings are searched across (Case_Ignorable).
        cased: 1 for the others that are letters with case.
    """

    shift: PointTable
    skipped: PointTable
    cased: PointTable


class NormalTables(NamedTuple):
    """What NFC does (Unicode Standard Annex #15).

    Args:
        order: canonical combining class.
        unsettled: 1 for characters that NFC may change, or join to the one before (NFC_Quick_Check not yes).
        joins: 1 for characters of class 0 that may be joined to the one before.
        decompositions: what each character is decomposed to.
        pairs: (compositions,) int64, sorted: pairs of code points that compose.
        wholes: (compositions,) int32, what each pair composes to.
    """

    order: PointTable
    unsettled: PointTable
    joins: PointTable
    decompositions: Rewriting
    pairs: Int64Array
    wholes: Int32Array


@cache
def class_table(rule: TokenRule) -> PointTable:
    """Return the class of each character to a rule, as `rule_classes` gives it; 0 ends words."""
    return PointTable.of(rule_classes(rule)[0])


@cache
def format_table() -> PointTable:
    """Return 1 for `FORMAT_CHARACTERS`."""
    return PointTable.of(_where([point for point in range(0x10000) if FORMAT_CHARACTERS.match(chr(point))]))


@cache
def lower_tables() -> LowerTables:
    """Return the tables of `str.lower`, read off it."""
    points = np.arange(CODE_POINTS, dtype=np.int32)
    shift = _lowered(points) - points
    # Python does not expose which characters have case and which are skipped; what a sigma becomes shows it.
    sigma, space, letter = (np.full_like(points, ord(c)) for c in "Σ A")
    cased = _lowered(np.stack([points, sigma, space], axis=1))[:, 1] == FINAL_SIGMA
    after_letter = _lowered(np.stack([letter, points, sigma, space], axis=1))[:, 2] == FINAL_SIGMA
    return LowerTables(*map(PointTable.of, (shift, after_letter & ~cased, cased)))


def _lowered(points: Int32Array) -> Int32Array:
    """Lower code points as one text; `İ`, the only one that becomes two, becomes the first of them."""
    single = np.where(points == CAPITAL_I_WITH_DOT, ord("I"), points).astype("<i4")
    text = single.tobytes().decode("utf-32-le", "surrogatepass").lower()
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<i4").reshape(points.shape)


@cache
def normal_tables() -> NormalTables:
    """Return the tables of NFC, read off `unicodedata`."""
    order = np.fromiter(map(unicodedata.combining, map(chr, range(CODE_POINTS))), np.int32, CODE_POINTS)
    canonical = [point for point in range(CODE_POINTS) if _decomposes(point)]
    forms = {point: [ord(c) for c in unicodedata.normalize("NFD", chr(point))] for point in canonical}
    joined = dict(pair for point in canonical for pair in _composition(point))
    changed = [point for point in canonical if unicodedata.normalize("NFC", chr(point)) != chr(point)]
    return assembled(order, forms, joined, changed)


def assembled(
    order: Int32Array,
    forms: Mapping[int, Sequence[int]],
    joined: Mapping[tuple[int, int], int],
    changed: Sequence[int],
) -> NormalTables:
    """Lay out what a library knows of NFC.

    Args:
        order: (0x110000,) canonical combining classes, or any numbers that rise with them.
        forms: the canonical decomposition of each character that has one.
        joined: what pairs of characters compose to.
        changed: the characters that NFC replaces even where they stand alone.
    """
    wholes = {first * PAIR + second: whole for (first, second), whole in joined.items()}
    pairs = np.array(sorted(wholes))
    seconds = _where(np.unique(pairs % PAIR))
    return NormalTables(
        order=PointTable.of(order),
        unsettled=PointTable.of(seconds | _where(list(changed))),
        joins=PointTable.of(seconds & (order == 0)),
        decompositions=Rewriting.of(forms),
        pairs=pairs,
        wholes=np.array([wholes[pair] for pair in pairs.tolist()], np.int32),
    )


def _decomposes(point: int) -> bool:
    mapping = unicodedata.decomposition(chr(point))
    return point in HANGUL or (mapping != "" and not mapping.startswith("<"))


def _composition(point: int) -> list[tuple[tuple[int, int], int]]:
    """Return the pair that composes to a character, with the character, if there is one."""
    if point in HANGUL:
        first, second = _hangul_pair(point)
    else:
        mapping = [int(part, 16) for part in unicodedata.decomposition(chr(point)).split()]
        if len(mapping) != 2 or unicodedata.normalize("NFC", chr(point)) != chr(point):
            return []
        first, second = mapping
    return [((first, second), point)]


def _hangul_pair(point: int) -> tuple[int, int]:
    jamo = unicodedata.normalize("NFD", chr(point))
    return ord(unicodedata.normalize("NFC", jamo[:-1])), ord(jamo[-1])


def _where(points: list[int] | Int64Array) -> BoolArray:
    """Return True for the given code points, of all: (0x110000,)."""
    found = np.zeros(CODE_POINTS, bool)
    found[points] = True
    return found
