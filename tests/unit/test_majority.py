"""The row that no step should fall below, and the steps that do."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import results_sample
from rich.console import Console

from sopan.comparison.majority import score_majority, silent_failures
from sopan.comparison.results import Majority
from sopan.comparison.terminal import LeaderboardTable, summary_html
from sopan.types import Labelled


def labelled(labels: list[int]) -> Labelled:
    texts = pa.array(["a text"] * len(labels), pa.large_string())
    return Labelled(texts, np.array(labels, np.int32), ("no", "yes"))


def test_the_majority_is_the_training_texts_and_is_scored_on_the_test_texts() -> None:
    found = score_majority(labelled([1, 1, 0]), labelled([0, 0, 0, 1]), ("no", "yes"))
    assert (found.label, found.accuracy) == ("yes", 0.25)
    assert found.macro_f1 == pytest.approx(0.4 / 2)  # yes: precision 1/4, recall 1; no: 0


def test_steps_that_learnt_nothing_are_named() -> None:
    (step,) = results_sample.sample_results(steps=("bow",)).steps
    good = replace(step, step="good", accuracy=0.75, confusion=((2, 0), (1, 1)))
    one = replace(step, step="one", accuracy=0.5, confusion=((2, 0), (2, 0)))
    low = replace(step, step="low", accuracy=0.5, confusion=((1, 1), (1, 1)))
    told = silent_failures([good, one, low], Majority(label="a", accuracy=0.5, macro_f1=1 / 3), ("a", "b"))
    assert told == [
        "`one` answers 'a' whatever the text: it learnt nothing.",
        "`low` is right no more often (50.0%) than the answer 'a' for every text (50.0%).",
    ]


def test_the_majority_has_a_row_of_its_own() -> None:
    majority = Majority(label="a", accuracy=0.625, macro_f1=0.385)
    results = replace(results_sample.sample_results(), majority=majority)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(LeaderboardTable(results))
    row = next(line for line in console.export_text().splitlines() if "majority" in line)
    assert row.split() == ["majority", "0.625", "0.385"]
    assert "majority" in summary_html(results)
