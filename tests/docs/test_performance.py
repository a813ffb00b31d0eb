"""docs/performance.md is what its generator makes of the stored results and of the notes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STORED = json.loads((ROOT / "docs" / "performance.json").read_text())


@pytest.fixture(scope="module")
def performance(tmp_path_factory):
    sys.path.insert(0, str(ROOT / "bench"))
    import performance

    yield performance
    sys.path.remove(str(ROOT / "bench"))


def test_the_page_is_what_the_results_make(performance):
    notes = (ROOT / "docs" / "performance_notes.md").read_text()
    written = (ROOT / "docs" / "performance.md").read_text()
    assert written == performance.page(STORED, notes), "run python bench/performance.py"


def test_the_chart_shows_every_ratio_that_has_a_bar(performance):
    drawn = (ROOT / "docs" / "performance.svg").read_text()
    rows = performance.against_bars(STORED["rows"])
    assert rows
    for row in rows:
        assert f"{row['ratio']:.2f}, bar {row['bar']:g}" in drawn
    assert performance.chart(rows).count("<path") == drawn.count("<path")


def test_a_missed_bar_is_called_missed(performance):
    row = {"bench": "b", "peer_name": "p", "ours": 3.0, "peer": 2.0, "unit": "ms", "date": "2026-01-01"}
    machine = {
        "cpu": "c",
        "cores": 2,
        "memory_gb": 8.2,
        "python": "3",
        "versions": {"n": "1"},
    }
    rows = [row | {"ratio": 1.5, "bar": bar, "limit": None, "ratio_to_limit": None} for bar in (1.4, 1.6)]
    page = performance.page({"machine": machine, "rows": rows}, "## Notes\n")
    assert "| b | p | 3.00 ms | 2.00 ms | 1.50 | 1.4 | met | – | – |" in page
    assert "| b | p | 3.00 ms | 2.00 ms | 1.50 | 1.6 | **missed** | – | – |" in page
    assert "1 of 2 bars are met" in page
    assert page.endswith("## Notes\n")
