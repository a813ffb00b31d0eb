"""A corpus as piece ids on the disk: streamed in, opened again, made anew when it was of something else."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from sopan.text.arrow import as_texts
from sopan.text.packing import ABOUT, IDS, OFFSETS, open_store, write_store
from sopan.text.wordpiece import SPECIALS, WordPiece

LETTERS = [*"abcdefghij", *(f"##{letter}" for letter in "abcdefghij")]
WORDPIECE = WordPiece.of([*SPECIALS, *LETTERS])
MADE_OF = {"files": [["a.csv", 12, 34]], "held_out": 0.01}


def some_texts(n=5000, seed=0):
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("abcdefghij"), 3)) for _ in range(50)]
    return [" ".join(rng.choice(words, rng.integers(0, 6))) for _ in range(n)]


def batched(texts, size=700):
    for start in range(0, len(texts), size):
        yield as_texts(texts[start : start + size])


def forbidden():
    raise AssertionError("the texts were read again")
    yield


def test_a_stream_of_many_batches_is_stored_as_it_would_be_encoded_at_once(tmp_path):
    texts = some_texts()
    store = write_store(tmp_path / "deep" / "er", batched(texts), WORDPIECE, MADE_OF)
    whole = WORDPIECE.encode(texts)
    np.testing.assert_array_equal(store.ids, whole.ids)
    np.testing.assert_array_equal(store.offsets, whole.offsets)
    assert isinstance(store.ids, np.memmap)
    assert store.offsets.dtype == np.int64
    assert (tmp_path / "deep" / "er" / IDS).stat().st_size == 2 * len(whole.ids)


def test_empty_batches_and_empty_texts_count(tmp_path):
    batches = [as_texts([]), as_texts(["", "ab"]), as_texts([]), as_texts([""])]
    store = write_store(tmp_path, batches, WORDPIECE, MADE_OF)
    assert store.offsets.tolist() == [0, 0, 2, 2]


def test_a_corpus_of_nothing_can_be_opened_too(tmp_path):
    for _ in range(2):
        store = write_store(tmp_path, [as_texts([])], WORDPIECE, MADE_OF)
        assert (len(store.ids), store.offsets.tolist()) == (0, [0])


def test_a_part_is_the_documents_between(tmp_path):
    texts = some_texts(20)
    part = write_store(tmp_path, batched(texts), WORDPIECE, MADE_OF).part(5, 8)
    assert len(part.offsets) == 4
    for text, start, end in zip(texts[5:8], part.offsets[:-1], part.offsets[1:], strict=True):
        assert part.ids[start:end].tolist() == WORDPIECE.encode([text]).ids.tolist()


def test_what_is_there_is_opened_and_not_read_again(tmp_path):
    before = write_store(tmp_path, batched(some_texts(50)), WORDPIECE, MADE_OF)
    after = write_store(tmp_path, forbidden(), WORDPIECE, json.loads(json.dumps(MADE_OF)))
    np.testing.assert_array_equal(after.ids, before.ids)
    np.testing.assert_array_equal(after.offsets, before.offsets)


def test_a_store_of_something_else_is_made_anew(tmp_path):
    write_store(tmp_path, batched(some_texts(50)), WORDPIECE, MADE_OF)
    assert open_store(tmp_path, {**MADE_OF, "held_out": 0.02}) is None
    texts = some_texts(9, seed=1)
    store = write_store(tmp_path, batched(texts), WORDPIECE, {**MADE_OF, "held_out": 0.02})
    np.testing.assert_array_equal(store.ids, WORDPIECE.encode(texts).ids)
    assert open_store(tmp_path, MADE_OF) is None


def spoil_nothing_of_it(folder):
    (folder / ABOUT).unlink()


def cut_the_ids(folder):
    with (folder / IDS).open("r+b") as file:
        file.truncate(10)


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_nothing_of_it,
        cut_the_ids,
        lambda folder: (folder / IDS).unlink(),
        lambda folder: (folder / OFFSETS).unlink(),
        lambda folder: (folder / OFFSETS).write_bytes(b""),
        lambda folder: (folder / ABOUT).write_text("{"),
        lambda folder: (folder / ABOUT).write_text("[]"),
        lambda folder: (folder / ABOUT).write_bytes(b"\xff"),
    ],
)
def test_what_is_not_whole_does_not_count(tmp_path, spoil):
    texts = some_texts(50)
    write_store(tmp_path, batched(texts), WORDPIECE, MADE_OF)
    spoil(tmp_path)
    assert open_store(tmp_path, MADE_OF) is None
    store = write_store(tmp_path, batched(texts), WORDPIECE, MADE_OF)
    np.testing.assert_array_equal(store.ids, WORDPIECE.encode(texts).ids)


def test_a_run_that_dies_while_writing_leaves_nothing_that_counts(tmp_path):
    def dies():
        yield as_texts(["abc"])
        raise KeyboardInterrupt

    write_store(tmp_path, batched(some_texts(50)), WORDPIECE, {"other": 1})
    with pytest.raises(KeyboardInterrupt):
        write_store(tmp_path, dies(), WORDPIECE, MADE_OF)
    assert open_store(tmp_path, MADE_OF) is None
    assert open_store(tmp_path, {"other": 1}) is None


def test_a_digest_tells_documents_apart(tmp_path):
    def digest(name, texts, part=slice(None)):
        start, stop, _ = part.indices(len(texts))
        return write_store(tmp_path / name, batched(texts), WORDPIECE, MADE_OF).part(start, stop).digest()

    texts = some_texts(12)
    assert digest("one", texts) == digest("same", texts)
    assert digest("one", texts) != digest("other", [*texts[:-1], texts[-1] + " a"])
    assert digest("one", texts) != digest("cut", [" ".join(texts[:2]), "", *texts[2:]]), "the same pieces"
    assert digest("one", texts, slice(3, 5)) != digest("one", texts, slice(3, 6))


@pytest.mark.parametrize(("size", "kind"), [(65_535, np.uint16), (65_600, np.int32)])
def test_small_vocabularies_take_two_bytes_a_piece(tmp_path, size, kind):
    pieces = [*SPECIALS, *(chr(0x4E00 + i) for i in range(20_000))]
    pieces += [f"a{i}" for i in range(size - len(pieces) - 1)] + ["zzz"]
    wordpiece = WordPiece.of(pieces)
    for _ in range(2):
        store = write_store(tmp_path, [pa.array(["zzz", "一 zzz"], pa.large_string())], wordpiece, MADE_OF)
        assert store.ids.dtype == kind
        assert store.ids.tolist() == [size - 1, 5, size - 1]
