"""How results look in a terminal: words first, then numbers."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sopan.comparison.audit_view import audit_table
from sopan.comparison.comparison import Comparison
from sopan.comparison.leaderboard import leaderboard
from sopan.text.audit_report import AuditReport
from sopan.text.display import escape_for_display

out = Console(highlight=False)


def show_comparison(found: Comparison) -> None:
    """Print the leaderboard, the verdict, and where the report is."""
    out.print(leaderboard(found.results))
    for sentence in found.results["verdict"]:
        out.print(Text(escape_for_display(sentence)))
    out.print(Text(f"\nReport: {found.report}"))


def show_audit(found: AuditReport) -> None:
    """Print what an audit found."""
    out.print(audit_table(found))


def show_scores(scores: dict[str, Any], title: str) -> None:
    """Print one model's scores, and a row for each class."""
    out.print(Text(title, style="bold"))
    low, high = scores["accuracy_ci"]
    out.print(f"accuracy {scores['accuracy']:.4f} (95% interval {low:.4f} to {high:.4f})")
    for key in ("macro_f1", "log_loss", "brier", "ece"):
        out.print(f"{key:<9}{scores[key]:.4f}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("class", "precision", "recall", "f1", "texts"):
        table.add_column(head, justify="left" if head == "class" else "right")
    for row in scores["per_class"]:
        figures = (f"{row[key]:.3f}" for key in ("precision", "recall", "f1"))
        table.add_row(Text(escape_for_display(row["class"])), *figures, f"{row['support']:,}")
    out.print(table)
