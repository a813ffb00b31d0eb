"""HTML's line break tag is one rule, however a text is read."""

from __future__ import annotations

import re
from functools import cache
from string import ascii_lowercase

import numpy as np
import pytest
import tensorflow as tf

from sopan.fit.export.graph_pieces import GraphPieces
from sopan.fit.export.graph_words import GraphWords
from sopan.lm.evaluate import sentences
from sopan.text.datasets.imdb import text_hash
from sopan.text.ngrams import count_ngrams
from sopan.text.tokenize import tokenize
from sopan.text.unicode import LINE_BREAK
from sopan.text.vocab import build_vocabulary
from sopan.text.wordpiece import SPECIALS, WordPiece

TAGS = [
    "<br>",
    "<br/>",
    "<br />",
    "<BR>",
    "<Br/>",
    "<bR />",
    "<br  >",
    "<br\t/>",
    "<br\n/>",
    "<br\x0b\x0c\r>",
]
OTHERS = [
    *("<br", "br>", "< br>", "<br/ >", "<br//>", "<b r>", "<brr>", "<br class=x>", "</br>", "&lt;br&gt;"),
    *("<br\u00a0/>", "<br\u2003>", "<br\u0301>", "\uff1cbr\uff1e"),
]
# The kernels read ASCII texts on a path of its own.
READINGS = pytest.mark.parametrize("accent", ["", "é"], ids=["ASCII", "other"])

CHARACTERS = [*SPECIALS, *ascii_lowercase, *(f"##{c}" for c in ascii_lowercase), *"<>/&;=é"]
PIECES = WordPiece.of(CHARACTERS, breaks=True, accents="strip-alphabets")


@cache
def graphs() -> tuple[GraphWords, GraphPieces]:
    return GraphWords("words", lowercase=True), GraphPieces(PIECES)


def by_graphs(text: str) -> tuple[list[str], list[int]]:
    words, pieces = (graph(tf.constant([text])).to_list()[0] for graph in graphs())
    return [word.decode() for word in words], pieces


@pytest.mark.parametrize("tag", TAGS)
@READINGS
def test_a_line_break_is_a_space(tag, accent):
    text, spaced = f"one{accent}{tag}two", f"one{accent} two"
    assert re.sub(LINE_BREAK, " ", text) == spaced
    assert tokenize(text).words == tokenize(spaced).words
    assert build_vocabulary([text])[0].words == build_vocabulary([spaced])[0].words
    found, expected = (count_ngrams([t], analyzer="char_wb", ngram_range=(2, 3))[0] for t in (text, spaced))
    assert found.features.equals(expected.features)
    assert PIECES.encode([text]).ids.tolist() == PIECES.encode([spaced]).ids.tolist()
    assert by_graphs(text) == (list(tokenize(spaced).words), PIECES.encode([spaced]).ids.tolist())
    assert sentences([f"Here are {text} three."], 1, np.random.default_rng()) == [f"Here are {spaced} three."]
    assert text_hash(text) == text_hash(spaced)


@pytest.mark.parametrize("other", OTHERS)
@READINGS
def test_what_only_looks_like_one_is_text(other, accent):
    text, spaced = f"one{accent}{other}two", f"one{accent} two"
    assert re.sub(LINE_BREAK, " ", text) == text
    words = tokenize(text).words
    assert words != tokenize(spaced).words
    assert sorted(build_vocabulary([text])[0].words) == sorted(set(words))
    found, expected = (count_ngrams([t], analyzer="char_wb", ngram_range=(2, 3))[0] for t in (text, spaced))
    assert not found.features.equals(expected.features)
    ids = PIECES.encode([text]).ids.tolist()
    assert ids != PIECES.encode([spaced]).ids.tolist()
    assert by_graphs(text) == (list(words), ids)


def test_berts_own_vocabularies_keep_it():
    bert = WordPiece.of(CHARACTERS)
    assert bert.cut("a<br>b").pieces == ("a", "<", "b", "##r", ">", "b")
