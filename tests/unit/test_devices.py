"""What a step runs on: XLA changes no loss, devices are counted, and drawing ahead leaves nothing behind."""

from __future__ import annotations

import threading

import keras
import numpy as np
import pytest
from small_language import PIECES, sentences

from sopan.errors import ConfigError
from sopan.options.language import PretrainOptions
from sopan.runtime.encoder_config import bert_config
from sopan.steps.language_model import LanguageModel
from sopan.text.packing import PieceStore
from sopan.text.wordpiece import WordPiece
from sopan.training import devices
from sopan.training.language_modelling import Batches, PretrainingTask, train_language_model
from sopan.training.recipe import LanguageRecipe, Monitor
from sopan.usecases.pretraining import chosen_settings, new_encoder

WORDPIECE = WordPiece.of(PIECES)
RECIPE = LanguageRecipe(4, 3e-3, warm_up=1, optimizer="adamw", judge_every=1)


def make_model():
    sizes = {"width": 16, "depth": 1, "heads": 2, "inner": 32, "max_length": 24}
    config = bert_config(**sizes, dropout=0.0, attention_dropout=0.0)
    return LanguageModel.make(config, WORDPIECE, seed=0)


def batches():
    rng = np.random.default_rng(0)
    encoded = WORDPIECE.encode([" ".join(rng.choice(sentences(), 3)) for _ in range(60)])
    store = PieceStore(encoded.ids, encoded.offsets)
    return Batches(store, WORDPIECE, PretrainingTask(length=24, rows=6, mask_rate=0.3), 0)


def learn(draw=None, **how):
    draw = batches() if draw is None else draw
    return train_language_model(make_model().network, draw, RECIPE, **how)


def settings(**options):
    chosen = PretrainOptions(["corpus.csv"], "out", **options)
    return chosen_settings(chosen, new_encoder(chosen, causal=False), length=chosen.length)


# ---- XLA and devices -------------------------------------------------------------------------


def test_xla_changes_no_loss():
    plain, compiled = ([each.loss for each in learn(xla=xla)] for xla in (False, True))
    assert plain[3] != plain[0]
    np.testing.assert_allclose(compiled, plain, atol=1e-5)


def seen(monkeypatch, backend, gpus=0, jax_devices=0):
    """Let this process look as if it ran on that backend with so many devices."""
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(devices, "_count_gpus", lambda: gpus)
    monkeypatch.setattr(devices, "_jax_devices", lambda: [None] * jax_devices)


def test_tensorflow_compiles_by_xla_on_a_gpu_unless_told(monkeypatch):
    assert devices.choose_xla(None) == (devices._count_gpus() > 0)
    seen(monkeypatch, "tensorflow")
    assert not devices.choose_xla(None)
    assert devices.choose_xla(True)
    seen(monkeypatch, "tensorflow", gpus=1)
    assert devices.choose_xla(None)
    assert not devices.choose_xla(False)


@pytest.mark.parametrize(("backend", "always"), [("jax", True), ("torch", False)])
def test_a_backend_without_the_choice_says_so(monkeypatch, backend, always):
    seen(monkeypatch, backend)
    assert devices.choose_xla(None) is devices.choose_xla(always) is always
    with pytest.raises(ConfigError, match=f"{backend} (always|never) compiles by XLA"):
        settings(xla=not always)


def test_rows_that_do_not_divide_are_refused_before_any_text_is_read(monkeypatch):
    seen(monkeypatch, "jax", jax_devices=3)
    devices.check_rows(33)
    with pytest.raises(ConfigError, match=r"32 rows of a batch cannot .* among 3 devices") as error:
        settings(rows=32)
    assert "give 33 rows" in str(error.value.next_step)


def test_gpus_that_stay_idle_are_named(monkeypatch):
    seen(monkeypatch, "tensorflow", gpus=1)
    assert devices.idle_gpus() == ""
    seen(monkeypatch, "tensorflow", gpus=2)
    assert devices.idle_gpus() == "tensorflow uses 1 of 2 GPUs; KERAS_BACKEND=jax uses all"
    seen(monkeypatch, "jax", gpus=2, jax_devices=2)
    assert devices.idle_gpus() == ""


# ---- Batches drawn ahead ---------------------------------------------------------------------


def drawing(noted, fails_at=None):
    """Draw batches and note which, and in which thread."""
    draw = batches()

    def noting(number):
        noted.append((number, threading.current_thread()))
        if number == fails_at:
            raise OSError("the disk is gone")
        return draw(number)

    return noting


def test_each_batch_is_drawn_once_in_order_beside_the_training():
    noted = []
    learn(drawing(noted))
    assert [number for number, _ in noted] == [0, 1, 2, 3]
    assert len({thread for _, thread in noted}) == 1
    assert noted[0][1] is not threading.current_thread()
    assert not noted[0][1].is_alive()


def test_what_fails_while_drawing_ends_the_run_and_its_thread():
    noted = []
    with pytest.raises(OSError, match="the disk is gone"):
        learn(drawing(noted, fails_at=2))
    assert not noted[0][1].is_alive()


def test_ctrl_c_leaves_no_thread():
    noted = []

    def interrupt(evaluation):
        if evaluation.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(drawing(noted), monitor=Monitor(on_evaluation=interrupt))
    assert [number for number, _ in noted] == [0, 1], "none is drawn before the evaluation is over"
    assert not noted[0][1].is_alive()
