"""`bert:frozen`: what the encoder reads is kept, a regression fitted on it, and the result is a network."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import need
from quick_steps import LABELS, TEXTS, eagerly
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_bert import PIECES, small_model

from sopan.errors import ConfigError
from sopan.fit.artifact import load_model, save_model
from sopan.fit.served import Served, load_served
from sopan.fit.tune import Budget, tune
from sopan.lm.hugging_face import save_hugging_face
from sopan.steps import make_step, step_class
from sopan.steps.training_data import Memo
from sopan.text.arrow import as_texts
from sopan.text.facts import TrainingFacts
from sopan.types import Labelled

VALIDATION = (TEXTS[::7], LABELS[::7])
NEW = ["Our captain peels the roses.", "", "?", "the baker " * 40]


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "small"
    save_hugging_face(small_model(), folder, card="A small one.")
    return str(folder)


def frozen(preset, memo=None, validation=None, labels=LABELS, **settings):
    estimator = make_step("bert:frozen", preset=preset, **settings)
    return estimator.fit(TEXTS, labels, memo=memo, validation=validation)


@pytest.mark.parametrize(
    "labels", [LABELS, np.where(LABELS == "harbour", "sea", "land")], ids=["three", "two"]
)
def test_it_is_a_regression_on_what_the_encoder_reads(preset, labels):
    """scikit-learn, given the vectors scaled to mean 0 and variance 1, says the same."""
    estimator = frozen(preset, labels=labels, C=0.1)
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-8, max_iter=10_000))
    theirs = peer.fit(estimator.transform(TEXTS).astype(float), labels).predict_proba(
        estimator.transform(NEW)
    )
    np.testing.assert_allclose(estimator.predict_proba(NEW), theirs, atol=0.01)


def test_the_encoder_is_left_as_it_was(preset):
    before, after = small_model().weights(), frozen(preset).state().arrays
    assert {path for path in after if path not in before} == {"logits/kernel", "logits/bias"}
    for path in after.keys() & before.keys():
        np.testing.assert_array_equal(after[path], before[path], err_msg=path)


@pytest.mark.parametrize("summary", ["cls", "third", "joined"])
def test_it_is_saved_served_and_explained_like_any_network(tmp_path, preset, summary):
    estimator = frozen(preset, summary=summary, max_length=8, max_windows=4)
    expected = estimator.logits(TEXTS[:5] + NEW)
    assert "network_" not in vars(estimator)  # nothing so far has asked Keras for one
    save_model(estimator, tmp_path / "model", step="bert:frozen", data={}, metrics={})
    served, loaded = load_served(tmp_path / "model"), load_model(tmp_path / "model")
    for again in (served, loaded):
        np.testing.assert_array_equal(again.logits(TEXTS[:5] + NEW), expected)
    assert isinstance(served, Served)
    upper = [path for path in estimator.state().arrays if path.startswith("block_1/")]
    assert bool(upper) == (summary != "third")  # of two blocks the upper one is neither kept nor computed
    found = estimator.evidence(TEXTS[0])
    np.testing.assert_allclose(found.logits, expected[0], atol=1e-5)
    assert len(found.attention) == (1 if summary == "third" else 2)
    np.testing.assert_array_equal(estimator.logits(TEXTS[:5] + NEW), expected)  # now that there is one


def test_the_windows_of_a_long_text_are_averaged(preset):
    estimator = frozen(preset, max_length=8, max_windows=8)
    parts = ["a b c d e f", "g h i j k l"]
    whole, *apart = estimator.logits([" ".join(parts), *parts])
    np.testing.assert_allclose(whole, np.mean(apart, axis=0), atol=1e-5)
    with pytest.raises(ConfigError, match="averaged"):
        frozen(preset, pool="max")


@pytest.mark.parametrize("summary", ["mean", "first", "third", "joined", "cls"])
def test_trials_share_what_was_read_and_know_the_validation_texts(preset, monkeypatch, summary):
    memo = Memo()
    first = frozen(preset, memo, VALIDATION, summary="cls" if summary == "cls" else "mean", C=1.0)
    monkeypatch.setattr("sopan.steps.frozen.read_through", None)  # nothing is read again
    found = frozen(preset, memo, VALIDATION, summary=summary)
    monkeypatch.undo()
    assert memo.reused_seconds > 0
    np.testing.assert_allclose(found.validation_logits(), found.logits(VALIDATION[0]), atol=1e-4)
    np.testing.assert_allclose(found.logits(NEW), frozen(preset, summary=summary).logits(NEW), atol=1e-5)
    assert frozen(preset).validation_logits() is None
    assert first.training() is None


def test_tuning_chooses_what_is_read_and_how_strongly_it_is_held_back(preset):
    names = tuple(np.unique(LABELS).tolist())
    train = Labelled(as_texts(TEXTS), np.searchsorted(names, LABELS), names)
    tuned = tune(f"bert:frozen@{preset}", train, train, budget=Budget(), fixed={"random_state": 3})
    tried = {(trial.settings["summary"], trial.settings["C"]) for trial in tuned.trials}
    assert len(tried) == len(tuned.trials) == tuned.offered == 20
    assert {summary for summary, _ in tried} == {"mean", "first", "third", "joined"}
    best = max(tuned.trials, key=lambda trial: (trial.accuracy, -trial.log_loss))
    assert tuned.estimator.get_params() | best.settings == tuned.estimator.get_params()
    assert all(trial.settings["random_state"] == 3 and trial.settings["frozen"] for trial in tuned.trials)


def test_candidates_are_those_of_what_is_fixed():
    cls, counts = step_class("bert"), np.array([90, 5])
    fixed = cls.candidates_with(
        TrainingFacts(counts), {"frozen": True, "summary": "mean", "precision": "float32"}
    )
    assert {tuple(sorted(candidate)) for candidate in fixed} == {
        ("C", "class_weight", "frozen", "precision", "summary")
    }
    assert len(fixed) == 10  # five values of C, classes weighed or not
    tuned = cls.candidates_with(TrainingFacts(counts), {"frozen": False})
    assert all("learning_rate" in candidate and "C" not in candidate for candidate in tuned)
    assert sum(candidate.get("frozen_layers") == "half" for candidate in tuned) == 2  # weighed or not
    random = cls.candidates_with(TrainingFacts(counts), {"preset": "scratch"})
    assert not any("frozen_layers" in candidate for candidate in random)


@pytest.mark.parametrize("runtime", ["onnxruntime", "keras"])
def test_any_runtime_reads_for_it(preset, monkeypatch, runtime):
    if runtime == "onnxruntime":
        need("onnxruntime")
        need("onnx")
    expected = frozen(preset, summary="joined").logits(NEW)
    monkeypatch.setenv("SOPAN_RUNTIME", runtime)
    with eagerly():
        found = frozen(preset, summary="joined").logits(NEW)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_pooler_that_is_not_there_is_not_read_through(tmp_path):
    model = small_model(causal=True)  # such a one has none
    save_hugging_face(model, tmp_path / "causal", card="One that reads from the left.")
    with pytest.raises(ConfigError, match="first piece"):
        frozen(str(tmp_path / "causal"), summary="first")
    assert frozen(str(tmp_path / "causal")).wordpiece_.pieces == tuple(PIECES)
