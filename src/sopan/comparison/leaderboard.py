"""The leaderboard: every step's scores and costs as a table for the terminal, and for a notebook."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sopan.comparison.numbers import interval, megabytes, quantity, share
from sopan.text.display import escape_for_display
from sopan.types import Json


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its two-line heading, and how a step's cell is written."""

    head: str
    cell: Callable[[Mapping[str, Any]], str]


STEP = Column("step", lambda step: step["step"])
ACCURACY = Column("accuracy", lambda step: share(step["accuracy"]))
INTERVAL = Column("95%\ninterval", lambda step: interval(step["accuracy_ci"]))
MACRO_F1 = Column("macro\nF1", lambda step: share(step["macro_f1"]))
LOG_LOSS = Column("log\nloss", lambda step: share(step["log_loss"]))
ECE = Column("\nECE", lambda step: share(step["ece"]))
FIT = Column("fit\ns", lambda step: quantity(step["fit_seconds"]))
SPEED = Column("texts\n/s", lambda step: quantity(step["texts_per_second"]))
LATENCY = Column("p50\nms", lambda step: quantity(step["latency_ms"]["p50"]))
MEMORY = Column("peak\nMB", lambda step: quantity(step["peak_rss_mb"]))
DISK = Column("disk\nMB", lambda step: megabytes(step["artifact_bytes"]))

COLUMNS: tuple[Column, ...] = (
    STEP,
    ACCURACY,
    INTERVAL,
    MACRO_F1,
    LOG_LOSS,
    ECE,
    FIT,
    SPEED,
    LATENCY,
    MEMORY,
    DISK,
)
"""Left to right."""

LEAVE_OUT = (SPEED, MEMORY, ECE, LOG_LOSS, MACRO_F1, DISK, FIT, LATENCY, INTERVAL)
"""What gives way, first to last, where the terminal is too narrow."""


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """A Rich renderable: the table with as many columns as fit.

    Args:
        results: the object of `results.json`.
    """

    results: Mapping[str, Json]

    def table(self, columns: tuple[Column, ...] = COLUMNS) -> Table:
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
        for step in self.results["steps"]:
            best = step["step"] == self.results["recommendation"]["step"]
            mark = "* " if best else "  "
            cells = [Text((mark if column is STEP else "") + column.cell(step)) for column in columns]
            table.add_row(*cells, style="bold green" if best else "")
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


def leaderboard(results: Mapping[str, Json]) -> Leaderboard:
    """Return the leaderboard of a comparison, to be printed with Rich.

    Args:
        results: the object of `results.json`.
    """
    return Leaderboard(results)


def sentence_html(sentence: str) -> str:
    """Return a sentence of the verdict, in which step names stand between backticks, as HTML."""
    return re.sub(r"`([^`]+)`", r'<span class="step">\1</span>', escape(escape_for_display(sentence)))


def summary_html(results: Mapping[str, Json]) -> str:
    """Return the recommendation and the leaderboard as HTML that brings its own styles.

    It takes its colours from the page around it, so that it reads in a dark notebook as well.

    Args:
        results: the object of results.json.
    """
    recommendation = results["recommendation"]

    def cells(tag: str, texts: list[str]) -> str:
        sides = ["left" if column is STEP else "right" for column in COLUMNS]
        return "".join(
            f'<{tag} style="padding:.25em .7em;text-align:{side};white-space:nowrap">{escape(text)}</{tag}>'
            for side, text in zip(sides, texts, strict=True)
        )

    rows = []
    for step in results["steps"]:
        best = step["step"] == recommendation["step"]
        texts = [column.cell(step) + (" ★" if best and column is STEP else "") for column in COLUMNS]
        rows.append(f'<tr style="font-weight:{"bold" if best else "normal"}">{cells("td", texts)}</tr>')
    return (
        '<div style="font-variant-numeric:tabular-nums">'
        f'<p style="font-size:1.1em">{sentence_html(recommendation["reason"])}</p>'
        '<table style="border-collapse:collapse;border-top:2px solid;border-bottom:2px solid">'
        f'<thead style="border-bottom:1px solid"><tr>'
        f"{cells('th', [' '.join(column.head.split()) for column in COLUMNS])}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
