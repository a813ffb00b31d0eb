"""Fixtures that every test may use, and the rule for what may be skipped.

Tests that need a named data set, a browser, a GPU or a peer library skip with a reason where that is
missing. Continuous integration sets `SOPAN_REQUIRE_ALL=1`, under which a missing one fails instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest
from command_line import sopan  # noqa: F401  # a fixture
from page_fixtures import kept, opened, page_server, playing  # noqa: F401  # fixtures

hypothesis.settings.register_profile(  # what takes long on a busy machine is not wrong
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


def missing(what: str) -> NoReturn:
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
    """The folder of real data that `SOPAN_DATA` names, or a skip: no feature is proved by it alone."""
    named = os.environ.get("SOPAN_DATA")
    if not named:
        pytest.skip("needs SOPAN_DATA, a folder of real data")
    if not Path(named).is_dir():
        missing(f"the folder {named} of SOPAN_DATA")
    return Path(named)


@pytest.fixture(scope="session")
def imdb_file() -> Path:
    """The table that `sopan data imdb` fetches: 50,000 rows of text, label, talk and official."""
    from sopan.errors import DownloadError
    from sopan.text.datasets import fetch

    try:
        return fetch("imdb")
    except DownloadError as error:
        return missing(f"the IMDB reviews ({error})")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of the preset `minilm`: a BERT of 6 layers with BERT-uncased's public vocabulary."""
    from sopan.errors import DownloadError
    from sopan.steps.presets import preset_folder

    try:
        return preset_folder("minilm")
    except DownloadError as error:
        return missing(f"the preset minilm ({error})")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium executable, or a skip."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        missing("Chromium")
    return str(found)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of small models, for what serves runs."""
    from serving import make_run

    return make_run(tmp_path_factory.mktemp("served") / "run")


@pytest.fixture(scope="session")
def server(run_folder: Path) -> Iterator[Any]:
    """A `serving.Server` of that run."""
    from serving import TOKEN, serving

    with serving(run_folder, "--port", "0", "--token", TOKEN, "--lm", "none") as running:
        running.until_ready()
        yield running


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, which checks accessibility, fetched from a registry of npm; or a skip."""
    folder, npm = tmp_path_factory.mktemp("axe"), shutil.which("npm")
    if npm is None:
        missing("npm, to fetch axe-core")
    try:
        command = [str(npm), "pack", "axe-core@4", "--pack-destination", str(folder)]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        missing("axe-core from a registry of npm")
    with tarfile.open(next(folder.glob("axe-core-*.tgz"))) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()
