"""Training word vectors: chance, repeatability, threads, and what the vectors know afterwards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopan.errors import SopanError
from sopan.kernels import cbow_pass
from sopan.steps import embedding
from sopan.steps.embedding import CbowSettings, cut, keep_chances, sensible_epochs, train_word_vectors
from sopan.types import Encoded

SMALL = CbowSettings(dimension=16, window=3, epochs=8, subsample=0.0, learning_rate=0.2)


def two_topics(n_texts=300, length=12, seed=0):
    """Texts of words 0-9 and texts of words 10-19, in turn, with a few unknown words."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 10, (n_texts, length)) + 10 * (np.arange(n_texts) % 2)[:, None]
    ids[rng.random(ids.shape) < 0.05] = -1
    ids = ids.astype(np.int32).ravel()
    return Encoded(ids, np.arange(0, len(ids) + 1, length)), np.bincount(ids[ids >= 0], minlength=20)


def train(settings=SMALL, seed=1, corpus=None):
    return train_word_vectors(*(corpus or two_topics()), settings, np.random.default_rng(seed))


def test_words_of_one_topic_come_to_lie_together():
    vectors = train()
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = directions @ directions.T
    same = np.add.outer(np.arange(20) // 10, np.arange(20) // 10) != 1
    np.fill_diagonal(same, val=False)
    assert cosines[same].mean() > cosines[~same].mean() + 0.5


def test_one_thread_gives_the_same_bits_every_time_and_seeds_differ():
    assert train().tobytes() == train().tobytes()
    assert train(seed=2).tobytes() != train().tobytes()


def test_pieces_change_only_how_often_the_rate_is_looked_up(monkeypatch):
    whole = train()
    monkeypatch.setattr(embedding, "PIECE_WORDS", 700)
    np.testing.assert_allclose(train(), whole, rtol=1e-3, atol=1e-3)


def test_threads_learn_the_same_topics():
    vectors = train(replace(SMALL, threads=2))
    assert np.isfinite(vectors).all()
    first, second = vectors[:10].mean(axis=0), vectors[10:].mean(axis=0)
    assert (vectors[:10] @ (first - second) > vectors[10:] @ (first - second)).all()


def test_texts_without_two_known_words_teach_nothing():
    lonely = Encoded(np.array([3, -1, -1, 4], np.int32), np.array([0, 2, 3, 4, 4]))
    rng = np.random.default_rng(1)
    first = (rng.random((5, 16), dtype=np.float32) - np.float32(0.5)) / np.float32(16)
    np.testing.assert_array_equal(train(corpus=(lonely, np.ones(5, np.int64))), first)


def test_a_rate_that_makes_vectors_grow_without_end_is_named():
    with pytest.raises(SopanError, match=r"diverged.*lower learning_rate"):
        train(replace(SMALL, learning_rate=1e30))


@pytest.mark.parametrize(
    ("words", "epochs"), [(0, 600), (10_000, 500), (250_000, 100), (10**6, 50), (16 * 10**6, 12), (10**9, 3)]
)
def test_small_corpora_are_read_more_often(words, epochs):
    assert sensible_epochs(words) == epochs


def test_frequent_words_are_thinned_out_as_word2vec_does():
    counts = np.array([900, 90, 10])
    np.testing.assert_allclose(keep_chances(counts, 0.01), [np.sqrt(1 / 90) + 1 / 90, 1 / 3 + 1 / 9, 1])
    np.testing.assert_array_equal(keep_chances(counts, 0), [1, 1, 1])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 5))
def test_a_cut_corpus_has_every_text_once(lengths, parts):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    pieces = cut(offsets, parts)
    assert len(pieces) <= parts
    assert np.concatenate([np.diff(piece) for piece in pieces]).tolist() == lengths


# ---- chance ------------------------------------------------------------------------------


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=40))
def test_noise_slots_add_up_to_the_probabilities(weights):
    probabilities = np.array(weights) / np.sum(weights)
    noise = cbow_pass.make_noise(probabilities)
    stay, n = noise.stay / cbow_pass.HALF_RANGE, len(weights)
    given_to = stay + np.bincount(noise.other, weights=1 - stay, minlength=n)
    np.testing.assert_allclose(given_to / n, probabilities, rtol=1e-9, atol=1e-12)


def test_noise_is_drawn_by_its_probabilities():
    probabilities = np.array([0.5, 0.25, 0.15, 0.1])
    noise, drawn = cbow_pass.make_noise(probabilities), np.empty(40_000, np.int32)
    cbow_pass.draw_noise(noise, np.uint64(7), 3, drawn)
    assert np.bincount(drawn) / len(drawn) == pytest.approx(probabilities, abs=0.012)  # 5 standard errors


def test_random_bits_are_splitmix64():
    """The first outputs for seed 1234567 as Vigna's reference program prints them."""
    bits = [int(cbow_pass.random_bits(np.uint64(1234567), place)) for place in range(3)]
    assert bits == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def sample(ids, keep=1.0, window=2, seed=5):
    n, ids = len(ids), np.array(ids, np.int32)
    words, low, high = np.empty(n, np.int32), np.empty(n, np.int64), np.empty(n, np.int64)
    kept = cbow_pass.sample_text(
        ids, 0, n, np.full(10, keep * cbow_pass.HALF_RANGE), window, np.uint64(seed), words, low, high
    )
    return words[:kept], low[:kept], high[:kept]


def test_a_sampled_text_closes_the_gaps_of_unknown_words():
    words, low, high = sample([4, -1, 5, -1, -1, 6])
    assert words.tolist() == [4, 5, 6]
    assert (low >= 0).all()
    assert (high <= 3).all()


def test_windows_are_of_every_size_equally_often_and_thinning_follows_its_chance():
    words, low, high = sample(np.arange(30_000) % 10, keep=0.3, window=4)
    assert len(words) / 30_000 == pytest.approx(0.3, abs=0.014)
    reach = np.arange(len(words)) - low
    inner = slice(4, len(words) - 4)
    assert (high[inner] - np.arange(len(words))[inner] - 1 == reach[inner]).all()
    assert np.bincount(reach[inner])[1:] / len(reach) == pytest.approx([0.25] * 4, abs=0.025)
