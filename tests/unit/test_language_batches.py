"""Batches for language models: a number decides one, epochs differ, and rows are what was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from sopan.errors import ConfigError, DataError
from sopan.text.packing import PieceStore
from sopan.text.wordpiece import SPECIALS, WordPiece
from sopan.training.language_modelling import Batches, PretrainingTask

PIECES = [*SPECIALS, *(f"w{i}" for i in range(60)), *(f"##x{i}" for i in range(40))]
WORDPIECE = WordPiece.of(PIECES)
CLS, SEP, MASK = (WORDPIECE.specials[name] for name in ("[CLS]", "[SEP]", "[MASK]"))


def store(n=60, seed=0):
    """Documents of 0 to 49 pieces."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 50, n)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return PieceStore(rng.integers(5, len(PIECES), offsets[-1]).astype(np.uint16), offsets)


def task(**more):
    return PretrainingTask(**{"length": 32, "rows": 4, **more})


def flat(batch):
    return [array.tolist() for part in batch for array in part]


@pytest.mark.parametrize("pairs", ["none", "next", "order"])
@pytest.mark.parametrize("number", [0, 3, 25])
def test_a_number_alone_decides_a_batch(pairs, number):
    one, other = (Batches(store(), WORDPIECE, task(pairs=pairs), 3) for _ in range(2))
    expected = flat(one(number))
    for before in (40, 0, 7):
        other(before)
    assert flat(other(number)) == expected
    assert flat(Batches(store(), WORDPIECE, task(pairs=pairs), 4)(number)) != expected


def test_an_epoch_shows_each_sequence_once_and_the_next_cuts_and_packs_anew():
    batches = Batches(store(200), WORDPIECE, task(rows=1), 0)
    n = batches.batches_an_epoch
    first = [batches.rows(i)[0].ids[0].tolist() for i in range(n)]
    second = [batches.rows(i)[0].ids[0].tolist() for i in range(n, n + n - 1)]
    assert sum(row in second for row in first) < n / 2
    seen = np.concatenate([np.array(row)[np.array(row) > 4] for row in first])
    whole = np.bincount(store(200).ids, minlength=len(PIECES))
    assert (np.bincount(seen, minlength=len(PIECES)) <= whole).all(), (
        "no piece more often than it stands there"
    )
    assert len(seen) > 0.8 * len(store(200).ids)
    assert batches.batches_an_epoch == n  # still that of the first epoch


def test_shifted_sequences_differ_from_others_by_the_place_they_begin_at_alone():
    still, shifted = (Batches(store(), WORDPIECE, task(shift=shift), 0) for shift in (0, 100))
    begun = set()
    for number in range(8):
        (rows, _), (moved, _) = still.rows(number), shifted.rows(number)
        for name in ("ids", "blocks", "segments"):
            np.testing.assert_array_equal(getattr(moved, name), getattr(rows, name))
        by = moved.places - rows.places
        assert (by[rows.blocks == 0] == 0).all()
        for row in range(len(by)):
            for block in range(1, rows.blocks[row].max() + 1):
                (first,) = set(by[row][rows.blocks[row] == block])
                begun.add(int(first))
    assert min(begun) >= 0
    assert max(begun) <= 100
    assert len(begun) > 30


def test_a_masked_batch_is_what_the_network_takes():
    inputs, targets = Batches(store(), WORDPIECE, task(mask_rate=0.25), 0)(1)
    ids, blocks, places, segments, at = inputs
    truth, weights = targets
    assert ids.shape == blocks.shape == places.shape == segments.shape == (4, 32)
    assert at.shape == truth.shape == weights.shape == (32,)
    assert (ids == MASK).sum() > 10
    assert [array.dtype.name for array in (*inputs, *targets)] == ["int32"] * 6 + ["float32"]
    real = weights > 0
    assert (truth[real] > 4).all()


def test_single_pieces_or_whole_words():
    for whole in (True, False):
        batches = Batches(store(200), WORDPIECE, task(whole_words=whole), 0)
        torn = 0
        for number in range(20):
            (*_, at), (_, weights) = batches(number)
            rows = batches.rows(number)[0].ids.ravel()
            asked = np.zeros(rows.size, bool)
            asked[at[weights > 0]] = True
            goes_on = WORDPIECE.continues[rows[1:]] & (rows[:-1] > 4)
            torn += (asked[1:] != asked[:-1])[goes_on].sum()
        assert (torn == 0) == whole


def test_a_causal_batch_asks_at_every_place():
    (ids, _, _, _, at), (truth, weights) = Batches(store(), WORDPIECE, task(causal=True), 0)(0)
    assert at.tolist() == list(range(4 * 32))
    assert not (ids == MASK).any()
    asked = weights > 0
    np.testing.assert_array_equal(truth[asked], ids.ravel()[at[asked] + 1])


def test_pairs_come_last():
    inputs, targets = Batches(store(), WORDPIECE, task(pairs="order"), 0)(0)
    assert len(inputs) == 6
    assert len(targets) == 4
    assert inputs[5].shape == targets[2].shape == targets[3].shape == (8,)
    assert (inputs[0].ravel()[inputs[5]] == CLS).all()
    assert inputs[3].any()
    assert (inputs[0] == SEP).sum() > (Batches(store(), WORDPIECE, task(), 0)(0)[0][0] == SEP).sum()


def test_a_later_part_of_a_store_gives_its_own_pieces():
    whole = store()
    ids = np.where(np.arange(len(whole.ids)) < whole.offsets[30], 5, 6).astype(np.uint16)
    batches = Batches(PieceStore(ids, whole.offsets).part(30, 60), WORDPIECE, task(), 0)
    rows = batches.rows(0)[0].ids
    assert set(rows[rows > 4].tolist()) == {6}


def test_a_corpus_that_fills_no_batch_is_refused():
    with pytest.raises(DataError, match="fills 2 rows of 32 pieces, and a batch takes 4") as caught:
        Batches(PieceStore(np.full(60, 5, np.uint16), np.array([0, 30, 60])), WORDPIECE, task(), 0)
    assert "smaller batches" in caught.value.next_step


@pytest.mark.parametrize(
    "settings",
    [
        {"mask_rate": 0},
        {"mask_rate": 1},
        {"mask_rate": float("nan")},
        {"length": 15},
        {"rows": 0},
        {"shift": -1},
        {"causal": True, "pairs": "next"},
    ],
)
def test_tasks_that_cannot_be_are_refused(settings):
    with pytest.raises(ConfigError):
        PretrainingTask(**settings)
