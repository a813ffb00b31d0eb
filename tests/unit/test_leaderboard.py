"""The leaderboard fits its terminal, keeps what matters most, and needs no colour."""

from __future__ import annotations

import io

import pytest
from results_sample import LADDER, results_of, sample_json, sample_results
from rich.console import Console

from sopan.comparison.layout import duration, interval, p_value, plural, quantity, share, signed
from sopan.comparison.results import Results
from sopan.comparison.terminal import COLUMNS, LeaderboardTable

SIX = sample_results(tuple(LADDER)[:6])


def printed(width: int, results: Results = SIX, *, colour: bool = False) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, no_color=not colour, force_terminal=colour).print(
        LeaderboardTable(results)
    )
    return stream.getvalue()


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(width: int):
    text = printed(width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for step in SIX.steps:
        assert step.step in text
        assert share(step.accuracy) in text


def test_eighty_columns_hold_quality_and_cost_of_six_steps():
    text = printed(80)
    for step in SIX.steps:
        row = next(line for line in text.splitlines() if line.lstrip("* ").startswith(step.step))
        for figure in (
            share(step.accuracy),
            interval(step.accuracy_ci),
            share(step.macro_f1),
            share(step.log_loss),
            quantity(step.fit_seconds),
            quantity(step.latency_ms.p50),
        ):
            assert figure in row


def test_a_wide_terminal_shows_every_column():
    header = "".join(printed(200).split("─")[0].split())
    for column in COLUMNS:
        for line in column.head.split():
            assert line in header


def test_the_recommended_step_is_marked_without_colour():
    text = printed(80)
    assert "\x1b" not in text
    starred = [line for line in text.splitlines() if line.startswith("* ") and "recommended" not in line]
    assert len(starred) == 1
    assert starred[0].split()[1] == SIX.recommendation.step


def test_markup_in_a_name_is_text():
    results = sample_json()
    results["steps"][0]["step"] = "[red]bow[/red]"
    assert "[red]bow[/red]" in printed(120, results_of(results), colour=True)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (share(0.8884), "0.888"),
        (signed(0.00213), "+0.0021"),
        (signed(-0.01), "−0.0100"),
        (signed(-0.00001), "0.0000"),
        (interval([0.8849, 0.8911]), "0.885–0.891"),
        (quantity(0), "0"),
        (quantity(0.012345), "0.0123"),
        (quantity(4.5678), "4.57"),
        (quantity(78.94), "78.9"),
        (quantity(999.6), "1,000"),
        (quantity(12345), "12,300"),
        (quantity(float("inf")), "–"),
        (p_value(0.0004), "< 0.001"),
        (p_value(0.0341), "0.034"),
        (duration(0.42), "0.4 s"),
        (duration(9.97), "10 s"),
        (duration(59.7), "1 min 00 s"),
        (duration(318.4), "5 min 18 s"),
        (duration(7500), "2 h 05 min"),
        (plural(1, "text"), "1 text"),
        (plural(40000, "text"), "40,000 texts"),
        (plural(2, "class", "classes"), "2 classes"),
    ],
)
def test_numbers_are_written_for_people(written: str, expected: str):
    assert written == expected
