"""The audit for the terminal: first what matters, in words, then the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from sopan.comparison.numbers import plural
from sopan.text.display import escape_for_display
from sopan.types import Json

PARTS = ("train", "val", "test")
STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
MOST_CLASSES = 12
"""How many classes are listed; the rest are summed up in one line."""


def audit_table(audit: Mapping[str, Json]) -> Group:
    """Return an audit, to be printed with Rich; it reads well at 80 columns and without colour.

    Args:
        audit: `Audit.to_json()`, or `data.audit` of results.json.
    """
    blank = Text()
    return Group(
        _findings(audit["findings"]), blank, _parts(audit), blank, _lengths(audit), blank, _texts(audit)
    )


def _findings(findings: list[dict[str, Any]]) -> Table | Text:
    if not findings:
        return Text("Nothing found that would spoil a comparison.", style="green")
    table = Table.grid(padding=(0, 2, 0, 0))
    for finding in findings:
        message = Text(escape_for_display(finding["message"]))
        if finding["rows"]:
            more = ", …" if finding["count"] > len(finding["rows"]) else ""
            one = len(finding["rows"]) == 1 and not more
            message.append(
                f" Row{'' if one else 's'} {', '.join(map(str, finding['rows']))}{more}", style="dim"
            )
        table.add_row(Text(finding["level"], style=STYLES[finding["level"]]), message)
    return table


def _parts(audit: Mapping[str, Json]) -> Table:
    """Count texts, classes and copies in each part."""
    table = _number_table("", *PARTS)
    table.add_row("texts", *(f"{audit['parts'][part]:,}" for part in PARTS), end_section=True)
    classes = audit["classes"]
    listed = classes if len(classes) <= MOST_CLASSES else classes[: MOST_CLASSES - 1]
    for row in listed:
        table.add_row(Text("  " + escape_for_display(row["class"])), *(f"{row[part]:,}" for part in PARTS))
    if rest := classes[len(listed) :]:
        sums = (f"{sum(row[part] for row in rest):,}" for part in PARTS)
        table.add_row(f"  {len(rest)} more classes", *sums)
    for kind, name in (("duplicates", "equal"), ("near_duplicates", "nearly equal")):
        across = audit[kind]["across"]
        for earlier in ("train", "val"):
            counts = (across.get(f"{part}_in_{earlier}") for part in PARTS)
            cells = ("" if count is None else f"{count:,}" for count in counts)
            table.add_row(f"{name} to one in {earlier}", *cells)
    return table


def _lengths(audit: Mapping[str, Json]) -> Table:
    columns = ("mean", "median", "p95", "max")
    table = _number_table("length", *columns)
    for unit, spread in audit["lengths"].items():
        table.add_row(f"in {unit}", *(f"{spread[column]:,.0f}" for column in columns))
    return table


def _number_table(*heads: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(
            head, justify="right" if table.columns else "left", min_width=8 if table.columns else 24
        )
    return table


def _texts(audit: Mapping[str, Json]) -> Text:
    """Say in one line each which scripts there are, and which steps cut texts short."""
    scripts = ", ".join(f"{name} {share:.1%}" for name, share in audit["scripts"].items() if share >= 0.001)
    lines = [f"scripts: {scripts or 'no letters'}"]
    for step, count in audit["truncated"].items():
        if count:
            lines.append(f"{step} cuts {plural(count, 'text')} short")
    return Text("\n".join(lines))
