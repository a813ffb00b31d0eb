"""`sopan pretrain`, `adapt` and `lm compare`: killed, gone on with, refused, and their JSON."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import Sopan
from small_language import sentences

# Snapshots at every step, so that a kill at any moment leaves one to go on from.
CODE = "import sopan.training.loop as loop; loop.SNAPSHOT_SECONDS = 0.0; "
MAIN = "from sopan.cli import main; main()"
TINY = "--vocabulary=100 --width=16 --depth=1 --heads=2 --length=24"
SIZES = (*TINY.split(" "), "--max-length=32", "--rows=4")


def write_corpus(path: Path, n: int = 150) -> Path:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(sentences(), 3)) for _ in range(n)]
    path.write_text("text\n" + "".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def start(desk: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE + MAIN, *arguments],
        cwd=desk,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


# ---- Killed ----------------------------------------------------------------------------------


def test_a_killed_run_goes_on_to_the_same_bytes(
    tmp_path: Path, sopan: Sopan, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "corpus.csv")
    run = ("pretrain", "corpus.csv", *SIZES, "--steps", "60", "--dropout", "0.1", "--accumulate", "2")
    options = ("--look-every", "20", "--held-out", "0.1", "--seed", "3")
    kept = tmp_path / "killed.work" / "run.safetensors"
    with start(tmp_path, *run, *options, "--out", "killed") as killed:
        while not kept.exists():
            assert killed.poll() is None, killed.communicate()[1]
            time.sleep(0.005)
        time.sleep(random.Random().uniform(0, 0.5))
        killed.kill()
    assert not (tmp_path / "killed").exists(), "there is a model when there is a whole one"
    for out, more in (("killed", ()), ("whole", ("--json",))):
        with start(tmp_path, *run, *options, "--out", out, *more) as going:
            said, complained = going.communicate()
        assert going.returncode == 0, complained
    resumed, whole = ((tmp_path / out / "model.safetensors").read_bytes() for out in ("killed", "whole"))
    assert resumed == whole
    accounts = [json.loads((tmp_path / out / "training.json").read_text()) for out in ("killed", "whole")]
    for account in accounts:
        for look in account["looks"]:
            look.pop("seconds")
    assert accounts[0] == accounts[1]
    printed = json.loads(said)
    assert [look["step"] for look in printed["looks"]] == [20, 40, 60]
    assert printed["settings"]["recipe"]["steps"] == 60
    assert "accuracy" in printed["looks"][-1]["held_out"]
    monkeypatch.chdir(tmp_path)
    code, said, complained = sopan(*run, *options, "--out", "killed", "--learning-rate", "0.01")
    assert (code, said) == (2, "")
    assert "another run" in complained.strip().splitlines()[-1]
    less = ("--rows", "4", "--steps", "2", "--words", "3", "--held-out", "0.2")
    code, said, complained = sopan("adapt", "killed", "corpus.csv", *less, "--out", "adapted", "--json")
    assert code == 0, complained
    report = json.loads(said)
    assert set(report) == {"training", "new_words", "blanks"}
    assert set(report["blanks"]) == {"before", "after", "difference"}


def test_two_objectives_are_held_side_by_side(
    tmp_path: Path, sopan: Sopan, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "corpus.csv")
    monkeypatch.chdir(tmp_path)
    sizes = (*TINY.split(" "), "--rows=4", "--steps=4")
    code, said, complained = sopan("lm", "compare", "corpus.csv", *sizes, "--held-out", "0.2", "--json")
    assert code == 0, complained
    report = json.loads(said)
    assert set(report) == {"looks", "blanks"}
    assert set(report["blanks"]) == {"masked", "causal", "difference"}
    blanks = report["blanks"]
    assert blanks["masked"]["blanks"] == blanks["causal"]["blanks"] > 10
    gain = blanks["masked"]["top_1"]["share"] - blanks["causal"]["top_1"]["share"]
    assert blanks["difference"]["difference"] == pytest.approx(gain)
    assert blanks["difference"]["low"] <= gain <= blanks["difference"]["high"]
    assert report["looks"]["masked"][-1]["pieces"] == report["looks"]["causal"][-1]["pieces"] == 4 * 4 * 24
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.csv"], "nothing is left over"


# ---- Refused ---------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with a good corpus and some that are not."""
    write_corpus(tmp_path / "corpus.csv")
    (tmp_path / "empty.csv").write_text("text\n")
    (tmp_path / "blank.csv").write_text('text\n" "\n" "\n')
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.docx").write_text("years of work")
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


GOOD = ("pretrain", "corpus.csv", "--steps", "2")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pretrain", "nowhere.csv", "--steps", "2"), "nowhere.csv"),
        (("pretrain", "nowhere.csv", "--steps", "2", "--vocabulary", "vocab.txt"), "vocab.txt"),
        (("pretrain", "empty.csv", "--steps", "2"), "no rows"),
        (("pretrain", "blank.csv", "--steps", "2"), "no words"),
        (("pretrain", "corpus.csv", "--text", "body"), "body"),
        ((*GOOD, "--objective", "both"), "objective='both'"),
        ((*GOOD, "--optimizer", "sgd"), "choices: 'adamw', 'muon'"),
        ((*GOOD, "--pairs", "some"), "choices: 'none', 'next', 'order'"),
        ((*GOOD, "--start", "glove"), "choices: 'random', 'cbow'"),
        ((*GOOD, "--precision", "float8"), "precision='float8'"),
        ((*GOOD, "--mask-rate", "0"), "mask_rate=0"),
        ((*GOOD, "--mask-rate", "1"), "mask_rate=1"),
        ((*GOOD, "--objective", "causal", "--pairs", "next"), "does not learn about pairs"),
        ((*GOOD, "--width", "17", "--heads", "4"), "heads"),
        ((*GOOD, "--length", "64", "--max-length", "32"), "raise max_length"),
        ((*GOOD, "--length", "64", "--max-length", "96", "--shift", "33"), "reach 97 places"),
        ((*GOOD, "--learning-rate", "0"), "learning_rate=0"),
        ((*GOOD, "--learning-rate", "nan"), "learning_rate=nan"),
        ((*GOOD, "--held-out", "0.9"), "cannot be held out"),
        ((*GOOD, "--vocabulary", "20"), "too small"),
        ((*GOOD, "--vocabulary", "nowhere.txt"), "nowhere.txt"),
        ((*GOOD, "--out", "taken"), "thesis.docx"),
        ((*GOOD, "--out", "file"), "file"),
        ((*GOOD, "--work", "file"), "file"),
        (("adapt", "taken", "corpus.csv"), "taken"),
        (("lm", "compare", "corpus.csv", "--width", "17"), "heads"),
        (("lm", "compare", "nowhere.csv"), "nowhere.csv"),
        (("lm", "compare", "corpus.csv", "--held-out", "0", "--vocabulary", "100"), "--held-out"),
    ],
)
def test_what_cannot_work_is_one_line_and_nothing_is_written(desk, sopan, arguments, says) -> None:
    before = {path: path.stat().st_mtime_ns for path in desk.rglob("*")}
    if "--out" not in arguments and arguments[0] != "lm":
        arguments = (*arguments, "--out", "model")
    code, out, err = sopan(*arguments)
    assert (code, out) == (2, ""), err
    *before_it, complaint = err.strip().splitlines()  # before it, how far the work was
    assert complaint.startswith("sopan: ")
    assert says in complaint
    assert all("0:00:0" in line for line in before_it), err
    after = {path: path.stat().st_mtime_ns for path in desk.rglob("*") if not path.name.endswith(".lock")}
    assert {p: t for p, t in after.items() if p.is_file()} == {p: t for p, t in before.items() if p.is_file()}
    assert not (desk / "model").exists()


@pytest.mark.parametrize("epochs", ["0", "-1", "inf", "nan"])
def test_passes_that_cannot_be_are_refused(desk, sopan, epochs) -> None:
    code, out, err = sopan("pretrain", "corpus.csv", *SIZES, "--epochs", epochs, "--out", "model")
    assert (code, out) == (2, "")
    assert "epochs cannot be trained" in err
    assert not (desk / "model").exists()


def test_a_corpus_that_fills_no_batch_is_refused(desk, sopan) -> None:
    code, _, err = sopan("pretrain", "corpus.csv", *SIZES, "--rows=4000", "--steps", "2", "--out", "model")
    assert code == 2
    assert "give more text, or smaller batches" in err


def test_a_stale_vocabulary_is_not_taken_for_another_corpus(desk) -> None:
    """The vocabulary in the work folder is the corpus' own: a run on other texts finds its own pieces."""
    from sopan.options.language import NewModelOptions
    from sopan.usecases.inputs import CorpusReading
    from sopan.usecases.pretraining import find_vocabulary

    options = NewModelOptions(vocabulary=100)
    first = find_vocabulary(CorpusReading(("corpus.csv",)), options, desk / "work")
    (desk / "corpus.csv").write_text("text\n" + "zebras zigzag\n" * 50)
    second = find_vocabulary(CorpusReading(("corpus.csv",)), options, desk / "work")
    assert "z" not in first.pieces
    assert "z" in "".join(second.pieces)


@pytest.mark.parametrize(
    "use_case", ["pretrain", "fill", pytest.param("compare_objectives", marks=pytest.mark.slow)]
)
def test_tensorflow_says_nothing_about_itself(use_case: str) -> None:
    code = f"from sopan import usecases; usecases.{use_case}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
