"""Fixtures that every test may use, and the rule for what may be skipped.

Tests that need the shared data, a browser, a GPU or a peer library skip with a reason where that is
missing. Continuous integration sets `SOPAN_REQUIRE_ALL=1`, under which a missing one fails instead.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def missing(what: str) -> None:
    """Skip the calling test because `what` is not here; fail it where everything is required."""
    if os.environ.get("SOPAN_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is required here (SOPAN_REQUIRE_ALL=1) and is missing")
    pytest.skip(f"needs {what}")


def need(library: str) -> None:
    """Skip or fail the calling test, as `missing` does, unless a peer library is installed."""
    if not find_spec(library):
        missing(f"{library}, which `make setup-peers` installs")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data for development, or a skip."""
    if not SHARED.is_dir():
        missing(f"the shared data folder at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium executable, or a skip."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        missing("Chromium")
    return str(found)
