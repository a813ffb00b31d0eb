"""docs/reading.md: its links lead somewhere, its route is as long as said, its floors are the contract's."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
ROUTE = re.findall(r"^\d+\. \[[^\]]+\]\(([^)]+)\)", GUIDE, re.MULTILINE)


def test_every_link_leads_to_a_file_or_folder():
    links = re.findall(r"\]\(([^)#]+)\)", GUIDE)
    assert len(links) >= len(ROUTE) > 10
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_a_link_is_named_after_what_it_leads_to():
    for name, link in re.findall(r"\[([^\]]+\.py)\]\(([^)]+)\)", GUIDE):
        assert link.endswith(f"src/sopan/{name}")


def test_files_named_beside_a_link_exist():
    named = re.findall(r"`([\w/]+\.py)`", GUIDE)
    assert named
    for name in named:
        assert list(ROOT.glob(f"**/{name}")), name


def test_the_route_is_about_as_long_as_it_says():
    said = int(re.search(r"some ([\d,]+) lines", GUIDE)[1].replace(",", ""))
    lines = sum(len((ROOT / "docs" / link).read_text(encoding="utf-8").splitlines()) for link in ROUTE)
    assert abs(lines - said) <= 0.1 * said


def test_the_floors_are_those_that_the_linter_holds():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    floors = [re.split(r" \| ", floor) for floor in re.search(r"`(errors → [^`]+)`", GUIDE)[1].split(" → ")]
    assert [sorted(floor) for floor in floors] == [
        sorted(re.split(r" [|:] ", layer)) for layer in reversed(layers)
    ]
