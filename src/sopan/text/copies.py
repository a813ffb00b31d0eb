"""Copies of texts within and across the parts of a split: exact ones, and near ones.

Parts are numbered 0 train, 1 val, 2 test; "earlier" and "later" mean that order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sopan.text.audit_report import (
    CopyExample,
    CrossCounts,
    DuplicateCounts,
    NearDuplicateCounts,
    PartCounts,
)
from sopan.text.duplicates import CANONICAL, duplicate_groups
from sopan.text.near_duplicates import SHINGLE, SHORT_WORDS, THRESHOLD, NearDuplicates, near_duplicates
from sopan.text.split import PARTS
from sopan.types import BoolArray, Encoded, Int64Array

SAME_TEXT = 0.95
"""Jaccard similarity from which a near-duplicate across parts counts as a leak and is removed.

At 0.95 a review of 230 words has two of them changed: whoever has seen the one knows the other. Below,
two texts may share a quotation or a template and still be two opinions; those are reported and kept.
"""
METHOD = (
    f"MinHash over {SHINGLE}-word shingles (Broder 1997), each pair verified by its true Jaccard similarity; "
    f"texts of up to {SHORT_WORDS} words also by the words they share, weighed by rarity"
)


@dataclass(frozen=True, slots=True)
class Copies:
    """What N texts share with each other.

    Args:
        groups: (N,) int64, equal for exact duplicates, numbered in order of appearance.
        part: (N,) int64, 0 train, 1 val, 2 test.
        stands: (N, 3) bool, an exact duplicate (or the text itself) stands in that part.
        near_stands: (N, 3) bool, a near-duplicate that is no exact one stands in that part.
        drop: (N,) bool, the text must leave its part because it also stands in a later one.
        near: groups of texts with the same words, and pairs of such groups.
        near_pairs: (3, 3) int64, pairs of different texts that are near-duplicates, by part.
    """

    groups: Int64Array
    part: Int64Array
    stands: BoolArray
    near_stands: BoolArray
    drop: BoolArray
    near: NearDuplicates
    near_pairs: Int64Array

    @property
    def same_words(self) -> Int64Array:
        """(N,) equal for texts of the same words in the same order, and for equal texts without words."""
        worded = np.bincount(self.near.groups)[self.near.groups] > 1
        return np.where(worded, self.near.groups, len(self.near.groups) + self.groups)

    @property
    def repeats(self) -> BoolArray:
        """(N,) the text repeats one before it."""
        first = np.zeros(len(self.groups), np.bool_)
        first[np.unique(self.groups, return_index=True)[1]] = True
        return ~first

    def earlier(self, stands: BoolArray) -> BoolArray:
        """(N,) of `stands` or `near_stands`: in a part earlier than the text's own."""
        return np.asarray((stands & (np.arange(3) < self.part[:, None])).any(axis=1))

    def later(self, stands: BoolArray) -> BoolArray:
        """(N,) of `stands` or `near_stands`: in a part later than the text's own."""
        return np.asarray((stands & (np.arange(3) > self.part[:, None])).any(axis=1))

    def across(self, stands: BoolArray) -> CrossCounts:
        """Count the texts of one part that also stand in an earlier one."""
        return CrossCounts(
            **{
                f"{PARTS[own]}_in_{PARTS[other]}": int((stands[:, other] & (self.part == own)).sum())
                for own, other in ((2, 0), (2, 1), (1, 0))
            }
        )

    def count_exact(self, rows: Int64Array, few: int) -> DuplicateCounts:
        """Count exact duplicates, with a few examples by their rows (N,) in the source."""
        groups = [self.groups[self.part == number] for number in range(len(PARTS))]
        within = [len(inside) - len(np.unique(inside)) for inside in groups]
        crossing = self.earlier(self.stands)
        worth = np.concatenate([np.flatnonzero(crossing), np.flatnonzero(self.repeats & ~crossing)])[:few]
        twins = [np.flatnonzero(self.groups == self.groups[text]) for text in worth]
        return DuplicateCounts(
            rule=CANONICAL,
            copies=int(self.repeats.sum()),
            within=PartCounts(**dict(zip(PARTS, within, strict=True))),
            across=self.across(self.stands),
            examples=tuple(
                self._example(rows, alike[alike != text], int(text))
                for text, alike in zip(worth, twins, strict=True)
            ),
        )

    def count_near(self, rows: Int64Array, few: int) -> NearDuplicateCounts:
        """Count near-duplicates, with a few examples by their rows (N,) in the source."""
        examples: dict[tuple[int, ...], CopyExample] = {}
        crossing = self.earlier(self.near_stands)
        for text in np.concatenate(
            [np.flatnonzero(crossing), np.flatnonzero(self.near_stands.any(1) & ~crossing)]
        ):
            if len(examples) == few:
                break
            example = self._example(rows, self._near_texts(int(text)), int(text))
            examples.setdefault(tuple(sorted(example.rows)), example)
        return NearDuplicateCounts(
            method=METHOD,
            threshold=THRESHOLD,
            pairs={
                f"{PARTS[a]}_{PARTS[b]}": int(self.near_pairs[a, b]) for a in range(3) for b in range(a, 3)
            },
            across=self.across(self.near_stands),
            comparisons_skipped=self.near.skipped,
            examples=tuple(examples.values()),
        )

    def _near_texts(self, text: int) -> Int64Array:
        """Return the texts that are near-duplicates of one, and no exact ones."""
        own = self.near.groups[text]
        alike = np.concatenate(
            [[own], self.near.second[self.near.first == own], self.near.first[self.near.second == own]]
        )
        return np.flatnonzero(np.isin(self.near.groups, alike) & (self.groups != self.groups[text]))

    def _example(self, rows: Int64Array, others: Int64Array, text: int) -> CopyExample:
        """Pair a text with the first of the others, preferring one in an earlier part."""
        other = int(min(others, key=lambda i: (self.part[i] >= self.part[text], i)))
        pair = sorted((other, text), key=lambda i: (self.part[i], i))
        words = sorted(self.near.groups[pair].tolist())
        match = (self.near.first == words[0]) & (self.near.second == words[1])
        similarity = float(self.near.similarity[match][0]) if match.any() else 1.0
        return CopyExample(
            rows=tuple(rows[pair].tolist()),
            parts=tuple(PARTS[i] for i in self.part[pair]),
            jaccard=similarity,
        )


def find_copies(texts: pa.LargeStringArray, encoded: Encoded, part: Int64Array) -> Copies:
    """Find exact and near-duplicates among N texts.

    Args:
        texts: N texts.
        encoded: the same as word ids.
        part: (N,) 0 train, 1 val, 2 test.
    """
    groups = duplicate_groups(texts)
    near = near_duplicates(encoded)
    _, leaders = np.unique(groups, return_index=True)  # one text of each of D different ones
    words = near.groups[leaders]  # (D,) the group of equal words that each belongs to
    stands = np.zeros((len(leaders), len(PARTS)), np.int64)
    stands[groups, part] = 1
    inhabitants = np.zeros((int(near.groups.max(initial=-1)) + 1, len(PARTS)), np.int64)
    np.add.at(inhabitants, words, stands)  # different texts of each word group, by part

    def reach(least: float) -> BoolArray:
        """(D, 3): a near-duplicate of that similarity, and no exact one, stands in that part."""
        chosen = near.similarity >= least
        neighbours = np.zeros_like(inhabitants)
        np.add.at(neighbours, near.first[chosen], inhabitants[near.second[chosen]])
        np.add.at(neighbours, near.second[chosen], inhabitants[near.first[chosen]])
        return np.asarray(neighbours[words] + inhabitants[words] - stands > 0)

    first, second = inhabitants[near.first], inhabitants[near.second]
    pairs = first.T @ second + second.T @ first + inhabitants.T @ inhabitants - stands.T @ stands
    np.fill_diagonal(pairs, pairs.diagonal() // 2)  # within a part each pair was counted from both ends
    present = stands > 0
    later = np.arange(len(PARTS)) > part[:, None]
    drop = np.asarray(((reach(SAME_TEXT) | present)[groups] & later).any(axis=1))
    return Copies(groups, part, present[groups], reach(0.0)[groups], drop, near, pairs)
