"""The words of ASCII texts, cut without branches, are those of the automaton that cuts any text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sopan.kernels.plain import AS_IS, LOWER, plain_kinds, plain_words
from sopan.kernels.segment import segment_runs, segment_words
from sopan.text.encode import read_only
from sopan.text.unicode import regex_word_classes, space_classes, word_classes

RULES = {"words": (word_classes, 0), "sklearn": (regex_word_classes, 2), "spaces": (space_classes, 1)}
"""Classes of characters, and the least length of a run; 0 is the automaton of Unicode words."""

ascii_texts = st.one_of(
    st.text(alphabet="aB1_'.,:;\" <>/br\n", max_size=24), st.text(alphabet=st.characters(max_codepoint=127))
)


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None)
@given(text=ascii_texts, fold=st.sampled_from([AS_IS, LOWER]))
@example(text="1'1 a.b 1.a _ __ _a a_.b", fold=LOWER)
@example(text="x<br>y<BR />z<br / >br <br", fold=LOWER)
def test_plain_words_are_the_automatons_words(rule, text, fold):
    classes, shortest = RULES[rule][0](), RULES[rule][1]
    data = read_only(np.frombuffer(text.encode(), np.uint8))
    room = len(data) // 2 + 1
    starts, ends, expected_starts, expected_ends = np.empty((4, room), np.int64)
    folded, edges = np.empty(len(data), np.uint8), np.empty(len(data) + 2, np.int64)
    kinds = plain_kinds(classes, shortest)
    n = plain_words(data, kinds, shortest, fold, folded, edges, starts, ends)
    if shortest:
        n_expected = segment_runs(data, 0, len(data), classes, shortest, expected_starts, expected_ends)
    else:
        n_expected = segment_words(data, 0, len(data), classes, expected_starts, expected_ends)
    assert starts[:n].tolist() == expected_starts[:n_expected].tolist()
    assert ends[:n].tolist() == expected_ends[:n_expected].tolist()
    assert folded.tobytes().decode() == (text.lower() if fold is LOWER else text)


def test_folding_is_for_ascii_capitals_alone():
    assert bytes(LOWER[np.frombuffer(b"AZ[az@\xc3\x89", np.uint8)]) == b"az[az@\xc3\x89"
