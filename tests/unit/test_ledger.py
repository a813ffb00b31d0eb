"""`--resume`: what was measured is not measured again, and what hangs on something else is."""

from __future__ import annotations

from pathlib import Path

import pytest
import tables

from sopan.comparison.comparison import Comparison
from sopan.options.base import Message
from sopan.storage.atomic import write_atomic
from sopan.usecases import compare


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "reviews.csv"
    tables.reviews(path, each=30)
    return path


def run(data: Path, out: Path, steps: str, **options: object) -> tuple[Comparison, list[str]]:
    """Compare; return also which contenders were measured."""
    started: list[str] = []

    def progress(part: str, message: Message) -> None:
        if message.get("stage") == "start":
            started.append(part)

    found = compare(data, out, steps=steps, budget="1trials", progress=progress, **options)
    return found, started


def test_a_further_contender_is_all_that_is_measured(data: Path, tmp_path: Path) -> None:
    first, started = run(data, tmp_path / "run", "bow,bow:chars")
    assert started == ["bow", "bow:chars"]
    second, started = run(data, tmp_path / "run", "bow,bow:chars,bow:counts", resume=True)
    assert started == ["bow:counts"]
    assert second.results.steps[:2] == first.results.steps
    again, started = run(data, tmp_path / "run", "bow:counts,bow", resume=True)
    assert started == []
    assert again.results.steps[1] == first.results.steps[0]
    assert not (tmp_path / "run" / "outcomes" / "bow-chars.safetensors").exists()


def test_what_hangs_on_something_else_is_measured_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(data, out, "bow")
    assert run(data, out, "bow", resume=True)[1] == []
    assert run(data, out, "bow", resume=True, margin=0.01)[1] == []
    assert run(data, out, "bow", resume=True, seed=1)[1] == ["bow"]
    assert run(data, out, "bow", resume=True, seed=1, settings=["bow.C=2"])[1] == ["bow"]
    assert run(data, out, "bow", resume=True, seed=1)[1] == ["bow"]  # the model is another one's now
    outcome = out / "outcomes" / "bow.safetensors"
    write_atomic(outcome, outcome.read_bytes()[:-9])
    assert run(data, out, "bow", resume=True, seed=1)[1] == ["bow"]
    assert run(data, out, "bow", seed=1, overwrite=True)[1] == ["bow"]  # nobody asked to resume


def test_what_is_made_of_others_hangs_on_them_and_on_the_margin(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(data, out, "bow,bow:chars,cascade")
    assert run(data, out, "bow,bow:chars,cascade", resume=True)[1] == []
    assert run(data, out, "bow,bow:chars,cascade", resume=True, margin=0.01)[1] == ["cascade"]
    more = "bow,bow:chars,bow:counts,cascade"
    assert run(data, out, more, resume=True, margin=0.01)[1] == ["bow:counts", "cascade"]
