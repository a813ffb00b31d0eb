"""`sopan fill`, `score`, `generate` and `neighbors --contextual`, on folders of tiny models."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Sopan
from rich.console import Console
from small_language import trained, without_head

from sopan import usecases
from sopan.cli import show_language
from sopan.cli.show_language import SURPRISE, by_surprise
from sopan.lm.hugging_face import save_hugging_face
from sopan.lm.score import ScoredWord
from sopan.options.language import ScoreOptions

EVIL = "the cat [bold]purrs[/bold] \x1b[31m \u202e ."


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked model, a causal one, one without a head, and texts."""
    folder = tmp_path_factory.mktemp("models")
    for name, model in (
        ("masked", trained()),
        ("causal", trained(causal=True)),
        ("headless", without_head()),
    ):
        save_hugging_face(model, folder / name, card="Trained by a test.\n")
    (folder / "texts.csv").write_text(
        'number,text\n1,the dog barks .\n2,"a bad film is dull . the cow moos ."\n3,the dog moos .\n'
    )
    return folder


def test_as_a_process_of_its_own(folders: Path) -> None:
    code = "from sopan.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "fill", "the [MASK] barks .", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SOPAN_FILL_MODEL": str(folders / "masked"), "SOPAN_FILL_TOP": "2"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["blanks"][0][0]["text"] == "dog"
    assert len(found["joint"]) == 2


# ---- fill ------------------------------------------------------------------------------------


def test_fill_shows_each_blank_and_all_together(folders: Path, sopan: Sopan) -> None:
    code, out, err = sopan("fill", "A [MASK] film is [MASK] .", "--model", folders / "masked", "--top", 2)
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if "blank" in line] == [
        "blank 1",
        "blank 2",
        "all blanks together",
    ]
    assert "  A good film is fine ." in out
    assert "  A bad film is dull ." in out


def test_fill_among_candidates_and_of_several_pieces(folders: Path, sopan: Sopan) -> None:
    model = ("--model", folders / "masked", "--json")
    _, out, _ = sopan("fill", "a [MASK] film is dull .", "--candidates", "good, bad,unbelievable", *model)
    blank = json.loads(out)["blanks"][0]
    assert blank[0]["text"] == "bad"
    assert sum(one["probability"] for one in blank) == pytest.approx(1, abs=1e-6)
    _, out, _ = sopan("fill", "the [MASK] [MASK] .", "--pieces", "2,1", *model)
    assert json.loads(out)["joint"][0]["words"] == ["nightowl", "hoots"]


def test_a_causal_model_says_what_it_saw(folders: Path, sopan: Sopan) -> None:
    code, out, _ = sopan("fill", "the dog [MASK] .", "--model", folders / "causal")
    assert code == 0
    assert "it saw only what stands before each blank" in out
    assert "barks" in out.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fill", "no blank", "--model", "masked"], "write [MASK] where"),
        (["fill", "a [MASK]", "--model", "headless"], "without the head"),
        (["fill", "a [MASK]", "--model", "masked", "--pieces", "two"], "give numbers"),
        (["fill", "a [MASK]", "--model", "masked", "--pieces", "1,2"], "one for each blank"),
        (["fill", "a [MASK]", "--model", "masked", "--candidates", "good,,bad"], "cannot spell"),
        (["fill", "a [MASK]", "--model", "./nowhere"], "no such folder"),
        (["score", "--model", "masked"], "either one TEXT or --file F"),
        (["score", "the cat", "--model", "masked", "--method", "causal"], "use word-l2r or original"),
        (["score", "--file", "nowhere.csv", "--model", "masked"], "nowhere.csv"),
        (["generate", "the", "--model", "masked"], "--objective causal"),
        (["generate", "the", "--model", "causal", "--top-p", "0"], "top_p"),
        (["neighbors", "cat", "--model", "masked", "--contextual"], "--in FILE"),
        (["neighbors", "cat", "--model", "masked", "--text", "the cat"], "go with --contextual"),
    ],
)
def test_what_is_refused_is_one_line(
    folders: Path, sopan: Sopan, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(folders)
    code, out, err = sopan(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert says in err


# ---- score -----------------------------------------------------------------------------------


def test_score_shows_text_words_and_totals(folders: Path, sopan: Sopan) -> None:
    code, out, err = sopan("score", EVIL, "--model", folders / "masked")
    assert (code, err) == (0, "")
    assert out.startswith("the cat [bold]purrs[/bold] ⟨U+001B⟩[31m ⟨U+202E⟩ .")
    assert "\x1b" not in out  # not a terminal: no colours
    assert "pseudo-log-likelihood -" in out
    assert "(unknown)" in out
    assert "There are no words" in sopan("score", "", "--model", folders / "masked")[1]


def test_score_of_a_file_is_a_line_for_each_text(folders: Path, sopan: Sopan) -> None:
    arguments = ("score", "--file", folders / "texts.csv", "--text", "text", "--model", folders / "causal")
    _, out, _ = sopan(*arguments, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["row"] for line in lines] == [0, 1, 2]
    assert [line["method"] for line in lines] == ["causal"] * 3
    assert lines[0]["total"] > lines[2]["total"] + 1
    _, out, _ = sopan(*arguments)
    assert out.splitlines()[0].endswith("  the dog barks .")
    assert out.splitlines()[-1].startswith("3 texts: perplexity ")
    one = next(usecases.score("the dog barks .", model=folders / "causal")).score
    assert one.total == pytest.approx(lines[0]["total"], abs=1e-4)


def test_words_are_coloured_by_their_surprise() -> None:
    words = [
        ScoredWord("the", 0, 3, -0.1, True, ("the",), (-0.1,)),
        ScoredWord("cat", 4, 7, -20.0, True, ("cat",), (-20.0,)),
        ScoredWord("zzz", 8, 11, -20.0, False, ("[UNK]",), (-20.0,)),
    ]
    shown = by_surprise("the cat\nzzz \u202e", words, line=True)
    assert shown.plain == "the cat zzz ⟨U+202E⟩"
    assert {shown.plain[s.start : s.end]: s.style for s in shown.spans} == {
        "cat": SURPRISE[0][1],
        "zzz": "dim",
    }


def test_a_terminal_gets_colours(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, color_system="standard", width=100, highlight=False)
    monkeypatch.setattr(show_language, "out", terminal)
    options = ScoreOptions("the dog moos . \x1b[31m", model=folders / "masked")
    show_language.scores(usecases.score.run(options), options)
    assert "\x1b[" in screen.getvalue()
    assert "\x1b[31m" not in screen.getvalue().replace("\x1b[1;31m", "")


# ---- generate and neighbors ------------------------------------------------------------------


def test_generate_goes_on(folders: Path, sopan: Sopan) -> None:
    model = ("--model", folders / "causal")
    _, out, _ = sopan("generate", "the night", "--temperature", 0, *model)
    assert out.startswith("the nightowl hoots .")
    first, again = (json.loads(sopan("generate", "", "--seed", 5, *model, "--json")[1]) for _ in range(2))
    assert first == again
    assert first["prompt"] == ""
    assert "⟨U+001B⟩[31m" in sopan("generate", "\x1b[31m the", *model)[1]


def test_neighbors_in_context(folders: Path, sopan: Sopan) -> None:
    arguments = (
        "neighbors",
        "--contextual",
        "cat",
        "--text",
        "the cat purrs .",
        "--in",
        folders / "texts.csv",
    )
    options = ("--column", "text", "--model", folders / "headless", "--top", 3)
    _, out, _ = sopan(*arguments, *options, "--json")
    found = json.loads(out)
    assert len(found) == 3
    for one in found:
        assert one["sentence"][one["start"] : one["end"]] == one["word"]
    assert [one["cosine"] for one in found] == sorted((one["cosine"] for one in found), reverse=True)
    code, out, _ = sopan(*arguments, *options)
    assert code == 0
    assert found[0]["sentence"] in out.splitlines()[0]
