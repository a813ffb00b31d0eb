"""docs/performance.md is what its generator makes of the stored results and of the notes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from conftest import missing

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
MACHINE = {"cpu": "c", "cores": 2, "memory_gb": 8.2, "python": "3", "versions": {"n": "1"}}
ROW = {"bench": "b", "peer_name": "p", "ours": 3.0, "peer": 2.0, "unit": "ms", "date": "2026-01-01"}


@pytest.fixture(scope="module")
def performance():
    sys.path.insert(0, str(ROOT / "bench"))
    import performance

    yield performance
    sys.path.remove(str(ROOT / "bench"))


@pytest.fixture(scope="module")
def stored():
    if not (DOCS / "performance.json").exists():
        missing("docs/performance.json, which python bench/performance.py stores after python bench/run.py")
    return json.loads((DOCS / "performance.json").read_text())


def test_the_page_is_what_the_results_make(performance, stored):
    page = performance.page(stored, (DOCS / "performance_notes.md").read_text())
    assert (DOCS / "performance.md").read_text() == page, "run python bench/performance.py"


def test_the_chart_shows_every_ratio_that_has_a_bar(performance, stored):
    drawn = (DOCS / "performance.svg").read_text()
    rows = performance.against_bars(stored["rows"])
    assert rows
    assert all(f"{row['ratio']:.2f}, bar {row['bar']:g}" in drawn for row in rows)
    assert performance.chart(rows).count("<path") == drawn.count("<path")


def test_a_missed_bar_is_called_missed(performance):
    limits = {"limit": 10.0, "ratio_to_limit": 0.3}
    rows = [ROW | limits | {"ratio": 1.5, "bar": bar} for bar in (1.4, 1.6)]
    page = performance.page({"machine": MACHINE, "rows": rows}, "## Notes\n")
    assert "| b | p | 3.00 ms | 2.00 ms | 1.50 | 1.4 | met | 10.0 ms | 30% |" in page
    assert "| b | p | 3.00 ms | 2.00 ms | 1.50 | 1.6 | **missed** | 10.0 ms | 30% |" in page
    assert "1 of 2 bars are met" in page
    assert page.endswith("## Notes\n")
    drawn = performance.chart(rows)
    assert "b against p: 1.50, bar 1.4" in drawn
    assert drawn.startswith("<svg")


def test_what_has_no_bar_stands_apart(performance):
    rows = [
        ROW | {"ratio": 1.5, "bar": 1.4},
        ROW | {"bench": "memory", "peer": None, "ratio": None, "bar": None},
    ]
    page = performance.page({"machine": MACHINE, "rows": rows}, "")
    table = page.split("## Without a bar")[1]
    assert "| memory | p | 3.00 ms | – | – |" in table
    assert "| b |" not in table
