"""Contenders: their names, the settings given to them, and estimators from outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tables
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sopan.comparison.contenders import check_contenders, parse_settings
from sopan.errors import ConfigError, ModelFolderError, SopanError
from sopan.steps.estimator import EstimatorStep
from sopan.usecases import compare
from sopan.usecases.served.records import read_records

TEXTS = ["good film", "bad film", "good plot", "bad plot", "good", "bad"]
LABELS = ["yes", "no", "yes", "no", "yes", "no"]


def test_settings_are_taken_apart_by_contender() -> None:
    found = parse_settings(
        ["bow.ngrams=1,3", "bow:counts.C=2", "cbow.dimension=50", "bow.nb=0.5", "bow.characters=None"],
        ["bow", "bow:counts", "cbow"],
    )
    assert found == {
        "bow": {"ngrams": (1, 3), "nb": 0.5, "characters": None},
        "bow:counts": {"ngrams": (1, 3), "C": 2, "nb": 0.5, "characters": None},
        "cbow": {"dimension": 50},
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("bow.ngram=1", "bow has no setting 'ngram'; did you mean ngrams?"),
        ("bow.C=-1", "C=-1"),
        ("bow.C=much", "C='much'"),
        ("bow.ngrams", "is no setting"),
        ("C=1", "is no setting"),
        ("cbwo.dimension=5", "'cbwo', which is not compared; did you mean cbow?"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(given: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_settings([given], ["bow", "cbow"])
    assert said in str(refused.value)


def test_a_typo_is_refused_before_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ngrams"):
        compare(tmp_path / "nothing.csv", steps="bow", settings=["bow.ngram=1"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([("bow", LinearSVC())], "is a step of sopan's"),
        ([("mine", "no estimator")], "no classifier"),
        ([("mine", LinearSVC)], "no classifier"),
        ([("mine",)], "is no contender"),
        (["bow", "bow"], "named twice"),
        ([], "no step was named"),
    ],
)
def test_contenders_that_cannot_be_are_refused(given: list[object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_contenders(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("classifier", [LogisticRegression(), LinearSVC(), MultinomialNB()])
def test_an_estimator_predicts_as_it_does_by_itself(classifier: object) -> None:
    pipeline = make_pipeline(TfidfVectorizer(), classifier)
    step = EstimatorStep(pipeline).fit(TEXTS, LABELS)
    alone = pipeline.fit(TEXTS, LABELS)
    assert step.predict(["good", "bad"]).tolist() == alone.predict(["good", "bad"]).tolist()
    if hasattr(alone, "predict_proba"):
        np.testing.assert_allclose(step.predict_proba(TEXTS), alone.predict_proba(TEXTS), atol=1e-9)
    with pytest.raises(ModelFolderError, match="pickle"):
        step.state()


@pytest.mark.parametrize("name", ["bert@./nowhere", "bert:frozen@minilmm"])
def test_a_preset_that_is_not_there_is_refused_before_the_data_are_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SopanError, match="presets: "):
        compare(tmp_path / "nothing.csv", steps=["bow", name])


def test_an_estimator_competes_with_the_steps(tmp_path: Path) -> None:
    data = tmp_path / "reviews.csv"
    tables.reviews(data, each=30)
    mine = make_pipeline(TfidfVectorizer(), MultinomialNB())
    found = compare(
        data, tmp_path / "run", steps=["bow", ("mine", mine)], settings=["bow.C=3"], budget="2trials"
    )
    bow, own = found.results.steps
    assert own.step == "mine"
    assert own.artifact_bytes is None
    assert own.texts_per_second > 0
    assert own.peak_rss_mb > 0
    assert len(own.trials) == 1
    assert "MultinomialNB" in own.config["estimator"]
    assert {trial.settings["C"] for trial in bow.trials} == {3}
    assert sorted(path.name for path in (tmp_path / "run" / "models").glob("[!.]*")) == ["bow"]
    assert found.predictions().filter(found.predictions()["step"].to_numpy() == "mine").num_rows
    assert "mine" in found.report.read_text()
    assert "`mine` was measured and not written: it could only be pickled." in found.results.verdict
    assert [path.name for path in read_records(tmp_path / "run").models] == ["bow"]
