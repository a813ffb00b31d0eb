"""For any texts at all, pieces cut in the graph are `WordPiece`'s."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from properties.strategies import TELLING, texts

from sopan.fit.export.graph_pieces import GraphPieces
from sopan.text.wordpiece import SPECIALS, WordPiece

MARKS = "\u0301\u0323\u0345\u0334\u302e\u302f\u1b44\u094d\u09bc\u09be\u034f\u3099\U0001d165\U0001d16d\u0901"
BASES = "aσ\u09c7か\u1100\u1161\u11a8가Å\u0344\u0958ǖẞ\u2f800"
SETTINGS = [
    (lowercase, accents) for lowercase in (True, False) for accents in ("keep", "strip", "strip-alphabets")
]


@cache
def graph(lowercase, accents):
    characters = sorted({c for text in [*TELLING, MARKS, BASES] for c in text if not c.isspace()})
    later = [f"##{c}" for c in characters[::2]] + [f"##{a}{b}" for a, b in zip(BASES, MARKS, strict=False)]
    longer = [a + b for a in "abzAZ01" for b in characters[::3]] + ["the", "##ing", "##01"]
    pieces = list(dict.fromkeys([*SPECIALS, *characters[::2], *characters[1::6], *later, *longer]))
    ours = accents == "strip-alphabets"  # vocabularies that we train take `<br>` for a space
    wordpiece = WordPiece.of(pieces, lowercase=lowercase, accents=accents, breaks=ours)
    read = GraphPieces(wordpiece)
    signature = [tf.TensorSpec([None], tf.string)]
    return wordpiece, read, tf.function(read.__call__, input_signature=signature, autograph=False)


def assert_same(batch, lowercase, accents):
    wordpiece, _, read = graph(lowercase, accents)
    expected, found = wordpiece.encode(batch), read(tf.constant(batch, tf.string))
    np.testing.assert_array_equal(found.row_splits, expected.offsets)
    np.testing.assert_array_equal(found.flat_values, expected.ids)


@pytest.mark.parametrize(("lowercase", "accents"), SETTINGS)
@given(batch=st.lists(texts(), max_size=8))
def test_pieces_are_those_of_wordpiece(lowercase, accents, batch):
    assert_same(batch, lowercase, accents)


@pytest.mark.parametrize(("lowercase", "accents"), SETTINGS)
@given(batch=st.lists(st.text(st.sampled_from(MARKS + BASES), max_size=30), max_size=8))
def test_heaps_of_marks_are_ordered_and_composed(lowercase, accents, batch):
    assert_same(batch, lowercase, accents)


@given(batch=st.lists(st.text("ab01zZ", max_size=130), max_size=4))
def test_long_words_are_cut_or_unknown(batch):
    assert_same(batch, lowercase=True, accents="strip")


@given(batch=st.lists(st.binary(max_size=40), max_size=4))
def test_any_bytes_are_cut(batch):
    wordpiece, _, read = graph(True, "strip-alphabets")
    found = read(tf.constant(batch, tf.string)).to_list()
    assert len(found) == len(batch)
    for text, ids in zip(batch, found, strict=True):
        parted = text.decode(errors="replace")
        if "\ufffd" not in parted:
            assert ids == wordpiece.encode([parted]).ids.tolist()
