"""Batches: every text once, in few shapes, with little padding."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopan.errors import DataError
from sopan.text.batch import (
    FIRST_WORD,
    MULTIPLE,
    PADDING,
    UNKNOWN,
    batches,
    bucket_lengths,
    clip,
    drop_words,
    kept_words,
    padding_share,
    plan,
    row_weights,
)
from sopan.types import Encoded

LENGTHS = st.lists(st.integers(0, 60), min_size=1, max_size=80)


def encoded(lengths, seed=0):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Encoded(rng.integers(-1, 9, offsets[-1]).astype(np.int32), offsets)


def test_a_long_text_keeps_its_ends():
    ids = np.array([0, 1, 2, 3, 4, 5, -1, 7], np.int32)
    clipped = clip(Encoded(ids, np.array([0, 2, 8])), 8, 3)
    assert clipped.encoded.ids.tolist() == [2, 3, 4, 5, 9]  # words 0 1 | 2 3 … 7
    assert clipped.encoded.offsets.tolist() == [0, 2, 5]
    assert clipped.truncated.tolist() == [False, True]
    assert (kept_words(8, 3), kept_words(3, 3), kept_words(5, 4)) == ((2, 1), (3, 0), (2, 2))


def test_an_unknown_word_is_not_padding():
    clipped = clip(Encoded(np.array([-1, 0], np.int32), np.array([0, 2])), 1, 8)
    assert clipped.encoded.ids.tolist() == [UNKNOWN, FIRST_WORD]


def test_an_id_out_of_range_is_refused():
    with pytest.raises(DataError, match="do not fit"):
        clip(Encoded(np.array([3], np.int32), np.array([0, 1])), 3, 8)


@given(LENGTHS, st.integers(1, 40))
def test_clipping_keeps_the_words_that_it_says(lengths, max_length):
    before = encoded(lengths)
    after = clip(before, 9, max_length)
    for row, length in enumerate(lengths):
        first, last = kept_words(length, max_length)
        words = before.ids[before.offsets[row] : before.offsets[row + 1]]
        expected = np.concatenate([words[:first], words[length - last :]])
        got = after.encoded.ids[after.encoded.offsets[row] : after.encoded.offsets[row + 1]]
        np.testing.assert_array_equal(got, np.where(expected < 0, UNKNOWN, expected + FIRST_WORD))
        assert after.truncated[row] == (length > max_length)


@given(LENGTHS, st.integers(1, 4))
def test_the_lengths_of_rectangles_are_the_best_there_are(lengths, n):
    lengths = np.array(lengths)
    found = bucket_lengths(lengths, 1, n)
    sizes = sorted({-(-max(1, int(length)) // MULTIPLE) * MULTIPLE for length in lengths})

    def slots(chosen):
        return sum(next(size for size in chosen if size >= length) for length in lengths)

    best = min(
        slots((*some, sizes[-1]))
        for k in range(min(n, len(sizes)))
        for some in itertools.combinations(sizes[:-1], k)
    )
    assert len(found) <= n
    assert slots(found) == best


def test_lengths_go_on_beyond_the_longest_text():
    assert bucket_lengths(np.array([3, 12]), 100) == (8, 16, 32, 64, 104)


@given(LENGTHS, st.integers(8, 300), st.integers(1, 16), st.booleans())
def test_every_text_comes_once_and_whole(lengths, words, most, shuffled):
    clipped = clip(encoded(lengths), 9, 50)
    buckets = bucket_lengths(clipped.lengths, 50, 3)
    rng = np.random.default_rng(1) if shuffled else None
    planned = plan(clipped.lengths, buckets, words=words, most=most, rng=rng)
    seen = []
    for batch in batches(clipped, planned):
        assert batch.ids.shape == batch.mask.shape
        assert batch.ids.shape[1] in buckets
        assert len(batch.rows) <= len(batch.ids)
        assert not (batch.ids[~batch.mask] != PADDING).any()
        for place, row in enumerate(batch.rows):
            own = clipped.encoded.ids[slice(*clipped.encoded.offsets[row : row + 2])]
            np.testing.assert_array_equal(batch.ids[place][batch.mask[place]], own)
            assert batch.mask[place, : len(own)].all()
        seen += batch.rows.tolist()
    assert sorted(seen) == list(range(len(lengths)))


def test_shapes_are_few_and_padding_is_little():
    rng = np.random.default_rng(0)
    lengths = np.minimum(rng.lognormal(5.2, 0.6, 5000).astype(np.int64), 512)  # like film reviews
    buckets = bucket_lengths(lengths, 512)
    planned = plan(lengths, buckets, words=8192, most=32, rng=rng)
    assert len({(height, length) for _, height, length in planned}) <= 2 * len(buckets)
    assert padding_share(lengths, planned) < 0.10
    assert padding_share(lengths, [(np.arange(5000), 5000, 512)]) > 0.5  # what one rectangle would waste


def test_the_order_depends_on_the_generator_alone():
    lengths = np.arange(1, 200)
    buckets = bucket_lengths(lengths, 200)

    def order(seed):
        planned = plan(lengths, buckets, words=512, most=8, rng=np.random.default_rng(seed))
        return np.concatenate([rows for rows, _, _ in planned]).tolist()

    assert order(1) == order(1) != order(2)


def test_word_dropout_hides_words_at_its_rate_and_nothing_else():
    clipped = clip(Encoded(np.zeros(40_000, np.int32), np.arange(0, 40_001, 40)), 1, 50)
    buckets = bucket_lengths(clipped.lengths, 50)
    (batch,) = batches(clipped, plan(clipped.lengths, buckets, words=10**9, most=10**9))
    hidden = drop_words(batch, 0.2, np.random.default_rng(0))
    assert ((hidden.ids == UNKNOWN).sum() / batch.mask.sum()) == pytest.approx(0.2, abs=0.01)
    assert (hidden.ids[~batch.mask] == PADDING).all()
    assert row_weights(batch, np.ones(1000, np.float32)).sum() == 1000
