"""For any texts at all, words cut in the graph are `tokenize`'s words."""

from __future__ import annotations

import unicodedata
from functools import cache

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from properties.strategies import texts

from sopan.fit.export.graph_words import GraphWords
from sopan.text.tokenize import tokenize


@cache
def graph(rule, lowercase):
    words = GraphWords(rule, lowercase=lowercase)
    signature = [tf.TensorSpec([None], tf.string)]
    return words, tf.function(words.__call__, input_signature=signature, autograph=False)


def cut(texts, rule, lowercase):
    rows = graph(rule, lowercase)[1](tf.constant(texts, tf.string)).to_list()
    return [[word.decode() for word in row] for row in rows]


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("rule", ["words", "sklearn"])
@given(batch=st.lists(texts(), max_size=8))
def test_words_are_those_of_tokenize(rule, lowercase, batch):
    expected = [list(tokenize(text, rule, lowercase=lowercase).words) for text in batch]
    assert cut(batch, rule, lowercase) == expected


@given(batch=st.lists(texts(), min_size=1, max_size=4))
def test_canonically_equal_texts_have_equal_words(batch):
    composed = [unicodedata.normalize("NFC", text) for text in batch]
    apart = [unicodedata.normalize("NFD", text) for text in batch]
    assert cut(apart, "words", True) == cut(composed, "words", True)


@pytest.mark.parametrize("rule", ["words", "sklearn"])
@given(batch=st.lists(st.binary(max_size=40), max_size=4))
def test_any_bytes_are_cut(rule, batch):
    found = cut(batch, rule, True)
    assert len(found) == len(batch)
    decodable = [i for i, text in enumerate(batch) if _is_utf_8(text)]
    expected = [list(tokenize(batch[i].decode(), rule).words) for i in decodable]
    assert [found[i] for i in decodable] == expected


def _is_utf_8(text):
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
