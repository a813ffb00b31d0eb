"""Files of word vectors, in every format and damaged in every way; neighbours."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopan.errors import DataError, InputError
from sopan.text.vectors import WordVectors, load_word_vectors, save_projector, save_word2vec

PLAIN = "kalo 1 0 0.5\nশাদা -2.25 1e-3 7\nred 0 0 1\n"


@pytest.fixture
def some():
    rng = np.random.default_rng(0)
    return WordVectors(("kalo", "শাদা", "naïve", "x"), rng.normal(size=(4, 3)).astype(np.float32))


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def binary(words, rows, *, newline=b"", promised=None):
    header = f"{promised or len(words)} {len(rows[0])}\n".encode()
    entries = [
        word.encode() + b" " + struct.pack(f"<{len(row)}f", *row) + newline
        for word, row in zip(words, rows, strict=True)
    ]
    return header + b"".join(entries)


@pytest.mark.parametrize("header", ["", "3 3\n"], ids=["GloVe", "word2vec"])
@pytest.mark.parametrize("ending", ["\n", " \n", "\r\n"], ids=["plain", "fastText's space", "Windows"])
def test_text_formats_are_told_apart_and_read(tmp_path, header, ending):
    read = load_word_vectors(write(tmp_path / "v.txt", header + PLAIN.replace("\n", ending)))
    assert read.words == ("kalo", "শাদা", "red")
    np.testing.assert_array_equal(read["শাদা"], np.float32([-2.25, 1e-3, 7]))
    assert read.vectors.dtype == np.float32


@pytest.mark.parametrize("newline", [b"", b"\n"], ids=["gensim", "word2vec.c"])
def test_binary_word2vec_is_recognised(tmp_path, some, newline):
    read = load_word_vectors(write(tmp_path / "v.bin", binary(some.words, some.vectors, newline=newline)))
    assert read.words == some.words
    assert read.vectors.tobytes() == some.vectors.tobytes()


def test_a_compressed_file_is_read(tmp_path):
    path = write(tmp_path / "v.vec.gz", gzip.compress(PLAIN.encode()))
    assert load_word_vectors(path).words == ("kalo", "শাদা", "red")


def test_words_with_spaces_are_read_and_a_repeated_word_keeps_its_first_vector(tmp_path):
    read = load_word_vectors(write(tmp_path / "v.txt", "a 1 2\n. . . 3 4\na 5 6\n"))
    assert read.words == ("a", ". . .")
    np.testing.assert_array_equal(read["a"], [1, 2])


BROKEN = {
    "too few numbers": (
        PLAIN + "blue 1 2\n",
        r"v\.txt:4: a word and 3 numbers are needed here, not 'blue 1 2'",
    ),
    "no number": (PLAIN + "blue 1 two 3\n", r"v\.txt:4: a number is expected .*'two'"),
    "infinite": (PLAIN + "blue 1 inf 3\n", r"v\.txt:4: the vector of 'blue' is not finite"),
    "not a number": (PLAIN + "blue nan 1 3\n", r"v\.txt:4: the vector of 'blue' is not finite"),
    "ends early": ("4 3\n" + PLAIN, r"v\.txt: the file ends early: 4 words are promised, 3 are there"),
    "goes on": ("2 3\n" + PLAIN, r"v\.txt: the file goes on: 2 words are promised, 3 are there"),
    "width unlike the header": ("3 4\n" + PLAIN, r"v\.txt:2: a word and 4 numbers are needed"),
    "invalid UTF-8": (b"caf\xe9 1 2\n", r"v\.txt:1: this is not valid UTF-8"),
    "words only": ("hello\nthere\n", r"v\.txt:1: a word and its numbers are needed here, not 'hello'"),
    "header only": ("0 5\n", r"v\.txt: the file holds no word vectors"),
    "empty": ("", r"v\.txt: the file is empty"),
    "binary, cut": (binary(["a", "b"], [[1, 2], [3, 4]])[:-3], r"v\.txt: word 2 of 2: the file ends early"),
    "binary, promising more": (binary(["a"], [[1, 2]], promised=9), r"word 2 of 9: the file ends early"),
    "binary, going on": (binary(["a"], [[1.0, 2.0]]) + b"more", r"goes on after the 1 words promised"),
    "binary, not finite": (binary(["a"], [[1.0, float("inf")]]), r"word 1 of 1: the vector of 'a' is not"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused_by_file_and_line(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        load_word_vectors(write(tmp_path / "v.txt", content))


def test_a_binary_file_may_hold_any_bytes(tmp_path):
    """Whole numbers are mostly NULs, by which a table would be told from what is none."""
    path = write(tmp_path / "v.bin", binary(["a", "b"], [[1, 2, 0, 0], [0, 0, 3, 4]]))
    np.testing.assert_array_equal(load_word_vectors(path)["b"], [0, 0, 3, 4])


def test_a_truncated_archive_and_a_missing_file_are_named(tmp_path):
    cut = gzip.compress(PLAIN.encode() * 50)[:-20]
    with pytest.raises(DataError, match=r"v\.vec\.gz: the gzip file is"):
        load_word_vectors(write(tmp_path / "v.vec.gz", cut))
    with pytest.raises(DataError, match=r"no\.vec: there is no such file"):
        load_word_vectors(tmp_path / "no.vec")


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_word2vec_text_reads_back_to_the_same_bits(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("vectors") / "v.txt"
    written = WordVectors(("ক", "b"), np.float32([numbers, numbers[::-1]]))
    save_word2vec(written, path)
    read = load_word_vectors(path)
    assert read.words == written.words
    assert read.vectors.tobytes() == written.vectors.tobytes()
    assert [file.name for file in path.parent.iterdir()] == ["v.txt"]


def test_a_word_that_word2vec_cannot_hold_leaves_the_old_file(tmp_path, some):
    save_word2vec(some, tmp_path / "v.txt")
    before = (tmp_path / "v.txt").read_bytes()
    with pytest.raises(DataError, match="'two words' cannot stand"):
        save_word2vec(WordVectors(("two words",), np.ones((1, 2), np.float32)), tmp_path / "v.txt")
    assert (tmp_path / "v.txt").read_bytes() == before


def test_the_projector_gets_one_line_for_each_word(tmp_path, some):
    numbers, names = save_projector(some, tmp_path / "projector")
    assert names.read_text().splitlines() == list(some.words)
    np.testing.assert_array_equal(np.loadtxt(numbers, np.float32, delimiter="\t"), some.vectors)


def test_nearest_words_by_cosine():
    vectors = WordVectors(
        ("east", "far east", "north", "west", "nowhere"),
        np.float32([[1, 0], [9, 1], [0, 2], [-1, 0], [0, 0]]),
    )
    found = vectors.nearest("east", 3)
    assert [word for word, _ in found] == ["far east", "north", "nowhere"]
    assert [cosine for _, cosine in found] == pytest.approx([9 / 82**0.5, 0, 0])
    assert len(vectors.nearest("east", 99)) == 4


def test_an_unknown_word_is_refused_with_its_like(some):
    assert "naive" not in some
    with pytest.raises(InputError, match="'naive' has no vector; did you mean naïve"):
        some.nearest("naive")
    with pytest.raises(InputError, match="'qqq' has no vector; 4 other words have"):
        some.nearest("qqq")
