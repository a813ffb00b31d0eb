"""What pyproject.toml says of sopan's dependencies."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def normal(name: str) -> str:
    """A distribution's name as all spellings of it are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def demanded(lines: Iterable[str]) -> list[Requirement]:
    """Parse requirements; those of sopan's own extras stand in for the extra."""
    found = []
    for requirement in map(Requirement, lines):
        if requirement.name == PROJECT["name"]:
            found += demanded(line for extra in sorted(requirement.extras) for line in EXTRAS[extra])
        else:
            found.append(requirement)
    return found


def declared(lines: Iterable[str]) -> set[str]:
    """Names of the distributions that requirements ask for."""
    return {normal(requirement.name) for requirement in demanded(lines)}
