"""Audit labelled texts: what would spoil a comparison, found before any score, and what is done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sopan.errors import DataError
from sopan.options.data import TokenRule
from sopan.text.audit_report import AuditReport, Finding
from sopan.text.copies import find_copies
from sopan.text.findings import (
    FEW,
    View,
    look_at_classes,
    look_at_conflicts,
    look_at_copies,
    look_at_emptiness,
    look_at_quality,
    measure_lengths,
)
from sopan.text.split import PARTS
from sopan.text.text_quality import character_counts, script_shares
from sopan.text.vocab import build_vocabulary
from sopan.types import BoolArray, Corpus, Encoded, Int64Array, Labelled, Split


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found, and what `remove_leaks` needs to act on it.

    Args:
        report: in words and numbers.
        drop_from_train, drop_from_val: indices into the corpus of texts that also stand in a later part.
        leaked_test: (len(split.test),) bool, test texts that also stand in train or validation.
    """

    report: AuditReport
    drop_from_train: Int64Array
    drop_from_val: Int64Array
    leaked_test: BoolArray


def audit_corpus(corpus: Corpus, split: Split, *, rule: TokenRule = "words") -> Audit:
    """Look at the texts of a split for what would spoil a comparison.

    Exact and near-duplicates within and across parts, conflicting labels, empty texts, lengths, class
    balance, encoding trouble and scripts. Nothing here depends on chance.

    Args:
        corpus: labelled texts.
        split: the parts to compare; texts in none of them are not looked at.
        rule: how texts are cut into words.

    Raises:
        DataError: the split holds no text.
    """
    view, chosen = _view(corpus, split, rule)
    copies = find_copies(view.texts, view.encoded, view.part)
    leaks, of_copies = look_at_copies(view, copies)
    conflicts, of_conflicts = look_at_conflicts(view, copies)
    parts, classes, imbalance, of_classes = look_at_classes(view)
    empty, of_emptiness = look_at_emptiness(view)
    encoding, of_quality = look_at_quality(view)
    findings = [*of_copies, *of_conflicts, *of_classes, *of_emptiness, *of_quality]
    report = AuditReport(
        findings=_worst_first(findings),
        texts=len(chosen),
        rejects=len(corpus.rejects),
        rule=rule,
        duplicates=copies.count_exact(view.rows, FEW),
        near_duplicates=copies.count_near(view.rows, FEW),
        leaks=leaks,
        conflicts=conflicts,
        parts=parts,
        classes=classes,
        imbalance=imbalance,
        empty=empty,
        lengths=measure_lengths(view),
        encoding=encoding,
        scripts=script_shares(character_counts(view.texts)),
        truncated={},
    )
    return Audit(
        report,
        drop_from_train=chosen[copies.drop & (view.part == 0)],
        drop_from_val=chosen[copies.drop & (view.part == 1)],
        leaked_test=copies.earlier(copies.stands)[view.part == 2],
    )


def _worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda found: ("error", "warning", "note").index(found.level)))


class CleanData(NamedTuple):
    """Labelled texts to train, tune and measure on.

    Args:
        corpus: all of them.
        given: the split as it was asked for.
        audit: what was found in it.
        split: the same without what leaked.
        unlabelled: further texts, none of them equal to a validation or test text.
    """

    corpus: Corpus
    given: Split
    audit: Audit
    split: Split
    unlabelled: pa.LargeStringArray | None = None

    def parts(self) -> tuple[Labelled, Labelled, Labelled]:
        """Return the texts to train, validate and test on."""
        split, take = self.split, self.corpus.take
        return take(split.train), take(split.val), take(split.test)

    def noting(self, findings: Sequence[Finding]) -> CleanData:
        """Return the same with further findings in the audit's report."""
        report = self.audit.report
        return self._replace(
            audit=replace(
                self.audit, report=replace(report, findings=_worst_first([*report.findings, *findings]))
            )
        )

    def tested(self) -> tuple[Labelled, Int64Array]:
        """Return the N test texts, and (N,) the row of each in the source."""
        return self.corpus.take(self.split.test), self.corpus.rows[self.split.test]


def _view(corpus: Corpus, split: Split, rule: TokenRule) -> tuple[View, Int64Array]:
    """Return the split's texts as the looks need them, and their indices in the corpus."""
    chosen = np.sort(np.concatenate([split.train, split.val, split.test]))
    if not len(chosen):
        raise DataError("there is no text to audit", where=corpus.source.name)
    part = np.empty(len(corpus), np.int64)
    for number, name in enumerate(PARTS):
        part[getattr(split, name)] = number
    texts = corpus.texts if len(chosen) == len(corpus) else corpus.texts.take(pa.array(chosen))
    try:
        encoded = build_vocabulary(texts, rule)[1]
    except DataError:  # not one word in any text: training refuses that, an audit reports it
        encoded = Encoded(np.empty(0, np.int32), np.zeros(len(texts) + 1, np.int64))
    labels = corpus.labels[chosen].astype(np.int64)
    return View(texts, encoded, labels, corpus.classes, part[chosen], corpus.rows[chosen]), chosen


def remove_leaks(split: Split, audit: Audit) -> Split:
    """Take out of training what also stands in validation or test, and out of validation what stands in test.

    Removed are exact duplicates, and near ones so near (`copies.SAME_TEXT`) that they are one text with a
    word or two changed. The test part is never changed: scores stay comparable with other people's.
    """
    return Split(
        train=np.setdiff1d(split.train, audit.drop_from_train),
        val=np.setdiff1d(split.val, audit.drop_from_val),
        test=split.test,
    )
