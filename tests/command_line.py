"""The command line, run inside the process of the tests: TensorFlow and the kernels are loaded once."""

from __future__ import annotations

import sys

import pytest

from sopan.cli import main


class Sopan:
    """Runs `sopan ARGUMENTS`; returns the exit code, standard output and standard error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["sopan", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = self._capsys.readouterr()
        return int(end.value.code or 0), out, err


@pytest.fixture
def sopan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sopan:
    """The command line, on a terminal that is wide enough for any line."""
    monkeypatch.setenv("COLUMNS", "200")
    return Sopan(monkeypatch, capsys)
