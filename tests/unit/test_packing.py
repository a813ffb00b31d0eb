"""Documents as rows without padding: by hand, and held to what must be true of any corpus."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopan.text.packing import LEAST, Sequences, cut_sequences, fill_rows, pack_rows
from sopan.text.piece_tokenizer import MARKS

CLS, SEP = 101, 102


def offsets_of(sizes):
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


# ---- cut -------------------------------------------------------------------------------------


def test_a_document_that_fits_is_one_sequence():
    cut = cut_sequences(offsets_of([14, 9]), 16, np.random.default_rng(0))
    assert cut.starts.tolist() == [0, 14]
    assert cut.lengths.tolist() == [14, 9]


def test_empty_and_short_documents_teach_nothing():
    cut = cut_sequences(offsets_of([0, LEAST - 1, LEAST, 0]), 16, np.random.default_rng(0))
    assert cut.starts.tolist() == [LEAST - 1]
    assert cut.lengths.tolist() == [LEAST]


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 90), min_size=1, max_size=12),
    st.integers(16, 40),
    st.integers(0, 2**32),
    st.integers(0, 50),
)
def test_every_piece_of_a_document_is_in_one_sequence_short_ends_aside(sizes, length, seed, before):
    """`before`: a store's later part begins behind its first piece."""
    offsets = offsets_of(sizes) + before
    cut = cut_sequences(offsets, length, np.random.default_rng(seed))
    assert (cut.lengths >= LEAST).all()
    assert (cut.lengths <= length - MARKS).all()
    covered = np.zeros(int(offsets[-1]), int)
    for start, size in zip(cut.starts, cut.lengths, strict=True):
        covered[start : start + size] += 1
        document = np.searchsorted(offsets, start, side="right") - 1
        assert start + size <= offsets[document + 1], "a sequence is of one document"
    assert covered.max(initial=0) <= 1
    assert not covered[:before].any()
    for start, end in pairwise(offsets):
        left_out = np.flatnonzero(covered[start:end] == 0)
        inner = np.diff(left_out, prepend=-2, append=end - start + 2) > 1
        runs = np.diff(np.flatnonzero(inner))
        assert len(runs) <= 2, "only a document's two ends may be too short"
        assert (runs < LEAST).all()
    if max(sizes) < LEAST:
        assert len(cut.starts) == 0


def test_the_first_cut_falls_anywhere():
    cuts = [cut_sequences(offsets_of([100]), 22, np.random.default_rng(s)).lengths[0] for s in range(300)]
    assert set(cuts) >= set(range(LEAST, 20))


# ---- pack ------------------------------------------------------------------------------------


def test_the_longest_that_fits_comes_next():
    rows = pack_rows(np.array([6, 14, 4, 4, 9]), 16, np.random.default_rng(0))
    held = sorted(sorted(row.tolist()) for row in rows)
    assert held in ([[0, 2], [1], [3], [4]], [[0, 3], [1], [2], [4]])


@settings(max_examples=60)
@given(st.integers(10, 40), st.data(), st.integers(0, 2**32))
def test_every_sequence_is_in_one_row_and_no_row_is_too_long(length, data, seed):
    lengths = np.array(data.draw(st.lists(st.integers(1, length - MARKS), max_size=60)), np.int64)
    rows = pack_rows(lengths, length, np.random.default_rng(seed))
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    used = [int((lengths[row] + MARKS).sum()) for row in rows]
    assert max(used, default=0) <= length
    smallest = [int((lengths[row] + MARKS).min()) for row in rows]
    emptiest = np.argsort(used)[:2]
    if len(used) > 1:  # two rows that would have gone into one do not stay apart
        first, second = emptiest
        assert (
            used[first] + min(smallest[second], used[second]) > length or used[first] + used[second] > length
        )


@pytest.mark.parametrize("length", [64, 128, 512])
def test_rows_are_nearly_full_on_lengths_as_reviews_have_them(length):
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.normal(5, 0.7, 4000)).astype(np.int64)
    cut = cut_sequences(offsets_of(sizes), length, rng)
    rows = pack_rows(cut.lengths, length, rng)
    assert (cut.lengths + MARKS).sum() / (len(rows) * length) > 0.96
    assert cut.lengths.sum() / sizes.sum() > 0.95, "short ends cost little"


def test_the_same_seed_packs_the_same_and_another_differently():
    lengths = np.random.default_rng(0).integers(8, 62, 200)
    one, same, other = (
        [row.tolist() for row in pack_rows(lengths, 64, np.random.default_rng(s))] for s in (1, 1, 2)
    )
    assert one == same
    assert one != other
    assert sorted(map(tuple, one)) != sorted(map(tuple, other)), "others come together, too"


# ---- fill ------------------------------------------------------------------------------------


def test_two_sequences_in_a_row_by_hand():
    ids = np.arange(10, 20, dtype=np.uint16)
    sequences = Sequences(np.array([0, 6]), np.array([3, 2]))
    rows = fill_rows(ids, sequences, [np.array([1, 0]), np.array([0])], 10, CLS, SEP)
    assert rows.ids.tolist() == [
        [CLS, 16, 17, SEP, CLS, 10, 11, 12, SEP, 0],
        [CLS, 10, 11, 12, SEP, 0, 0, 0, 0, 0],
    ]
    assert rows.blocks.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2, 2, 0], [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]]
    assert rows.places.tolist() == [[0, 1, 2, 3, 0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 4, 0, 0, 0, 0, 0]]
    assert not rows.segments.any()
    assert {array.dtype for array in rows} == {np.dtype(np.int32)}


def test_all_pieces_come_back_out_of_the_rows():
    rng = np.random.default_rng(3)
    sizes = rng.integers(0, 120, 80)
    ids = np.arange(1000, 1000 + sizes.sum()).astype(np.int32)
    cut = cut_sequences(offsets_of(sizes), 32, rng)
    rows = fill_rows(ids, cut, pack_rows(cut.lengths, 32, rng), 32, CLS, SEP)
    found = np.sort(rows.ids[rows.ids >= 1000])
    expected = np.concatenate([ids[s : s + n] for s, n in zip(cut.starts, cut.lengths, strict=True)])
    np.testing.assert_array_equal(found, np.sort(expected))
    assert ((rows.ids == CLS) == ((rows.places == 0) & (rows.blocks > 0))).all()
    assert (rows.ids == CLS).sum() == (rows.ids == SEP).sum() == len(cut.starts)
