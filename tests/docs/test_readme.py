"""Every command and every line of Python in the README runs, in the order in which it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import tables
from command_line import Sopan

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.S)
    for line in block.splitlines()
]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)


STEPS = {"SOPAN_COMPARE_STEPS": "bow,cbow"}
"""What stands in for all steps, which `tests/cli/test_compare.py` climbs."""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the README speaks of."""
    tables.reviews(tmp_path / "reviews.csv", each=40)
    tables.write_csv(
        tmp_path / "new.csv", tables.opinions({"good": 40}, {"good": tables.ENGLISH["good"]}, seed=2)
    )
    monkeypatch.chdir(tmp_path)
    budgets = dict.fromkeys((f"SOPAN_{name}_BUDGET" for name in ("COMPARE", "TRAIN", "DISTILL")), "1trials")
    for name, value in {**budgets, **STEPS}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_every_sopan_command_runs(desk: Path, sopan: Sopan) -> None:
    commands = [shlex.split(command) for command in COMMANDS if command.startswith("sopan ")]
    assert len(commands) >= 9
    for _, *arguments in commands:
        code, out, err = sopan(*arguments)
        assert code == 0, f"{arguments}\n{err}"
        assert out.strip(), arguments


def test_the_python_runs(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert PYTHON
    exec("\n".join(PYTHON), {})
    assert capsys.readouterr().out.splitlines()[-1] == "['good']"


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
