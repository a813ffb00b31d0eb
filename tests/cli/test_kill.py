"""`kill -9` at any moment of `sopan train` leaves the old model or the new one, whole.

Starting Python takes longer than training on a few texts. So one process that has everything loaded forks a
child for each kill; the child runs the command line and is killed at a random moment of that.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from sopan.errors import ModelFolderError
from sopan.fit.artifact import load_model
from sopan.storage import atomic

GOOD, POOR = ["warm", "funny", "fine", "gentle", "bright"], ["dull", "noisy", "lost", "bitter", "grey"]
OTHER = ["film", "scene", "cast", "story", "light", "music", "ending"]
PROBES = ["a warm film", "dull music", "", "fine and grey"]
PATIENCE = 60
"""Seconds after which a child that hangs ends itself."""


def write_reviews(path: Path, good: str, poor: str) -> Path:
    """Write 120 made-up reviews, labelled by the words they hold."""
    rng = np.random.default_rng(0)
    with path.open("w") as stream:
        stream.write("text,label\n")
        for row in range(120):
            words = [*rng.choice(POOR if row % 2 else GOOD, 2), *rng.choice(OTHER, 3), f"take{row}"]
            stream.write(f"{' '.join(words)},{poor if row % 2 else good}\n")
    return path


def train(data: Path, folder: Path) -> int:
    """Run `sopan train` in this process; return its exit code."""
    from sopan import cli

    sys.argv = ["sopan", "train", "bow", str(data), "--out", str(folder), "--budget", "1 trials", "--json"]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def nursery() -> None:
    """For each line `WAY DATA FOLDER FROM DELAY` fork a child, kill it DELAY seconds on, say how that went.

    FROM is `start`, or `save`: when something new stands beside the folder. The answer: the exit code, the
    seconds until the save began, and those until the end.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with TemporaryDirectory() as warm_up:
        train(write_reviews(Path(warm_up) / "reviews.csv", "good", "poor"), Path(warm_up) / "model")
    for line in sys.stdin:
        way, data, folder, since, delay = line.rstrip("\n").split("\t")
        beside, started = Path(folder).parent, time.perf_counter()
        before = entries(beside)
        child = os.fork()
        if not child:
            signal.alarm(PATIENCE)
            if way == "step aside":
                atomic._exchange = lambda a, b: False
            os._exit(train(Path(data), Path(folder)))
        due = started + float(delay) if since == "start" else math.inf
        saving, ended, status = math.inf, 0, 0
        while not ended:
            ended, status = os.waitpid(child, os.WNOHANG)
            now = time.perf_counter()
            if saving == math.inf and entries(beside) - before:
                saving = now
                due = min(due, now + float(delay) if since == "save" else math.inf)
            if now >= due and not ended:
                os.kill(child, signal.SIGKILL)
                ended, status = os.waitpid(child, 0)
            time.sleep(0.0005)
        code = os.waitstatus_to_exitcode(status)
        print(code, saving - started, time.perf_counter() - started, file=answers, flush=True)


def entries(folder: Path) -> set[str]:
    """Return what stands in a folder, but for locks."""
    return {path.name for path in folder.glob("*") if path.suffix != ".lock"}


Run = Callable[..., tuple[int, float, float]]


@pytest.fixture(scope="module")
def warm() -> Iterator[Run]:
    """Return a function that trains in a child, killed after a delay.

    It returns the exit code, the seconds until the save began, and those until the end.
    """
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def one(
        way: str, data: Path, folder: Path, since: str = "start", delay: float = math.inf
    ) -> tuple[int, float, float]:
        process.stdin.write(f"{way}\t{data}\t{folder}\t{since}\t{delay}\n")
        process.stdin.flush()
        code, saving, seconds = process.stdout.readline().split()
        return int(code), float(saving), float(seconds)

    with process:
        yield one
        process.stdin.close()
    assert process.returncode == 0


@pytest.fixture(params=["exchange", "step aside"])
def run(request, warm) -> Run:
    """Both ways to replace a folder."""
    return partial(warm, request.param)


@pytest.fixture
def reviews(tmp_path) -> list[Path]:
    """Two tables of the same texts with opposite labels, so that their models never agree."""
    (tmp_path / "data").mkdir()
    return [
        write_reviews(tmp_path / "data" / "right.csv", "good", "poor"),
        write_reviews(tmp_path / "data" / "wrong.csv", "poor", "good"),
    ]


def moments(rng: np.random.Generator, seconds: float, save: float, kills: int) -> Iterator[tuple[str, float]]:
    """Draw moments to kill at: half over the whole run, half over the save, from when it is seen to begin."""
    for number in range(kills):
        yield ("save", rng.uniform(0, 1.1 * save)) if number % 2 else ("start", rng.uniform(0, 1.1 * seconds))


@pytest.mark.parametrize("kills", [24, pytest.param(100, marks=pytest.mark.slow)])
def test_a_kill_leaves_the_old_model_or_the_new(run, reviews, tmp_path, kills):
    """So many for each way to replace a folder."""
    folder = tmp_path / "models" / "bow"
    expected, seconds, saves = [], [], []
    for data in [*reviews, *reviews]:
        code, saving, took = run(data, folder)
        assert code == 0
        seconds.append(took)
        saves.append(took - saving)
        expected.append(load_model(folder).predict_proba(PROBES))
    assert not np.allclose(expected[0], expected[1])

    standing, found, left = 1, Counter(), 0
    typical = float(np.median(seconds)), float(np.median(saves))
    for since, delay in moments(np.random.default_rng(0), *typical, kills):
        wanted = 1 - standing
        code, *_ = run(reviews[wanted], folder, since, delay)
        left += len(list(folder.parent.iterdir())) > 2
        probabilities = load_model(folder).predict_proba(PROBES)
        was, standing = standing, wanted if np.array_equal(probabilities, expected[wanted]) else standing
        np.testing.assert_array_equal(probabilities, expected[standing])
        assert code == -signal.SIGKILL or (code == 0 and standing == wanted)
        found["old" if standing == was else "new"] += 1
    assert min(found["old"], found["new"], left) >= max(1, kills // 33), (
        f"the kills were not spread: {found}, {left} left files"
    )

    assert run(reviews[0], folder)[0] == 0
    assert sorted(path.name for path in folder.parent.iterdir()) == [".bow.lock", "bow"]


def test_a_kill_before_the_first_model_leaves_none_or_one(run, reviews, tmp_path):
    _, saving, seconds = run(reviews[0], tmp_path / "timed" / "bow")
    expected = load_model(tmp_path / "timed" / "bow").predict_proba(PROBES)
    for place, (since, delay) in enumerate(moments(np.random.default_rng(1), seconds, seconds - saving, 10)):
        folder = tmp_path / f"models{place}" / "bow"
        run(reviews[0], folder, since, delay)
        try:
            np.testing.assert_array_equal(load_model(folder).predict_proba(PROBES), expected)
        except ModelFolderError as error:
            assert "there is no model folder" in str(error)  # noqa: PT017
            assert not folder.exists()


if __name__ == "__main__":
    nursery()
