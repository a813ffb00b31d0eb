"""The audit for the terminal: first what matters, in words, then the numbers."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from sopan.text.audit_report import AuditReport, Finding
from sopan.text.display import escape_for_display
from sopan.text.split import PARTS

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
