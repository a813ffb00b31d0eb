"""Every command on every input and console that makes trouble: one line, exit code 2, and no harm."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import small_language
import tables
import typer

from sopan import cli, usecases
from sopan.errors import SopanError
from sopan.lm.hugging_face import save_hugging_face

BRIEF = ("--budget", "1trials")
TINY = ("--steps", "1", "--vocabulary", "100", "--width", "8", "--heads", "1", "--depth", "1")

READS: dict[str, Callable[[str], list[str]]] = {
    "compare": lambda file: ["compare", file, "--steps", "bow", *BRIEF, "--out", "new"],
    "audit": lambda file: ["audit", file],
    "train": lambda file: ["train", "bow", file, *BRIEF, "--out", "new"],
    "distill": lambda file: ["distill", "bow", file, *BRIEF, "--unlabelled", "data.csv", "--out", "new"],
    "distill --unlabelled": lambda file: [
        *("distill", "bow", "data.csv", *BRIEF, "--unlabelled", file, "--out", "new")
    ],
    "evaluate": lambda file: ["evaluate", "bow", file],
    "evaluate MODEL": lambda file: ["evaluate", file, "data.csv"],
    "predict": lambda file: ["predict", "bow", "--file", file, "--out", "new.csv"],
    "predict MODEL": lambda file: ["predict", file, "a text"],
    "explain": lambda file: ["explain", file, "a text"],
    "neighbors": lambda file: ["neighbors", "warm", "--model", file],
    "neighbors --in": lambda file: [
        *("neighbors", "good", "--model", "lm", "--contextual", "--text", "a good film", "--in", file)
    ],
    "embed": lambda file: ["embed", "cbow", "--file", file, "--out", "new.parquet"],
    "export": lambda file: ["export", file, "--out", "new"],
    "export --texts": lambda file: [
        "export",
        "cbow",
        "--format",
        "openvino",
        "--texts",
        file,
        "--out",
        "new",
    ],
    "data": lambda file: ["data", file],
    "pretrain": lambda file: ["pretrain", file, *TINY, "--out", "new"],
    "adapt": lambda file: ["adapt", "lm", file, "--steps", "1", "--out", "new"],
    "adapt PRESET": lambda file: ["adapt", file, "data.csv", "--steps", "1", "--out", "new"],
    "fill": lambda file: ["fill", "the [MASK]", "--model", file],
    "score": lambda file: ["score", "--file", file, "--model", "lm"],
    "generate": lambda file: ["generate", "the", "--model", file],
    "lm compare": lambda file: ["lm", "compare", file, *TINY],
    "presets get": lambda file: ["presets", "get", file],
}
"""What reads a file, a folder or a name: the command, and which of its inputs where it is not the first."""

OVERWRITES: dict[str, list[str]] = {
    "compare": ["compare", "data.csv", "--out", "data.csv"],
    "train": ["train", "bow", "data.csv", "--out", "data.csv"],
    "distill": ["distill", "bow", "data.csv", "--unlabelled", "more.txt", "--out", "bow"],
    "distill --unlabelled": ["distill", "bow", "data.csv", "--unlabelled", "more.txt", "--out", "more.txt"],
    "predict": ["predict", "bow", "--file", "data.csv", "--out", "data.csv"],
    "explain": ["explain", "bow", "a text", "--html", "bow/config.json"],
    "embed": ["embed", "cbow", "--file", "data.csv", "--out", "link.csv"],
    "export": ["export", "cbow", "--out", "cbow"],
    "pretrain": ["pretrain", "more.txt", *TINY, "--out", "more.txt"],
    "adapt": ["adapt", "lm", "more.txt", "--steps", "1", "--out", "lm"],
    "lm compare": ["lm", "compare", "more.txt", *TINY, "--work", "more.txt"],
}
"""What writes, with an output that is one of its inputs."""

ELSEWHERE = {"serve", "presets"}
"""Neither: `serve` is tested below, and `presets` has no input."""
WRITES_NOTHING = {"audit", "evaluate", "neighbors", "data", "fill", "score", "generate", "presets get"}


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Console:
    """Runs `sopan` in this process, in a folder of its own, on streams of an encoding."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str, stdin: bytes = b"", encoding: str = "utf-8") -> Done:
        out, err = io.BytesIO(), io.BytesIO()
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding))
        self._monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding))
        self._monkeypatch.setattr(sys, "argv", ["sopan", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        sys.stdout.flush()
        sys.stderr.flush()
        return Done(
            int(ended.value.code or 0), out.getvalue().decode(encoding), err.getvalue().decode(encoding)
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("every")
    data = tables.reviews(folder / "data.csv", each=12)
    (folder / "link.csv").symlink_to("data.csv")
    (folder / "more.txt").write_text("a warm film\na dull film\n" * 20)
    for step in ("bow", "cbow"):
        usecases.train(step, data, folder / step, budget="1trials")
    save_hugging_face(small_language.untrained(), folder / "lm", card="")
    (folder / "empty").touch()
    (folder / "folder").mkdir()
    (folder / "loop").symlink_to("loop")  # nobody can read it, root neither
    return folder


@pytest.fixture
def console(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    monkeypatch.chdir(place)
    return Console(monkeypatch)


def contents(place: Path) -> Mapping[str, tuple[int, int]]:
    """Return what can be seen to change of all files but locks, which stay behind empty."""
    seen = {path: path.lstat() for path in place.rglob("*") if path.suffix != ".lock"}
    return {str(path): (status.st_size, status.st_ino) for path, status in seen.items()}


def refused(done: Done) -> None:
    """Hold that a command was refused in one line, whatever progress it told before."""
    assert done.code == 2, done
    assert not done.out, done
    *before, last = done.err.rstrip("\n").splitlines()
    assert last.startswith("sopan: "), done
    assert len(last) > len("sopan: "), done
    assert not any(line.startswith(("sopan: ", "Traceback")) for line in before), done


def names(group: object, prefix: str = "") -> set[str]:
    """Return the names of all commands, those of groups as `group command`."""
    commands: Mapping[str, object] = getattr(group, "commands", {})
    found = {f"{prefix}{name}" for name in commands}
    return found.union(*(names(one, f"{prefix}{name} ") for name, one in commands.items()))


def test_no_command_is_left_out():
    every = names(typer.main.get_command(cli.app)) - {"lm"}
    assert {command.name for command in cli.COMMANDS} <= every
    first = {name if name in every else name.rpartition(" ")[0] for name in READS}
    assert first | ELSEWHERE == every
    assert {name if name in every else name.rpartition(" ")[0] for name in OVERWRITES} == (
        every - ELSEWHERE - WRITES_NOTHING
    )


@pytest.mark.parametrize("name", READS)
def test_what_cannot_be_read_is_refused_in_one_line_and_nothing_is_written(name, console, place):
    before = contents(place)
    for file in ("missing.csv", "empty", "folder", "loop"):
        refused(console(*READS[name](str(place / file))))
    refused(console(*READS[name]("-")))
    refused(console(*READS[name](str(place / "naïve 😀")), encoding="ascii"))
    if os.geteuid():
        (place / "shut").touch(0)
        refused(console(*READS[name](str(place / "shut"))))
        (place / "shut").unlink()
    assert contents(place) == before


@pytest.mark.parametrize("name", OVERWRITES)
def test_an_output_that_is_an_input_is_refused_and_the_input_stays(name, console, place):
    before = contents(place)
    done = console(*OVERWRITES[name])
    refused(done)
    assert "which would be lost" in done.err or "which is read" in done.err
    assert contents(place) == before


@pytest.mark.parametrize("name", ["audit", "evaluate", "train", "predict", "embed", "score"])
def test_standard_input_is_a_file(name, console, place):
    written = {"train": "new", "predict": "new.csv", "embed": "new.parquet"}
    done = console(*READS[name]("-"), stdin=(place / "data.csv").read_bytes(), encoding="ascii")
    assert done.code == 0, done
    if name in written:
        assert (place / written[name]).exists()


@pytest.mark.parametrize("name", ["pretrain", "adapt", "lm compare"])
def test_a_corpus_on_standard_input_is_told_why_it_cannot_be_read(name, console):
    done = console(*READS[name]("-"), stdin=b"a warm film")
    refused(done)
    assert "a corpus is read several times, and standard input only once; write it to a file" in done.err


def test_standard_input_is_one_input_only(console, place):
    arguments = ("distill", "bow", "-", *BRIEF, "--unlabelled", "-", "--out", "twice")
    done = console(*arguments, stdin=(place / "data.csv").read_bytes())
    refused(done)
    assert "standard input: has been read already, and can be only once; write it to a file" in done.err
    assert not (place / "twice").exists()


@pytest.mark.parametrize("file", ["missing.csv", "empty", "folder", "loop", "naïve 😀", "-"])
def test_serve_says_what_cannot_be_served(file, place):
    """As its model process meets it, whose error the command prints."""
    with pytest.raises(SopanError) as refusal:
        usecases.ServedRun(place / file, None)
    assert refusal.value.exit_code == 2
    assert "\n" not in str(refusal.value)
