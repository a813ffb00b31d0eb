"""Any console, any file name, any environment: output is plainer, never an error."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tables

from sopan import cli, usecases
from sopan.cli import streams
from sopan.cli.progress import show_progress

TEXT = "naïve 😀 “film” — ça"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("console")
    data = folder / "reviews.csv"
    rows = [(f"{TEXT} good {i}", "😀") for i in range(12)] + [(f"bad – {i}", "schön") for i in range(12)]
    data.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    usecases.train("bow", data, folder / "model", budget="1trials")
    return folder / "model"


def run(monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: object) -> tuple[int, str, str]:
    """Run a command in this process on a console of some encoding; return exit code, output and errors."""
    out, err = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding))
    monkeypatch.setattr(sys, "argv", ["sopan", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    sys.stdout.flush()
    sys.stderr.flush()
    code = ended.value.code
    return (
        0 if code is None else int(str(code)),
        out.getvalue().decode(encoding),
        err.getvalue().decode(encoding),
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_console_takes_every_text(model, monkeypatch, encoding):
    code, shown, _ = run(monkeypatch, encoding, "predict", model, TEXT)
    assert code == 0
    assert ("█" if encoding == "utf-8" else "#") in shown
    assert ("schön" if encoding != "ascii" else "sch\\xf6n") in shown
    code, shown, _ = run(monkeypatch, encoding, "predict", model, TEXT, "--json")
    assert code == 0
    assert set(json.loads(shown)["probabilities"]) == {"😀", "schön"}
    code, shown, _ = run(monkeypatch, encoding, "explain", model, TEXT)
    assert code == 0
    assert "film" in shown
    code, _, errors = run(monkeypatch, encoding, "predict", model.parent / "naïve 😀", TEXT)
    assert code == 2
    assert errors.startswith("sopan: ")
    assert errors.count("\n") == 1


def test_what_an_encoding_lacks_is_drawn_in_ascii():
    streams.open_streams()
    assert "█✓−…é\ud800".encode("ascii", streams.HANDLER) == b"#v-...\\xe9\\ud800"


def test_names_in_brackets_are_names(capfd):
    with show_progress() as tell:
        tell("read", {"stage": "old [/b] [red]data[/red].csv \u202e"})
    assert "old [/b] [red]data[/red].csv ⟨U+202E⟩" in capfd.readouterr().err


def test_brackets_in_names_and_texts(tmp_path, monkeypatch):
    (tmp_path / "old [").mkdir()
    data = tables.reviews(tmp_path / "old [" / "b].csv", each=30)
    code, shown, errors = run(
        monkeypatch,
        "utf-8",
        "compare",
        data,
        "--steps",
        "bow",
        "--budget",
        "1trials",
        "--out",
        tmp_path / "[i]",
    )
    assert code == 0, errors
    assert "[i]" in shown
    assert (tmp_path / "[i]" / "results.json").is_file()


def test_a_text_that_begins_as_a_flag_does(model, monkeypatch):
    code, _, errors = run(monkeypatch, "utf-8", "predict", model, "-5 of 10")
    assert code == 2
    assert "if -5 begins a text, put -- before it" in errors
    assert run(monkeypatch, "utf-8", "predict", model, "--", "-5 of 10")[0] == 0


def test_version_and_help_have_no_twin():
    twins = {"SOPAN_VERSION": "0.3.1", "SOPAN_HELP": "no", "SOPAN_PREDICT_HELP": "what"}
    command = [sys.executable, "-c", "from sopan.cli import main; main()", "predict", "nowhere", "text"]
    done = subprocess.run(command, env={**os.environ, **twins}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nowhere" in done.stderr
