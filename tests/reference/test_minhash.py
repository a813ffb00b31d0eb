"""The MinHash kernels against sets of tuples, slow and plain."""

from __future__ import annotations

import numpy as np
import pytest

from sopan.kernels.minhash import (
    band_keys,
    equal_key_pairs,
    hash_words,
    jaccard,
    pair_jaccards,
    shingles,
    signatures,
)
from sopan.text.near_duplicates import near_duplicates
from sopan.types import Encoded


def shingle_set(words: list[int], size: int) -> set[tuple[int, ...]]:
    width = min(size, len(words))
    return {tuple(words[i : i + width]) for i in range(len(words) - width + 1)} if words else set()


def true_jaccard(a: list[int], b: list[int], size: int) -> float:
    one, other = shingle_set(a, size), shingle_set(b, size)
    return len(one & other) / len(one | other) if one | other else 0.0


def encode(texts: list[list[int]]) -> Encoded:
    ids = np.array([word for text in texts for word in text], np.int32)
    return Encoded(ids, np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64))


def altered(words: list[int], changes: int, rng: np.random.Generator) -> list[int]:
    new = list(words)
    for place in rng.choice(len(new), changes, replace=False):
        new[place] = int(rng.integers(10_000))
    return new


@pytest.fixture(scope="module")
def texts() -> list[list[int]]:
    """100 texts of 0 to 80 words, each followed by a copy with a few words changed."""
    rng = np.random.default_rng(7)
    made: list[list[int]] = []
    for number in range(100):
        words = rng.integers(0, 300, size=number % 81).tolist()
        made += [words, altered(words, min(len(words), int(rng.integers(0, 6))), rng)]
    return made


@pytest.mark.parametrize("size", [1, 3, 5])
def test_shingles_are_the_distinct_runs_of_words(texts: list[list[int]], size: int) -> None:
    encoded = encode(texts)
    for i, words in enumerate(texts):
        start, end = encoded.offsets[i], encoded.offsets[i + 1]
        expected = sorted(
            int(hash_words(np.array(run, np.int32), 0, len(run))) for run in shingle_set(words, size)
        )
        assert shingles(encoded.ids, start, end, size).tolist() == expected


def test_order_and_number_of_words_change_the_hash() -> None:
    runs = [[1, 2, 3], [3, 2, 1], [1, 2], [1, 2, 0], [0, 1, 2], [0], [0, 0]]
    hashes = {int(hash_words(np.array(run, np.int32), 0, len(run))) for run in runs}
    assert len(hashes) == len(runs)


def test_jaccard_by_hand() -> None:
    a, b = np.array([1, 2, 3, 4], np.uint64), np.array([3, 4, 5], np.uint64)
    assert jaccard(a, b) == pytest.approx(2 / 5)
    assert jaccard(a[:0], b[:0]) == 0.0


def test_pair_jaccards_equal_those_of_sets(texts: list[list[int]]) -> None:
    encoded = encode(texts)
    first = np.repeat(np.arange(40), 40)
    second = np.tile(np.arange(40), 40)
    ours = pair_jaccards(encoded.ids, encoded.offsets[:-1], encoded.offsets[1:], 3, first, second)
    expected = [true_jaccard(texts[a], texts[b], 3) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(ours, expected, atol=1e-15)


@pytest.mark.parametrize("changes", [2, 5, 15, 40])
def test_equal_minima_estimate_jaccard_without_bias(changes: int) -> None:
    """Broder's theorem: the share of equal minima is an unbiased estimate of J."""
    rng = np.random.default_rng(changes)
    orders, errors, spread = 500, [], 0.0
    for _ in range(40):
        a = rng.integers(0, 5000, size=120).tolist()
        b = altered(a, changes, rng)
        encoded = encode([a, b])
        minima = signatures(encoded.ids, encoded.offsets[:-1], encoded.offsets[1:], 3, orders)
        true = true_jaccard(a, b, 3)
        errors.append((minima[0] == minima[1]).mean() - true)
        spread += true * (1 - true) / orders
    assert abs(np.sum(errors)) < 4 * np.sqrt(spread)
    assert np.std(errors) < 1.5 * np.sqrt(spread / 40)


def test_equal_keys_are_paired_once_and_the_window_counts_what_it_leaves_out() -> None:
    keys = np.array([5, 9, 5, 5, 9, 1, 5], np.uint64)
    first, second, skipped = equal_key_pairs(keys, np.argsort(keys, kind="stable"), 10)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == {
        (0, 2), (0, 3), (0, 6), (2, 3), (2, 6), (3, 6), (1, 4),
    }  # fmt: skip
    assert skipped == 0
    narrow, _, skipped = equal_key_pairs(keys, np.argsort(keys, kind="stable"), 1)
    assert len(narrow) == 4
    assert skipped == 3


def test_a_band_key_is_of_its_own_columns_only() -> None:
    minima = np.array([[1, 2, 3], [1, 2, 4], [0, 2, 3]], np.uint32)
    keys = band_keys(minima, 0, 2)
    assert keys[0] == keys[1] != keys[2]


def test_every_pair_over_the_threshold_is_found_and_no_other() -> None:
    """300 texts and their altered copies: the pairs are those that all comparisons would give."""
    rng = np.random.default_rng(3)
    made: list[list[int]] = []
    for _ in range(300):
        words = rng.integers(0, 2000, size=int(rng.integers(1, 90))).tolist()
        made += [words, altered(words, int(rng.integers(0, min(6, len(words)))), rng)]
    found = near_duplicates(encode(made))
    leader = {int(group): i for i, group in reversed(list(enumerate(found.groups)))}
    ours = {
        frozenset((leader[int(a)], leader[int(b)]))
        for a, b, alike in zip(found.first, found.second, found.similarity, strict=True)
        if alike >= 0.8  # short texts are also paired by the words they share
    }
    different = sorted(leader.values())
    sets = {i: shingle_set(made[i], 3) for i in different}
    expected = {
        frozenset((a, b))
        for place, a in enumerate(different)
        for b in different[place + 1 :]
        if sets[a] & sets[b] and len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= 0.8
    }
    assert len(expected) > 50
    assert ours == expected
