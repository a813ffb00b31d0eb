"""`stack`, `cascade` and distilled steps in a comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest
import tables

from sopan.comparison.combining import combined, in_order, log_probabilities
from sopan.comparison.comparison import Comparison
from sopan.errors import ConfigError
from sopan.steps.combination import Combination
from sopan.steps.stages import Stage
from sopan.usecases import compare


def test_what_hangs_on_others_runs_after_them() -> None:
    names = ["bow:distilled", "cascade", "bow", "stack", "cbow"]
    assert [names[place] for place in in_order(names)] == ["bow", "cbow", "cascade", "stack", "bow:distilled"]


def test_stages_answer_by_hand() -> None:
    cheap = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    costly = np.array([[0.2, 0.8], [0.2, 0.8], [1.0, 0.0]])
    stages = (Stage((0,), np.array([1.0, 0.0]), 0.8), Stage((1,), np.array([0.5, 1.0])))
    found, answered = combined(stages, [cheap, costly])
    assert answered.tolist() == [0, 1, 1]
    np.testing.assert_allclose(found[0], cheap[0])
    both = np.exp(0.5 * np.log(cheap[1]) + np.log(costly[1]))
    np.testing.assert_allclose(found[1], both / both.sum())
    assert found[2].argmax() == 0
    assert np.isfinite(log_probabilities(costly)).all()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("combining")
    tables.reviews(folder / "reviews.csv", each=60)
    signs = {label: tables.ENGLISH[label] for label in ("good", "bad")}
    more = tables.opinions(dict.fromkeys(signs, 40), signs, seed=9)
    (folder / "more.txt").write_text("".join(f"{text}\n" for text, _ in more))
    return compare(
        folder / "reviews.csv",
        folder / "run",
        steps="stack,bow:distilled,bow,bow:chars,cbow,cascade",
        unlabelled=folder / "more.txt",
        budget="1trials",
    )


def test_they_stand_beside_the_others(run: Comparison) -> None:
    names = [scores.step for scores in run.results.steps]
    assert names == ["bow", "bow:chars", "cbow", "stack", "cascade", "bow:distilled"]
    assert len(run.results.pairs) == 15
    assert {path.name for path in (run.folder / "models").glob("[!.]*")} == {
        "bow", "bow-chars", "cbow", "stack", "cascade", "bow-distilled",
    }  # fmt: skip
    by_name = {scores.step: scores for scores in run.results.steps}
    assert by_name["bow:distilled"].teacher in names[:5]
    assert by_name["bow:distilled"].stages is None
    for name in ("stack", "cascade"):
        stages = by_name[name].stages
        assert stages is not None
        assert sum(stage.answered for stage in stages) == pytest.approx(1)
        assert {member for stage in stages for member in stage.asks} <= {"bow", "bow:chars", "cbow"}
    members = [by_name[name] for name in by_name["stack"].stages[0].weights]
    assert by_name["stack"].fit_seconds == pytest.approx(sum(member.fit_seconds for member in members))
    told = " ".join(run.results.verdict)
    assert "`stack`" in told
    assert "taught by `" in told


@pytest.mark.parametrize("name", ["stack", "cascade", "bow:distilled"])
def test_their_models_give_what_was_measured(run: Comparison, name: str) -> None:
    model = run.model(name)
    assert isinstance(model, Combination) == (name != "bow:distilled")
    kept = run.predictions().filter(pc.field("step") == name)
    texts = pa_csv.read_csv(run.folder.parent / "reviews.csv")["text"]
    probabilities = model.predict_proba(texts.take(kept["row"]).to_pylist())
    columns = [kept[f"p_{label}"].to_numpy() for label in run.results.data.classes]
    np.testing.assert_allclose(probabilities, np.stack(columns, 1), atol=1e-6)


def test_they_need_others_before_the_data_are_read(tmp_path: Path) -> None:
    for steps, said in (
        ("bow,stack", "stack is made of other steps"),
        ("bow,bow:distilled", "--unlabelled"),
        ("bow:distilled", "--unlabelled"),
    ):
        with pytest.raises(ConfigError, match=said):
            compare(tmp_path / "nothing.csv", tmp_path / "run", steps=steps)
