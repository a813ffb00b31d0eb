"""What scikit-learn's tools ask of a classifier: `sample_weight`, `decision_function`, names of features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from quick_steps import brief, eagerly
from scipy.special import expit, softmax
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from sopan.errors import ConfigError, DataError
from sopan.steps.base import Step
from sopan.steps.bow import BagOfWords
from sopan.steps.estimator import EstimatorStep

TEXTS = ["good film", "good fun", "fine film", "bad film", "bad fun", "poor film", "odd fun", "odd film"]
LABELS = np.array([1, 1, 1, 0, 0, 0, 2, 2])
WEIGHTS = np.array([2.0, 1, 1, 1, 3, 1, 1, 2])
COUNTS = {"tf": "binary", "idf": False, "nb": 0.0, "min_df": 1, "C": 10.0}


@pytest.mark.parametrize("classes", [2, 3])
def test_a_weight_of_two_is_the_text_twice(classes: int) -> None:
    chosen = classes > LABELS
    texts, labels, weights = np.array(TEXTS)[chosen], LABELS[chosen], WEIGHTS[chosen]
    weighed = BagOfWords(**COUNTS).fit(texts, labels, weights)
    times = weights.astype(int)
    repeated = BagOfWords(**COUNTS).fit(np.repeat(texts, times), np.repeat(labels, times))
    assert np.abs(weighed.logits(TEXTS) - repeated.logits(TEXTS)).max() < 2e-2
    plain = BagOfWords(**COUNTS).fit(texts, labels)
    assert np.abs(weighed.logits(TEXTS) - plain.logits(TEXTS)).max() > 0.2
    ones = BagOfWords(**COUNTS).fit(texts, labels, sample_weight=1)
    np.testing.assert_allclose(ones.logits(TEXTS), plain.logits(TEXTS), atol=1e-5)


@pytest.mark.parametrize("step", ["bow", "cbow", "attention", "bert"])
def test_the_label_that_counts_more_is_learnt(step: str) -> None:
    """The same texts come with both labels: only the weights can tell which is meant."""
    texts, labels = [*TEXTS, *TEXTS], np.repeat([0, 1], len(TEXTS))
    answers = []
    with eagerly():
        for one in (0, 1):
            model = brief(step).fit(texts, labels, np.where(labels == one, 9.0, 1.0))
            answers.append(model.predict_proba(TEXTS)[:, 1].mean())
    assert answers[0] < 0.4
    assert answers[1] > 0.6


def test_a_text_that_counts_nothing_is_left_out() -> None:
    weights = np.where(LABELS == 2, 0, 1)
    weighed = BagOfWords(**COUNTS).fit(TEXTS, LABELS, weights)
    without = BagOfWords(**COUNTS).fit(TEXTS[:6], LABELS[:6])
    assert weighed.classes_.tolist() == [0, 1]
    np.testing.assert_allclose(weighed.logits(TEXTS), without.logits(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0], r"8 texts came with sample_weight of shape \(1,\)"),
        (np.ones((8, 1)), "shape"),
        ([1, 1, -1, 1, 1, 1, 1, 1], "0 or more, not -1.*row 2|row 2.*0 or more, not -1"),
        ([1, np.nan, 1, 1, 1, 1, 1, 1], "not nan"),
        (np.zeros(8), "0 for every text"),
        (["much"] * 8, "must be numbers"),
    ],
)
def test_weights_that_are_none(weights: object, said: str) -> None:
    with pytest.raises(DataError) as error:
        BagOfWords().fit(TEXTS, LABELS, weights)
    assert error.match(said)


def test_anothers_estimator_gets_the_weights_or_says_that_it_takes_none() -> None:
    class Lines(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            self.given = sample_weight
            return super().fit([[len(x)] for x in X], y, sample_weight)

    step = EstimatorStep(Lines()).fit(TEXTS, LABELS, pd.Series(WEIGHTS))
    assert step.estimator_.given.tolist() == WEIGHTS.tolist()
    with pytest.raises(ConfigError, match="Pipeline takes no sample_weight"):
        EstimatorStep(make_pipeline(CountVectorizer(), LogisticRegression())).fit(TEXTS, LABELS, WEIGHTS)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_decision_function_is_what_the_probabilities_are_made_of(classes: int) -> None:
    chosen = classes > LABELS
    step: Step = BagOfWords(**COUNTS).fit(np.array(TEXTS)[chosen], LABELS[chosen])
    step.temperature_ = 1.7
    decision, probabilities = step.decision_function(TEXTS), step.predict_proba(TEXTS)
    assert probabilities.shape[1] == len(step.classes_)
    if classes == 2:
        assert decision.shape == (len(TEXTS),)
        np.testing.assert_allclose(expit(decision), probabilities[:, 1], rtol=1e-6)
        assert (step.classes_[(decision > 0).astype(int)] == step.predict(TEXTS)).all()
    else:
        np.testing.assert_allclose(softmax(decision, axis=1), probabilities, rtol=1e-6)
        assert (step.classes_[decision.argmax(axis=1)] == step.predict(TEXTS)).all()


def test_scorers_of_scikit_learn_use_it() -> None:
    two = np.array(TEXTS)[LABELS < 2], LABELS[LABELS < 2]
    assert cross_val_score(BagOfWords(**COUNTS), *two, scoring="roc_auc", cv=3).shape == (3,)


def test_the_names_of_features_are_those_of_count_vectorizer() -> None:
    peer = CountVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2)).fit(TEXTS)
    step = BagOfWords(**COUNTS).fit(TEXTS, LABELS)
    assert step.get_feature_names_out().tolist() == peer.get_feature_names_out().tolist()
    both = BagOfWords(characters=(2, 3), **COUNTS).fit(TEXTS, LABELS)
    names = both.get_feature_names_out().tolist()
    assert len(names) == len(set(names)) == both.transform(TEXTS).shape[1]
    assert {"word__good film", "char_wb__goo"} <= set(names)
