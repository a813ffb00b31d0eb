"""Blanks as BERT's paper tells them, word by word in slow Python, against `mask_pieces`.

J. Devlin et al., "BERT" (2019), section 3.1 and its whole-word variant. From the same draws both must hide
the same words, and put the same in their place.
"""

from __future__ import annotations

import numpy as np
import pytest

from sopan.text.objectives import HIDDEN, REPLACED, mask_pieces
from sopan.text.packing import Rows

VOCABULARY, MASK = 60, 4
SPECIAL = np.arange(VOCABULARY) < 5
CONTINUES = np.arange(VOCABULARY) >= 40


def some_rows(rng, height, length):
    ids = rng.integers(5, VOCABULARY, (height, length)).astype(np.int32)
    blocks = np.zeros((height, length), np.int32)
    for row in range(height):
        cut, end = sorted(rng.integers(4, length + 1, 2))
        for number, (start, stop) in enumerate(((0, cut), (cut, end)), start=1):
            if stop - start < 3:
                continue
            blocks[row, start:stop] = number
            ids[row, start], ids[row, stop - 1] = 2, 3
    ids[blocks == 0] = 0
    ids[rng.random(ids.shape) < 0.03] = 1
    return Rows(ids, blocks, np.zeros_like(ids), np.zeros_like(ids))


def words_of(rows, whole):
    """The words that may be hidden: lists of places in B · T, and the place whose draw decides."""
    flat, inside = rows.ids.ravel().tolist(), (rows.blocks.ravel() > 0).tolist()
    words, lead = [], None
    for place, piece in enumerate(flat):
        may = inside[place] and not SPECIAL[piece]
        goes_on = whole and may and CONTINUES[piece]
        if not goes_on:
            lead = place
        if not may:
            continue
        if goes_on and words and words[-1][0] == lead:
            words[-1][1].append(place)
        else:
            words.append((lead, [place]))
    return words


def reference(rows, seed, rate, whole):
    """Which places are asked, and the ids with blanks."""
    rng = np.random.default_rng(seed)
    size = rows.ids.size
    goal = max(1, round(rate * size))
    draw = rng.random(size, dtype=np.float32)
    chosen: list[int] = []
    for _, places in sorted(words_of(rows, whole), key=lambda word: draw[word[0]]):
        if len(chosen) + len(places) > goal:
            break
        chosen += places
    ids = rows.ids.ravel().tolist()
    fates = rng.random(len(chosen), dtype=np.float32)
    others = [piece for piece in range(VOCABULARY) if not SPECIAL[piece]]
    replaced = []
    for place, fate in zip(sorted(chosen), fates, strict=True):
        if fate < HIDDEN:
            ids[place] = MASK
        elif fate < HIDDEN + REPLACED:
            replaced.append(place)
    for place, other in zip(replaced, rng.integers(0, len(others), len(replaced)), strict=True):
        ids[place] = others[other]
    return sorted(chosen), np.array(ids).reshape(rows.ids.shape), goal


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4, 0.95])
def test_the_same_words_are_hidden_as_in_slow_python(whole, rate):
    for seed in range(25):
        rng = np.random.default_rng([seed, 7])
        rows = some_rows(rng, int(rng.integers(1, 6)), int(rng.integers(8, 40)))
        places, ids, goal = reference(rows, seed, rate, whole)
        found = mask_pieces(
            rows,
            np.random.default_rng(seed),
            rate=rate,
            special=SPECIAL,
            continues=CONTINUES if whole else None,
            mask=MASK,
        )
        asked = found.weights > 0
        assert len(found.at) == goal
        assert found.at[asked].tolist() == places
        np.testing.assert_array_equal(found.ids, ids)
        np.testing.assert_array_equal(found.truth[asked], rows.ids.ravel()[places])
