from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from sopan.errors import ConfigError, DataError
from sopan.steps.bow import BagOfWords
from sopan.steps.feature_weights import FEW_TEXTS, class_log_count_ratio, log_count_ratio, weigh
from sopan.steps.one_vs_rest import STRENGTHS, WITHOUT_VALIDATION
from sopan.steps.training_data import Memo
from sopan.text.facts import TrainingFacts
from sopan.types import StepState

TEXTS = ["warm bread and good soup", "good warm tea", "cold bread and bad soup", "bad cold tea"]
LABELS = ["nice", "nice", "poor", "poor"]


def features(estimator: BagOfWords) -> list[str]:
    return [word for block in estimator.blocks_ for word in block.counter.features.to_pylist()]


# ---- weighing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tf", "expected"),
    [("counts", [3, 0, 4]), ("binary", [1, 0, 1]), ("sublinear", [1 + np.log(3), 0, 1 + np.log(4)])],
)
def test_weighs_by_hand(tf, expected):
    counts = sp.csr_matrix(np.array([[3, 0, 4], [0, 0, 0], [0, 7, 0]]))
    rows = weigh(counts, tf, np.ones(3, np.float32))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(
        rows.toarray(), [np.array(expected) / np.linalg.norm(expected), [0, 0, 0], [0, 1, 0]], rtol=1e-6
    )


def test_idf_weighs_before_rows_get_length_one():
    counts = sp.csr_matrix(np.array([[1, 1]]))
    np.testing.assert_allclose(weigh(counts, "binary", np.float32([3, 4])).toarray(), [[0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("tf", ["counts", "binary", "sublinear"])
def test_weighing_in_many_rows_on_every_core_equals_numpy(tf, monkeypatch):
    monkeypatch.setattr("sopan.steps.feature_weights.SHARE_ENTRIES", 64)
    rng = np.random.default_rng(0)
    counts = sp.csr_matrix(rng.poisson(0.3, (500, 40)).astype(np.int64) * rng.integers(0, 900, (500, 1)))
    idf = rng.uniform(1, 9, 40).astype(np.float32)
    n = counts.toarray().astype(np.float64)
    with np.errstate(divide="ignore"):
        weights = {"counts": n, "binary": np.sign(n), "sublinear": np.where(n > 0, 1 + np.log(n), 0)}[
            tf
        ] * idf
    lengths = np.linalg.norm(weights, axis=1, keepdims=True)
    np.testing.assert_allclose(
        weigh(counts, tf, idf).toarray(), weights / np.maximum(lengths, 1e-300), rtol=1e-7
    )


def test_log_count_ratio_by_hand():
    # Three features in four texts, two of each class. Class 1 holds them 2, 1, 0 times, the other 0, 1, 1.
    held = sp.csr_array(np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    members = np.array([True, True, False, False])
    share = (3 + 1) / (5 + 2)  # of all the features held, by class 1's texts
    expected = [
        np.log((2 / share + 2) / 2),
        np.log((1 / share + 2) / (1 / (1 - share) + 2)),
        np.log(2 / (1 / (1 - share) + 2)),
    ]
    np.testing.assert_allclose(class_log_count_ratio(held, members), expected)
    np.testing.assert_allclose(class_log_count_ratio(held, ~members), -np.array(expected))
    np.testing.assert_allclose(log_count_ratio(held, np.array([1, 1, 0, 0])), np.abs(expected))


def test_a_feature_that_says_nothing_has_ratio_zero_however_unequal_the_classes():
    held = sp.csr_array(np.ones((1000, 1)))
    members = np.arange(1000) < 10
    assert abs(class_log_count_ratio(held, members)[0]) < 0.1


def test_log_count_ratio_takes_the_strongest_class():
    held = sp.csr_array(np.eye(3)[[0, 0, 0, 1, 1, 2]])
    labels = np.array([0, 0, 0, 1, 1, 2])
    each = [np.abs(class_log_count_ratio(held, labels == c)) for c in range(3)]
    np.testing.assert_array_equal(log_count_ratio(held, labels), np.max(each, axis=0))


# ---- what the features are -------------------------------------------------------------------


def test_features_are_word_ngrams():
    estimator = BagOfWords(ngrams=(1, 2)).fit(["red fish", "blue fish"], [0, 1])
    assert features(estimator) == ["blue", "blue fish", "fish", "red", "red fish"]


def test_features_are_words_then_characters():
    estimator = BagOfWords(ngrams=(1, 1), characters=(3, 3)).fit(["ab", "cd"], [0, 1])
    assert features(estimator) == ["ab", "cd", " ab", " cd", "ab ", "cd "]
    root = np.sqrt(0.5)
    np.testing.assert_allclose(
        estimator.transform(["ab zz"]).toarray(), [[1, 0, root, 0, root, 0]], rtol=1e-6
    )


def test_character_weight_is_the_length_of_their_part_of_a_row():
    estimator = BagOfWords(ngrams=(1, 1), characters=(2, 3), character_weight=0.5).fit(TEXTS, LABELS)
    rows, words = estimator.transform(TEXTS).toarray(), len(estimator.blocks_[0].counter)
    np.testing.assert_allclose(np.linalg.norm(rows[:, :words], axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows[:, words:], axis=1), 0.5, rtol=1e-6)


def test_what_occurs_once_is_kept_only_where_texts_are_few():
    few = [f"word{i} shared" for i in range(FEW_TEXTS - 1)]
    many = [*few, "one more shared"]
    labels = np.arange(FEW_TEXTS) % 2
    assert len(features(BagOfWords(ngrams=(1, 1)).fit(few, labels[1:]))) == len(few) + 1
    assert features(BagOfWords(ngrams=(1, 1)).fit(many, labels)) == ["shared"]
    assert len(features(BagOfWords(ngrams=(1, 1), min_df=1).fit(many, labels))) == FEW_TEXTS + 2


def test_max_features_keeps_the_most_frequent():
    estimator = BagOfWords(ngrams=(1, 1), max_features=2).fit(["a a a b b c", "a b d"], [0, 1])
    assert features(estimator) == ["a", "b"]


def test_lowercase_and_the_token_rule_are_obeyed():
    texts, labels = ["Ab cd", "ab i"], [0, 1]
    assert features(BagOfWords(ngrams=(1, 1), lowercase=False).fit(texts, labels)) == ["Ab", "ab", "cd", "i"]
    assert features(BagOfWords(ngrams=(1, 1), tokens="sklearn").fit(texts, labels)) == ["ab", "cd"]


# ---- what it learns --------------------------------------------------------------------------


def test_bigrams_see_a_negation_that_words_do_not():
    texts = ["not good", "good", "not bad", "bad", "not good at all", "so good", "not bad at all", "so bad"]
    labels = [0, 1, 1, 0, 0, 1, 1, 0]
    assert BagOfWords(ngrams=(1, 2), nb=0.0, C=1000.0).fit(texts, labels).score(texts, labels) == 1.0
    assert BagOfWords(ngrams=(1, 1), nb=0.0, C=1000.0).fit(texts, labels).score(texts, labels) < 1.0


def test_characters_see_through_endings_and_misspellings():
    texts = ["wonderful", "wonderfully", "dreadful", "dreadfully"] * 2
    estimator = BagOfWords(characters=(2, 5)).fit(texts, [1, 1, 0, 0] * 2)
    assert estimator.predict(["wonderfull", "dreadfull"]).tolist() == [1, 0]
    words = BagOfWords().fit(texts, [1, 1, 0, 0] * 2)
    assert words.read(["wonderfull", "dreadfull"]).no_known_words.all()


def test_balanced_class_weight_helps_the_small_class():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [300, 30])
    texts = [" ".join(f"w{w}" for w in rng.poisson(8 + 4 * y, 6)) for y in labels]
    unseen = [" ".join(f"w{w}" for w in rng.poisson(12, 6)) for _ in range(200)]
    recall = {
        weight: (BagOfWords(class_weight=weight, C=1.0).fit(texts, labels).predict(unseen) == 1).mean()
        for weight in (None, "balanced")
    }
    assert recall["balanced"] > recall[None] + 0.2


def test_two_classes_need_one_column_of_weights_and_more_need_one_each():
    assert BagOfWords().fit(TEXTS, LABELS).model_.weights.shape[1] == 1
    assert BagOfWords().fit(TEXTS, ["a", "b", "c", "c"]).model_.weights.shape[1] == 3


def test_seventy_seven_classes():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(77), 8)
    texts = [f"topic{y} asks w{rng.integers(50)} about w{rng.integers(50)}" for y in labels]
    estimator = BagOfWords().fit(texts, labels)
    assert estimator.score(texts, labels) == 1.0
    assert estimator.predict_proba(texts[:5]).shape == (5, 77)


def test_the_memo_tells_different_features_apart():
    memo = Memo()
    for settings in ({"ngrams": (1, 1)}, {"ngrams": (1, 2)}, {"tf": "binary"}, {"idf": False}, {"min_df": 2}):
        alone, shared = BagOfWords(**settings).fit(TEXTS, LABELS), BagOfWords(**settings)
        np.testing.assert_array_equal(
            shared.fit(TEXTS, LABELS, memo=memo).logits(TEXTS), alone.logits(TEXTS), err_msg=str(settings)
        )


def test_trials_that_differ_in_the_classifier_alone_share_their_features():
    memo = Memo()
    BagOfWords(C=1.0).fit(TEXTS, LABELS, memo=memo)
    assert memo.reused_seconds == 0
    BagOfWords(C=9.0, nb=1.0, class_weight="balanced").fit(TEXTS, LABELS, memo=memo)
    assert memo.reused_seconds > 0


# ---- what it refuses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"tf": "sublinaer"}, "did you mean sublinear?"),
        ({"tokens": "word"}, "did you mean words?"),
        ({"class_weight": "balance"}, "did you mean balanced?"),
        ({"class_weight": {0: 1}}, "choices: 'balanced', None"),
        ({"idf": 1}, "choices: True, False"),
        ({"C": 0}, "the nearest that can is 1e-09"),
        ({"C": float("nan")}, "give a number from 1e-09"),
        ({"C": "ten"}, "give a number from 1e-09"),
        ({"nb": -0.5}, "the nearest that can is 0"),
        ({"nb": True}, "give a number from 0 to 10"),
        ({"min_df": 0}, "the nearest that can is 1"),
        ({"min_df": 0.5}, "give a whole number"),
        ({"max_features": -3}, "the nearest that can is 1"),
        ({"ngrams": (0, 2)}, r"the nearest that can is \(1, 2\)"),
        ({"ngrams": (3, 2)}, r"the nearest that can is \(2, 3\)"),
        ({"ngrams": (1, 99)}, r"the nearest that can is \(1, 8\)"),
        ({"ngrams": 2}, r"such as \(1, 2\)"),
        ({"ngrams": (1.0, 2.0)}, "two whole numbers"),
        ({"characters": (1, 2, 3)}, "two lengths"),
        ({"character_weight": 0}, "the nearest that can is 0.001"),
        ({"ngrams": None}, "try ngrams="),
    ],
    ids=str,
)
def test_refuses_settings_and_names_the_nearest_that_would_do(settings, remedy):
    with pytest.raises(ConfigError, match=remedy):
        BagOfWords(**settings).fit(TEXTS, LABELS)


def test_lists_do_for_pairs_as_json_gives_them():
    estimator = BagOfWords(ngrams=[1, 2], characters=[2, 3]).fit(TEXTS, LABELS)
    assert estimator.score(TEXTS, LABELS) == 1.0


def test_pruning_everything_is_refused():
    with pytest.raises(DataError, match="min_df=2"):
        BagOfWords(min_df=2).fit(["a b", "c d"], [0, 1])


@pytest.mark.parametrize("spoil", ["words", "sizes", "idf", "weights"])
def test_refuses_to_be_restored_from_parts_that_do_not_fit(spoil):
    fitted = BagOfWords(characters=(2, 3)).fit(TEXTS, LABELS)
    state = fitted.state()
    settings, words, arrays = dict(state.settings), state.words, dict(state.arrays)
    if spoil == "words":
        words = words[:-1]
    elif spoil == "sizes":
        settings["features"] = [len(words)]
    elif spoil == "idf":
        arrays["idf"] = arrays["idf"][:-1]
    else:
        arrays["classifier.weights"] = arrays["classifier.weights"][:, :0]
    with pytest.raises(DataError):
        BagOfWords(characters=(2, 3)).restore(StepState(settings, words, arrays))


# ---- what is tried ---------------------------------------------------------------------------


def test_class_weights_are_tried_only_where_classes_are_unequal():
    equal = BagOfWords.candidates(TrainingFacts(np.array([50, 50, 60])))
    assert all("class_weight" not in settings for settings in equal)
    for counts, order in (([50, 20], (None, "balanced")), ([50, 10], ("balanced", None))):
        unequal = BagOfWords.candidates(TrainingFacts(np.array(counts)))
        assert [each["class_weight"] for each in unequal] == [w for w in order for _ in equal]


def test_the_first_guess_is_of_the_texts_length():
    long, short = (BagOfWords.candidates(TrainingFacts(np.array([9, 9]), n))[0] for n in (1000.0, 80.0))
    assert BagOfWords(**long).get_params() == BagOfWords().get_params()
    assert short == {"ngrams": (1, 2), "characters": (2, 5)}
    facts = TrainingFacts.of(pa.array(["ab", "abcd", "ä" * 9], pa.large_string()), np.array([1, 0, 1]))
    assert facts.class_counts.tolist() == [1, 2]
    assert (facts.characters, facts.short, facts.texts) == (4.0, True, 3)


def test_c_is_chosen_on_the_validation_texts_and_told():
    texts, labels = ["a b", "b c", "x y", "y z", "a c", "x z"] * 4, [0, 0, 1, 1, 0, 1] * 4
    open_ = BagOfWords().fit(texts, labels, validation=(["a", "z"], [0, 1]))
    assert open_.found_settings() == {"C": open_.C_}
    assert open_.C is None
    assert open_.C_ in STRENGTHS
    np.testing.assert_allclose(open_.validation_logits(), open_.logits(["a", "z"]), atol=1e-6)
    given = BagOfWords(C=7.0).fit(texts, labels, validation=(["a", "z"], [0, 1]))
    assert (given.C_, given.found_settings(), given.validation_logits()) == (7.0, {}, None)
    assert BagOfWords().fit(texts, labels).C_ == WITHOUT_VALIDATION
