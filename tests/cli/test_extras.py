"""Without its extras sopan compares `bow` and `cbow`, and says of all else what to install."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tables
from project import EXTRAS, declared

from sopan.errors import MissingExtraError, needs_extra

MODULES = {"vl-convert-python": "vl_convert"}
"""Modules that are called otherwise than what brings them."""
BLOCKED = sorted(
    MODULES.get(name, name.replace("-", "_"))
    for name in declared(line for lines in EXTRAS.values() for line in lines)
)
SITE = f"""
from importlib.machinery import PathFinder
found = PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {BLOCKED!r} else found(name, path, target)
PathFinder.find_spec = find_spec
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, in which every Python finds no library of any extra."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "sitecustomize.py").write_text(SITE)
    tables.reviews(folder / "reviews.csv")
    return folder


def sopan(desk: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(desk), os.environ.get("PYTHONPATH", "")])
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", "from sopan.cli import main; main()", *arguments],
        cwd=desk,
        env=environment | {"PYTHONPATH": paths, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def compared(desk: Path) -> subprocess.CompletedProcess[str]:
    (desk / "run").mkdir()
    (desk / "run" / "report.html").write_text("of an earlier comparison")
    (desk / "run" / "config.json").write_text('{"data": {}, "budget": "1s", "steps": [], "margin": 0.01}')
    options = ("--steps", "bow,cbow", "--budget", "1trials", "--out", "run", "--overwrite")
    return sopan(desk, "compare", "reviews.csv", *options)


def test_the_main_job_works(desk: Path, compared: subprocess.CompletedProcess[str]) -> None:
    assert compared.returncode == 0, compared.stderr
    found = json.loads((desk / "run" / "results.json").read_text())
    assert [step["step"] for step in found["steps"]] == ["bow", "cbow"]
    assert (desk / "run" / "predictions.parquet").exists()
    for step in ("bow", "cbow"):
        predicted = sopan(desk, "predict", f"run/models/{step}", "a warm and honest film", "--json")
        assert json.loads(predicted.stdout)["predicted"] == "good", predicted.stderr


def test_one_step_is_trained(desk: Path) -> None:
    done = sopan(desk, "train", "bow", "reviews.csv", "--budget", "1trials", "--out", "bow")
    assert done.returncode == 0, done.stderr


def test_it_says_what_was_left_out(desk: Path, compared: subprocess.CompletedProcess[str]) -> None:
    assert not (desk / "run" / "report.html").exists()
    assert compared.stdout.rstrip().endswith('for report.html: pip install "sopan[report]"')
    found = json.loads((desk / "run" / "results.json").read_text())
    assert found["label_errors"] == []
    said = (
        'looking for likely label errors needs cleanlab, which is not installed; pip install "sopan[report]".'
    )
    assert said in found["verdict"]
    assert said in compared.stdout


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("tensorflow", ["compare", "reviews.csv"]),
        ("tensorflow", ["train", "attention", "reviews.csv", "--out", "new"]),
        ("tensorflow", ["pretrain", "reviews.csv", "--out", "new"]),
        ("tensorflow", ["fill", "a [MASK] film"]),
        ("report", ["explain", "run/models/bow", "a warm film", "--html", "why.html"]),
        ("serve", ["serve", "run"]),
    ],
)
def test_a_command_whose_extra_is_missing_names_it(
    desk: Path, compared: subprocess.CompletedProcess[str], extra: str, arguments: list[str]
) -> None:
    done = sopan(desk, *arguments)
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip()
    assert line.startswith("sopan: ")
    assert line.endswith(f', which is not installed; pip install "sopan[{extra}]"')
    assert "\n" not in line
    assert not done.stdout


def test_only_a_library_that_is_missing_is_an_extra() -> None:
    with (
        pytest.raises(
            MissingExtraError, match=r'^x needs absent, which is not installed; pip install "sopan\[a\]"$'
        ),
        needs_extra("a", "x"),
    ):
        raise ModuleNotFoundError(name="absent.part")
    for error in (ModuleNotFoundError(name="sopan.absent"), ModuleNotFoundError(name="fcntl"), ImportError()):
        with pytest.raises(ImportError) as raised, needs_extra("a", "x"):
            raise error
        assert raised.value is error
