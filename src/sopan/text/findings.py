"""The looks of an audit: each counts one kind of thing, and finds what a reader should know of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopan.text.audit_report import (
    ClassCounts,
    ConflictCounts,
    ConflictExample,
    EmptyCounts,
    Finding,
    LeakCounts,
    Lengths,
    Level,
    PartCounts,
    Spread,
)
from sopan.text.copies import SAME_TEXT, Copies
from sopan.text.labels import IMBALANCED, VERY_IMBALANCED, alike, imbalance
from sopan.text.near_duplicates import THRESHOLD
from sopan.text.split import PARTS
from sopan.text.text_quality import TROUBLES, find_trouble
from sopan.text.tokenize import script_notes
from sopan.types import BoolArray, Encoded, Int64Array

FEW = 5
"""How many rows and examples are shown of each finding."""


FEW_TESTED = 50
"""Fewer test texts than these tell hardly one step from another."""
MANY_NEAR = 0.05
"""From which share of the test texts on near-copies of earlier parts are a warning, and no note."""


@dataclass(frozen=True, slots=True)
class View:
    """The N audited texts.

    Args:
        texts: N texts.
        encoded: the same as word ids.
        labels: (N,) int64, indices into `classes`.
        classes: C label names.
        part: (N,) int64, 0 train, 1 val, 2 test.
        rows: (N,) int64, their rows in the source.
    """

    texts: pa.LargeStringArray
    encoded: Encoded
    labels: Int64Array
    classes: tuple[str, ...]
    part: Int64Array
    rows: Int64Array

    @property
    def n_words(self) -> Int64Array:
        """(N,) words of each text."""
        return np.diff(self.encoded.offsets)

    def finding(self, level: Level, code: str, which: BoolArray, says: str) -> Iterator[Finding]:
        """Yield a finding about the texts in `which`, or none; `says` follows their number."""
        count = int(which.sum())
        if count:
            message = f"{count:,} text{'' if count == 1 else 's'} {says}."
            yield Finding(level, code, message, count, tuple(self.rows[which][:FEW].tolist()))


def look_at_classes(view: View) -> tuple[PartCounts, tuple[ClassCounts, ...], float, list[Finding]]:
    """Count the texts of each part and of each class in it, and say how imbalanced the classes are."""
    table = np.zeros((len(view.classes), len(PARTS)), np.int64)
    np.add.at(table, (view.labels, view.part), 1)
    totals = table.sum(axis=1)
    ratio = imbalance(totals)
    findings = [
        *_labels(view, "error", "class_not_in_train", (table[:, 0] == 0) & (totals > 0), "no training text"),
        *_labels(view, "warning", "class_not_in_test", (table[:, 2] == 0) & (totals > 1), "no test text"),
        *_labels(view, "warning", "class_of_one", totals == 1, "one text, so no score can judge them"),
    ]
    n_test = int(table[:, 2].sum())
    if 0 < n_test < FEW_TESTED:
        half = 98 / np.sqrt(n_test)  # 1.96 standard errors of a share of one half, in points
        message = f"{n_test} test texts tell an accuracy to within some {half:.0f} points at best."
        findings.append(Finding("warning", "few_test_texts", message, n_test, ()))
    findings += _spellings(view, totals)
    if ratio > IMBALANCED:
        level: Level = "warning" if ratio >= VERY_IMBALANCED else "note"
        message = (
            f"The largest class has {ratio:.0f} times the texts of the smallest: mind macro-F1, "
            "for which settings are tuned here."
        )
        findings.append(Finding(level, "imbalance", message, int((totals > 0).sum()), ()))
    classes = tuple(
        ClassCounts(class_=name, share=float(row.sum() / totals.sum()), **_by_part(row))
        for name, row in zip(view.classes, table, strict=True)
    )
    return PartCounts(**_by_part(table.sum(axis=0))), classes, ratio, findings


def _spellings(view: View, totals: Int64Array) -> Iterator[Finding]:
    """Find the classes whose names differ in nothing but how they are written."""
    of = dict(zip(view.classes, totals.tolist(), strict=True))
    groups = [group for group in alike(view.classes) if sum(of[name] > 0 for name in group) > 1]
    if groups:
        said = [" and ".join(f"{name!r} ({of[name]:,} texts)" for name in group) for group in groups[:FEW]]
        more = f"; and {len(groups) - FEW} more" if len(groups) > FEW else ""
        message = (
            f"Labels that differ only in how they are written are separate classes: {'; '.join(said)}{more}. "
            "If each is one class, --merge-labels makes it one."
        )
        yield Finding("warning", "labels_alike", message, sum(map(len, groups)), ())


def _by_part(counts: Int64Array) -> dict[str, int]:
    return dict(zip(PARTS, counts.tolist(), strict=True))


def _labels(view: View, level: Level, code: str, which: BoolArray, have: str) -> Iterator[Finding]:
    if which.any():
        names = ", ".join(repr(view.classes[i]) for i in np.flatnonzero(which)[:FEW])
        more = ", …" if which.sum() > FEW else ""
        yield Finding(level, code, f"Labels with {have}: {names}{more}.", int(which.sum()), ())


def look_at_emptiness(view: View) -> tuple[EmptyCounts, list[Finding]]:
    """Count texts that are empty, that are blank, and that have characters but no word."""
    empty = _mask(pc.equal(pc.binary_length(view.texts), 0))
    blank = _mask(pc.equal(pc.binary_length(pc.utf8_trim_whitespace(view.texts)), 0))
    wordless = (view.n_words == 0) & ~blank
    findings = [
        *view.finding("warning", "empty", blank, "empty or blank: a step can only guess the label"),
        *view.finding("note", "no_words", wordless, "without a word, only signs"),
    ]
    counts = EmptyCounts(
        empty=int(empty.sum()), blank=int((blank & ~empty).sum()), no_words=int(wordless.sum())
    )
    return counts, findings


def measure_lengths(view: View) -> Lengths:
    """Measure the texts in words and in characters."""
    return Lengths(words=_spread(view.n_words), characters=_spread(np.asarray(pc.utf8_length(view.texts))))


def _spread(lengths: Int64Array) -> Spread:
    median, p95 = np.percentile(lengths, [50, 95])
    return Spread(mean=float(lengths.mean()), median=float(median), p95=float(p95), max=int(lengths.max()))


def look_at_quality(view: View) -> tuple[dict[str, int], list[Finding]]:
    """Count the texts with encoding trouble or left-over markup, and note scripts without spaces."""
    trouble = {kind.code: _mask(find_trouble(view.texts, kind)) for kind in TROUBLES}
    findings = [
        found
        for kind in TROUBLES
        for found in view.finding(kind.level, kind.code, trouble[kind.code], kind.means)
    ]
    findings += [
        Finding("note", "script", note.rstrip(".") + ".", len(view.texts), ())
        for note in script_notes(view.texts)
    ]
    return {code: int(mask.sum()) for code, mask in trouble.items()}, findings


def look_at_copies(view: View, copies: Copies) -> tuple[LeakCounts, list[Finding]]:
    """Count leaks, and say what repeats and what is removed."""
    leaked, nearly = copies.earlier(copies.stands), copies.earlier(copies.near_stands)
    leaks = LeakCounts(
        **vars(copies.across(copies.stands)),
        test_in_train_or_val=int((leaked & (view.part == 2)).sum()),
        removed_from_train=int((copies.drop & (view.part == 0)).sum()),
        removed_from_val=int((copies.drop & (view.part == 1)).sum()),
        removed_as_near=int((copies.drop & ~copies.later(copies.stands)).sum()),
    )
    near = (
        f"nearly repeating one of an earlier part (Jaccard {THRESHOLD} or more; of short texts, sharing most "
        "of their words): a step that has learnt the one may know the other"
    )
    tested = view.part == 2
    many = int((nearly & tested).sum()) > MANY_NEAR * int(tested.sum())
    removed = (
        f"removed before any score, being in a later part too (equal, or Jaccard {SAME_TEXT} or more): "
        f"{leaks.removed_from_train:,} from train, {leaks.removed_from_val:,} from validation"
    )
    findings = [
        *_leak(view, leaked, leaks),
        *view.finding("warning" if many else "note", "near_leak", nearly, near),
        *view.finding("note", "removed", copies.drop, removed),
        *view.finding("note", "duplicates", copies.repeats, "repeating an earlier one"),
    ]
    return leaks, findings


def _leak(view: View, leaked: BoolArray, leaks: LeakCounts) -> Iterator[Finding]:
    count, n_test = int(leaked.sum()), int((view.part == 2).sum())
    if count:
        message = (
            f"{leaks.test_in_train_or_val:,} of the {n_test:,} test texts also stand in train or "
            f"validation, and {leaks.val_in_train:,} of the validation texts in train."
        )
        yield Finding("warning", "leak", message, count, tuple(view.rows[leaked][:FEW].tolist()))


def look_at_conflicts(view: View, copies: Copies) -> tuple[ConflictCounts, list[Finding]]:
    """Count texts that stand with different labels; texts of the same words are one, as for removal."""
    same = copies.same_words
    lowest = np.full(same.max() + 1, len(view.classes), np.int64)
    highest = np.full(len(lowest), -1, np.int64)
    np.minimum.at(lowest, same, view.labels)
    np.maximum.at(highest, same, view.labels)
    torn = (lowest != highest)[same]
    groups = np.unique(same[torn])
    says = f"standing with different labels ({len(groups):,} different): no step can get all of them right"
    members = [np.flatnonzero(same == group)[:FEW] for group in groups[:FEW]]
    examples = tuple(
        ConflictExample(
            rows=tuple(view.rows[few].tolist()), labels=tuple(view.classes[i] for i in view.labels[few])
        )
        for few in members
    )
    counts = ConflictCounts(texts=int(torn.sum()), groups=len(groups), examples=examples)
    return counts, [*view.finding("warning", "conflicting_labels", torn, says)]


def _mask(flags: pa.BooleanArray) -> BoolArray:
    return np.asarray(flags.to_numpy(zero_copy_only=False), np.bool_)
