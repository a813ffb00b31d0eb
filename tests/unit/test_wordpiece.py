"""WordPiece: ids are Hugging Face's, places are right, marks are kept, and what cannot be cut is refused."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import need
from hypothesis import given
from hypothesis import strategies as st

from sopan.errors import ConfigError, DataError
from sopan.text.wordpiece import SPECIALS, WordPiece

PIECES = [
    *SPECIALS,
    "the",
    "cat",
    "##s",
    ".",
    "e",
    "é",
    "un",
    "##know",
    "##n",
    "क",
    "##ु",
    "कु",
    "[",
    "]",
    "mask",
]
BENGALI, HINDI = "ভালো ছবি খুব সুন্দর কিন্তু দীর্ঘ", "अच्छी फ़िल्म बहुत सुंदर कुछ लंबी"


@pytest.fixture(scope="module")
def vocabulary(minilm):
    return minilm / "vocab.txt"


@pytest.fixture(scope="module")
def real_texts(imdb_file, request):
    """10,000: reviews and, where `SOPAN_DATA` has them, half of them encyclopedia and pieces of books."""
    reviews = pq.read_table(imdb_file, columns=["text"])["text"]
    if not os.environ.get("SOPAN_DATA"):
        return reviews[::5].to_pylist()
    shared_data = request.getfixturevalue("shared_data")
    articles = pq.read_table(shared_data / "enwiki_sample.parquet", columns=["text"])["text"][:4990]
    books = pq.ParquetFile(shared_data / "gutenberg_sample.parquet").iter_batches(10, columns=["text"])
    return [
        *reviews[:5000].to_pylist(),
        *(text[:1500] for text in articles.to_pylist()),
        *(text[5000:9000] for text in next(books)["text"].to_pylist()),
    ]


# ---- as Hugging Face cuts ----------------------------------------------------------------------


@pytest.mark.parametrize("lowercase", [True, False])
def test_ids_equal_hugging_faces_on_10_000_texts(vocabulary, real_texts, lowercase):
    need("transformers")
    from transformers import BertTokenizer

    # The vocabulary is uncased: read as cased, it knows no capital letter, and both must say so alike.
    theirs = BertTokenizer(vocab=str(vocabulary), do_lower_case=lowercase)
    expected = theirs(real_texts, add_special_tokens=False, verbose=False)["input_ids"]
    found = WordPiece.load(vocabulary, lowercase=lowercase).encode(real_texts)
    assert len(real_texts) == 10_000
    np.testing.assert_array_equal(found.offsets, np.cumsum([0, *map(len, expected)]))
    np.testing.assert_array_equal(found.ids, np.concatenate(expected))


def test_texts_are_cut_by_hand():
    wordpiece = WordPiece.of(PIECES)
    assert [wordpiece.pieces[i] for i in wordpiece.encode(["The CATS."]).ids] == ["the", "cat", "##s", "."]
    assert wordpiece.cut("unknown zebra").pieces == ("un", "##know", "##n", "[UNK]")
    assert wordpiece.cut("é").pieces == ("e",)
    assert WordPiece.of(PIECES, lowercase=False).cut("é The").pieces == ("é", "[UNK]")
    assert wordpiece.join(wordpiece.encode(["unknown cats ."]).ids) == "unknown cats ."


def test_special_pieces_count_only_where_asked():
    wordpiece = WordPiece.of(PIECES)
    text = "the [MASK] cat"
    assert wordpiece.specials["[MASK]"] not in wordpiece.encode([text]).ids
    cut = wordpiece.cut(text)
    assert cut.pieces == ("the", "[MASK]", "cat")
    assert [text[a:b] for a, b in zip(cut.starts, cut.ends, strict=True)] == ["the", "[MASK]", "cat"]


def test_empty_texts_have_no_pieces():
    wordpiece = WordPiece.of(PIECES)
    assert wordpiece.encode(["", "  ", "\x00"]).offsets.tolist() == [0, 0, 0, 0]
    assert wordpiece.encode([]).offsets.tolist() == [0]
    cut = wordpiece.cut("")
    assert cut.pieces == ()
    assert cut.starts.shape == cut.ends.shape == cut.words.shape == cut.ids.shape == (0,)


# ---- marks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lowercase", [True, False])
def test_vocabularies_that_we_train_keep_indic_marks(lowercase):
    wordpiece = WordPiece.train([BENGALI, HINDI, "café good film"] * 50, 400, lowercase=lowercase)
    for text in (BENGALI, HINDI):
        assert wordpiece.join(wordpiece.encode([text]).ids) == text
    shown = wordpiece.join(wordpiece.encode(["café"]).ids)
    assert shown == ("cafe" if lowercase else "café")


def test_bert_uncased_rule_deletes_them():
    """What the rule above is for."""
    wordpiece = WordPiece.train([BENGALI, HINDI] * 50, 400, accents="strip")
    assert "ু" not in "".join(wordpiece.pieces)
    assert wordpiece.join(wordpiece.encode(["कुछ"]).ids) == "कछ"


@pytest.mark.parametrize(
    ("accents", "kept"), [("keep", "é й कु"), ("strip-alphabets", "e и कु"), ("strip", "e и क")]
)
def test_each_rule_drops_its_marks(accents, kept):
    wordpiece = WordPiece.train(["é й कु क e и"] * 9, 100, accents=accents)
    # BERT composes nothing that stands apart, where it keeps marks.
    for text in ["é й कु"] if accents == "keep" else ["é й कु", "e\u0301 и\u0306 कु"]:
        assert wordpiece.join(wordpiece.encode([text]).ids) == kept


# ---- places ------------------------------------------------------------------------------------


def test_places_are_in_the_text_as_given():
    wordpiece = WordPiece.of(PIECES)
    text = "  The\tCATS, e\u0301 unknown"
    cut = wordpiece.cut(text)
    assert cut.pieces == ("the", "cat", "##s", "[UNK]", "e", "un", "##know", "##n")
    shown = [text[a:b] for a, b in zip(cut.starts, cut.ends, strict=True)]
    assert shown[:4] == ["The", "CAT", "S", ","]
    assert shown[4][0] == "e"
    assert shown[5:] == ["un", "know", "n"]
    assert cut.words.tolist() == [0, 1, 1, 2, 3, 4, 4, 4]


@pytest.fixture(scope="module")
def broad():
    """Knows single letters of many scripts, so that little is unknown."""
    texts = ["the quick brown fox jumps over a lazy dog 0123456789", BENGALI, HINDI, "ελληνικά русский 北京"]
    return WordPiece.train(texts * 20, 500)


@given(text=st.text(max_size=60))
def test_any_text_has_places_that_hold_together(broad, text):
    cut = broad.cut(text)
    assert len(cut.pieces) == len(cut.ids) == len(cut.starts) == len(cut.ends) == len(cut.words)
    assert (cut.starts >= 0).all()
    assert (cut.starts <= cut.ends).all()
    assert (cut.ends <= len(text)).all()
    assert (np.diff(cut.starts) >= 0).all()
    assert (np.diff(cut.words) >= 0).all()
    assert set(np.diff(cut.words).tolist()) <= {0, 1}
    for piece, start, end, number in zip(cut.pieces, cut.starts, cut.ends, cut.ids, strict=True):
        assert broad.pieces[number] == piece
        plain = piece.removeprefix("##")
        if plain.isascii() and plain.isalnum() and text[start:end].isascii():
            assert text[start:end].lower() == plain
    if not any(special in text for special in SPECIALS):
        assert cut.ids.tolist() == broad.encode([text]).ids.tolist()


@given(words=st.lists(st.sampled_from(["The", "quick", "fox", "ভালো", "कुछ", "русский", "zzz!"]), max_size=8))
def test_pieces_of_a_word_lie_inside_it(broad, words):
    text = " ".join(words)
    cut = broad.cut(text)
    for word in range(int(cut.words.max(initial=-1)) + 1):
        members = np.flatnonzero(cut.words == word)
        assert " " not in text[cut.starts[members[0]] : cut.ends[members[-1]]]
        assert not cut.pieces[members[0]].startswith("##")
        assert all(cut.pieces[i].startswith("##") for i in members[1:])


# ---- kept, and refused -------------------------------------------------------------------------


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("accents", ["keep", "strip", "strip-alphabets"])
def test_a_saved_tokenizer_keeps_its_rules(broad, tmp_path, lowercase, accents):
    wordpiece = WordPiece.of(broad.pieces, lowercase=lowercase, accents=accents)
    wordpiece.tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = WordPiece.load(tmp_path / "tokenizer.json")
    assert (again.rules.lowercase, again.rules.accents, again.pieces) == (
        lowercase,
        accents,
        wordpiece.pieces,
    )
    text = f"{BENGALI} {HINDI} É е\u0306 [MASK]"
    assert again.encode([text]).ids.tolist() == wordpiece.encode([text]).ids.tolist()


def test_bert_bases_vocabulary_has_its_known_ids(vocabulary):
    wordpiece = WordPiece.load(vocabulary)
    assert len(wordpiece) == 30_522
    assert wordpiece.specials == {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
    assert (wordpiece.rules.lowercase, wordpiece.rules.accents) == (True, "strip")
    assert wordpiece.continues.sum() == sum(piece.startswith("##") for piece in wordpiece.pieces)


def test_line_breaks_of_html_are_spaces_to_vocabularies_that_we_train(tmp_path):
    texts = ["good<br /><br />film <BR>", "a<br>b < br >"]
    ours = WordPiece.train([*texts, "good film a b br < > /"] * 5, 120)
    bert = WordPiece.of(ours.pieces)
    (tmp_path / "tokenizer.json").write_text(ours.tokenizer.to_str())
    again = WordPiece.load(tmp_path / "tokenizer.json")
    assert (ours.rules.breaks, bert.rules.breaks, again.rules.breaks) == (True, False, True)
    for wordpiece in (ours, again):
        assert wordpiece.cut(texts[0]).pieces == ("good", "film")
        assert wordpiece.cut(texts[1]).pieces == ("a", "b", "<", "br", ">")
        assert wordpiece.cut(texts[0]).starts.tolist() == [0, 16]
    assert bert.cut("a<br>b").pieces == ("a", "<", "br", ">", "b")
    assert ours.with_pieces(ours.pieces).rules.breaks


def test_training_is_the_same_each_time(broad):
    texts = [BENGALI, HINDI, "the cat sat on the mat", "the dog sat too"] * 5
    assert WordPiece.train(texts, 200).pieces == WordPiece.train(iter(texts), 200).pieces


def test_a_lone_surrogate_is_refused():
    wordpiece = WordPiece.of(PIECES)
    with pytest.raises(DataError, match="a lone surrogate at character 4"):
        wordpiece.cut("the \ud800 cat")
    with pytest.raises(DataError):
        wordpiece.encode(["fine", "the \ud800 cat"])


def test_missing_and_invalid_texts_are_refused():
    wordpiece = WordPiece.of(PIECES)
    with pytest.raises(DataError, match=r"row 1: a text is missing"):
        wordpiece.encode(pa.array(["the", None], pa.large_string()))
    broken = pa.Array.from_buffers(
        pa.large_string(), 1, [None, pa.py_buffer(np.array([0, 2])), pa.py_buffer(b"\xff\xfe")]
    )
    with pytest.raises(DataError, match="not valid UTF-8"):
        wordpiece.encode(broken)


@pytest.mark.parametrize(
    ("pieces", "says"),
    [
        (["the", "cat"], r"lacks \[PAD\], \[UNK\], \[CLS\], \[SEP\], \[MASK\]; is it a WordPiece one"),
        ([*SPECIALS, "the", "the"], "holds 'the' twice"),
    ],
)
def test_vocabularies_that_cannot_be_are_refused(pieces, says, tmp_path):
    with pytest.raises(DataError, match=says):
        WordPiece.of(pieces)
    (tmp_path / "vocab.txt").write_text("\n".join(pieces))
    with pytest.raises(DataError, match=says) as refused:
        WordPiece.load(tmp_path / "vocab.txt")
    assert refused.value.where == str(tmp_path / "vocab.txt")


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(DataError, match=r"vocab\.txt: cannot be read"):
        WordPiece.load(tmp_path / "vocab.txt")
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"vocab\.txt: cannot be read"):
        WordPiece.load(tmp_path / "vocab.txt")
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(DataError, match=r"tokenizer\.json: is no tokenizer\.json"):
        WordPiece.load(path)
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE()).save(str(path))
    with pytest.raises(DataError, match=r"holds a BPE model; WordPiece models can be read"):
        WordPiece.load(path)


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(ConfigError, match="a vocabulary of 20 pieces is too small"):
        WordPiece.train(["the cat"], 20)
    with pytest.raises(DataError, match="there are no words to make a vocabulary of"):
        WordPiece.train(["", " "], 200)
    with pytest.raises(DataError, match="has no piece 'dog'"):
        WordPiece.of(PIECES).id_of("dog")
