"""What an audit reports: its findings in words, and its counts. results.json holds them as `data.audit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from sopan.types import Amount, Count, Record, Share

Level = Literal["note", "warning", "error"]


@dataclass(frozen=True)
class Finding(Record):
    """One thing that a reader should know, in a plain sentence.

    Args:
        level: 'error' makes scores meaningless, 'warning' may bend them, 'note' is good to know.
        code: short name, stable across versions.
        message: the sentence.
        count: how many texts (for classes: how many classes) it is about.
        rows: the first few rows concerned, numbered as in the source.
    """

    level: Level
    code: str
    message: str
    count: Count
    rows: tuple[Count, ...]


@dataclass(frozen=True, kw_only=True)
class PartCounts(Record):
    """Texts of each part."""

    train: Count
    val: Count
    test: Count

    @property
    def in_order(self) -> tuple[int, int, int]:
        """Those of train, val and test."""
        return self.train, self.val, self.test


@dataclass(frozen=True, kw_only=True)
class ClassCounts(PartCounts):
    """Texts of one class in each part, and its share of all texts."""

    class_: str
    share: Share


@dataclass(frozen=True, kw_only=True)
class EmptyCounts(Record):
    """Texts without a character, of white space alone, and of other characters that make no word."""

    empty: Count
    blank: Count
    no_words: Count


@dataclass(frozen=True, kw_only=True)
class Spread(Record):
    """How long the texts are; 95% are no longer than `p95`."""

    mean: Amount
    median: Amount
    p95: Amount
    max: Amount


@dataclass(frozen=True, kw_only=True)
class Lengths(Record):
    """Lengths of the texts in words and in characters."""

    words: Spread
    characters: Spread


@dataclass(frozen=True, kw_only=True)
class CrossCounts(Record):
    """Texts of one part that also stand in an earlier one."""

    test_in_train: Count
    test_in_val: Count
    val_in_train: Count


@dataclass(frozen=True, kw_only=True)
class LeakCounts(CrossCounts):
    """The same for equal texts, and what is removed for it; `removed_as_near` are nearly equal only."""

    test_in_train_or_val: Count
    removed_from_train: Count
    removed_from_val: Count
    removed_as_near: Count = 0


@dataclass(frozen=True, kw_only=True)
class CopyExample(Record):
    """Two texts that are alike: their rows, their parts, and the Jaccard similarity of their words' runs."""

    rows: tuple[Count, ...]
    parts: tuple[str, ...]
    jaccard: Share


@dataclass(frozen=True, kw_only=True)
class DuplicateCounts(Record):
    """Texts that are the same by `rule`; `copies` repeat an earlier one."""

    rule: str
    copies: Count
    within: PartCounts
    across: CrossCounts
    examples: tuple[CopyExample, ...]


@dataclass(frozen=True, kw_only=True)
class NearDuplicateCounts(Record):
    """Texts that are nearly the same; `pairs` counts pairs of different texts by their two parts."""

    method: str
    threshold: Share
    pairs: Mapping[str, Count]
    across: CrossCounts
    comparisons_skipped: Count
    examples: tuple[CopyExample, ...]


@dataclass(frozen=True, kw_only=True)
class ConflictExample(Record):
    """Rows that hold the same text, and the labels that they give it."""

    rows: tuple[Count, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ConflictCounts(Record):
    """Texts that stand with different labels, and how many different ones they are."""

    texts: Count
    groups: Count
    examples: tuple[ConflictExample, ...]


@dataclass(frozen=True, kw_only=True)
class AuditReport(Record):
    """What was found in labelled texts before any training.

    Args:
        findings: worst first.
        texts: how many were looked at.
        rejects: rows that were refused and tolerated.
        rule: how texts were cut into words.
        imbalance: texts of the largest class to one of the smallest.
        encoding: texts with each kind of trouble.
        scripts: each script's share of the letters.
        truncated: always empty; each step's own count is in its scores.
    """

    findings: tuple[Finding, ...]
    texts: Count
    rejects: Count
    rule: str
    duplicates: DuplicateCounts
    near_duplicates: NearDuplicateCounts
    leaks: LeakCounts
    conflicts: ConflictCounts
    parts: PartCounts
    classes: tuple[ClassCounts, ...]
    imbalance: Annotated[float, Ge(1)]
    empty: EmptyCounts
    lengths: Lengths
    encoding: Mapping[str, Count]
    scripts: Mapping[str, Share]
    truncated: Mapping[str, Count]
