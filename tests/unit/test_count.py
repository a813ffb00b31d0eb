"""Counts of n-grams by hand, and what is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from sopan.errors import ConfigError, DataError
from sopan.kernels.known_ngrams import sort_ids
from sopan.text import count_matrix, ngrams, vocab
from sopan.text.ngrams import NgramCounter, count_ngrams

TEXTS = ["a b a b", "b a", "", "c"]


def as_features(*features: str) -> pa.LargeStringArray:
    return pa.array(features, pa.large_string())


def test_words_and_pairs_by_hand():
    counter, counts = count_ngrams(TEXTS, ngram_range=(1, 2))
    assert counter.features.to_pylist() == ["a", "a b", "b", "b a", "c"]
    assert counts.toarray().tolist() == [[2, 2, 2, 1, 0], [1, 0, 1, 1, 0], [0] * 5, [0, 0, 0, 0, 1]]
    assert isinstance(counts, csr_matrix)
    assert (counts.dtype, counts.indices.dtype, counts.indptr.dtype) == (np.int64, np.int32, np.int32)
    assert len(counter) == 5


def test_pairs_do_not_cross_texts():
    assert count_ngrams(["a b", "c d"], ngram_range=(2, 2))[0].features.to_pylist() == ["a b", "c d"]


def test_characters_by_hand():
    counter, counts = count_ngrams(["ab a<br>b", "আ"], analyzer="char_wb", ngram_range=(3, 3))
    assert counter.features.to_pylist() == [" a ", " ab", " b ", " আ ", "ab "]
    assert counts.toarray().tolist() == [[1, 1, 1, 0, 1], [0, 0, 0, 1, 0]]


def test_new_texts_are_counted_by_known_features_only():
    counter = NgramCounter(as_features("b a", "b", "x y z"), ngram_range=(1, 3))
    counts = counter.transform(["B a b, x y z x y", "nothing known", ""])
    assert counts.toarray().tolist() == [[1, 2, 1], [0, 0, 0], [0, 0, 0]]


def test_an_unknown_word_parts_the_words_around_it():
    counter = NgramCounter(as_features("a", "a b", "b"), ngram_range=(1, 2))
    assert counter.transform(["a unknown b"]).toarray().tolist() == [[1, 0, 1]]


def test_features_may_stand_in_any_order():
    features = ["b c d", "a", "b", "b c", "c d"]
    counter = NgramCounter(as_features(*features), ngram_range=(1, 3))
    assert counter.transform(["a b c d"]).toarray().tolist() == [[1] * 5]


def test_only_lengths_within_the_range_are_counted():
    counter = NgramCounter(as_features("a", "a b"), ngram_range=(2, 2))
    assert counter.transform(["a b"]).toarray().tolist() == [[0, 1]]


def test_a_pair_is_no_feature_where_single_words_are_counted():
    counter = NgramCounter(as_features("b a", "b"), ngram_range=(1, 1))
    assert counter.transform(["b b a", "a"]).toarray().tolist() == [[0, 2], [0, 0]]


def test_a_counter_that_counted_and_one_of_the_same_features_count_alike():
    for settings in ({"min_df": 2}, {"ngram_range": (1, 2), "min_df": 2}, {"max_features": 2}):
        counter, _ = count_ngrams([*TEXTS, "a b c", "Ünï c"], **settings)
        again = NgramCounter(counter.features, ngram_range=settings.get("ngram_range", (1, 1)))
        new = ["c b a b", "ünï unseen a b"]
        assert counter.transform(new).toarray().tolist() == again.transform(new).toarray().tolist()


def test_no_texts_give_no_rows():
    counter = NgramCounter(as_features("a"))
    assert counter.transform([]).shape == (0, 1)
    assert NgramCounter(as_features()).transform(["a"]).shape == (1, 0)


def test_shares_of_texts_are_rounded_towards_keeping():
    texts = ["a", "a b", "a b c", "a b c d"]
    assert count_ngrams(texts, min_df=0.3)[0].features.to_pylist() == ["a", "b", "c"]
    assert count_ngrams(texts, max_df=0.6)[0].features.to_pylist() == ["c", "d"]
    assert count_ngrams(texts, min_df=2, max_df=3)[0].features.to_pylist() == ["b", "c"]


def test_the_most_frequent_are_kept():
    counter, counts = count_ngrams(["a a b c c c", "b d"], max_features=2)
    assert counter.features.to_pylist() == ["a", "c"]
    assert counts.toarray().tolist() == [[2, 3], [0, 0]]


@pytest.mark.parametrize("analyzer", ["word", "char_wb"])
def test_the_result_does_not_depend_on_how_the_work_is_shared(monkeypatch, analyzer):
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(["the", "cat", "আমি", "Ünï", "x"], 30)) for _ in range(60)]
    settings = {"analyzer": analyzer, "ngram_range": (2, 3), "max_features": 40}
    counter, counts = count_ngrams(texts, **settings)
    for module, name in (
        (vocab, "SHARE_BYTES"),
        (vocab, "PIECE_BYTES"),
        (ngrams, "SHARE_BYTES"),
        (count_matrix, "SHARE_WORDS"),
    ):
        monkeypatch.setattr(module, name, 50)
    for module in (count_matrix, ngrams, vocab):
        monkeypatch.setattr(module, "cores", lambda: 7)
    shared, again = count_ngrams(texts, **settings)
    assert shared.features.equals(counter.features)
    for matrix in (again, shared.transform(texts)):
        for name in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(matrix, name), getattr(counts, name))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"analyzer": "char"}, "analyzers: word, char_wb"),
        ({"ngram_range": (2, 1)}, "the shorter first"),
        ({"ngram_range": (0, 1)}, "1 or more"),
        ({"min_df": 1.5}, "min_df=1.5 is neither"),
        ({"max_df": -1}, "max_df=-1 is neither"),
        ({"min_df": 3, "max_df": 2}, "fewer texts"),
        ({"max_features": 0}, "leave nothing"),
        ({"rule": "spacy"}, "rules: words, sklearn"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        count_ngrams(TEXTS, **settings)


@pytest.mark.parametrize(
    ("texts", "settings", "message"),
    [
        (["?!", ""], {}, "hold no words"),
        (["a", "b", "c"], {"min_df": 2}, "none of the 3 words is left after min_df=2"),
        (pa.array(["a", None]), {}, "row 1: a text is missing"),
    ],
    ids=str,
)
def test_texts_without_features_are_refused(texts, settings, message):
    with pytest.raises(DataError, match=message):
        count_ngrams(texts, **settings)


@pytest.mark.parametrize("analyzer", ["word", "char_wb"])
def test_features_that_no_text_could_have_are_refused(analyzer):
    with pytest.raises(ConfigError, match="'a b' twice"):
        NgramCounter(as_features("a b", "c", "a b"), analyzer=analyzer).transform(["a"])
    with pytest.raises(ConfigError, match="feature 1 is empty"):
        NgramCounter(as_features("a", ""), analyzer=analyzer).transform(["a"])


@pytest.mark.parametrize("size", [0, 1, 2, 32, 33, 3000])
@pytest.mark.parametrize("limit", [1, 2, 256, 257, 70_000, 2**31 - 1])
def test_ids_are_sorted(size, limit):
    ids = np.random.default_rng(2).integers(0, limit, size).astype(np.int32)
    expected = np.sort(ids)
    np.testing.assert_array_equal(sort_ids(ids, np.empty_like(ids), limit), expected)
