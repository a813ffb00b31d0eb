"""Blanks: how many, where never, words as wholes, and what a causal model is asked."""

from __future__ import annotations

import numpy as np
import pytest

from sopan.text.objectives import mask_pieces, next_pieces
from sopan.text.packing import Rows, cut_sequences, fill_rows, pack_rows

CLS, SEP, MASK, FIRST, V = 2, 3, 4, 5, 105
SPECIAL = np.arange(V) < FIRST
CONTINUES = np.arange(V) >= 70


def packed(seed=0, height=32, length=64, empty=0.0):
    """Full rows of random pieces, `empty` of which stand for nothing."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, 200, 200)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    ids = rng.integers(FIRST, V, offsets[-1]).astype(np.int32)
    cut = cut_sequences(offsets, length, rng)
    rows = fill_rows(ids, cut, pack_rows(cut.lengths, length, rng)[:height], length, CLS, SEP)
    if empty:
        gone = int(length * (1 - empty))
        rows = Rows(*(array.copy() for array in rows))
        for array in rows:
            array[:, gone:] = 0
    return rows


def hide(rows, rng, rate=0.15, whole=False):
    continues = CONTINUES if whole else None
    return mask_pieces(rows, rng, rate=rate, special=SPECIAL, continues=continues, mask=MASK)


def within(share, expected, n):
    """Whether a share of n draws is as likely as one in 15,000 allows."""
    return abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / n)


def test_two_draws_hide_other_pieces():
    rows, rng = packed(), np.random.default_rng(0)
    kept = rows.ids.copy()
    one, other = hide(rows, rng), hide(rows, rng)
    assert one.at.tolist() != other.at.tolist()
    assert one.ids.tolist() != other.ids.tolist()
    np.testing.assert_array_equal(rows.ids, kept)
    again = hide(rows, np.random.default_rng(0))
    assert [a.tolist() for a in again] == [a.tolist() for a in one], "the same draws, the same blanks"


def test_fifteen_of_a_hundred_are_asked_and_of_them_80_10_10():
    rows, rng = packed(), np.random.default_rng(1)
    asked = masked = replaced = stayed = 0
    picks = np.zeros(rows.ids.size)
    for _ in range(120):
        blanks = hide(rows, rng)
        assert blanks.weights.all()
        now = blanks.ids.ravel()[blanks.at]
        np.testing.assert_array_equal(blanks.truth, rows.ids.ravel()[blanks.at])
        assert len(np.unique(blanks.at)) == len(blanks.at)
        others = np.delete(np.arange(rows.ids.size), blanks.at)
        np.testing.assert_array_equal(blanks.ids.ravel()[others], rows.ids.ravel()[others])
        asked += len(blanks.at)
        masked += (now == MASK).sum()
        stayed += (now == blanks.truth).sum()
        replaced += ((now != MASK) & (now != blanks.truth)).sum()
        picks[blanks.at] += 1
    assert asked / 120 == round(0.15 * rows.ids.size)
    assert within(masked / asked, 0.8, asked)
    chance = 1 / (V - FIRST)  # another piece is by chance the very same
    assert within(replaced / asked, 0.1 * (1 - chance), asked)
    assert within(stayed / asked, 0.1 + 0.1 * chance, asked)
    may = (rows.blocks.ravel() > 0) & ~SPECIAL[rows.ids.ravel()]
    share = asked / 120 / may.sum()
    assert picks[may].std() == pytest.approx(np.sqrt(120 * share * (1 - share)), rel=0.1), "all places alike"


def test_every_other_piece_may_stand_in_but_a_special_one_never():
    rows, rng = packed(), np.random.default_rng(2)
    seen = set()
    for _ in range(60):
        blanks = hide(rows, rng, rate=0.4)
        now = blanks.ids.ravel()[blanks.at]
        seen |= set(now[(now != blanks.truth) & (now != MASK)].tolist())
    assert seen == set(range(FIRST, V))


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("empty", [0.0, 0.9])
def test_specials_and_padding_are_never_hidden(whole, empty):
    rows, rng = packed(empty=empty), np.random.default_rng(3)
    rows.ids[3, 5] = 1  # [UNK]
    for rate in (0.15, 0.9):
        blanks = hide(rows, rng, rate=rate, whole=whole)
        real = blanks.at[blanks.weights > 0]
        assert (rows.blocks.ravel()[real] > 0).all()
        assert not SPECIAL[rows.ids.ravel()[real]].any()
        untouched = SPECIAL[rows.ids] | (rows.blocks == 0)
        np.testing.assert_array_equal(blanks.ids[untouched], rows.ids[untouched])
        assert len(blanks.at) == round(rate * rows.ids.size), "P is the same for every batch of a shape"
        if empty and rate == 0.9:
            fillers = blanks.weights == 0
            assert fillers.any()
            assert not blanks.truth[fillers].any()
            assert not blanks.at[fillers].any()
            may = (rows.blocks > 0) & ~SPECIAL[rows.ids]
            assert (~fillers).sum() == may.sum()


def test_a_words_pieces_are_hidden_together_or_not_at_all():
    rows, rng = packed(), np.random.default_rng(4)
    flat, inside = rows.ids.ravel(), rows.blocks.ravel() > 0
    may = inside & ~SPECIAL[flat]
    number = np.cumsum(~(CONTINUES[flat] & may))
    for rate in (0.05, 0.15, 0.4):
        for _ in range(40):
            blanks = hide(rows, rng, rate=rate, whole=True)
            real = blanks.at[blanks.weights > 0]
            hidden = np.zeros(flat.size, bool)
            hidden[real] = True
            touched = np.isin(number, number[real]) & may
            np.testing.assert_array_equal(hidden, touched)
            goal = round(rate * flat.size)
            longest = np.bincount(number[may]).max()
            assert goal - longest < len(real) <= goal


def test_no_place_at_all_is_asked_where_there_is_none():
    empty = Rows(*(np.zeros((2, 16), np.int32) for _ in range(4)))
    blanks = hide(empty, np.random.default_rng(0))
    assert blanks.weights.tolist() == [0] * 5
    assert [array.dtype.name for array in blanks] == ["int32", "int32", "int32", "float32"]


def test_at_least_one_place_is_asked():
    one = Rows(np.array([[CLS, 7, SEP]], np.int32), *(np.ones((1, 3), np.int32) for _ in range(3)))
    blanks = hide(one, np.random.default_rng(0), rate=0.01)
    assert (blanks.at.tolist(), blanks.truth.tolist(), blanks.weights.tolist()) == ([1], [7], [1])


def test_the_next_pieces_by_hand():
    ids = np.array([[CLS, 7, 8, SEP, CLS, 9, SEP, 0], [CLS, 7, 8, 9, 10, 11, 12, SEP]], np.int32)
    blocks = np.array([[1, 1, 1, 1, 2, 2, 2, 0], [1] * 8], np.int32)
    blanks = next_pieces(Rows(ids, blocks, np.zeros_like(ids), np.zeros_like(ids)))
    np.testing.assert_array_equal(blanks.ids, ids)
    assert blanks.at.tolist() == list(range(16))
    asked = blanks.weights > 0
    assert asked.tolist() == [True, True, True, False, True, True, False, False, *[True] * 7, False]
    assert blanks.truth[asked].tolist() == [7, 8, SEP, 9, SEP, 7, 8, 9, 10, 11, 12, SEP]
    assert [array.dtype.name for array in blanks] == ["int32", "int32", "int32", "float32"]


def test_a_full_rows_last_piece_does_not_foretell_the_next_rows_first():
    ids = np.array([[CLS, 7, SEP], [CLS, 8, SEP]], np.int32)
    blanks = next_pieces(Rows(ids, np.ones_like(ids), ids, ids))
    assert blanks.weights.tolist() == [1, 1, 0, 1, 1, 0]
