"""The graph's words and ids are `tokenize`'s and `Vocabulary`'s, character for character."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from sopan.fit.export.graph_unicode import Composed, FormatRemoval, Lower, to_stream
from sopan.fit.export.graph_words import GraphVocabulary, GraphWords
from sopan.fit.export.unicode_tables import SEPARATOR, PointTable, normal_tables
from sopan.text.batch import clip
from sopan.text.tokenize import tokenize
from sopan.text.unicode import FORMAT_CHARACTERS
from sopan.text.vocab import Vocabulary, build_vocabulary

TEXTS = [
    "I can't: 3.14, 1,000 and e.g. U.S.A. a_b __ _",
    "<br>a<BR/>b<br />c< br>d<br \n/>e<br//>f<br",
    "br <b> <br\u0301> x<br>",
    "ছবিটা খুব ভালো। হয়্য য\u09bc য়",
    "फ़िल्म क\u093c्षत्रिय",
    "தமிழ் பொ\u0bc6\u0bbe",
    "אבצל״ם ע׳ ״א א'ב א'' צה\"ל",
    "عَرَبِيّ ٣٫١٤",
    "我爱北京 天 あa カタカナー ｶﾞ 我\u0301爱",
    "ไทยน้ำ ເລາ ខ្មែរ မြန်",
    "\u1112\u1161\u11ab\u1100\u1173\u11af 한글 \u1112\u1161\u11a7",
    "ΟΔΥΣΣΕΥΣ ΑΣ' Σ ΣΑ Α\u0301Σ\u0301 ΑΣ\u00adΑ ͅΣ",
    "İSTANBUL İ\u0323 ŞI ıI",
    "soft\u00adhyphen zero\u200bwidth joi\u200dner no\u200cn \ufeffmark a\u2066b\u2069",
    "Cafe\u0301 A\u030a\u0323 \u1e9b\u0323 \u0344 \u0958 \u2126 \u212b \u03d3 q\u0307\u0323",
    "𝒜𝟘 𐐀𐐨 𞤀 𠀀 👍🏽 🇧🇩 Ⓜ ⅷ",
    "👩\u200d🚀👍🏽🏽 🇧🇩🇮🇳🇫x🇧\ufe0f🇩 \u200d🚀 a\u200d😀 🙂\u200d\ufe0f↔ _😀_",
    "nul\0nul \x1c\x85\u2028 end",
    "",
    " \n\t",
]
SETTINGS = pytest.mark.parametrize(
    ("rule", "lowercase"),
    [("words", True), ("words", False), ("sklearn", True), ("sklearn", False), ("words-1", True)],
)


def as_lists(words):
    return [[word.decode() for word in row] for row in words.to_list()]


def points_of(stream):
    return "".join(map(chr, stream.numpy()[1:-1]))


def streamed(text):
    return tf.constant([SEPARATOR, *map(ord, text), SEPARATOR])


@SETTINGS
def test_words_are_those_of_tokenize(rule, lowercase):
    found = as_lists(GraphWords(rule, lowercase=lowercase)(tf.constant(TEXTS)))
    assert found == [list(tokenize(text, rule, lowercase=lowercase).words) for text in TEXTS]


def test_some_words_worked_by_hand():
    texts = ["Can't stop<br />3.14 A\u030a", "我爱北京", "ΟΔΟΣ. \u0995\u09c7\u09be", "א'"]
    assert as_lists(GraphWords("words", lowercase=True)(tf.constant(texts))) == [
        ["can't", "stop", "3.14", "å"],
        ["我爱", "爱北", "北京"],
        ["οδος", "\u0995\u09cb"],
        ["א'"],
    ]


@SETTINGS
@pytest.mark.parametrize("max_length", [1, 2, 3, 5, 1000])
def test_ids_are_those_of_the_vocabulary(rule, lowercase, max_length):
    words = build_vocabulary(TEXTS[::2], rule, lowercase=lowercase)[0].words
    read = GraphVocabulary(words, rule, lowercase=lowercase, max_length=max_length)
    ids, mask = (value.numpy() for value in read(tf.constant(TEXTS)))
    clipped = clip(Vocabulary(words, rule=rule, lowercase=lowercase).encode(TEXTS), len(words), max_length)
    assert ids.dtype == np.int32
    assert ids.shape == mask.shape == (len(TEXTS), clipped.lengths.max())
    assert mask.sum(axis=1).tolist() == clipped.lengths.tolist()
    assert (mask[:, :-1] >= mask[:, 1:]).all()
    assert ids[mask].tolist() == clipped.encoded.ids.tolist()
    assert not ids[~mask].any()


@pytest.mark.parametrize(("texts", "shape"), [([], (0, 1)), ([""], (1, 1)), (["", "?!"], (2, 1))])
def test_no_words_make_one_column_of_padding(texts, shape):
    read = GraphVocabulary(["a"], "words", lowercase=True, max_length=4)
    ids, mask = read(tf.constant(texts, tf.string))
    assert tuple(ids.shape) == tuple(mask.shape) == shape
    assert not mask.numpy().any()


@pytest.mark.parametrize("rule", ["words", "sklearn"])
def test_what_is_not_utf_8_separates_words(rule):
    broken = [b"ab\xffcd", b"ab\xc3", b"\x80ab", b"ab\xed\xa0\x80cd", b"ab\xf5\x80\x80\x80cd", b"ab\0cd"]
    found = as_lists(GraphWords(rule, lowercase=True)(tf.constant(broken)))
    assert found == [["ab", "cd"], ["ab"], ["ab"], ["ab", "cd"], ["ab", "cd"], ["ab", "cd"]]


def test_every_character_has_its_nfc():
    characters = [chr(c) for c in range(0x110000) if unicodedata.normalize("NFC", chr(c)) != chr(c)]
    pieces = [*characters, *(unicodedata.normalize("NFD", chr(c)) for c in range(0xC0, 0xD7A4, 7))]
    marks = [chr(c) for c in range(0x110000) if unicodedata.combining(chr(c))]
    pieces += [a + b for a, b in zip(marks, marks[::-1], strict=True)]  # out of order, most of them
    text = " ".join(piece for piece in pieces if not 0xD800 <= ord(piece[0]) < 0xE000)
    assert points_of(Composed()(streamed(text))) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("length", [2, 40])
def test_long_heaps_of_marks_are_composed(length):
    heaps = [
        base + marks * length for base in "aσ我\u09c7" for marks in ("\u0301\u0323", "\u0323\u0301", "\u09be")
    ]
    text = "x".join(heaps) + "\u0344"
    assert points_of(Composed()(streamed(text))) == unicodedata.normalize("NFC", text)


def test_every_character_has_its_lower_case_before_and_after_a_sigma():
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and chr(c).isprintable()]
    stride = [c for c in characters if not c.isalpha() or c.lower() != c or ord(c) % 16 == 0]
    text = "".join(f"A{c}Σ{c}b {c}Σ " for c in stride)
    assert points_of(Lower()(streamed(text))) == text.lower()


def test_format_characters_go():
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x10000)]))
    assert points_of(FormatRemoval()(streamed(text))) == FORMAT_CHARACTERS.sub("", text)


def test_a_stream_keeps_texts_apart():
    assert to_stream(tf.constant(["ab", "", "é"])).numpy().tolist() == [
        *(SEPARATOR, 97, 98, SEPARATOR, SEPARATOR, 0xE9, SEPARATOR)
    ]


def test_a_table_gives_back_what_was_put_in():
    values = np.random.default_rng(0).integers(0, 3, 0x110000) * (np.arange(0x110000) % 4096 < 300)
    table = PointTable.of(values)
    points = np.arange(0x110001)
    found = table.pages[table.starts[points >> 8] + (points & 0xFF)]
    np.testing.assert_array_equal(found, np.append(values, 0))
    assert len(table.pages) < 0x110000 / 7
    tables = normal_tables()
    large = (*tables.decompositions[1:], tables.pairs, tables.wholes)
    assert sum(value.nbytes for value in large) < 1 << 20


def test_a_thousand_reviews_have_the_same_ids(imdb_file):
    reviews = pq.read_table(imdb_file, columns=["text"])["text"]
    texts = reviews.combine_chunks().take(pa.array(range(0, 50_000, 50)))
    vocabulary, _ = build_vocabulary(texts, min_count=2)
    read = GraphVocabulary(vocabulary.words, "words", lowercase=True, max_length=200)
    ids, mask = (value.numpy() for value in read(tf.constant(texts.to_pylist())))
    clipped = clip(vocabulary.encode(texts), len(vocabulary), 200)
    assert clipped.truncated.any()
    assert ids[mask].tolist() == clipped.encoded.ids.tolist()
    assert mask.sum(axis=1).tolist() == clipped.lengths.tolist()
