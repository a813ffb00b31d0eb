"""Write docs/performance.md and its chart from what `bench/run.py` gathered.

    python bench/run.py && python bench/performance.py

    bench/out/results.jsonl -> docs/performance.json -> docs/performance.md, docs/performance.svg

Without results of a run, those stored in docs/performance.json are written out again. What figures do not
say, where the time goes and what was tried, is written by hand in docs/performance_notes.md and taken over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from performance_chart import chart

ROOT = Path(__file__).resolve().parents[1]
GATHERED = ROOT / "bench" / "out" / "results.jsonl"
STORED = ROOT / "docs" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"
NOTES = ROOT / "docs" / "performance_notes.md"

Row: TypeAlias = dict[str, Any]

HEADS = ("what", "against", "ours", "theirs", "ratio", "bar", "", "limit", "share")

HEADER = """\
# Performance

<!-- Written by bench/performance.py from docs/performance.json and docs/performance_notes.md: edit those. -->

Every figure on this page was measured by the scripts in [bench/](../bench) on one machine, ours and the
other's in one run. `make bench` measures them again.

## How it is measured

* Each contender is a process of its own, with its own imports, made and warmed up before the clock starts.
* All do the same work by turns, round by round, so that whatever else the machine does troubles them alike.
  While one works, the others sleep.
* A round's ratio is of its own two times. What stands below is the median of the rounds' ratios, and of each
  contender's own figures; the two medians need not divide to the third.
* Contenders must give the same answers before a ratio is printed: each script says within what tolerance.
* *Ratio* is how many times better ours is, in whichever direction the unit counts. *Bar* is the ratio that
  was aimed at before anything was measured.
* *Limit* is what the machine could do at most, measured in the same run: its matrix products for what is
  arithmetic, its memory for what moves bytes. *Share* is how much of that is reached.
"""


def main() -> None:
    if GATHERED.exists():
        machine, *found = map(json.loads, GATHERED.read_text().splitlines())
        rows = [row for row in found if "unit" in row]  # what `measure.report` printed
        STORED.write_text(f"{json.dumps({'machine': machine, 'rows': rows}, indent=1)}\n")
    stored = json.loads(STORED.read_text())
    CHART.write_text(chart(against_bars(stored["rows"])))
    PAGE.write_text(page(stored, NOTES.read_text()))


def page(stored: Row, notes: str) -> str:
    """Return the page.

    Args:
        stored: `machine`, and `rows` as `measure.report` printed them.
        notes: Markdown that ends the page, its sections of the second level.
    """
    barred = against_bars(stored["rows"])
    met = sum(row["ratio"] >= row["bar"] for row in barred)
    parts = [
        HEADER,
        _machine(stored["machine"], stored["rows"]),
        f"## Against the bars\n\n{met} of {len(barred)} bars are met.\n\n"
        "![Each ratio and its bar on a logarithmic axis](performance.svg)\n",
        _table(HEADS, map(_cells, barred)),
    ]
    others = [row for row in stored["rows"] if row.get("bar") is None]
    if others:
        parts.append("## Without a bar\n\n" + _table(HEADS[:5], (_cells(row)[:5] for row in others)))
    return "\n".join([*parts, notes])


def against_bars(rows: Iterable[Row]) -> list[Row]:
    """Return the rows that have a ratio and a bar."""
    return [row for row in rows if row.get("bar") is not None and row.get("ratio") is not None]


def _machine(machine: Row, rows: list[Row]) -> str:
    dates = sorted({row["date"] for row in rows})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"## The machine\n\n{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB of "
        f"memory, Python {machine['python']}, measured {when}. {versions}.\n"
    )


def _cells(row: Row) -> tuple[str, ...]:
    unit = row["unit"]
    bar, ratio, limit, share = (row.get(name) for name in ("bar", "ratio", "limit", "ratio_to_limit"))
    met = "" if bar is None or ratio is None else "met" if ratio >= bar else "**missed**"
    return (
        row["bench"],
        row["peer_name"] or "–",
        _amount(row["ours"], unit),
        _amount(row["peer"], unit),
        "–" if ratio is None else f"{ratio:.2f}",
        "–" if bar is None else f"{bar:g}",
        met,
        _amount(limit, unit),
        "–" if share is None else f"{share:.0%}",
    )


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    digits = max(0, 2 - len(str(int(abs(value)))) + 1) if abs(value) >= 1 else 3
    return f"{value:,.{digits}f} {unit}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    ruler = ["---", "---", *["--:"] * (len(heads) - 2)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, ruler, *rows))


if __name__ == "__main__":
    main()
