"""Audit labelled texts: what would spoil a comparison, found before any score, and what is done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from sopan.errors import DataError
from sopan.options.data import TokenRule
from sopan.text.copies import find_copies
from sopan.text.findings import (
    Finding,
    View,
    look_at_classes,
    look_at_condition,
    look_at_conflicts,
    look_at_copies,
    look_at_emptiness,
    look_at_lengths,
)
from sopan.text.split import PARTS
from sopan.text.vocab import build_vocabulary
from sopan.types import BoolArray, Corpus, Encoded, Int64Array, Json, Split


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found, and what `remove_leaks` needs to act on it.

    Args:
        findings: in plain words, worst first.
        numbers: what was counted, as JSON values.
        n_words: (N,) int64, words of each audited text.
        drop_from_train, drop_from_val: indices into the corpus of texts that also stand in a later part.
        leaked_test: (len(split.test),) bool, test texts that also stand in train or validation.
    """

    findings: tuple[Finding, ...]
    numbers: Mapping[str, Json]
    n_words: Int64Array
    drop_from_train: Int64Array
    drop_from_val: Int64Array
    leaked_test: BoolArray

    def truncated_at(self, limits: Mapping[str, int | None]) -> dict[str, int]:
        """Count the texts that steps cut short.

        Args:
            limits: for each step, the most words it reads, or None if it reads everything.
        """
        return {
            step: 0 if most is None else int((self.n_words > most).sum()) for step, most in limits.items()
        }

    def to_json(self, limits: Mapping[str, int | None] | None = None) -> dict[str, Json]:
        """Return the audit as JSON values, with `truncated_at(limits)`."""
        findings = [asdict(finding) | {"rows": list(finding.rows)} for finding in self.findings]
        return {"findings": findings, **self.numbers, "truncated": self.truncated_at(limits or {})}


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
    looks = [
        look_at_copies(view, copies),
        look_at_conflicts(view, copies),
        look_at_classes(view),
        look_at_emptiness(view),
        look_at_lengths(view),
        look_at_condition(view),
    ]
    numbers: dict[str, Json] = {"texts": len(chosen), "rejects": len(corpus.rejects), "rule": rule}
    for look in looks:
        numbers |= look.numbers
    findings = [finding for look in looks for finding in look.findings]
    return Audit(
        findings=tuple(sorted(findings, key=lambda found: ("error", "warning", "note").index(found.level))),
        numbers=numbers,
        n_words=view.n_words,
        drop_from_train=chosen[copies.drop & (view.part == 0)],
        drop_from_val=chosen[copies.drop & (view.part == 1)],
        leaked_test=copies.earlier(copies.stands)[view.part == 2],
    )


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


def leak_effect(correct: Mapping[str, BoolArray], leaked: BoolArray) -> dict[str, Json]:
    """Say how each step does on the leaked test texts, and on the others.

    Args:
        correct: for each step, (N,) whether it got each test text right.
        leaked: (N,) whether the test text also stands in train or validation.

    Returns:
        `leaked`, how many texts; and in `steps` for each its accuracy on all texts, on the leaked and on
        the rest (None where there are none), and the difference that the leaked texts make to the whole.
    """
    steps: dict[str, Json] = {}
    for step, right in correct.items():
        on_all, on_leaked, on_rest = _mean(right), _mean(right[leaked]), _mean(right[~leaked])
        steps[step] = {
            "accuracy": on_all,
            "accuracy_leaked": on_leaked,
            "accuracy_rest": on_rest,
            "difference": None if on_all is None or on_rest is None else on_all - on_rest,
        }
    return {"leaked": int(leaked.sum()), "steps": steps}


def _mean(right: BoolArray) -> float | None:
    return float(right.mean()) if len(right) else None
