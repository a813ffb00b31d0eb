"""The cbow step: pooling by hand, what it learns, what it refuses, and its way back from its state."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from sopan.errors import ConfigError, DataError
from sopan.steps import make_step
from sopan.steps.cbow import CBOW
from sopan.steps.embedding import bag, common_component, pool, without_component, word_weights
from sopan.steps.linear import fit_standardised
from sopan.steps.training_data import Memo
from sopan.text.facts import TrainingFacts
from sopan.text.vectors import WordVectors, save_word2vec, usable_vectors
from sopan.types import Encoded

QUICK = {"dimension": 12, "window": 5, "epochs": 12, "subsample": 0.0, "min_count": 1}
WARM = ["warm", "funny", "gentle", "bright", "happy"]
COLD = ["cold", "dull", "bitter", "grey", "noisy"]


def some_texts(n=80, seed=0):
    """Made-up reviews: five words of one mood each among words of no mood."""
    rng = np.random.default_rng(seed)
    filler = ["the", "a", "film", "scene", "story", "was", "and", "of", "with"]
    texts, labels = [], []
    for i in range(n):
        mood = (WARM, COLD)[i % 2]
        words = [*rng.choice(mood, 4), *rng.choice(filler, 8)]
        rng.shuffle(words)
        texts.append(" ".join(words))
        labels.append(("liked", "disliked")[i % 2])
    return texts, labels


@pytest.fixture(scope="module")
def fitted():
    return CBOW(**QUICK).fit(*some_texts())


def test_it_learns_moods_and_places_words_of_a_mood_together(fitted):
    texts, labels = some_texts(seed=1)
    assert (fitted.predict(texts) == labels).mean() >= 0.95
    cosines = dict(fitted.word_vectors.nearest("funny", 99))
    assert min(cosines[word] for word in WARM if word != "funny") > max(cosines[word] for word in COLD)


def test_words_met_only_in_unlabelled_texts_are_understood():
    texts, labels = some_texts(40)
    unlabelled, _ = some_texts(200, seed=3)
    unlabelled = [text.replace("gentle", "mild").replace("bitter", "sour") for text in unlabelled]
    step = CBOW(**QUICK, nb=0.0).fit(texts, labels, unlabelled=unlabelled)
    assert step.predict(["mild mild film", "the sour scene"]).tolist() == ["liked", "disliked"]


def test_the_same_seed_gives_the_same_bits_and_another_gives_others(fitted):
    texts, _ = some_texts(seed=1)
    again = clone(fitted).fit(*some_texts())
    assert again.logits(texts).tobytes() == fitted.logits(texts).tobytes()
    other = CBOW(**QUICK, random_state=1).fit(*some_texts())
    assert other.vectors_.tobytes() != fitted.vectors_.tobytes()


def test_several_threads_learn_too():
    texts, labels = some_texts(seed=1)
    step = CBOW(**QUICK, deterministic=False, n_jobs=2).fit(*some_texts())
    assert (step.predict(texts) == labels).mean() >= 0.95


@pytest.mark.parametrize("pooling", ["mean", "idf", "sif"])
def test_a_restored_step_predicts_the_same_bits(pooling):
    texts = [*some_texts(seed=1)[0], "", "unheard"]
    step = CBOW(**QUICK, pooling=pooling).fit(*some_texts())
    twin = CBOW(**step.get_params())
    twin.classes_ = step.classes_
    twin.restore(step.state())
    assert twin.logits(texts).tobytes() == step.logits(texts).tobytes()
    assert twin.transform(texts).tobytes() == step.transform(texts).tobytes()


def test_arrays_that_do_not_go_together_are_not_restored(fitted):
    state = fitted.state()
    state.arrays["center"] = state.arrays["center"][1:]
    with pytest.raises(DataError, match=r"'center' has shape \(11,\), not \(12,\)"):
        CBOW(**QUICK).restore(state)


def test_one_text_is_scored_as_among_many(fitted):
    texts, _ = some_texts(seed=1)
    alone = np.vstack([fitted.logits([text]) for text in texts])
    np.testing.assert_allclose(alone, fitted.logits(texts), rtol=1e-5, atol=1e-5)


def test_texts_without_known_words_are_flagged_and_score_like_the_average_text(fitted):
    prediction = fitted.predict_texts(["", "?!", "unheard words", "a warm film"])
    assert prediction.no_known_words.tolist() == [True, True, True, False]
    assert not prediction.truncated.any()
    assert prediction.probabilities.sum(axis=1) == pytest.approx(1)
    pooled = fitted.transform(some_texts()[0]).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(fitted.logits([""]), fitted.model_.logits(pooled), rtol=1e-4, atol=1e-4)


def test_trials_of_one_tuning_share_the_word_vectors():
    memo = Memo()
    first = CBOW(**QUICK).fit(*some_texts(), memo=memo)
    second = CBOW(**QUICK, pooling="sif", C=1.0).fit(*some_texts(), memo=memo)
    other = CBOW(**{**QUICK, "window": 2}).fit(*some_texts(), memo=memo)
    assert second.vectors_ is first.vectors_
    assert other.vectors_ is not first.vectors_
    assert memo.reused_seconds > 0


def test_every_candidate_is_a_valid_setting_and_variants_are_the_plain_poolings():
    for counts in ([40, 40], [50, 10]):
        for settings in CBOW.candidates(TrainingFacts(np.array(counts))):
            CBOW(**settings).check_settings()
    assert {c["class_weight"] for c in CBOW.candidates(TrainingFacts(np.array([50, 10])))} == {
        None,
        "balanced",
    }
    assert make_step("cbow:sif").get_params()["pooling"] == "sif"
    assert make_step("cbow:mean").get_params()["nb"] == 0


def test_three_classes():
    texts = ["red red apple", "apple pear", "dog cat", "cat cow", "car bus", "bus van"] * 4
    labels = np.array([7, 7, 8, 8, 9, 9] * 4)
    step = CBOW(**QUICK).fit(texts, labels)
    assert (step.predict(texts) == labels).all()
    assert step.predict_proba(["pear"]).shape == (1, 3)


REFUSED = [
    ("pooling", "men", "did you mean mean"),
    ("tokens", "letters", "choices: 'words', 'sklearn', 'words-1'"),
    ("distinct", 2, "choices: True, False"),
    ("C", 0, "the nearest that can is 1e-09"),
    ("C", float("nan"), "give a number"),
    ("nb", -1, "the nearest that can is 0"),
    ("dimension", 2.5, "give a whole number from 1 to 4096"),
    ("window", True, "give a whole number"),
    ("epochs", 0, "the nearest that can is 1"),
    ("learning_rate", 0, "the nearest that can is 1e-06"),
    ("subsample", 1.5, "the nearest that can is 1"),
    ("random_state", None, "give a whole number"),
    ("n_jobs", 0, "the nearest that can is 1"),
]


@pytest.mark.parametrize(("name", "value", "remedy"), REFUSED)
def test_a_setting_that_cannot_work_is_refused_by_name(name, value, remedy):
    with pytest.raises(ConfigError, match=f"{name}=.* cannot work; {remedy}"):
        CBOW(**{name: value}).fit(*some_texts(4))


def test_texts_that_cannot_be_learnt_from_are_refused():
    with pytest.raises(DataError, match="one class"):
        CBOW(**QUICK).fit(["a b", "b c"], ["x", "x"])
    with pytest.raises(DataError, match="no words"):
        CBOW(**QUICK).fit(["?", "!"], ["x", "y"])


# ---- loaded vectors ----------------------------------------------------------------------


def test_vectors_from_a_file_take_the_place_of_training(tmp_path):
    words = (*WARM, *COLD, "New_York", "Cold", "film")
    rng = np.random.default_rng(0)
    sides = np.array([1.0] * 5 + [-1.0] * 5 + [0.0] * 3)
    rows = np.column_stack([sides, rng.normal(size=(13, 2)) / 4]).astype(np.float32)
    save_word2vec(WordVectors(words, rows), tmp_path / "v.txt")
    step = CBOW(vectors=str(tmp_path / "v.txt")).fit(*some_texts(20))
    assert set(step.vocabulary_.words) == {*WARM, *COLD, "film"}
    assert step.epochs_ == 0
    texts, labels = some_texts(seed=1)
    assert (step.predict(texts) == labels).mean() >= 0.95
    np.testing.assert_array_equal(step.word_vectors["dull"], rows[words.index("dull")])


def test_vectors_of_which_no_word_can_come_up_are_refused():
    capitals = WordVectors(("Warm", "Cold"), np.ones((2, 2), np.float32))
    with pytest.raises(DataError, match="no word of the vectors' file can come up"):
        usable_vectors(capitals, "words", lowercase=True)
    assert usable_vectors(capitals, "words", lowercase=False).words == ("Warm", "Cold")


# ---- pooling, by hand --------------------------------------------------------------------


def test_a_bag_counts_known_words():
    encoded = Encoded(np.array([1, -1, 1, 0, -1], np.int32), np.array([0, 3, 4, 5, 5]))
    assert bag(encoded, 3, distinct=False).toarray().tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert bag(encoded, 3, distinct=True).toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_weights_by_hand():
    word_counts, text_counts = np.array([6, 3, 1]), np.array([3, 1, 0])
    assert word_weights("mean", word_counts, text_counts, 3).tolist() == [1, 1, 1]
    idf = word_weights("idf", word_counts, text_counts, 3)
    np.testing.assert_allclose(idf, [1, 1 + np.log(2), 1 + np.log(4)])
    sif = word_weights("sif", word_counts, text_counts, 3)
    np.testing.assert_allclose(sif, [0.001 / 0.601, 0.001 / 0.301, 0.001 / 0.101])


def test_pooling_is_a_weighted_mean_and_nothing_pools_to_zero():
    counts = bag(Encoded(np.array([0, 1, 1], np.int32), np.array([0, 3, 3])), 2, distinct=False)
    vectors, weights = np.float32([[4, 0], [0, 8]]), np.float32([2, 1])
    np.testing.assert_allclose(pool(counts, weights, vectors), [[2, 4], [0, 0]])


def test_the_common_component_is_the_first_singular_vector_and_is_removed():
    rng = np.random.default_rng(0)
    pooled = rng.normal([3, 0, 0, 1], size=(50, 4)).astype(np.float32)
    direction = common_component(pooled)
    first = np.linalg.svd(pooled)[2][0]
    assert abs(direction @ first) == pytest.approx(1, abs=1e-5)
    rest = without_component(pooled, direction)
    np.testing.assert_allclose(rest @ direction, 0, atol=1e-5)
    np.testing.assert_allclose(rest, pooled - np.outer(pooled @ first, first), atol=1e-5)


def test_the_folded_classifier_does_not_depend_on_the_features_scale():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 3)).astype(np.float32), np.arange(60) % 2
    features[:, 0] += labels
    features[:, 2] = 5  # a constant feature says nothing and must not divide by zero
    moved = (features * [10, 0.1, 3] + [0, 7, 1]).astype(np.float32)
    ours = fit_standardised(features, labels, C=0.1, class_weight=None).logits(features)
    theirs = fit_standardised(moved, labels, C=0.1, class_weight=None).logits(moved)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def test_in_little_text_a_word_that_occurs_once_has_a_vector():
    texts = [f"word{i} of the sea" if i % 2 else f"word{i} in a soup" for i in range(1200)]
    labels = [i % 2 for i in range(1200)]
    once = CBOW(dimension=8, epochs=1).fit(texts, labels)
    assert len(once.vocabulary_.words) == 1206
    long = CBOW(dimension=8, epochs=1).fit([f"{text} {text[-4:] * 80}" for text in texts], labels)
    assert "word7" not in long.vocabulary_.words


def test_short_phrases_are_learnt_in_one_reading():
    """Passes go by the amount of text, so that giving it twice teaches hardly more."""
    texts, labels = short_phrases(2400)
    train, unseen = slice(0, 1200), slice(1200, None)
    once = CBOW().fit(texts[train], labels[train])
    twice = CBOW().fit(texts[train] * 2, labels[train] * 2)
    scores = [each.score(texts[unseen], labels[unseen]) for each in (once, twice)]
    assert scores[1] - scores[0] < 0.02  # two standard errors of so few
    assert scores[0] > np.mean(np.array(labels[unseen]) == "bad")


def short_phrases(count: int) -> tuple[list[str], list[str]]:
    """Return phrases of two or three words, some of which lean to one side, and which prevails."""
    rng = np.random.default_rng(3)
    stems = [
        a + b + c for a in "bdfgklmn" for b in ("a", "e", "io", "u") for c in ("st", "rk", "ng", "lp", "mb")
    ]
    leanings = np.where(rng.random(len(stems)) < 0.5, rng.normal(size=len(stems)), 0)
    said = [rng.choice(len(stems), rng.integers(2, 4)) for _ in range(count)]
    opinions = [leanings[words].sum() + 0.2 * rng.normal() for words in said]
    return [" ".join(stems[word] for word in words) for words in said], [
        "good" if opinion > 0.5 else "bad" for opinion in opinions
    ]
