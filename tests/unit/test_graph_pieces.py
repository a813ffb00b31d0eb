"""The graph's pieces and windows are `WordPiece`'s and `cut_windows`', id for id."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from sopan.errors import ConfigError
from sopan.fit.export.graph_pieces import GraphPieces, GraphWindows, pooled
from sopan.fit.export.piece_tables import composition_tables, normal_steps, rules_of, trie_of
from sopan.text.piece_tokenizer import CLS, SEP, SPECIALS
from sopan.text.windows import cut_windows
from sopan.text.wordpiece import WordPiece

TEXTS = [
    "Unaffable waffles: 3.14, don't! #hash ##ing [MASK] _under_",
    "ছবিটা খুব ভালো। হয়্য য\u09bc য়",
    "फ़िल्म क\u093c्षत्रिय की",
    "தமிழ் பொ\u0bc6\u0bbe עברית עִבְרִית عَرَبِيّ",
    "我爱北京 天 あa カタカナー が か\u3099 豈\u2f800",
    "한글 \u1112\u1161\u11ab\u1100",
    "ΟΔΥΣΣΕΥΣ ΑΣ İSTANBUL ǅ ŉ ẞ ﬁ",
    "Cafe\u0301 A\u030a\u0323 \u1e9b\u0323 \u0344 q\u0307\u0323 a\u0301\u0345\u0334 a\u034f\u0301",
    "\U0001d165\U0001d16e \u302f\u302e \u1b44\u0301 \u094d\u0301",
    "soft\u00adhyphen zero\u200bwidth joi\u200dner \ufeffmark \u2028line \x85 \x1c \u3000 \u00a0",
    "𝒜𝟘 𐐀𐐨 𞤀 𠀀 👍🏽 🇧🇩 \ue000 \U0010ffff \ufffe",
    "nul\0nul \ufffd",
    "one<br />two<BR>three<br/>four < br /> <br  /> <br\n/> br",
    "a" * 100 + " " + "a" * 101 + " " + "\u0301" * 120,
    "",
    " \n\t",
]
ACCENTS = pytest.mark.parametrize("accents", ["keep", "strip", "strip-alphabets"])


def small(lowercase=True, accents=None, breaks=False):
    characters = sorted({c for text in TEXTS for c in text if not c.isspace()} | set("abcdefghijklmnop"))
    later = [f"##{c}" for c in characters[::2]]
    words = ["un", "##aff", "##able", "waffle", "##s", "don", "ing", "##aa", "cafe", "café", "[", "mask"]
    return WordPiece.of(
        dict.fromkeys([*SPECIALS, *characters, *later, *words]),
        lowercase=lowercase,
        accents=accents,
        breaks=breaks,
    )


def assert_same(wordpiece, texts):
    expected, found = wordpiece.encode(texts), GraphPieces(wordpiece)(tf.constant(texts, tf.string))
    assert found.dtype == tf.int32
    assert found.row_splits.numpy().tolist() == expected.offsets.tolist()
    assert found.flat_values.numpy().tolist() == expected.ids.tolist()


@ACCENTS
@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("breaks", [True, False])
def test_pieces_are_those_of_wordpiece(lowercase, accents, breaks):
    assert_same(small(lowercase, accents, breaks), TEXTS)


def test_some_pieces_worked_by_hand():
    wordpiece = WordPiece.of([*SPECIALS, "un", "##aff", "##able", "##affa", "cafe", ",", "我"])
    found = GraphPieces(wordpiece)(
        tf.constant(["Unaff,Café", "unaffable", "x我我", "un" + "able" * 24, "unaff" * 21])
    )
    unk, un, aff, able, _, cafe, comma, self = wordpiece.id_of("[UNK]"), *range(5, 12)
    assert found.to_list() == [[un, aff, comma, cafe], [unk], [unk, self, self], [un, *[able] * 24], [unk]]


@ACCENTS
def test_every_character_has_its_pieces(accents):
    wordpiece = small(accents=accents)
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    texts = [
        "b".join(f"a{chr(point)}" for point in points[start : start + 40]) for start in range(0, 0x30000, 40)
    ]
    assert_same(wordpiece, texts)


@ACCENTS
def test_every_character_has_its_normal_form(accents):
    wordpiece = small(accents=accents)
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    text = "".join(f"x{chr(point)}" for point in points)
    read = GraphPieces(wordpiece).normal_form
    stream = tf.constant([0x110000, *map(ord, text), 0x110000])
    found = "".join(map(chr, read(stream).numpy()[1:-1]))
    assert found == wordpiece.tokenizer.normalizer.normalize_str(text)


@ACCENTS
def test_every_pair_of_marks_is_ordered_and_composed(accents):
    wordpiece = small(accents=accents)
    order = composition_tables().order
    marks = [chr(p) for p in range(0x110000) if order.pages[order.starts[p >> 8] + (p & 0xFF)]]
    assert len(marks) > 700
    text = "".join(f"{'aσ我か'[i % 4]}{a}{b}" for a in marks for i, b in enumerate(marks[::9]))
    stream = tf.constant([0x110000, *map(ord, text), 0x110000])
    found = "".join(map(chr, GraphPieces(wordpiece).normal_form(stream).numpy()[1:-1]))
    assert found == wordpiece.tokenizer.normalizer.normalize_str(text)


def test_what_is_not_utf_8_parts_words():
    wordpiece = WordPiece.of([*SPECIALS, "ab", "cd", "##cd"])
    broken = [b"ab\xffcd", b"ab\xc3", b"\x80ab", b"ab\xed\xa0\x80cd", "ab\ufffdcd".encode(), b"abcd"]
    assert GraphPieces(wordpiece)(tf.constant(broken)).to_list() == [[5, 6], [5], [5], [5, 6], [5, 7], [5, 7]]


def test_no_texts_have_no_pieces():
    found = GraphPieces(small())(tf.constant([], tf.string))
    assert (found.nrows(), found.flat_values.shape) == (0, (0,))


def test_a_trie_leads_to_every_piece():
    pieces = ["a", "ab", "##b", "##", "", "abcd", "##abc"]
    trie = trie_of(pieces, longest=3)
    assert sorted(trie.pieces[trie.pieces >= 0]) == [0, 1, 2, 6]
    assert (np.diff(trie.edges) > 0).all()
    assert len(trie.pieces) == len(trie.edges) + 2


# ---- other tokenizers ----------------------------------------------------------------------------


def loaded(tmp_path, **changes):
    stated = json.loads(small().tokenizer.to_str())
    stated["added_tokens"] = changes.pop("added_tokens", [])
    stated["model"] |= changes.pop("model", {})
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(stated | changes))
    return WordPiece.load(path)


def token(content, index, **rest):
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": content, "special": True, **flags, **rest}


def test_a_hugging_face_tokenizer_has_the_same_pieces(tmp_path):
    bert = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": False}
    normal = bert | {"strip_accents": None, "lowercase": True}
    wordpiece = loaded(
        tmp_path, normalizer=normal, added_tokens=[token(p, i) for i, p in enumerate(SPECIALS)]
    )
    assert_same(wordpiece, [*TEXTS, "a [MASK] [CLS]a"])
    shorter = loaded(
        tmp_path, normalizer=normal | {"clean_text": False}, model={"max_input_chars_per_word": 4}
    )
    assert_same(shorter, TEXTS)


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("normal form", {"normalizer": {"type": "NFKC"}}),
        ("normal form", {"normalizer": None}),
        ("cutting into words", {"pre_tokenizer": {"type": "WhitespaceSplit"}}),
        ("mark of later pieces", {"model": {"continuing_subword_prefix": "@@"}}),
        ("unknown piece", {"model": {"unk_token": "a"}}),
        ("added words", {"added_tokens": [token("waffle", 60, special=False)]}),
    ],
)
def test_other_rules_are_refused(what, changes, tmp_path):
    with pytest.raises(ConfigError, match=what):
        rules_of(loaded(tmp_path, **changes).tokenizer)


def test_marks_dropped_by_another_rule_are_refused():
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.normalizer = normalizers.Sequence([normalizers.BertNormalizer(), normalizers.NFKC()])
    with pytest.raises(ConfigError, match="normal form"):
        rules_of(tokenizer)


# ---- windows -------------------------------------------------------------------------------------


@pytest.mark.parametrize("long_texts", ["head", "head+tail", "windows"])
@pytest.mark.parametrize(("max_length", "max_windows"), [(3, 1), (5, 3), (16, 2), (400, 8)])
def test_windows_are_those_of_cut_windows(long_texts, max_length, max_windows):
    wordpiece = small()
    how = {"max_length": max_length, "long_texts": long_texts, "max_windows": max_windows}
    marks = {"cls": wordpiece.id_of(CLS), "sep": wordpiece.id_of(SEP)}
    expected = cut_windows(wordpiece.encode(TEXTS), **how, **marks)
    found, of = GraphWindows(wordpiece, **how)(tf.constant(TEXTS))
    assert of.numpy().tolist() == expected.of.tolist()
    assert found.row_splits.numpy().tolist() == expected.clipped.encoded.offsets.tolist()
    assert found.flat_values.numpy().tolist() == expected.clipped.encoded.ids.tolist()
    logits = np.random.default_rng(0).normal(size=(len(of), 3)).astype(np.float32)
    for pool in ("mean", "max"):
        np.testing.assert_allclose(
            pooled(logits, of, len(TEXTS), pool), expected.pooled(logits, pool), rtol=1e-5
        )


# ---- real texts ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reviews(imdb_file):
    return pq.read_table(imdb_file, columns=["text"])["text"][::10].to_pylist()


def in_parts(wordpiece, texts):
    read = tf.function(GraphPieces(wordpiece).__call__, autograph=False)
    for start in range(0, len(texts), 500):
        part = texts[start : start + 500]
        expected, found = wordpiece.encode(part), read(tf.constant(part))
        np.testing.assert_array_equal(found.row_splits, expected.offsets)
        np.testing.assert_array_equal(found.flat_values, expected.ids)


@pytest.mark.parametrize("lowercase", [True, False])
def test_five_thousand_reviews_have_the_same_pieces(lowercase, reviews, minilm):
    in_parts(WordPiece.load(minilm / "vocab.txt", lowercase=lowercase), reviews)


def test_five_thousand_reviews_have_the_same_pieces_of_our_own(reviews):
    in_parts(WordPiece.train([*reviews[::10], *TEXTS], 4000), reviews)


def test_normal_forms_are_made_once():
    rules = rules_of(small().tokenizer)[0]
    assert normal_steps(rules) is normal_steps(rules)
