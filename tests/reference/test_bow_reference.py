"""The bag of words against scikit-learn's vectorizers, and its training against the formulas."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.preprocessing import normalize

from sopan.steps.bow import BagOfWords
from sopan.steps.feature_weights import class_log_count_ratio
from sopan.steps.one_vs_rest import fit_one_vs_rest

TEXTS = [
    "The kettle sings, the cat sleeps; the kettle boils over!",
    "A cat is not a kettle, nor is a kettle a cat.",
    "Rain on the roof, rain on the road, rain in the river.",
    "Тихий дождь, тихий дом.",
    "ÉTÉ d'été: l'été, ÇA c'est l'été",
    "বৃষ্টি পড়ে টাপুর টুপুর",
    "?!",
]
LABELS = [0, 0, 1, 1, 2, 2, 0]


def features(estimator: BagOfWords) -> list[str]:
    return estimator.blocks_[0].counter.features.to_pylist()


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize(("ngrams", "min_df"), [((1, 1), 1), ((1, 2), 1), ((2, 3), 1), ((1, 3), 2)])
@pytest.mark.parametrize("sublinear", [True, False])
def test_tfidf_equals_scikit_learn(ngrams, min_df, sublinear, lowercase):
    shared = {"ngram_range": ngrams, "min_df": min_df, "lowercase": lowercase}
    theirs = TfidfVectorizer(**shared, sublinear_tf=sublinear)
    matrix = theirs.fit_transform(TEXTS)
    tf = "sublinear" if sublinear else "counts"
    ours = BagOfWords(tokens="sklearn", ngrams=ngrams, min_df=min_df, tf=tf, lowercase=lowercase)
    ours.fit(TEXTS, LABELS)
    assert features(ours) == theirs.get_feature_names_out().tolist()
    unseen = [*TEXTS[::-1], "the rain in the kettle", ""]
    np.testing.assert_allclose(ours.transform(TEXTS).toarray(), matrix.toarray(), rtol=1e-6)
    np.testing.assert_allclose(
        ours.transform(unseen).toarray(), theirs.transform(unseen).toarray(), rtol=1e-6
    )


@pytest.mark.parametrize("binary", [True, False])
def test_counts_equal_scikit_learn_in_rows_of_length_one(binary):
    theirs = CountVectorizer(ngram_range=(1, 2), binary=binary)
    matrix = normalize(theirs.fit_transform(TEXTS).astype(float))
    ours = BagOfWords(tokens="sklearn", tf="binary" if binary else "counts", idf=False).fit(TEXTS, LABELS)
    assert features(ours) == theirs.get_feature_names_out().tolist()
    np.testing.assert_allclose(ours.transform(TEXTS).toarray(), matrix.toarray(), rtol=1e-6)


def test_character_tfidf_equals_scikit_learn():
    theirs = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    matrix = theirs.fit_transform(TEXTS)
    ours = BagOfWords(tokens="sklearn", ngrams=None, characters=(2, 5)).fit(TEXTS, LABELS)
    assert features(ours) == theirs.get_feature_names_out().tolist()
    np.testing.assert_allclose(ours.transform(TEXTS).toarray(), matrix.toarray(), rtol=1e-6)


@settings(max_examples=60)
@given(st.lists(st.text(alphabet="ab éI'1 \nß", max_size=12), min_size=2, max_size=6))
def test_tfidf_equals_scikit_learn_on_any_texts(texts):
    texts = [*texts, "aa bb"]
    theirs = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    matrix = theirs.fit_transform(texts)
    ours = BagOfWords(tokens="sklearn", min_df=1).fit(texts, [0] + [1] * (len(texts) - 1))
    assert features(ours) == theirs.get_feature_names_out().tolist()
    np.testing.assert_allclose(ours.transform(texts).toarray(), matrix.toarray(), rtol=1e-6)


def test_log_count_ratio_equals_wang_and_mannings_where_classes_are_equal():
    rng = np.random.default_rng(0)
    half = rng.random((40, 30)) < 0.2
    other = half[:, rng.permutation(30)]  # as many features, elsewhere
    held = sp.csr_array(np.vstack([half, other]).astype(float))
    p, q = 1 + half.sum(axis=0), 1 + other.sum(axis=0)
    expected = np.log((p / p.sum()) / (q / q.sum()))
    np.testing.assert_allclose(class_log_count_ratio(held, np.arange(80) < 40), expected)


@pytest.mark.parametrize("C", [0.1, 10.0])
def test_one_vs_rest_minimises_the_regularised_loss(C):
    rng = np.random.default_rng(1)
    features = normalize(rng.random((60, 12)) * (rng.random((60, 12)) < 0.4))
    labels = (np.abs(features[:, :3]).argmax(axis=1) + rng.integers(2, size=60)) % 3
    model = fit_one_vs_rest(sp.csr_array(features), labels, C=C)
    for column in range(3):
        sign = np.where(labels == column, 1.0, -1.0)

        def loss(w, sign=sign):
            margins = sign * (features @ w[:-1] + w[-1])
            return w @ w / 2 + C * np.logaddexp(0, -margins).sum()

        best = minimize(loss, np.zeros(13), method="BFGS").fun
        ours = loss(np.append(model.weights[:, column], model.bias[column]).astype(float))
        assert ours <= best * (1 + 1e-3)


def test_fits_as_the_formulas_say():
    estimator = BagOfWords(tokens="sklearn", nb=0.5, C=5.0).fit(TEXTS, LABELS)
    matrix = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(TEXTS).toarray()
    for column in range(3):
        members = np.array(LABELS) == column
        scale = np.abs(class_log_count_ratio(sp.csr_array(matrix), members)) ** 0.5
        by_hand = fit_one_vs_rest(sp.csr_array(matrix * scale), members.astype(int), C=5.0)
        np.testing.assert_allclose(
            estimator.logits(TEXTS)[:, column],
            (matrix * scale) @ by_hand.weights[:, 0] + by_hand.bias[0],
            atol=5e-3,
        )


def test_reaches_its_accuracy_on_real_reviews(imdb_file):
    table = pq.read_table(imdb_file)
    train, val = (table.filter(pc.equal(table["talk"], part)) for part in ("train", "val"))
    estimator = BagOfWords().fit(train["text"], train["label"].to_numpy())
    assert estimator.score(val["text"], val["label"].to_numpy()) >= 0.900
