"""Under rule `sklearn`, features and counts are scikit-learn's, bit for bit."""

from __future__ import annotations

import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.strategies import corpora
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

from sopan.errors import InputError
from sopan.text.ngrams import NgramCounter, count_ngrams

TEXTS = [
    "The cat sat on the mat, and THE cat purred.",
    "An ODD cat: ΟΔΟΣ, ΟΔΟΣΑ, İstanbul, straße, STRASSE, naïve, nai\u0308ve.",
    "x y z 1 22 3.14 under_score __init__ don't 𝒜𝒷 𐐀𐐁 ٣٤ ½² a\u0301b",
    "আমি বাংলায় গান গাই। ছবিটা খুব ভালো লেগেছে",
    "",
    "   \t\n",
    "on the mat on the mat on the mat",
    "我爱北京 ภาษาไทย 한국어 nul\0nul zero\u200bwidth",
]
KWARGS = [
    {},
    {"ngram_range": (1, 2)},
    {"ngram_range": (2, 3)},
    {"ngram_range": (1, 3), "min_df": 2},
    {"min_df": 2},
    {"min_df": 0.25},
    {"max_df": 0.3},
    {"max_df": 2},
    {"max_features": 5},
    {"max_features": 9, "ngram_range": (1, 2), "max_df": 0.4},
    {"lowercase": False},
    {"analyzer": "char_wb"},
    {"analyzer": "char_wb", "ngram_range": (2, 4)},
    {"analyzer": "char_wb", "ngram_range": (5, 7), "min_df": 2},
    {"analyzer": "char_wb", "ngram_range": (3, 3), "max_features": 11},
    {"analyzer": "char_wb", "ngram_range": (4, 9), "lowercase": False},
]


def assert_equal(counter: NgramCounter, ours, vectorizer: CountVectorizer, theirs) -> None:
    assert counter.features.to_pylist() == vectorizer.get_feature_names_out().tolist()
    theirs.sort_indices()
    for name in ("indptr", "indices", "data"):
        mine, its = getattr(ours, name), getattr(theirs, name)
        assert mine.dtype == its.dtype
        np.testing.assert_array_equal(mine, its)


def assert_same_as_scikit_learn(texts: list[str], new: list[str], **kwargs) -> None:
    vectorizer = CountVectorizer(**kwargs)
    try:
        theirs = vectorizer.fit_transform(texts)
    except ValueError as refused:
        assert re.search("empty vocabulary|no terms remain|max_df corresponds to", str(refused))  # noqa: PT017
        with pytest.raises(InputError):
            count_ngrams(texts, "sklearn", **kwargs)
        return
    counter, ours = count_ngrams(texts, "sklearn", **kwargs)
    assert_equal(counter, ours, vectorizer, theirs)
    assert_equal(counter, counter.transform(new), vectorizer, vectorizer.transform(new))


@pytest.mark.parametrize("kwargs", KWARGS, ids=str)
def test_hand_made_texts(kwargs):
    assert_same_as_scikit_learn(TEXTS, [*TEXTS[::-1], "the unseen cat on İ"], **kwargs)


@given(
    texts=corpora(),
    new=corpora(),
    ngram_range=st.sampled_from([(1, 1), (1, 2), (2, 2), (1, 3), (2, 4)]),
    analyzer=st.sampled_from(["word", "word", "char_wb"]),
    lowercase=st.booleans(),
    min_df=st.sampled_from([1, 2, 0.3]),
    max_df=st.sampled_from([1.0, 0.7]),
    max_features=st.sampled_from([None, None, 1, 4]),
)
def test_any_texts_and_settings(texts, new, **kwargs):
    assert_same_as_scikit_learn(texts, new, **kwargs)


@pytest.fixture(scope="module")
def reviews(imdb_file) -> list[str]:
    return pq.read_table(imdb_file, columns=["text"])["text"][:4000].to_pylist()


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"ngram_range": (1, 2), "min_df": 2},
        {"ngram_range": (1, 3), "max_features": 5000},
        {"ngram_range": (2, 2), "max_df": 0.01},
    ],
    ids=str,
)
def test_real_reviews(reviews, kwargs):
    assert_same_as_scikit_learn(reviews[:2000], reviews[2000:], **kwargs)


def test_real_reviews_by_characters(reviews):
    kwargs = {"analyzer": "char_wb", "ngram_range": (2, 4), "min_df": 3}
    assert_same_as_scikit_learn(reviews[:300], reviews[2000:2200], **kwargs)


def test_tfidf_of_our_counts_is_their_tfidf(reviews):
    kwargs = {"ngram_range": (1, 2), "min_df": 2}
    _, ours = count_ngrams(reviews[:2000], "sklearn", **kwargs)
    vectorizer = TfidfVectorizer(sublinear_tf=True, **kwargs)
    theirs = vectorizer.fit_transform(reviews[:2000])
    mine = TfidfTransformer(sublinear_tf=True).fit_transform(ours)
    theirs.sort_indices()
    np.testing.assert_array_equal(mine.indices, theirs.indices)
    np.testing.assert_allclose(mine.data, theirs.data, rtol=1e-14)  # they sum unsorted rows
