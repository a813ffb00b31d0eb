"""What every step promises: saved is served, one is many, padding is nothing, a seed decides all.

A variant of a step on Keras is another network in the same frame: it is held to learn and to be restored.
"""

from __future__ import annotations

import json
import pickle

import keras
import numpy as np
import pytest
from quick_steps import (
    EIGHT,
    LABELS,
    ON_KERAS,
    OVER_WORDS,
    SOIL_OR_SEA,
    TEXTS,
    TOPICS,
    brief,
    eagerly,
    name_of,
)
from quick_steps import quick as new

from sopan.errors import ConfigError, DataError
from sopan.steps import STEPS, step_class
from sopan.steps.teaching import DISTILLED
from sopan.steps.training_data import Memo
from sopan.text.arrow import as_texts
from sopan.text.batch import FIRST_WORD
from sopan.text.facts import TrainingFacts

VARIANTS = [f"{step}:{v}" for step in STEPS for v in step_class(step).variants if v not in DISTILLED]
OF_NETWORKS = [variant for variant in VARIANTS if name_of(variant) in ON_KERAS]

ODD_TEXTS = ["", "   \n\t", "?!… —", "qwrtz xyzzy", "Zażółć", "🙂🙂", "x" * 50_000, "soup " * 20_000]


def hasty(step, **settings):
    """Make a step that is fitted as fast as can be, whatever it learns."""
    return new(step, **({"min_steps": 1, "max_length": 8} if step in ON_KERAS else {}), **settings)


@pytest.fixture(
    scope="module", params=[*STEPS, *(variant for variant in VARIANTS if variant not in OF_NETWORKS)]
)
def step(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(step):
    return new(step).fit(TEXTS, LABELS)


def test_says_what_it_is(step):
    cls = step_class(step)
    assert cls.name == name_of(step)
    assert STEPS[name_of(step)].adds
    assert STEPS[name_of(step)].lacks
    assert cls.__doc__


def test_learns_the_topics(fitted):
    assert fitted.score(TEXTS, LABELS) == 1.0
    assert fitted.classes_.tolist() == sorted(TOPICS)


def test_learns_eight_examples(step):
    assert new(step).fit(EIGHT, SOIL_OR_SEA).predict(EIGHT).tolist() == SOIL_OR_SEA


@pytest.mark.parametrize("variant", OF_NETWORKS)
def test_every_network_learns_eight_examples_and_is_restored_to_the_same_bits(variant):
    with eagerly():
        estimator = brief(variant).fit(EIGHT, SOIL_OR_SEA)
        assert estimator.predict(EIGHT).tolist() == SOIL_OR_SEA
        twin = brief(variant)
        twin.classes_, twin.temperature_ = estimator.classes_, estimator.temperature_
        twin.restore(estimator.state())
        np.testing.assert_array_equal(twin.logits(EIGHT + ODD_TEXTS), estimator.logits(EIGHT + ODD_TEXTS))


def test_learns_in_bengali_and_hindi(step):
    texts = ["ছবিটা খুব ভালো", "গানগুলো ভালো লাগল", "ছবিটা খুব খারাপ", "গল্পটা খারাপ লাগল"]
    texts += ["फ़िल्म बहुत अच्छी है", "कहानी अच्छी लगी", "फ़िल्म बहुत ख़राब है", "कहानी ख़राब लगी"]
    labels = [1, 1, 0, 0] * 2
    with eagerly():
        assert brief(step).fit(texts, labels).predict(texts).tolist() == labels


def test_what_is_restored_predicts_the_same_bits(step, fitted):
    state = fitted.state()
    twin = new(step)
    twin.classes_, twin.temperature_ = fitted.classes_, fitted.temperature_
    twin.restore(type(state)(json.loads(json.dumps(state.settings)), state.words, dict(state.arrays)))
    assert all(isinstance(word, str) for word in state.words)
    for texts in (TEXTS, ODD_TEXTS):
        np.testing.assert_array_equal(twin.logits(texts), fitted.logits(texts))
        for one, other in zip(twin.read(texts), fitted.read(texts), strict=True):
            np.testing.assert_array_equal(one, other)


def test_pickling_changes_no_bit(fitted):
    twin = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(twin.predict_proba(ODD_TEXTS), fitted.predict_proba(ODD_TEXTS))
    assert twin.get_params() == fitted.get_params()


def test_a_batch_of_one_equals_a_batch_of_many(fitted):
    texts = TEXTS[:7] + ODD_TEXTS
    alone = np.vstack([fitted.logits([text]) for text in texts])
    together = fitted.logits(texts)
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fitted.logits(texts[::-1])[::-1], together, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("step", ON_KERAS, indirect=True, scope="module")
def test_more_padding_changes_nothing_whatever_stands_there(fitted):
    encoded = fitted.windows(as_texts(TEXTS[:3])).clipped.encoded
    lengths = np.diff(encoded.offsets)
    mask = np.arange(24) < lengths[:, None]
    ids = np.zeros(mask.shape, np.int32)
    ids[mask] = encoded.ids
    widest = int(lengths.max())
    narrow = fitted.network_([ids[:, :widest], mask[:, :widest]], training=False)
    wide = fitted.network_([np.where(mask, ids, FIRST_WORD), mask], training=False)
    for name in ("logits", "vector"):
        np.testing.assert_allclose(numpy(wide[name]), numpy(narrow[name]), rtol=1e-5, atol=1e-5)
    for one, other in zip(wide["attention"], narrow["attention"], strict=True):
        for row, length in enumerate(lengths):
            queries = length if other.shape[-2] == widest else other.shape[-2]
            kept = numpy(one)[row, :, :queries]
            np.testing.assert_allclose(kept[..., :length], numpy(other)[row, :, :queries, :length], atol=1e-5)
            assert (kept[..., length:] == 0).all()


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("step", OVER_WORDS, indirect=True, scope="module")
def test_a_text_that_is_too_long_loses_its_middle_and_says_so(fitted):
    words = " ".join(TEXTS).replace(",", "").split()
    read = fitted.read([" ".join(words[:16]), " ".join(words[:17]), " ".join(words[:8] + words[-8:])])
    assert fitted.max_length == 16
    assert read.truncated.tolist() == [False, True, False]
    long = fitted.read([" ".join(words)])
    assert long.truncated.tolist() == [True]
    np.testing.assert_allclose(long.logits[0], read.logits[2], rtol=1e-5, atol=1e-5)


def test_no_texts_give_no_predictions(fitted):
    assert fitted.predict_proba([]).shape == (0, 3)
    assert fitted.predict([]).shape == (0,)


def test_the_same_seed_gives_the_same_bits(step, fitted):
    again = new(step).fit(TEXTS, LABELS).state()
    state = fitted.state()
    assert again.words == state.words
    assert again.settings == state.settings
    for name, array in state.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array, err_msg=name)


def test_a_memo_changes_nothing_but_the_time(step):
    memo = Memo()
    with eagerly():
        alone = hasty(step).fit(TEXTS, LABELS).logits(TEXTS)
        for _ in range(2):
            np.testing.assert_array_equal(hasty(step).fit(TEXTS, LABELS, memo=memo).logits(TEXTS), alone)
    assert memo.reused_seconds > 0


def test_every_probability_is_finite_and_rows_sum_to_one(fitted):
    for texts in (TEXTS, ODD_TEXTS):
        probabilities = fitted.predict_proba(texts)
        assert np.isfinite(probabilities).all()
        assert (probabilities >= 0).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)


def test_texts_without_known_words_are_flagged(fitted):
    prediction = fitted.predict_texts(["", " \t ", "?!…", "Жыҙ", TEXTS[0]])
    assert prediction.no_known_words.tolist() == [True, True, True, True, False]
    assert not prediction.truncated.any()
    np.testing.assert_array_equal(prediction.probabilities[0], prediction.probabilities[1])


def test_a_prediction_is_its_probabilities_and_its_flags(fitted):
    prediction, (_, truncated, unknown) = fitted.predict_texts(TEXTS[:3]), fitted.read(TEXTS[:3])
    np.testing.assert_array_equal(prediction.probabilities, fitted.predict_proba(TEXTS[:3]))
    np.testing.assert_array_equal(prediction.truncated, truncated)
    np.testing.assert_array_equal(prediction.no_known_words, unknown)


def test_the_temperature_softens_without_changing_the_prediction(fitted, monkeypatch):
    sharp = fitted.predict_proba(TEXTS)
    monkeypatch.setattr(fitted, "temperature_", 5.0)
    soft = fitted.predict_proba(TEXTS)
    assert soft.max(axis=1).mean() < sharp.max(axis=1).mean()
    np.testing.assert_array_equal(soft.argmax(axis=1), sharp.argmax(axis=1))


LABEL_KINDS = {
    "str": ("no", "yes"),
    "int": (3, 11),
    "bool": (False, True),
    "whole float": (-1.0, 2.0),
    "numpy str": (np.str_("a"), np.str_("b")),
}


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        pytest.param(step, kind, marks=[pytest.mark.slow] * (place % len(LABEL_KINDS) != number))
        if step in ON_KERAS
        else (step, kind)
        for place, step in enumerate(STEPS)
        for number, kind in enumerate(LABEL_KINDS)
    ],
)
def test_labels_of_any_kind_come_back_as_they_were(step, kind):
    """Each network with one kind, the others are slow tests: labels are taken in by `sopan.steps.base`."""
    names = LABEL_KINDS[kind]
    labels = [names[i % 2] for i in range(8)]
    texts = [f"{'soup' if i % 2 else 'gull'} number{i}" for i in range(8)]
    with eagerly():
        estimator = brief(step, **({"min_steps": 4} if step in ON_KERAS else {})).fit(texts, labels)
        assert estimator.classes_.tolist() == list(names)
        assert estimator.predict(texts).tolist() == labels
        assert estimator.predict(texts).dtype == np.asarray(labels).dtype


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (["x"] * 4, "one class"),
        (["x", "y", "x"], "3"),
        ([["x"], ["y"], ["x"], ["y"]], "shape"),
        (["x", None, "y", "x"], "missing"),
        ([1.0, float("nan"), 2.0, 1.0], "missing"),
        ([0.1, 0.2, 0.3, 0.4], "continuous"),
    ],
)
def test_labels_that_cannot_be_learnt_are_refused(step, labels, complaint):
    with pytest.raises(DataError, match=complaint):
        new(step).fit(TEXTS[:4], labels)


def test_empty_texts_are_refused(step):
    with pytest.raises(DataError, match="no words"):
        new(step).fit(["", " ", "\n", ""], [0, 1, 0, 1])


@pytest.mark.parametrize("step", STEPS)
def test_nothing_but_punctuation_is_refused(step):
    with pytest.raises(DataError, match="no words"):
        new(step).fit(["?!", "…", "--", " "], [0, 1, 0, 1])


@pytest.mark.parametrize("texts", [["a", None, "b", "c"], ["a", 7, "b", "c"], ["a", "\ud800", "b", "c"]])
def test_what_is_not_a_text_is_refused(step, fitted, texts):
    with pytest.raises(DataError):
        new(step).fit(texts, [0, 1, 0, 1])
    with pytest.raises(DataError):
        fitted.predict(texts)


@pytest.mark.parametrize("setting", ["a number", "tokens", "class_weight"])
def test_a_setting_that_cannot_work_is_refused_before_any_work(step, setting):
    if setting == "a number":
        setting = "learning_rate" if step in ON_KERAS else "C"
    if (setting, step) == ("tokens", "bert"):
        setting = "long_texts"  # its pieces are cut in one way
    with pytest.raises(ConfigError, match=setting) as refusal:
        new(step, **{setting: "blue"}).fit(TEXTS, LABELS)
    assert refusal.value.next_step


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "counts",
    [pytest.param([20, 20, 20], marks=pytest.mark.slow), [65, 15, 15]],
    ids=["balanced", "imbalanced"],  # the second has all candidates of the first, and more
)
def test_every_candidate_can_be_fitted(step, counts):
    labels = np.repeat(list(TOPICS), np.array(counts) // 5)
    texts = np.resize(TEXTS, len(labels)).tolist()
    candidates, memo = step_class(step).candidates(TrainingFacts(np.array(counts))), Memo()
    assert candidates
    assert all(candidates.count(candidate) == 1 for candidate in candidates)
    with eagerly():
        for candidate in candidates:
            estimator = hasty(step, **candidate).fit(texts, labels, memo=memo)
            assert np.isfinite(estimator.logits(texts)).all()


def test_a_fit_ignores_or_uses_further_texts_without_labels(step):
    estimator = new(step).fit(TEXTS, LABELS, unlabelled=["the gulls follow the dinghy", "a rose and a tulip"])
    assert estimator.score(TEXTS, LABELS) == 1.0


def test_the_evidence_adds_up_to_the_logits(fitted):
    for text in (TEXTS[0], "", "?!… —", "qwrtz xyzzy", "soup", "Zażółć soup, 🙂 gulls " * 10):
        found = fitted.evidence(text)
        n, change = len(found.tokens.words), np.abs(found.logits - found.base).max()
        np.testing.assert_allclose(found.logits, fitted.logits([text])[0], rtol=1e-5, atol=1e-5)
        allowed = 1e-4 if found.method == "exact" else 0.03 * max(1, change)
        assert np.abs(found.base + found.contributions.sum(axis=0) - found.logits).max() <= allowed
        assert not found.contributions[~found.read].any()
        assert found.read.any() != fitted.read([text]).no_known_words[0]
        for weights in found.attention:
            assert weights.shape[2] == len(found.attended) <= n
            assert found.method == "exact" or name_of(fitted.name) == "bert" or weights.shape[2] == min(n, 16)
            assert np.isfinite(weights).all()
            assert (weights.sum(axis=2) <= 1 + 1e-4).all()
