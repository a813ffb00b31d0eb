"""A language model made at home in new text: which words become pieces, and that nothing else changes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tables
from quick_steps import eagerly
from small_language import PIECES, trained, untrained, without_head

from sopan import usecases
from sopan.errors import ConfigError, DataError
from sopan.lm.hugging_face import save_hugging_face
from sopan.lm.pretrain import LEAST_COUNT, grow, new_words
from sopan.steps.presets import from_preset
from sopan.text.arrow import as_texts
from sopan.text.packing import IDS, Sequences, fill_rows
from sopan.text.wordpiece import WordPiece

TINY = {"steps": 3, "rows": 2}

# ---- New words -------------------------------------------------------------------------------


def test_the_words_that_save_most_pieces_come_first():
    n = LEAST_COUNT
    texts = [
        *["nightowl"] * n,  # two pieces: saves n
        *["unbelievable"] * n,  # three: saves 2 n
        *["nightable"] * (3 * n),  # two: saves 3 n
        *["unowl"] * (n - 1),  # too rare
        *["cat"] * 99,  # a piece already
        *["zebra"] * 99,  # unknown
    ]
    batches = [as_texts(texts[:50]), as_texts([]), as_texts(["", *texts[50:]])]
    wordpiece = untrained().wordpiece
    assert new_words(batches, wordpiece, 9) == ["nightable", "unbelievable", "nightowl"]
    assert new_words(batches, wordpiece, 2) == ["nightable", "unbelievable"]
    assert new_words(batches, wordpiece, 0) == []
    assert new_words([as_texts([])], wordpiece, 9) == []


def test_words_are_counted_within_texts_and_in_normal_form():
    texts = ["The NightOwl hoots , nightowl"] * (LEAST_COUNT // 2)
    assert new_words([as_texts(texts)], untrained().wordpiece, 9) == ["nightowl"]


def test_numbers_and_signs_do_not_become_words():
    wordpiece = WordPiece.of([*PIECES, "1", "##9", "x"])
    texts = ["19 1999 x9"] * LEAST_COUNT
    assert new_words([as_texts(texts)], wordpiece, 9) == ["x9"]


# ---- Grown -----------------------------------------------------------------------------------


def test_a_grown_models_new_vectors_are_means_and_the_rest_is_as_it_was():
    before = untrained()
    kept = before.weights()
    grown = grow(before, ["unbelievable", "nightowl", "unbelievable"])
    assert grown.wordpiece.pieces == (*PIECES, "unbelievable", "nightowl")
    assert grown.wordpiece.encode(["NightOwl hoots"]).ids.tolist() == [len(PIECES) + 1, PIECES.index("hoots")]
    weights, n = grown.weights(), len(PIECES)
    for path in ("words/embeddings", "predict_bias/bias"):
        table = kept[path]
        np.testing.assert_array_equal(weights[path][:n], table)
        cuts = [[PIECES.index(p) for p in cut] for cut in (("un", "##believ", "##able"), ("night", "##owl"))]
        np.testing.assert_allclose(weights[path][n:], [table[cut].mean(axis=0) for cut in cuts], rtol=1e-6)
    for path, weight in before.weights().items():
        np.testing.assert_array_equal(weight, kept[path])
        if path not in ("words/embeddings", "predict_bias/bias"):
            np.testing.assert_array_equal(weights[path], weight)


@pytest.mark.parametrize("causal", [False, True])
def test_text_without_new_words_reads_as_before(causal):
    before = untrained(causal=causal)
    grown = grow(before, ["nightowl"])
    ids = np.arange(5, 19, dtype=np.int32)
    rows = fill_rows(ids, Sequences(np.array([0]), np.array([14])), [np.array([0])], 24, 2, 3)
    np.testing.assert_allclose(grown.hidden(rows), before.hidden(rows), atol=1e-6)
    at = np.arange(16, dtype=np.int32)
    np.testing.assert_allclose(grown.logits(rows, at)[:, : len(PIECES)], before.logits(rows, at), atol=1e-5)
    assert grown.objective == before.objective


def test_growing_by_nothing_changes_nothing_and_a_missing_head_stays_missing():
    same = grow(without_head(), [])
    assert same.missing_heads == ("predict", "order")
    for path, weight in untrained().weights().items():
        np.testing.assert_array_equal(same.weights()[path], weight)


# ---- The whole -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def preset(tmp_path_factory) -> Path:
    """A folder of a model that knows some of the words of `tables.reviews`."""
    folder = tmp_path_factory.mktemp("preset") / "model"
    save_hugging_face(trained(), folder, card="Trained by a test.\n")
    return folder


LETTERS = "abcdefghijklmnopqrstuvwxyz."


@pytest.fixture(scope="module")
def spelling(tmp_path_factory) -> Path:
    """A folder of a model that spells every word letter by letter."""
    from sopan.steps.language_model import LanguageModel

    wordpiece = WordPiece.of([*PIECES[:5], *LETTERS, *(f"##{letter}" for letter in LETTERS[:-1])])
    folder = tmp_path_factory.mktemp("spelling") / "model"
    config = untrained(max_length=32).config
    save_hugging_face(LanguageModel.make(config, wordpiece, seed=0), folder, card="Spells.\n")
    return folder


def write_corpus(path, texts):
    path.write_text("text\n" + "".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def test_held_out_test_texts_never_enter_what_is_learnt(tmp_path, spelling):
    """The corpus holds each text of the labelled table in capitals; those to test on are left out."""
    rows = tables.opinions(
        dict.fromkeys(("good", "bad"), 40), {k: tables.ENGLISH[k] for k in ("good", "bad")}
    )
    labelled = tables.write_csv(tmp_path / "labelled.csv", rows, ("said", "verdict"))
    texts = [text for text, _ in rows]
    more = [f"{text} again and again" for text in texts]
    corpus = write_corpus(tmp_path / "corpus.csv", [*(f"  {text.upper()}" for text in texts), *more])
    from sopan.options.language import LabelledOptions
    from sopan.usecases.adapting import DownstreamTask

    task = DownstreamTask(LabelledOptions(labelled=labelled))
    apart = [*task.val.texts.to_pylist(), *task.test.texts.to_pylist()]
    assert len(apart) > 10
    how = {"words": 5, "held_out": 0.1, "text": "text"}
    how |= {"labelled": labelled, "labelled_text": "said", "label": "verdict"}
    report = usecases.adapt(str(spelling), [corpus], tmp_path / "out", **how, **TINY)
    assert len(report["new_words"]) == 5
    assert report["downstream"]["tests"] == len(task.test.texts)
    assert set(report["downstream"]["accuracy"]) == {"before", "after"}
    assert report["blanks"]["before"]["blanks"] == report["blanks"]["after"]["blanks"] > 0
    wordpiece = WordPiece.load(tmp_path / "out" / "tokenizer.json")
    assert wordpiece.pieces[-5:] == tuple(report["new_words"])
    stored = set()
    for part in ("corpus", "held_out"):
        folder = tmp_path / "out.work" / part
        ids = np.fromfile(folder / IDS, np.uint16)
        offsets = np.fromfile(folder / "offsets.bin", np.int64)
        stored |= {tuple(ids[a:b].tolist()) for a, b in pairwise(offsets)}
    encoded = [tuple(wordpiece.encode([text]).ids.tolist()) for text in apart]
    assert not stored.intersection(encoded)
    taught = [tuple(wordpiece.encode([text]).ids.tolist()) for text in task.train.texts.to_pylist()]
    assert stored.issuperset(taught)
    assert len(stored) == len(set(texts) - set(apart)) + len(set(more))


def test_nothing_held_out_means_that_no_blanks_are_compared(tmp_path, preset):
    corpus = write_corpus(tmp_path / "corpus.csv", ["the cat purrs . the dog barks ."] * 30)
    report = usecases.adapt(str(preset), [corpus], tmp_path / "out", held_out=0.0, **TINY)
    assert set(report) == {"training", "new_words"}
    assert report["training"]["looks"][-1]["held_out"] == {}
    assert json.loads((tmp_path / "out" / "training.json").read_text())["corpus"] == ["corpus.csv"]


def test_a_preset_without_a_head_is_adapted_and_has_one_then(tmp_path):
    save_hugging_face(without_head(), tmp_path / "preset", card="Of an encoder alone.\n")
    corpus = write_corpus(
        tmp_path / "corpus.csv", [f"the cat purrs . the dog barks . {i}" for i in range(60)]
    )
    how = {"held_out": 0.3, "words": 0, **TINY}
    with eagerly():
        report = usecases.adapt(str(tmp_path / "preset"), [corpus], tmp_path / "out", **how)
        usecases.adapt(str(tmp_path / "preset"), [corpus], tmp_path / "head", head_steps=3, **how)
    assert "blanks" not in report
    assert usecases.fill("the [MASK] .", model=tmp_path / "out")
    body, moved, head = (from_preset(tmp_path / name).weights() for name in ("preset", "out", "head"))
    blocks = [path for path in body if path.startswith("block_")]
    assert all(np.array_equal(head[path], body[path]) for path in blocks)
    assert not any(np.array_equal(moved[path], body[path]) for path in blocks)
    assert not np.array_equal(head["predict/kernel"], body["predict/kernel"])


def test_another_preset_does_not_go_on_from_the_first_ones_run(tmp_path, preset):
    corpus = write_corpus(tmp_path / "corpus.csv", ["the cat purrs . the dog barks ."] * 30)
    usecases.adapt(str(preset), [corpus], tmp_path / "out", held_out=0.0, **TINY)
    save_hugging_face(untrained(), tmp_path / "other", card="Of the same shape.\n")
    with pytest.raises(ConfigError, match="another run"):
        usecases.adapt(str(tmp_path / "other"), [corpus], tmp_path / "out", held_out=0.0, **TINY)


@pytest.mark.parametrize("corpus", ["missing.csv", "empty.csv"])
def test_a_corpus_of_nothing_is_refused_and_nothing_is_written(tmp_path, preset, corpus):
    (tmp_path / "empty.csv").write_text("text\n")
    with pytest.raises(DataError):
        usecases.adapt(str(preset), [tmp_path / corpus], tmp_path / "out", **TINY)
    assert not (tmp_path / "out").exists()
