"""The words of ASCII texts and those nearly like them, cut without branches, are those of the automaton."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sopan.kernels.ascii_words import AS_IS, LOWER, mixed_words, plain_kinds, plain_words
from sopan.kernels.segment import EMOJI, EXTEND, FLAG, HEBREW, UNSPACED, segment_runs, segment_words
from sopan.text.arrow import read_only
from sopan.text.tokenize import regex_word_classes, space_classes, word_classes

RULES = {"words": (word_classes, 0), "sklearn": (regex_word_classes, 2), "spaces": (space_classes, 1)}
"""Classes of characters, and the least length of a run; 0 is the automaton of Unicode words."""

ascii_texts = st.one_of(
    st.text(alphabet="aB1_'.,:;\" <>/br\n", max_size=24), st.text(alphabet=st.characters(max_codepoint=127))
)


def automatons_words(data, low, high, classes, shortest):
    """Return the bounds of the words of data[low:high]."""
    starts, ends = np.empty((2, len(data) // 2 + 1), np.int64)
    if shortest:
        n = segment_runs(data, low, high, classes, shortest, starts, ends)
    else:
        n = segment_words(data, low, high, classes, starts, ends)
    return list(zip(starts[:n].tolist(), ends[:n].tolist(), strict=True))


@pytest.mark.parametrize("rule", RULES)
@given(text=ascii_texts, fold=st.sampled_from([AS_IS, LOWER]))
@example(text="1'1 a.b 1.a _ __ _a a_.b", fold=LOWER)
@example(text="x<br>y<BR />z<br / >br <br", fold=LOWER)
def test_plain_words_are_the_automatons_words(rule, text, fold):
    classes, shortest = RULES[rule][0](), RULES[rule][1]
    data = read_only(np.frombuffer(text.encode(), np.uint8))
    room = len(data) // 2 + 1
    starts, ends = np.empty((2, room), np.int64)
    folded, edges = np.empty(len(data), np.uint8), np.empty(len(data) + 2, np.int64)
    kinds = plain_kinds(classes, shortest)
    n = plain_words(data, kinds, shortest, fold, folded, edges, starts, ends)
    assert list(zip(starts[:n].tolist(), ends[:n].tolist(), strict=True)) == automatons_words(
        data, 0, len(data), classes, shortest
    )
    assert folded.tobytes().decode() == (text.lower() if fold is LOWER else text)


mixed_texts = st.one_of(
    st.text(alphabet="aé1_'.,:\u2019\u2013\u203f\u00b7\u0664\uff0c\uff41\u00a0 <>/br\n", max_size=24),
    st.text(alphabet="aé1.\u2019 \u0301\u05d0\u4e2d\u0995\u09c7\U0001f600", max_size=12),
    st.text(),
)


@pytest.mark.parametrize("rule", RULES)
@given(before=st.text(max_size=3), text=mixed_texts, after=st.text(max_size=3))
@example(
    before="x", text="l\u2019\u00e9t\u00e9 <br\u00a0/> <br /> 1\u066b5 \u203f \u00e9\u203f", after="\u00e9"
)
def test_words_of_mixed_texts_are_the_automatons_words(rule, before, text, after):
    """They are found, or left to it: only where there are marks, emoji, Hebrew or unspaced scripts."""
    classes, shortest = RULES[rule][0](), RULES[rule][1]
    whole = (before + text + after).encode()
    data = read_only(np.frombuffer(whole, np.uint8))
    low, high = len(before.encode()), len(whole) - len(after.encode())
    starts, ends = np.empty((2, len(data) // 2 + 1), np.int64)
    symbols, folded = np.empty((2, len(data)), np.uint8)
    places, edges = np.empty((2, len(data) + 2), np.int64)
    kinds = plain_kinds(classes, shortest)
    n = mixed_words(data, low, high, classes, kinds, shortest, symbols, places, folded, edges, starts, ends)
    if n < 0:
        assert not shortest
        assert any(classes[ord(character)] in (EXTEND, HEBREW, UNSPACED, EMOJI, FLAG) for character in text)
    else:
        found = list(zip(starts[:n].tolist(), ends[:n].tolist(), strict=True))
        assert found == automatons_words(data, low, high, classes, shortest)


def test_folding_is_for_ascii_capitals_alone():
    assert bytes(LOWER[np.frombuffer(b"AZ[az@\xc3\x89", np.uint8)]) == b"az[az@\xc3\x89"
