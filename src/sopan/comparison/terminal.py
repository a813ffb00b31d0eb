"""How results look in a terminal and in a notebook: the leaderboard, and the audit, in words first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sopan.comparison.layout import interval, megabytes, quantity, share
from sopan.comparison.results import Majority, Results, StepScores
from sopan.text.audit_report import AuditReport, Finding
from sopan.text.display import escape_for_display
from sopan.text.split import PARTS

# ---- leaderboard ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its two-line heading, and how a step's cell is written."""

    head: str
    cell: Callable[[StepScores], str]


STEP = Column("step", lambda step: step.step)
ACCURACY = Column("accuracy", lambda step: share(step.accuracy))
INTERVAL = Column("95%\ninterval", lambda step: interval(step.accuracy_ci))
MACRO_F1 = Column("macro\nF1", lambda step: share(step.macro_f1))
LOG_LOSS = Column("log\nloss", lambda step: share(step.log_loss))
ECE = Column("\nECE", lambda step: share(step.ece))
FIT = Column("fit\ns", lambda step: quantity(step.fit_seconds))
SPEED = Column("texts\n/s", lambda step: quantity(step.texts_per_second))
LATENCY = Column("p50\nms", lambda step: quantity(step.latency_ms.p50))
MEMORY = Column("peak\nMB", lambda step: quantity(step.peak_rss_mb))
DISK = Column("disk\nMB", lambda step: megabytes(step.artifact_bytes))

MAJORITY = "majority"
"""The row of the largest class, which is no step."""

Columns = tuple[Column, ...]
COLUMNS: Columns = (STEP, ACCURACY, INTERVAL, MACRO_F1, LOG_LOSS, ECE, FIT, SPEED, LATENCY, MEMORY, DISK)
"""Left to right."""

LEAVE_OUT = (SPEED, MEMORY, ECE, LOG_LOSS, MACRO_F1, DISK, FIT, LATENCY, INTERVAL)
"""What gives way, first to last, where the terminal is too narrow."""


@dataclass(frozen=True, slots=True)
class LeaderboardTable:
    """Every step's scores and costs, to be printed with Rich: as many columns as fit."""

    results: Results

    def table(self, columns: Columns = COLUMNS) -> Table:
        """Build the table with the given columns; the recommended step's row has a star and is bold."""
        table = Table(
            box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold"
        )
        for column in columns:
            left = column is STEP
            table.add_column(
                ("  " if left else "") + column.head,
                justify="left" if left else "right",
                no_wrap=True,
                vertical="bottom",
            )
        for step in self.results.steps:
            best = step.step == self.results.recommendation.step
            mark = "* " if best else "  "
            cells = [Text((mark if column is STEP else "") + column.cell(step)) for column in columns]
            table.add_row(*cells, style="bold green" if best else "")
        if (majority := self.results.majority) is not None:
            table.add_row(
                *(
                    Text("  " * (column is STEP) + cell)
                    for column, cell in _majority_cells(majority, columns)
                ),
                style="dim",
            )
        return table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give Rich the widest table that fits."""
        columns, table = COLUMNS, self.table()
        unbounded = options.update(max_width=10_000)
        for column in LEAVE_OUT:
            if Measurement.get(console, unbounded, table).maximum <= options.max_width:
                break
            columns = tuple(kept for kept in columns if kept is not column)
            table = self.table(columns)
        yield table
        yield Text("* the recommended step", style="green")


def _majority_cells(majority: Majority, columns: Columns) -> Iterator[tuple[Column, str]]:
    """Write the row of the largest class: it has scores and no costs."""
    cells = {STEP: MAJORITY, ACCURACY: share(majority.accuracy), MACRO_F1: share(majority.macro_f1)}
    return ((column, cells.get(column, "")) for column in columns)


# ---- notebook ------------------------------------------------------------------------------------


def sentence_html(sentence: str) -> str:
    """Return a sentence of the verdict, in which step names stand between backticks, as HTML."""
    return re.sub(r"`([^`]+)`", r'<span class="step">\1</span>', escape(escape_for_display(sentence)))


def summary_html(results: Results) -> str:
    """Return the recommendation and the leaderboard as HTML that brings its own styles.

    It takes its colours from the page around it, so that it reads in a dark notebook as well.
    """

    def cells(tag: str, texts: list[str]) -> str:
        sides = ["left" if column is STEP else "right" for column in COLUMNS]
        return "".join(
            f'<{tag} style="padding:.25em .7em;text-align:{side};white-space:nowrap">{escape(text)}</{tag}>'
            for side, text in zip(sides, texts, strict=True)
        )

    rows = []
    for step in results.steps:
        best = step.step == results.recommendation.step
        texts = [column.cell(step) + (" ★" if best and column is STEP else "") for column in COLUMNS]
        rows.append(f'<tr style="font-weight:{"bold" if best else "normal"}">{cells("td", texts)}</tr>')
    if results.majority is not None:
        texts = [cell for _, cell in _majority_cells(results.majority, COLUMNS)]
        rows.append(f'<tr style="opacity:.7">{cells("td", texts)}</tr>')
    return (
        '<div style="font-variant-numeric:tabular-nums">'
        f'<p style="font-size:1.1em">{sentence_html(results.recommendation.reason)}</p>'
        '<table style="border-collapse:collapse;border-top:2px solid;border-bottom:2px solid">'
        f'<thead style="border-bottom:1px solid"><tr>'
        f"{cells('th', [' '.join(column.head.split()) for column in COLUMNS])}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


# ---- audit ---------------------------------------------------------------------------------------

STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
MOST_CLASSES = 12
"""How many classes are listed; the rest are summed up in one line."""


def audit_table(audit: AuditReport) -> Group:
    """Return an audit, to be printed with Rich; it reads well at 80 columns and without colour."""
    blank = Text()
    return Group(
        _findings(audit.findings), blank, _parts(audit), blank, _lengths(audit), blank, _scripts(audit)
    )


def _findings(findings: tuple[Finding, ...]) -> Table | Text:
    if not findings:
        return Text("Nothing found that would spoil a comparison.", style="green")
    table = Table.grid(padding=(0, 2, 0, 0))
    for finding in findings:
        message = Text(escape_for_display(finding.message))
        if finding.rows:
            more = ", …" if finding.count > len(finding.rows) else ""
            one = len(finding.rows) == 1 and not more
            message.append(f" Row{'' if one else 's'} {', '.join(map(str, finding.rows))}{more}", style="dim")
        table.add_row(Text(finding.level, style=STYLES[finding.level]), message)
    return table


def _parts(audit: AuditReport) -> Table:
    """Count texts, classes and copies in each part."""
    table = _number_table("", *PARTS)
    table.add_row("texts", *map(_count, audit.parts.in_order), end_section=True)
    classes = audit.classes
    listed = classes if len(classes) <= MOST_CLASSES else classes[: MOST_CLASSES - 1]
    for row in listed:
        table.add_row(Text("  " + escape_for_display(row.class_)), *map(_count, row.in_order))
    if rest := classes[len(listed) :]:
        sums = map(sum, zip(*(row.in_order for row in rest), strict=True))
        table.add_row(f"  {len(rest)} more classes", *map(_count, sums))
    for found, name in ((audit.duplicates, "equal"), (audit.near_duplicates, "nearly equal")):
        for earlier in ("train", "val"):
            counts = (getattr(found.across, f"{part}_in_{earlier}", None) for part in PARTS)
            cells = ("" if count is None else f"{count:,}" for count in counts)
            table.add_row(f"{name} to one in {earlier}", *cells)
    return table


def _count(count: int) -> str:
    return f"{count:,}"


def _lengths(audit: AuditReport) -> Table:
    columns = ("mean", "median", "p95", "max")
    table = _number_table("length", *columns)
    for unit in ("words", "characters"):
        spread = getattr(audit.lengths, unit)
        table.add_row(f"in {unit}", *(f"{getattr(spread, column):,.0f}" for column in columns))
    return table


def _number_table(*heads: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(
            head, justify="right" if table.columns else "left", min_width=8 if table.columns else 24
        )
    return table


def _scripts(audit: AuditReport) -> Text:
    shares = ", ".join(f"{name} {share:.1%}" for name, share in audit.scripts.items() if share >= 0.001)
    return Text(f"scripts: {shares or 'no letters'}")
