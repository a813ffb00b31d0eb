"""The audit in a terminal: findings first, readable at 80 columns and without colour."""

from __future__ import annotations

from io import StringIO

import pytest
from corpora import corpus, named_split, sentences
from rich.console import Console

from sopan.comparison.terminal import audit_table
from sopan.text.audit import audit_corpus
from sopan.text.audit_report import AuditReport


def shown(audit: AuditReport, width: int = 80) -> str:
    page = StringIO()
    Console(file=page, width=width, no_color=True).print(audit_table(audit))
    return page.getvalue()


@pytest.fixture(scope="module")
def audit() -> AuditReport:
    texts = sentences(40)
    texts[30] = texts[0]
    made = corpus(texts, ["good", "bad"] * 20)
    return audit_corpus(made, named_split(["train"] * 20 + ["val"] * 10 + ["test"] * 10)).report


def test_findings_come_before_numbers(audit: AuditReport) -> None:
    lines = shown(audit).splitlines()
    assert lines[0].startswith("warning  1 of the 10 test texts also stand in train or validation")
    assert "Row 30" in " ".join(lines[:3])
    heads = [i for i, line in enumerate(lines) if line.split() == ["train", "val", "test"]]
    assert heads
    assert any(line.split() == ["texts", "20", "10", "10"] for line in lines[heads[0] :])
    assert any(line.split() == ["good", "10", "5", "5"] for line in lines[heads[0] :])
    assert "scripts: Latin 100.0%" in [line.rstrip() for line in lines]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_line_is_wider_than_the_terminal(audit: AuditReport, width: int) -> None:
    assert max(map(len, shown(audit, width).splitlines())) <= width


def test_many_classes_are_summed_up() -> None:
    made = corpus(sentences(154), [f"intent {i:02d}" for i in range(77)] * 2)
    text = shown(audit_corpus(made, named_split(["train"] * 77 + ["test"] * 77)).report)
    assert "intent 10" in text
    assert "intent 11" not in text
    assert any(line.split() == ["66", "more", "classes", "66", "0", "66"] for line in text.splitlines())


def test_a_clean_corpus_is_told_so() -> None:
    made = corpus(sentences(150), ["a", "b"] * 75)
    text = shown(audit_corpus(made, named_split(["train", "val", "test"] * 50)).report)
    assert text.startswith("Nothing found that would spoil a comparison.")


def test_markup_and_control_characters_in_labels_are_shown_harmlessly() -> None:
    made = corpus(sentences(30), ["[bold]x", "b\u202eevil", "c"] * 10)
    text = shown(audit_corpus(made, named_split(["train", "train", "test"] * 10)).report)
    assert "[bold]x" in text
    assert "\u202e" not in text
