"""What the steps on Keras share: training that resumes to the bit, word vectors, class weights, settings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from quick_steps import EIGHT, LABELS, ON_KERAS, OVER_WORDS, SOIL_OR_SEA, TEXTS, brief, eagerly, quick

from sopan.errors import ConfigError, DataError
from sopan.steps import make_step, neural, step_class
from sopan.steps.training_data import Memo
from sopan.text.facts import TrainingFacts
from sopan.text.vectors import load_word_vectors
from sopan.training import loop
from sopan.training.checkpoint import CheckpointFile
from sopan.training.recipe import Monitor


class BreaksOff(CheckpointFile):
    """A checkpoint on disk whose run is killed after so many snapshots."""

    def __init__(self, path, snapshots):
        super().__init__(path)
        self.left = snapshots

    def write(self, snapshot):
        super().write(snapshot)
        self.left -= 1
        if not self.left:
            raise SystemExit("killed")


@pytest.mark.parametrize("step", ON_KERAS)
def test_a_fit_that_goes_on_after_a_stop_gives_the_bits_of_one_that_never_stopped(
    step, tmp_path, monkeypatch
):
    """The stop is amid the second epoch: two batches an epoch, and a snapshot after each and at its end."""
    settings = {"dropout": 0.3, "min_steps": 6}
    if step in OVER_WORDS:
        settings |= {"word_dropout": 0.2, "embeddings": "random"}
    else:
        settings |= {"max_length": 16}  # all texts are of one length then
    validation = (TEXTS[::3], LABELS[::3])

    def fit(checkpoint=None):
        return quick(step, **settings).fit(
            TEXTS, LABELS, validation=validation, monitor=Monitor(checkpoint=checkpoint)
        )

    whole = fit()
    monkeypatch.setattr(loop, "SNAPSHOT_SECONDS", 0.0)
    path = tmp_path / "trial-0.safetensors"
    with pytest.raises(SystemExit):
        fit(BreaksOff(path, 4))
    position = CheckpointFile(path).read().position
    assert (len(position["at"]["evaluations"]), position["at"]["since"]) == (1, 1)
    resumed = fit(CheckpointFile(path))
    assert resumed.trained_.epochs == whole.trained_.epochs
    for name, array in whole.state().arrays.items():
        np.testing.assert_array_equal(resumed.state().arrays[name], array, err_msg=name)
    np.testing.assert_array_equal(resumed.logits(TEXTS), whole.logits(TEXTS))


# ---- imbalance ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ON_KERAS)
def test_imbalanced_classes_are_tried_with_weights_first(step):
    of = step_class(step).candidates
    assert all("class_weight" not in candidate for candidate in of(TrainingFacts(np.array([50, 50]))))
    uneven = of(TrainingFacts(np.array([500, 20])))
    assert len(uneven) == 2 * len(of(TrainingFacts(np.array([50, 50]))))
    assert [candidate["class_weight"] for candidate in uneven[:2]] == ["balanced", None]


def test_class_weights_make_texts_that_say_nothing_even():
    """All texts are alike, three quarters of one class: the best answer is the share of each class."""
    texts, labels = ["the same words"] * 32, ["common"] * 24 + ["rare"] * 8
    found = {}
    for weight in (None, "balanced"):
        estimator = quick("self_attention", class_weight=weight, embeddings="random")
        found[weight] = estimator.fit(texts, labels).predict_proba(texts[:1])[0]
    np.testing.assert_allclose(found[None], [0.75, 0.25], atol=0.03)
    np.testing.assert_allclose(found["balanced"], [0.5, 0.5], atol=0.03)


# ---- word vectors ------------------------------------------------------------------------------------------


def table_of(estimator):
    return estimator.word_vectors.vectors


def test_word_vectors_come_from_a_file(tmp_path):
    path = tmp_path / "vectors.txt"
    words = ["roses", "tree", "potatoes", "bulbs", "dinghy", "nets", "sail", "gulls", "elsewhere"]
    rng = np.random.default_rng(0)
    rows = [" ".join([word, *(f"{x:.3f}" for x in rng.normal(size=5))]) for word in words]
    path.write_text("\n".join([f"{len(words)} 5", *rows]) + "\n")
    with eagerly():
        estimator = brief("self_attention", embeddings="cbow", vectors=str(path)).fit(EIGHT, SOIL_OR_SEA)
        assert estimator.predict(EIGHT).tolist() == SOIL_OR_SEA
        assert estimator.read(["the captain", "gulls"]).no_known_words.tolist() == [True, False]
    loaded = load_word_vectors(str(path))
    assert estimator.vocabulary_.words == loaded.words
    scaled = (
        loaded.vectors / loaded.vectors.std()
    )  # whatever the file's scale, the network sees a spread of 1
    np.testing.assert_allclose(table_of(estimator), scaled, rtol=1e-5)


def test_a_file_of_vectors_that_is_not_there_is_named():
    with pytest.raises(DataError, match="nowhere") as refusal:
        brief("self_attention", embeddings="cbow", vectors="nowhere.vec").fit(EIGHT, SOIL_OR_SEA)
    assert refusal.value.next_step or refusal.value.where


def test_vectors_from_many_words_or_from_a_file_stay_as_they_are():
    step = make_step("self_attention")
    assert step._learns_vectors(neural.FEW_WORDS - 1)
    assert not step._learns_vectors(neural.FEW_WORDS)
    assert not make_step("self_attention", vectors="some.vec")._learns_vectors(10)
    assert make_step("self_attention", tune_embeddings=True)._learns_vectors(neural.FEW_WORDS)


@pytest.mark.parametrize(
    ("settings", "learns"),
    [
        ({"embeddings": "cbow"}, True),  # so few words gave them that they say little
        ({"embeddings": "cbow", "tune_embeddings": False}, False),
        ({"embeddings": "cbow", "tune_embeddings": True}, True),
        ({"embeddings": "random"}, True),
    ],
)
def test_training_changes_word_vectors_where_it_should(settings, learns):
    with eagerly():
        still, moved = (
            table_of(brief("self_attention", min_steps=1, learning_rate=rate, **settings).fit(TEXTS, LABELS))
            for rate in (1e-8, 0.1)
        )
    assert np.abs(moved - still).max() > 0.01 if learns else np.array_equal(moved, still)


def test_vectors_of_nothing_have_a_spread_of_one_and_no_meaning():
    with eagerly():
        estimator = brief("self_attention", min_steps=1, learning_rate=1e-8).fit(TEXTS, LABELS)
    table = table_of(estimator)
    assert table.std() == pytest.approx(1, abs=1e-3)
    assert abs(table.mean()) < 0.05
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    alike = (unit @ unit.T)[~np.eye(len(unit), dtype=bool)]
    assert alike.std() == pytest.approx(1 / math.sqrt(table.shape[1]), rel=0.2)  # as of random directions


@pytest.mark.parametrize("embeddings", ["random", "cbow"])
def test_texts_without_labels_teach_only_vectors_that_are_learnt_from_texts(embeddings):
    more = ["a rose and a tulip in the garden", "gulls follow the dinghy"]
    with eagerly():
        alone, beside = (
            brief("self_attention", embeddings=embeddings, min_steps=1).fit(TEXTS, LABELS, unlabelled=texts)
            for texts in (None, more)
        )
    assert "garden" not in alone.vocabulary_.words
    assert ("garden" in beside.vocabulary_.words) == (embeddings == "cbow")
    same = alone.vocabulary_.words == beside.vocabulary_.words and np.array_equal(
        alone.logits(TEXTS), beside.logits(TEXTS)
    )
    assert same == (embeddings == "random")


# ---- settings ----------------------------------------------------------------------------------------------


class Watched(Memo):
    """A memo that notes what is made by it: the word vectors, which are the first work of a fit."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def recall(self, key, make):
        self.asked.append(key)
        return super().recall(key, make)


@pytest.mark.parametrize(
    ("step", "settings", "complaint", "remedy"),
    [
        ("self_attention", {"heads": 3}, "3 heads", "multiple"),
        ("transformer", {"heads": 5}, "5 heads", "multiple"),
        ("transformer", {"heads": 1, "width": 33}, "33 is odd", "even"),
        ("transformer", {"attention_dropout": 1.0}, "attention_dropout", "0.95"),
        ("transformer", {"norm": "prenorm"}, "norm='prenorm'", "'pre'"),
        ("transformer", {"positions": "sinusoid"}, "positions", "did you mean sinusoidal"),
        ("transformer", {"depth": 0}, "depth=0", "1"),
        ("attention", {"look": "locale-p"}, "look='locale-p'", "did you mean local-p"),
        ("attention", {"scoring": "multiplicative"}, "scoring", "'general'"),
        ("attention", {"window": 0}, "window=0", "1"),
        ("self_attention", {"summary": "cls"}, "summary='cls'", "'mean'"),
        ("self_attention", {"learning_rate": math.nan}, "learning_rate=nan", "1e-08 to 1"),
        ("self_attention", {"learning_rate": 5}, "learning_rate=5", "nearest that can is 1"),
        ("self_attention", {"epochs": 0}, "epochs=0", "nearest that can is 1"),
        ("self_attention", {"epochs": 2.5}, "epochs=2.5", "whole number"),
        ("self_attention", {"min_steps": 0}, "min_steps=0", "nearest that can is 1"),
        ("self_attention", {"dropout": 1}, "dropout=1", "0.95"),
        ("self_attention", {"max_length": 1}, "max_length=1", "2"),
        ("self_attention", {"embeddings": "word2vec"}, "embeddings", "'cbow'"),
        ("self_attention", {"causal": "yes"}, "causal", "True"),
    ],
)
def test_what_cannot_work_is_refused_with_what_would_before_any_work(step, settings, complaint, remedy):
    memo = Watched()
    with pytest.raises(ConfigError, match=complaint) as refusal:
        quick(step, **settings).fit(TEXTS, LABELS, memo=memo)
    assert remedy in refusal.value.next_step
    assert not memo.asked


def test_a_network_that_computes_in_bfloat16_is_explained_too():
    with eagerly():
        estimator = brief("transformer", precision="bfloat16").fit(EIGHT, SOIL_OR_SEA)
    evidence = estimator.evidence(EIGHT[0])
    found = evidence.base + evidence.contributions.sum(axis=0)
    np.testing.assert_allclose(found, evidence.logits, atol=0.1)
