"""What comes in with what: the steps below attention, and all that only handles steps, need no backend."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

CONTRACTS = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["tool"]
LIGHT = next(
    contract for contract in CONTRACTS["importlinter"]["contracts"] if contract["name"].startswith("backends")
)
"""The linter holds that none of these modules names a backend; this, that none brings one in by others."""


def test_importing_what_needs_no_backend_brings_none_in() -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        f"for name in {LIGHT['source_modules']!r}:\n"
        "    module = importlib.import_module(name)\n"
        "    for found in pkgutil.walk_packages(getattr(module, '__path__', []), name + '.'):\n"
        "        importlib.import_module(found.name)\n"
        f"print(sorted(set({LIGHT['forbidden_modules']!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
