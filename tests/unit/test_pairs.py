"""Pairs of texts in one sequence: what they are labelled, and what becomes of their pieces."""

from __future__ import annotations

import numpy as np
import pytest

from sopan.text.objectives import SHORTEST, make_pairs
from sopan.text.packing import Rows, Sequences, fill_rows

CLS, SEP = 1, 2
LENGTH = 48


def rising(sizes):
    """Rows of one sequence each, of pieces that only rise: what follows what can be seen."""
    ids = np.arange(10, 10 + sum(sizes), dtype=np.int32)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    members = [np.array([i]) for i in range(len(sizes))]
    return fill_rows(ids, Sequences(starts, np.array(sizes)), members, LENGTH, CLS, SEP)


def halves(rows, row):
    """The two texts of a row that holds one sequence."""
    middle, end = np.flatnonzero(rows.ids[row] == SEP)
    assert rows.ids[row, 0] == CLS
    assert rows.segments[row].tolist() == [0] * (middle + 1) + [1] * (end - middle) + [0] * (LENGTH - end - 1)
    return rows.ids[row, 1:middle], rows.ids[row, middle + 1 : end]


@pytest.mark.parametrize("swap", [True, False])
def test_labels_say_whether_the_second_text_follows_the_first(swap):
    before = rising([30, 40, 46, 20] * 8)
    after, pairs = make_pairs(before, np.random.default_rng(0), sep=SEP, swap=swap)
    asked = pairs.weights > 0
    assert asked.sum() == 32
    for first, truth in zip(pairs.firsts[asked], pairs.truth[asked], strict=True):
        row = first // LENGTH
        assert first % LENGTH == 0
        one, two = halves(after, row)
        if truth == 0:
            assert two[0] == one[-1] + 2, "one piece gave its place to the [SEP]"
        elif swap:
            assert one[0] == two[-1] + 2, "the halves are swapped"
        else:
            assert not np.isin(two, before.ids[row]).any(), "of another sequence of the batch"


@pytest.mark.parametrize("swap", [True, False])
def test_sequences_keep_their_lengths_blocks_and_places(swap):
    before = rising([30, 15, 46, 10])
    kept = before.ids.copy()
    after, pairs = make_pairs(before, np.random.default_rng(1), sep=SEP, swap=swap)
    np.testing.assert_array_equal(before.ids, kept)
    np.testing.assert_array_equal(after.blocks, before.blocks)
    np.testing.assert_array_equal(after.places, before.places)
    assert ((after.ids > 0) == (before.ids > 0)).all()
    assert pairs.weights.sum() == 3, "12 pieces with their marks are not split"
    assert SHORTEST > 12
    np.testing.assert_array_equal(after.ids[3], before.ids[3])
    assert not after.segments[3].any()


@pytest.mark.parametrize("swap", [True, False])
def test_about_half_of_the_pairs_are_spoilt(swap):
    rows = rising([40] * 64)
    rng = np.random.default_rng(2)
    spoilt = [make_pairs(rows, rng, sep=SEP, swap=swap)[1].truth[:64] for _ in range(30)]
    assert np.mean(spoilt) == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / (64 * 30)))


def test_several_sequences_in_a_row_are_a_pair_each():
    ids = np.arange(10, 100, dtype=np.int32)
    sequences = Sequences(np.array([0, 30, 60]), np.array([20, 18, 5]))
    rows = fill_rows(ids, sequences, [np.array([0, 1]), np.array([2])], LENGTH, CLS, SEP)
    after, pairs = make_pairs(rows, np.random.default_rng(0), sep=SEP, swap=True)
    assert pairs.firsts.tolist() == [0, 22, 0, 0, 0, 0]
    assert pairs.weights.tolist() == [1, 1, 0, 0, 0, 0]
    assert pairs.firsts.dtype == pairs.truth.dtype == np.int32
    for start, end in ((0, 22), (22, 42)):
        assert (after.ids[0, start:end] == SEP).sum() == 2
        assert after.segments[0, start] == 0
        assert after.segments[0, end - 1] == 1
        pieces = set(after.ids[0, start:end].tolist()) - {CLS, SEP}
        assert len(pieces) == end - start - 3
        assert pieces < set(rows.ids[0, start:end].tolist())


def test_a_single_sequence_is_spoilt_by_itself_turned_round():
    rows = rising([30])
    seen = set()
    for seed in range(20):
        after, pairs = make_pairs(rows, np.random.default_rng(seed), sep=SEP, swap=False)
        _, two = halves(after, 0)
        seen.add(int(pairs.truth[0]))
        assert (np.diff(two) == (-1 if pairs.truth[0] else 1)).all()
    assert seen == {0, 1}


def test_there_is_room_for_every_pair_of_full_rows():
    ids = np.arange(10, 200, dtype=np.int32)
    sequences = Sequences(np.arange(3) * 14, np.full(3, SHORTEST - 2))
    rows = fill_rows(ids, sequences, [np.arange(3)] * 4, LENGTH, CLS, SEP)
    _, pairs = make_pairs(rows, np.random.default_rng(0), sep=SEP, swap=True)
    assert pairs.weights.tolist() == [1] * 12
    assert isinstance(rows, Rows)
