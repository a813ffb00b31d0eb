"""A model that is served without Keras gives what the step gives, and refuses what the step refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from quick_steps import EIGHT, ON_KERAS, SOIL_OR_SEA, brief, eagerly
from safetensors.numpy import load_file, save_file

from sopan.errors import ModelFolderError
from sopan.fit.artifact import load_model, save_model
from sopan.fit.served import Served, load_served
from sopan.steps import STEPS
from sopan.storage.manifest import MANIFEST, write_manifest
from sopan.usecases import evaluate, predict

ODD = ["", "?!… —", "qwrtz xyzzy", "🙂🙂", "x" * 500, "soup " * 200]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model folder of each step."""
    root = tmp_path_factory.mktemp("models")
    with eagerly():
        for step in STEPS:
            settings = {"min_steps": 1} if step in ON_KERAS else {}
            estimator = brief(step, **settings).fit(EIGHT, SOIL_OR_SEA)
            estimator.temperature_ = 1.5
            save_model(estimator, root / step, data={}, metrics={})
    return root


@pytest.mark.parametrize("step", STEPS)
def test_what_is_served_is_what_was_fitted(folders, step):
    served, estimator = load_served(folders / step), load_model(folders / step)
    assert isinstance(served, Served) == (step in ON_KERAS)
    for texts in (EIGHT + ODD, [], ["gulls"]):
        ours, theirs = served.predict_texts(texts), estimator.predict_texts(texts)
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(ours.truncated, theirs.truncated)
        np.testing.assert_array_equal(ours.no_known_words, theirs.no_known_words)
        np.testing.assert_array_equal(served.predict(texts), estimator.predict(texts))
    np.testing.assert_array_equal(served.classes_, estimator.classes_)


@pytest.mark.parametrize("runtime", ["onnxruntime", "keras"])
def test_what_is_served_by_another_runtime_is_the_same(folders, runtime):
    if runtime == "onnxruntime":
        from conftest import need

        need("onnxruntime")
    with eagerly():
        served = load_served(folders / "bert", runtime=runtime)
        found = served.predict_texts(EIGHT + ODD).probabilities
    usual = load_served(folders / "bert").predict_texts(EIGHT + ODD).probabilities
    np.testing.assert_allclose(found, usual, atol=1e-5)


def test_more_texts_than_are_sorted_at_once_keep_their_order(folders, monkeypatch):
    served, texts = load_served(folders / "bert"), EIGHT + ODD
    usual = served.logits(texts)
    monkeypatch.setattr("sopan.text.intake.TEXTS_AT_ONCE", 3)
    np.testing.assert_allclose(served.logits(texts), usual, rtol=1e-5, atol=1e-6)
    assert (
        served.read(texts).truncated.tolist() == load_model(folders / "bert").read(texts).truncated.tolist()
    )


def test_predicting_and_evaluating_go_the_same_way(folders, tmp_path):
    table = tmp_path / "texts.csv"
    rows = [f'"{text}",{label}' for text, label in zip(EIGHT, SOIL_OR_SEA, strict=True)]
    table.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert predict(folders / "bert", file=table, out=tmp_path / "out.parquet")["rows"] == 8
    written = pq.read_table(tmp_path / "out.parquet").to_pylist()
    answers = [predict(folders / "bert", text) for text in EIGHT]
    assert [row["predicted"] for row in written] == [answer["predicted"] for answer in answers]
    for row, answer in zip(written, answers, strict=True):
        assert row["p_sea"] == pytest.approx(answer["probabilities"]["sea"], abs=1e-6)
    right = sum(answer["predicted"] == label for answer, label in zip(answers, SOIL_OR_SEA, strict=True))
    assert evaluate(folders / "bert", table).accuracy == right / 8


@pytest.mark.parametrize("what", ["a weight is missing", "a weight is of another shape", "a vector too few"])
@pytest.mark.parametrize("step", ["bert", "transformer"])
def test_a_network_that_does_not_fit_together_is_refused(folders, tmp_path, step, what):
    folder = tmp_path / step
    folder.mkdir()
    for path in (folders / step).iterdir():
        if path.name not in (MANIFEST, "model.safetensors"):
            (folder / path.name).write_bytes(path.read_bytes())
    arrays = load_file(folders / step / "model.safetensors")
    if what == "a weight is missing":
        del arrays["block_0/attention/qkv/kernel"]
    elif what == "a vector too few":
        arrays["words/embeddings"] = arrays["words/embeddings"][:-1].copy()
    else:
        arrays["logits/kernel"] = arrays["logits/kernel"][:-1].copy()
    save_file(arrays, folder / "model.safetensors")
    write_manifest(folder)
    with pytest.raises(ModelFolderError) as refusal:
        load_served(folder)
    assert "\n" not in str(refusal.value)
    assert refusal.value.next_step


HEAVY = ("tensorflow", "keras", "torch", "jax", "pandas", "sklearn", "scipy", "numba")


def test_one_text_is_classified_without_loading_what_trains(folders):
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from sopan.cli import app\n"
        "done = CliRunner().invoke(app, ['predict', sys.argv[1], 'The gulls, counted', '--json'])\n"
        "print(done.stdout.strip())\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(folders / "bert")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    answer, loaded = done.stdout.splitlines()
    assert loaded == "[]", done.stdout + done.stderr
    assert json.loads(answer) == predict(folders / "bert", "The gulls, counted")
