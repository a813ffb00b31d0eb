"""Help is instant and light, and every option has an environment twin."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    "compare",
    "audit",
    "train",
    "evaluate",
    "predict",
    "explain",
    "neighbors",
    "embed",
    "export",
    "data",
    "fill",
    "score",
    "serve",
    "generate",
    "presets",
)
HEAVY = (
    "tensorflow",
    "keras",
    "torch",
    "jax",
    "numba",
    "sklearn",
    "scipy",
    "pyarrow",
    "duckdb",
    "altair",
    "pandas",
    "numpy",
)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['sopan', '--help']\n"
        "from sopan.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = run(code)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr
    assert all(command in done.stdout for command in COMMANDS)


def test_import_sopan_imports_nothing_heavy() -> None:
    done = run(f"import sys, sopan; print([name for name in {HEAVY!r} if name in sys.modules])")
    assert done.stdout.strip() == "[]"


def test_help_answers_within_half_a_second() -> None:
    """CPU time, which a busy machine does not stretch; the median of five."""
    times = []
    for _ in range(5):
        before = os.times()
        run("import sys; sys.argv = ['sopan', '--help']; from sopan.cli import main; main()")
        after = os.times()
        times.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
    assert statistics.median(times) < 0.5


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = run(f"import sys; sys.argv = ['sopan', '{command}', '--help']; from sopan.cli import main; main()")
    assert done.returncode == 0, done.stderr
    assert f"sopan {command}" in done.stdout


def test_an_option_may_come_from_the_environment(tmp_path: Path) -> None:
    code = "import sys; sys.argv = ['sopan', 'compare', 'x.csv']; from sopan.cli import main; main()"
    done = run(code, SOPAN_COMPARE_BUDGET="soon")
    assert done.returncode == 2
    assert "soon" in done.stderr
