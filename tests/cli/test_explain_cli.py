"""`sopan explain`: the colours, the JSON and the page, and texts that would play tricks on a terminal."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Sopan
from rich.console import Console
from small_step import LABELS, TEXTS, trained

from sopan.cli import show
from sopan.cli.show import AGAINST, FOR, by_support, style_of
from sopan.fit.artifact import save_model
from sopan.options.classify import ExplainOptions
from sopan.steps import make_step
from sopan.usecases import explain

TEXT = "A warm and funny film, [bold]dull[/bold] \x1b[31m \u202e ?"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "bow"
    save_model(make_step("bow").fit(TEXTS, LABELS), folder, data={"name": "texts"}, metrics={})
    return folder


def test_the_terminal_view(model: Path, sopan: Sopan) -> None:
    code, out, err = sopan("explain", model, TEXT)
    assert (code, err) == (0, "")
    assert out.startswith("good, with probability 0.")
    assert "A warm and funny film, [bold]dull[/bold] ⟨U+001B⟩[31m ⟨U+202E⟩ ?" in out
    assert "\x1b" not in out  # not a terminal: no colours
    assert "most, the probability of 'good' goes from" in out.replace("\n", " ")


def test_json_holds_everything_and_nothing_else_is_printed(model: Path) -> None:
    """As a process of its own."""
    command = [
        sys.executable,
        "-c",
        "from sopan.cli import main; main()",
        "explain",
        str(model),
        TEXT,
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert done.stderr == ""
    assert found["predicted"] == "good"
    assert [TEXT[word["start"] : word["end"]] for word in found["words"]][:3] == ["A", "warm", "and"]
    assert found == explain(model, TEXT)


def test_the_page_is_written_where_it_was_asked_for(
    model: Path, sopan: Sopan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sopan("explain", model, TEXT, "--html", "why.html") == (0, "why.html\n", "")
    assert (tmp_path / "why.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    _, both, _ = sopan("explain", model, TEXT, "--html", "why.html", "--json")
    assert json.loads(both)["predicted"] == "good"


def test_a_page_that_cannot_be_written_is_one_clear_line(model: Path, sopan: Sopan, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    code, _, err = sopan("explain", model, TEXT, "--html", tmp_path / "file" / "why.html")
    assert code == 1
    assert err.count("\n") == 1
    assert "cannot be written" in err


def test_no_model_there(sopan: Sopan, tmp_path: Path) -> None:
    code, _, err = sopan("explain", tmp_path, TEXT)
    assert code == 2
    assert "sopan train" in err


def test_an_empty_text_and_one_without_known_words(model: Path, sopan: Sopan) -> None:
    for text in ("", "zzz 🙂"):
        code, out, err = sopan("explain", model, text)
        assert code == 0, err
        assert "knows no word of this text" in out


def test_words_are_coloured_by_what_they_add() -> None:
    found = explain(trained(), TEXT)
    shown = by_support(TEXT, found["words"])
    styles = {shown.plain[span.start : span.end]: span.style for span in shown.spans}
    assert styles["warm"] in {style for _, style in FOR}
    assert styles["film,"] == "dim"  # not known to this step


def test_styles_grow_with_the_share() -> None:
    assert style_of(1.0, read=True) == FOR[0][1]
    assert style_of(-0.3, read=True) == AGAINST[1][1]
    assert style_of(0.0, read=True) == ""
    assert style_of(1.0, read=False) == "dim"


def test_a_terminal_gets_colours_and_no_control_characters_of_the_text(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, color_system="standard", width=100, highlight=False)
    monkeypatch.setattr(show, "out", terminal)
    show.explanation(explain(model, TEXT), ExplainOptions(model, TEXT))
    assert "\x1b[1;37;44m" in screen.getvalue()  # white on blue
    assert "\x1b[31m" not in screen.getvalue()
    assert "\u202e" not in screen.getvalue()
