"""Long texts, cut by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sopan.text.batch import Clipped
from sopan.text.windows import Windows, cut_windows
from sopan.types import Encoded

CLS, SEP = 90, 91


def encoded(*lengths):
    ids = np.concatenate([np.arange(length) for length in lengths] + [np.empty(0, int)])
    return Encoded(ids.astype(np.int32), np.cumsum([0, *lengths]))


def cut(*lengths, long_texts, max_length=6, max_windows=3):
    found = cut_windows(
        encoded(*lengths),
        max_length=max_length,
        long_texts=long_texts,
        max_windows=max_windows,
        cls=CLS,
        sep=SEP,
    )
    ids, offsets = found.clipped.encoded.ids, found.clipped.encoded.offsets
    rows = [ids[a:b].tolist() for a, b in pairwise(offsets)]
    assert ids.dtype == np.int32
    assert all(row[0] == CLS and row[-1] == SEP and len(row) <= max_length for row in rows)
    np.testing.assert_array_equal(found.clipped.truncated, found.truncated[found.of])
    return [row[1:-1] for row in rows], found.of.tolist(), found.truncated.tolist()


@pytest.mark.parametrize(
    ("long_texts", "seven"), [("head", [0, 1, 2, 3]), ("head+tail", [0, 1, 5, 6])], ids=["head", "both ends"]
)
def test_a_long_text_is_cut_short_and_says_so(long_texts, seven):
    rows, of, truncated = cut(4, 7, 0, 5, long_texts=long_texts)
    five = [0, 1, 2, 3] if long_texts == "head" else [0, 1, 3, 4]
    assert rows == [[0, 1, 2, 3], seven, [], five]
    assert of == [0, 1, 2, 3]
    assert truncated == [False, True, False, True]


def test_an_odd_room_gives_the_beginning_one_more():
    assert cut(9, long_texts="head+tail", max_length=7)[0] == [[0, 1, 2, 7, 8]]


def test_windows_read_everything_in_parts_of_like_length():
    rows, of, truncated = cut(4, 5, 0, 12, long_texts="windows")
    assert rows == [[0, 1, 2, 3], [0, 1, 2], [3, 4], [], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert of == [0, 1, 1, 2, 3, 3, 3]
    assert truncated == [False] * 4


def test_what_even_the_windows_do_not_hold_loses_its_middle():
    rows, of, truncated = cut(20, long_texts="windows", max_windows=2)
    assert rows == [[0, 1, 2, 3], [16, 17, 18, 19]]
    assert (of, truncated) == ([0, 0], [True])


def test_no_texts_have_no_windows():
    for long_texts in ("head", "head+tail", "windows"):
        assert cut(long_texts=long_texts) == ([], [], [])


def test_windows_are_pooled_by_hand():
    clipped = Clipped(encoded(1, 1, 1), np.zeros(3, bool))
    windows = Windows(clipped, np.array([0, 0, 1]), np.zeros(2, bool))
    values = np.array([[1.0, 5.0], [3.0, -1.0], [7.0, 0.5]])
    assert windows.pooled(values).tolist() == [[2.0, 2.0], [7.0, 0.5]]
    assert windows.pooled(values, "max").tolist() == [[3.0, 5.0], [7.0, 0.5]]
    assert Windows.whole(clipped).pooled(values) is values
