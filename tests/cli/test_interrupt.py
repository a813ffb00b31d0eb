"""Ctrl-C, as a terminal sends it: to every process of the group at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tables

PROGRAM = """
import json, os, signal, sys
from sopan import usecases

pressed = []

def progress(step, message):
    if {when} and len(pressed) < {times}:
        pressed.append(step)
        os.killpg(os.getpgrp(), signal.SIGINT)

found = usecases.compare("reviews.csv", "out", steps=["bow"], budget="all", progress=progress)
step = found.results.steps[0]
print(json.dumps({{"interrupted": step.interrupted, "trials": len(step.trials),
                  "offered": step.trials_total, "verdict": found.results.verdict}}))
"""


def press(folder: Path, when: str, times: int = 1, each: int = 60) -> subprocess.CompletedProcess[str]:
    tables.reviews(folder / "reviews.csv", each=each)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(when=when, times=times)],
        cwd=folder,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )


def test_while_tuning_it_keeps_the_best_and_says_so(tmp_path: Path) -> None:
    done = press(tmp_path, "'trial' in message", each=800)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["interrupted"]
    assert 1 <= told["trials"] < told["offered"]
    assert "was interrupted after" in told["verdict"][-1]
    assert (tmp_path / "out" / "results.json").is_file()


def test_while_measuring_it_finishes(tmp_path: Path) -> None:
    done = press(tmp_path, "message.get('stage') == 'measure'")
    assert done.returncode == 0, done.stderr
    assert not json.loads(done.stdout)["interrupted"]


@pytest.mark.parametrize("when", ["message.get('stage') == 'start'", "message.get('stage') == 'measure'"])
def test_twice_ends_it_and_writes_no_results(when: str, tmp_path: Path) -> None:
    done = press(tmp_path, f"{when} or pressed", times=2)
    assert done.returncode != 0
    assert "KeyboardInterrupt" in done.stderr
    assert not (tmp_path / "out" / "results.json").exists()
