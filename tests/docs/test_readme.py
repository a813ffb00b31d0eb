"""Every command and every line of Python in the README runs, in the order in which it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tables

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.S)
    for line in block.splitlines()
]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the README speaks of."""
    folder = tmp_path_factory.mktemp("desk")
    tables.reviews(folder / "reviews.csv", each=80)
    tables.write_csv(
        folder / "new.csv", tables.opinions({"good": 40}, {"good": tables.ENGLISH["good"]}, seed=2)
    )
    (folder / "bin").mkdir()
    command = folder / "bin" / "sopan"
    command.write_text(f"#!{sys.executable}\nfrom sopan.cli import main\nmain()\n")
    command.chmod(0o755)
    return folder


def run(arguments: list[str], desk: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{desk / 'bin'}:{os.environ['PATH']}"}
    budgets = {"SOPAN_COMPARE_BUDGET": "2trials", "SOPAN_TRAIN_BUDGET": "2trials"}
    return subprocess.run(
        arguments, cwd=desk, env=environment | budgets, capture_output=True, text=True, check=False
    )


def test_every_sopan_command_runs(desk: Path) -> None:
    commands = [command for command in COMMANDS if command.startswith("sopan ")]
    assert len(commands) >= 9
    for command in commands:
        done = run(shlex.split(command), desk)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout.strip(), command


def test_the_python_runs(desk: Path) -> None:
    assert PYTHON
    done = run([sys.executable, "-c", "\n".join(PYTHON)], desk)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['good']"


def test_the_other_commands_are_targets_of_the_makefile() -> None:
    """`make test` is what runs this; `make demo` is run by .ci/run; both must at least be there."""
    others = [command for command in COMMANDS if not command.startswith("sopan ")]
    assert others == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text()
    workflow = (ROOT / ".ci" / "run").read_text()
    for command in others:
        target = command.removeprefix("make ")
        assert re.search(rf"^{target}: setup", makefile, re.M)
        assert re.search(rf"^make {target}\b", workflow, re.M)


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_no_committed_file_names_a_registry_or_an_index() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    hosts = re.compile(
        "|".join(("pypi" + r"\.org", "python" + "hosted", "npm" + r"js\.", "--index" + "-url"))
    )
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in (".parquet", ".bin", ".safetensors"):
            assert not hosts.search(path.read_text(encoding="utf-8", errors="ignore")), name
