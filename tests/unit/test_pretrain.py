"""Pre-training: texts that share a row do not meet, word vectors start well, and what measures is honest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_language import PIECES, sentences, untrained

from sopan.errors import ConfigError
from sopan.lm.pretrain import VECTOR_SPREAD, Pretraining, make_judge, pretrain_language_model, start_vectors
from sopan.runtime.encoder_config import bert_config
from sopan.text.packing import PieceStore, Sequences, fill_rows
from sopan.text.wordpiece import WordPiece
from sopan.training.checkpoint import CheckpointFile
from sopan.training.language_modelling import Batches, PretrainingTask
from sopan.training.recipe import LanguageRecipe, Monitor

WORDPIECE = WordPiece.of(PIECES)
CONFIG = bert_config(width=16, depth=1, heads=2, inner=32, max_length=24, dropout=0.0, attention_dropout=0.0)
SETTINGS = Pretraining(PretrainingTask(length=24, rows=4), LanguageRecipe(6, warm_up=2, judge_every=3))


def store(n=80, seed=0):
    rng = np.random.default_rng(seed)
    encoded = WORDPIECE.encode([" ".join(rng.choice(sentences(), 3)) for _ in range(n)])
    return PieceStore(encoded.ids.astype(np.uint16), encoded.offsets)


# ---- Rows that texts share -------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
def test_texts_in_a_row_read_as_if_each_were_alone(causal):
    """Logits of a text are the same beside any other and alone: attention keeps to it, places restart."""
    model = untrained(causal=causal, max_length=40)
    rng = np.random.default_rng(0)
    ids = rng.integers(5, len(PIECES), 40).astype(np.int32)
    at, sizes = Sequences(np.array([0, 9, 20]), np.array([7, 9, 11])), (7, 9, 11)

    def logits(members, block):
        rows = fill_rows(ids, at, [np.array(members)], 40, 2, 3)
        return model.logits(rows, np.flatnonzero(rows.blocks.ravel() == block).astype(np.int32))

    alone = logits([0], 1)
    assert len(alone) == sizes[0] + 2
    for members, block in (([0, 1], 1), ([0, 2], 1), ([1, 0], 2), ([2, 0], 2), ([1, 2, 0], 3)):
        np.testing.assert_allclose(logits(members, block), alone, atol=2e-5)
    np.testing.assert_array_equal(logits([0, 1], 1), logits([0, 1], 1))
    assert np.abs(logits([1, 0], 1)[:9] - alone).max() > 0.1, "another text reads otherwise"


def test_a_masked_model_sees_both_sides_and_a_causal_one_the_left():
    ids = np.arange(5, 17, dtype=np.int32)
    sequences, row = Sequences(np.array([0]), np.array([12])), [np.array([0])]
    for causal in (False, True):
        model = untrained(causal=causal)
        rows = fill_rows(ids, sequences, row, 24, 2, 3)
        changed = fill_rows(np.append(ids[:-1], np.int32(5)), sequences, row, 24, 2, 3)
        places = np.arange(12, dtype=np.int32)
        same = np.isclose(model.logits(rows, places), model.logits(changed, places), atol=1e-6).all()
        assert same == causal


# ---- The run ---------------------------------------------------------------------------------


def test_a_run_is_evaluated_on_held_out_text_and_repeats_to_the_bit():
    one, other = (
        pretrain_language_model(store(), store(20, 1), WORDPIECE, CONFIG, SETTINGS) for _ in range(2)
    )
    assert [each.step for each in one.evaluations] == [3, 6]
    assert [each.pieces for each in one.evaluations] == [3 * 96, 6 * 96]
    assert set(one.evaluations[0].held_out) == {"loss", "accuracy", "perplexity"}
    timeless = [[each._replace(seconds=0) for each in found.evaluations] for found in (one, other)]
    assert timeless[0] == timeless[1]
    for path, weight in one.model.weights().items():
        assert weight.tobytes() == other.model.weights()[path].tobytes(), path
    seeded = pretrain_language_model(store(), None, WORDPIECE, CONFIG, replace(SETTINGS, seed=1))
    assert seeded.evaluations[0].held_out == {}
    assert (seeded.model.weights()["words/embeddings"] != one.model.weights()["words/embeddings"]).any()


def test_a_run_begins_where_another_model_stands():
    begin = untrained()
    still = replace(SETTINGS, recipe=replace(SETTINGS.recipe, steps=1, learning_rate=1e-12))
    found = pretrain_language_model(store(), None, WORDPIECE, begin.config, still, begin=begin)
    for path, weight in begin.weights().items():
        np.testing.assert_allclose(found.model.weights()[path], weight, atol=1e-6, err_msg=path)


def test_another_identity_is_another_run(tmp_path):
    kept = Monitor(checkpoint=CheckpointFile(tmp_path / "run.safetensors"))
    pretrain_language_model(store(), None, WORDPIECE, CONFIG, SETTINGS, monitor=kept, identity="one")
    for settings, identity in (
        (SETTINGS, "other"),
        (replace(SETTINGS, seed=1), "one"),
        (replace(SETTINGS, start="random"), "one"),
        (replace(SETTINGS, task=replace(SETTINGS.task, mask_rate=0.3)), "one"),
    ):
        with pytest.raises(ConfigError, match="another run"):
            pretrain_language_model(
                store(), None, WORDPIECE, CONFIG, settings, monitor=kept, identity=identity
            )
    pretrain_language_model(store(), None, WORDPIECE, CONFIG, SETTINGS, monitor=kept, identity="one")


# ---- Its parts -------------------------------------------------------------------------------


def test_word_vectors_start_with_the_usual_spread_and_words_of_a_kind_together():
    vectors = start_vectors(store(400), len(WORDPIECE), 16, seed=0)
    assert vectors.shape == (len(WORDPIECE), 16)
    assert vectors.dtype == np.float32
    seen = np.bincount(store(400).ids, minlength=len(WORDPIECE)) > 0
    assert not seen[:5].any(), "special pieces are not in the store: theirs are drawn"
    assert vectors[seen].std() == pytest.approx(VECTOR_SPREAD, rel=0.05)
    assert 0 < vectors[~seen].std() < 2 * VECTOR_SPREAD
    np.testing.assert_array_equal(vectors, start_vectors(store(400), len(WORDPIECE), 16, seed=0))
    part = store(400).part(100, 300)
    assert np.isfinite(start_vectors(part, len(WORDPIECE), 16, seed=0)).all()


@pytest.mark.parametrize("causal", [False, True])
def test_what_measures_counts_as_slow_python_does(causal):
    model, task = untrained(causal=causal), PretrainingTask(causal=causal, length=24, rows=7)
    measured = make_judge(model, store(10), task)()
    batches = Batches(store(10), WORDPIECE, replace(task, rows=1), seed=0)
    losses, right = [], []
    for number in range(batches.batches_an_epoch):
        (ids, blocks, places, segments, at), (truth, weights) = batches(number)
        found = model.network([ids, blocks, places, segments, at], training=False)["logits"]
        for scores, true, weight in zip(np.array(found, np.float64), truth, weights, strict=True):
            if weight:
                losses.append(np.log(np.exp(scores).sum()) - scores[true])
                right.append(scores.argmax() == true)
    assert measured["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert measured["accuracy"] == pytest.approx(np.mean(right))
    assert measured["perplexity"] == pytest.approx(np.exp(np.mean(losses)), rel=1e-4)


def test_where_nothing_can_be_asked_nothing_is_measured():
    unknown = PieceStore(np.full(20, WORDPIECE.specials["[UNK]"], np.uint16), np.array([0, 20]))
    assert make_judge(untrained(), unknown, PretrainingTask(length=24, rows=1))() == {}
