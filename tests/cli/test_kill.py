"""`kill -9` at any moment of a training and its save leaves the old model or the new one, whole.

Starting Python takes a hundred times as long as saving a small model. So one warm process forks a child for
each kill; the child trains and saves, and is killed at a random moment of that.
"""

from __future__ import annotations

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
from small_step import LABELS, TEXTS, enter_in_table, trained

from sopan.errors import ModelFolderError
from sopan.fit import publish
from sopan.fit.artifact import load_model, save_model
from sopan.rungs import STEPS

TESTS = str(Path(__file__).parents[1])
SMOOTHINGS = (0.5, 2.0)
"""The two models that take turns in one folder, told apart by this setting."""

MORE_TEXTS = TEXTS + [f"{text} take {n}" for n in range(40) for text in TEXTS]


def train_and_save(smoothing: float, folder: Path) -> None:
    rung = trained(MORE_TEXTS, LABELS * 41, smoothing=smoothing)
    save_model(rung, folder, data={"name": "made up"}, metrics={})


def nursery() -> None:
    """For each line `WAY SMOOTHING DELAY FOLDER` fork a child, kill it DELAY seconds on, say how it went."""
    STEPS["small"] = "small_step:NaiveBayes"
    with TemporaryDirectory() as warm_up:
        train_and_save(1.0, Path(warm_up) / "model")
    for line in sys.stdin:
        way, smoothing, delay, folder = line.rstrip("\n").split("\t")
        started = time.perf_counter()
        child = os.fork()
        if not child:
            if way == "step aside":
                publish._exchange = lambda a, b: False
            train_and_save(float(smoothing), Path(folder))
            os._exit(0)
        if delay != "never":
            time.sleep(max(0.0, started + float(delay) - time.perf_counter()))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), time.perf_counter() - started, flush=True)


Run = Callable[..., tuple[int, float]]


@pytest.fixture(scope="module")
def warm() -> Iterator[Run]:
    """Return a function that trains and saves in a child, killed after a delay: (exit code, seconds)."""
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": TESTS},
    )

    def one(way: str, smoothing: float, folder: Path, delay: float | str = "never") -> tuple[int, float]:
        process.stdin.write(f"{way}\t{smoothing}\t{delay}\t{folder}\n")
        process.stdin.flush()
        code, seconds = process.stdout.readline().split()
        return int(code), float(seconds)

    with process:
        yield one
        process.stdin.close()
    assert process.returncode == 0


@pytest.fixture(params=["exchange", "step aside"])
def run(request, warm, monkeypatch) -> Run:
    """Both ways to replace a folder."""
    enter_in_table(monkeypatch)
    return partial(warm, request.param)


def test_two_hundred_kills_leave_the_old_model_or_the_new(run, tmp_path):
    """100 for each way to replace a folder; ten more, before the first model, leave none or one."""
    rng = np.random.default_rng(0)
    expected = {s: trained(MORE_TEXTS, LABELS * 41, smoothing=s).predict_proba(TEXTS) for s in SMOOTHINGS}
    folder = tmp_path / "model"
    seconds = np.median([run(SMOOTHINGS[i % 2], folder)[1] for i in range(5)])
    found, left = Counter(), 0
    for _ in range(100):
        before = load_model(folder).smoothing
        wanted = SMOOTHINGS[1 - SMOOTHINGS.index(before)]
        code, _ = run(wanted, folder, rng.uniform(0, 1.2 * seconds))
        left += len(list(tmp_path.iterdir())) > 2
        rung = load_model(folder)
        np.testing.assert_array_equal(rung.predict_proba(TEXTS), expected[rung.smoothing])
        assert code == -signal.SIGKILL or rung.smoothing == wanted
        found["new" if rung.smoothing == wanted else "old"] += 1
    assert min(found["old"], found["new"], left) >= 5, (
        f"the kills were not spread: {found}, {left} left files"
    )
    assert run(wanted, folder)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.lock", "model"]


def test_a_kill_before_the_first_model_leaves_none_or_one(run, tmp_path):
    rng = np.random.default_rng(1)
    seconds = np.median([run(SMOOTHINGS[0], tmp_path / f"timed{i}")[1] for i in range(5)])
    for i in range(10):
        folder = tmp_path / f"model{i}"
        run(SMOOTHINGS[0], folder, rng.uniform(0, 1.2 * seconds))
        try:
            assert load_model(folder).smoothing == SMOOTHINGS[0]
        except ModelFolderError as error:
            assert "there is no model folder" in str(error)  # noqa: PT017
            assert not folder.exists()


if __name__ == "__main__":
    nursery()
