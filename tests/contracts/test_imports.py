"""What comes in with what: the steps below attention, and all that only handles steps, need no backend."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from sopan.steps import STEPS

CONTRACTS = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["tool"]
LIGHT = next(
    contract for contract in CONTRACTS["importlinter"]["contracts"] if contract["name"].startswith("backends")
)
"""The linter holds that none of these modules names a backend; this, that none brings one in by others."""

NETWORKS = {"sopan.usecases.pretraining", "sopan.usecases.adapting"}
"""Use cases of networks alone; `sopan.usecases` imports them when they are asked for."""


def test_importing_what_needs_no_backend_brings_none_in() -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        f"for name in {LIGHT['source_modules']!r}:\n"
        "    module = importlib.import_module(name)\n"
        "    for found in pkgutil.walk_packages(getattr(module, '__path__', []), name + '.'):\n"
        f"        found.name in {NETWORKS!r} or importlib.import_module(found.name)\n"
        f"print(sorted(set({LIGHT['forbidden_modules']!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_without_a_backend_the_steps_that_need_one_say_what_to_install() -> None:
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'tensorflow': raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from sopan.errors import MissingExtraError\n"
        "from sopan.steps import STEPS, step_class\n"
        "for step in STEPS:\n"
        "    try: step_class(step)\n"
        "    except MissingExtraError as error: print(step, error.next_step)\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    expected = [f'{step} pip install "sopan[tensorflow]"' for step in STEPS if step not in ("bow", "cbow")]
    assert done.stdout.splitlines() == expected, done.stdout + done.stderr


def test_checking_the_names_of_steps_brings_no_backend_in() -> None:
    code = (
        "import sys\n"
        "from sopan.steps import STEPS\n"
        "from sopan.comparison.contenders import check_contenders\n"
        "assert [one.name for one in check_contenders(tuple(STEPS))] == list(STEPS)\n"
        f"print(sorted(set({LIGHT['forbidden_modules']!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
