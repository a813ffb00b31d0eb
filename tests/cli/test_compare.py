"""The main job, end to end, through the door that the command line uses: any table, at the first try."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tables
from command_line import Sopan

from sopan import usecases
from sopan.comparison.comparison import Comparison
from sopan.comparison.results import read_results, results_schema
from sopan.steps import STEPS
from sopan.text.read import read_corpus

BUDGET = "2trials"
BOTH = ("bow", "cbow")
"""The steps that cost little; `test_every_step_joins_in` has all of them."""


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """One comparison of both steps with every option that costs little, shared by the tests below."""
    folder = tmp_path_factory.mktemp("compare")
    data = tables.reviews(folder / "reviews.csv", each=150)
    more = tables.reviews(folder / "more.csv", each=100, seed=1)
    return usecases.compare(
        data,
        folder / "out",
        steps=BOTH,
        seed=3,
        seeds=2,
        budget=BUDGET,
        unlabelled=more,
        learning_curve=True,
        margin=0.02,
    )


def test_results_keep_to_the_schema(compared: Comparison) -> None:
    written = json.loads((compared.folder / "results.json").read_text())
    jsonschema.validate(written, results_schema())
    assert written == compared.results.as_json()
    assert read_results(compared.folder / "results.json") == compared.results
    assert [step["step"] for step in written["steps"]] == ["bow", "cbow"]
    assert written["recommendation"]["margin"] == 0.02
    assert len(written["steps"][1]["seeds"]) == 2


def test_predictions_are_complete_and_agree_with_the_scores(compared: Comparison) -> None:
    predictions = pq.read_table(compared.folder / "predictions.parquet").to_pandas()
    n_test = compared.results.data.test
    columns = ["row", "text_sha1", "label", "step", "predicted", "p_bad", "p_good", "truncated"]
    assert list(predictions.columns) == columns
    assert len(predictions) == 2 * n_test
    for step in compared.results.steps:
        rows = predictions[predictions.step == step.step]
        assert (rows.label == rows.predicted).mean() == pytest.approx(step.accuracy)


def test_the_saved_model_is_the_one_that_was_measured(compared: Comparison, tmp_path: Path) -> None:
    """Predict the test texts again from the model folder: every probability is the same."""
    predictions = compared.predictions().to_pandas()
    corpus = read_corpus(compared.folder.parent / "reviews.csv")
    for step in ("bow", "cbow"):
        rows = predictions[predictions.step == step]
        texts = [corpus.texts[int(row)].as_py() for row in rows.row]
        again = compared.model(step).predict_proba(texts)
        assert again.tolist() == rows[["p_bad", "p_good"]].to_numpy().tolist()


def test_it_learned_something_and_says_what_it_cost(compared: Comparison) -> None:
    for step in compared.results.steps:
        assert step.accuracy > 0.8
        assert step.accuracy_ci[0] <= step.accuracy <= step.accuracy_ci[1]
        assert 0 < step.latency_ms.p50 <= step.latency_ms.p95 <= step.latency_ms.p99
        assert step.peak_rss_mb > 50
        assert step.artifact_bytes == sum(
            file.stat().st_size for file in (compared.folder / "models" / step.step).iterdir()
        )


def test_the_command_in_the_results_does_the_same(compared: Comparison) -> None:
    command = compared.results.run.command
    assert command.startswith("sopan compare ")
    for part in ("--seed 3", "--seeds 2", f"--budget {BUDGET}", "--learning-curve", "--margin 0.02"):
        assert part in command


def test_the_same_command_twice_gives_the_same_predictions(tmp_path: Path) -> None:
    data = tables.reviews(tmp_path / "reviews.csv")
    first, second = (
        usecases.compare(data, tmp_path / name, steps=BOTH, budget=BUDGET, seed=5) for name in ("a", "b")
    )
    assert (first.folder / "predictions.parquet").read_bytes() == (
        second.folder / "predictions.parquet"
    ).read_bytes()
    scores = ("accuracy", "macro_f1", "log_loss", "brier", "ece", "accuracy_ci", "config")
    for one, other in zip(first.results.steps, second.results.steps, strict=True):
        assert [getattr(one, key) for key in scores] == [getattr(other, key) for key in scores]
    assert first.results.pairs == second.results.pairs


def test_leaks_are_removed_before_any_score(tmp_path: Path) -> None:
    rows = tables.opinions({"good": 60, "bad": 60}, {k: tables.ENGLISH[k] for k in ("good", "bad")})
    parts = ["train"] * 80 + ["val"] * 20 + ["test"] * 20
    table = [(*row, part) for row, part in zip(rows, parts, strict=True)]
    table += [(*rows[100], "train"), (*rows[101], "train"), (*rows[102], "val")]
    data = tables.write_csv(tmp_path / "leaky.csv", table, ("text", "label", "split"))
    found = usecases.compare(data, tmp_path / "out", steps=["bow"], budget=BUDGET).results
    assert (found.data.train, found.data.val, found.data.test) == (80, 20, 20)
    leaks = found.data.audit.leaks
    assert (leaks.removed_from_train, leaks.removed_from_val) == (2, 1)
    assert leaks.test_in_train_or_val == 3
    assert found.data.audit.leak_effect.trained_with_leaks.step == "bow"


TWO = {label: tables.ENGLISH[label] for label in ("good", "bad")}
TABLES: dict[str, tuple[Sequence[tuple[str, str]], float]] = {
    "three classes, 5 to 1": (tables.opinions({"good": 250, "bad": 150, "mixed": 50}, tables.ENGLISH), 0.8),
    "short texts": (
        [(text[:140], label) for text, label in tables.opinions({"good": 100, "bad": 100}, TWO)],
        0.7,
    ),
    "Bengali": (tables.opinions({"ভালো": 100, "খারাপ": 100}, tables.BENGALI, "bn"), 0.8),
    "Hindi": (tables.opinions({"अच्छा": 100, "बुरा": 100}, tables.HINDI, "hi"), 0.8),
}


@pytest.mark.parametrize("name", TABLES)
def test_any_labelled_table_works_at_the_first_try(name: str, tmp_path: Path) -> None:
    rows, least = TABLES[name]
    data = tables.write_csv(tmp_path / "table.csv", rows)
    found = usecases.compare(data, tmp_path / "out", steps=BOTH, budget=BUDGET)
    for step in found.results.steps:
        assert step.accuracy >= least, (step.step, step.accuracy)


def test_every_step_joins_in_and_a_step_with_its_variants(tmp_path: Path) -> None:
    data = tables.write_csv(tmp_path / "table.csv", TABLES["three classes, 5 to 1"][0])
    steps = (*(step for step in STEPS if step != "attention"), "attention:global", "attention:local")
    found = usecases.compare(data, tmp_path / "out", steps=steps, budget="1trials")
    jsonschema.validate(found.results.as_json(), results_schema())
    for step in found.results.steps:
        assert step.accuracy >= 0.8, (step.step, step.accuracy)
        trained = step.training
        assert (trained is None) == (step.step in BOTH)
        if trained:
            scores = [epoch.score for epoch in trained.epochs]
            assert scores[trained.best_epoch - 1] == max(scores)
            assert trained.padding < 0.5
    looks = {step.step: step.config["look"] for step in found.results.steps if "look" in step.config}
    assert looks == {"attention:global": "global", "attention:local": "local-p"}
    assert "sopan compare" in found.results.run.command


def test_imbalance_is_tuned_for_and_reported(tmp_path: Path) -> None:
    rows, _ = TABLES["three classes, 5 to 1"]
    data = tables.write_csv(tmp_path / "table.csv", rows)
    found = usecases.compare(data, tmp_path / "out", steps=["bow"], budget=BUDGET).results
    assert found.data.tuned_for == "macro_f1"
    assert any("imbalance" in finding.code for finding in found.data.audit.findings)


@pytest.mark.parametrize("steps", [(*BOTH, "self_attention"), pytest.param(None, marks=pytest.mark.slow)])
def test_four_rows_are_few_but_no_reason_to_break(steps: Sequence[str] | None, tmp_path: Path) -> None:
    data = tables.write_csv(tmp_path / "four.csv", tables.opinions({"good": 2, "bad": 2}, TWO))
    found = usecases.compare(data, tmp_path / "out", steps=steps, budget="1trials").results
    assert found.data.test >= 1
    assert found.label_errors == ()


def test_a_second_comparison_in_a_folder_leaves_no_model_of_the_first(tmp_path: Path) -> None:
    data = tables.reviews(tmp_path / "reviews.csv", each=30)
    for step in ("bow:counts", "bow:tfidf"):
        usecases.compare(data, tmp_path / "out", steps=step, budget="1trials", overwrite=True)
    assert [folder.name for folder in (tmp_path / "out" / "models").iterdir() if folder.is_dir()] == [
        "bow-tfidf"
    ]


def test_the_public_names_stay_what_they_are() -> None:
    """`sopan.compare` is a function, whatever has been imported before it was asked for."""
    code = "import sopan.usecases.comparing, sopan.comparison.report, sopan; print(callable(sopan.compare))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_a_table_in_memory_is_compared_as_a_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.read_csv(tables.reviews(tmp_path / "reviews.csv"))
    frame.to_parquet("reviews.parquet")
    how = {"steps": ("bow",), "budget": "1trials", "unlabelled": frame[["text"]]}
    of_memory, of_file = (usecases.compare(data, **how) for data in (frame, "reviews.parquet"))
    assert of_memory.folder == Path("runs/pandas-DataFrame")
    predictions = [(one.folder / "predictions.parquet").read_bytes() for one in (of_memory, of_file)]
    assert predictions[0] == predictions[1]
    first, second = (one.results.data for one in (of_memory, of_file))
    assert (first.audit, first.fingerprint) == (second.audit, second.fingerprint)
    assert first.name == "a pandas DataFrame of 120 rows"
    assert of_memory.results.run.command == (
        "sopan compare DATA --steps bow --unlabelled UNLABELLED --budget 1trials"
        "  # DATA: a pandas DataFrame of 120 rows, from memory; "
        "UNLABELLED: a pandas DataFrame of 120 rows, from memory"
    )
    config = json.loads((of_memory.folder / "config.json").read_text(encoding="utf-8"))
    assert config["data"]["given"] == config["unlabelled"] == "a pandas DataFrame of 120 rows"
    assert config["data"]["sha256"] == read_corpus(frame).source.sha256
    assert config["data"]["text"] == "text"


def test_seventy_seven_classes(tmp_path: Path) -> None:
    data = tables.write_csv(tmp_path / "intents.csv", tables.topics(77, 40))
    found = usecases.compare(data, tmp_path / "out", steps=BOTH, budget="1trials").results
    assert len(found.data.classes) == 77
    assert all(step.accuracy > 0.8 for step in found.steps)
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("order", ["text first", "label first"])
def test_a_tab_separated_file_without_a_header(order: str, tmp_path: Path) -> None:
    rows = tables.opinions({"good": 60, "bad": 60}, TWO)
    table = rows if order == "text first" else [(label, text) for text, label in rows]
    data = tables.write_csv(tmp_path / "table.tsv", table, header=None)
    found = usecases.compare(data, tmp_path / "out", steps=["bow"], header=False, budget=BUDGET).results
    assert found.data.rows == 120
    assert found.steps[0].accuracy > 0.8


def test_a_comparison_shows_itself_in_a_notebook(compared: Comparison) -> None:
    shown = compared._repr_html_()
    assert "<table" in shown
    assert "bow" in shown
    assert compared.recommended in repr(compared)


def test_json_on_stdout_is_the_object_in_the_file(tmp_path: Path) -> None:
    """As a process of its own."""
    tables.reviews(tmp_path / "reviews.csv")
    command = [sys.executable, "-c", "from sopan.cli import main; main()", "compare", "reviews.csv"]
    command += ["--out", "o", "--steps", "bow", "--budget", BUDGET, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((tmp_path / "o" / "results.json").read_text())


REFUSALS: dict[str, tuple[Sequence[str], str]] = {
    "no such file": (("compare", "absent.csv"), "absent.csv"),
    "no such step": (("compare", "reviews.csv", "--steps", "bov"), "did you mean bow?"),
    "no such variant": (("compare", "reviews.csv", "--steps", "bow:tfidd"), "variant"),
    "a step twice": (("compare", "reviews.csv", "--steps", "bow,bow"), "twice"),
    "an unreadable budget": (("compare", "reviews.csv", "--budget", "soon"), "60s"),
    "too many texts": (("compare", "reviews.csv", "--train", "5000"), "--train"),
    "an unknown rule": (("compare", "reviews.csv", "--tokens", "word"), "did you mean words?"),
    "an unknown column": (("compare", "reviews.csv", "--text", "txt"), "txt"),
    "a file in the way": (("compare", "reviews.csv", "--out", "reviews.csv"), "choose another --out"),
    "an unknown option": (("compare", "reviews.csv", "--sed", "1"), "--seed"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_input_gets_one_line_exit_2_and_no_file(
    name: str, sopan: Sopan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.reviews(tmp_path / "reviews.csv", each=20)
    monkeypatch.chdir(tmp_path)
    arguments, hint = REFUSALS[name]
    code, out, err = sopan(*arguments)
    assert (code, out) == (2, ""), err
    last = err.strip().splitlines()[-1]
    assert last.startswith("sopan: ")
    assert hint in last
    assert not (tmp_path / "runs").exists()
