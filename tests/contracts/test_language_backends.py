"""Language models learn the same on TensorFlow, JAX and PyTorch, and on one device of JAX as on two."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import need
from test_backends import run

TINY = """
import json, os, sys
import keras, numpy as np
from small_language import PIECES, sentences
from sopan.runtime.encoder_config import bert_config
from sopan.steps.language_model import LanguageModel
from sopan.text.packing import PieceStore
from sopan.text.wordpiece import WordPiece
from sopan.training.language_modelling import Batches, PretrainingTask, train_language_model
from sopan.training.recipe import LanguageRecipe
assert keras.backend.backend() == os.environ["KERAS_BACKEND"]

def make(dropout=0.0, precision="float32"):
    sizes = {"width": 16, "depth": 1, "heads": 2, "inner": 32, "max_length": 24}
    config = bert_config(**sizes, dropout=dropout, attention_dropout=dropout)
    return LanguageModel.make(config, WordPiece.of(PIECES), seed=0, precision=precision)

def draw(causal=False, pairs="none"):
    wordpiece, rng = WordPiece.of(PIECES), np.random.default_rng(0)
    encoded = wordpiece.encode([" ".join(rng.choice(sentences(), 3)) for _ in range(60)])
    task = PretrainingTask(causal=causal, length=24, rows=6, mask_rate=0.3, pairs=pairs)
    return Batches(PieceStore(encoded.ids, encoded.offsets), wordpiece, task, 0)

def losses(model, steps=3, **how):
    recipe = LanguageRecipe(steps, 3e-3, warm_up=1, decay=0.0, optimizer="adamw", judge_every=1)
    found = train_language_model(model.network, draw(), recipe, **how)
    return [each.loss for each in found]
"""
MAKE = TINY + "np.savez(sys.argv[1], **make().weights())"
LEARN = (
    TINY
    + """
model = make()
model.set_weights(dict(np.load(sys.argv[1])))
found = {"losses": losses(model)}
if "half" in sys.argv:
    half = make(precision="bfloat16")
    found["half"] = losses(half, 60)
    found["kinds"] = sorted({str(weight.dtype) for weight in half.network.weights})
print(json.dumps(found))
"""
)
SHARED = (
    TINY
    + """
import jax
from sopan.training.backend import make_stepper
from sopan.training.devices import check_rows, make_shares
from sopan.training.language_modelling import language_loss
from sopan.training.optimizer import make_optimizer
found = {"devices": len(jax.local_devices())}
model = make(dropout=0.2)
found["losses"] = losses(model, 4, shared=True)
found["weights"] = [len(weight.value.sharding.device_set) for weight in model.network.variables]
found["sum"] = float(sum(abs(weight).sum() for weight in model.weights().values()))
if found["devices"] > 1:
    inputs, targets = draw()(0)
    placed = make_shares().batch((*inputs, *targets))
    found["given"] = [list(array.shape) for array in (*inputs, *targets)]
    found["placed"] = [[list(part.data.shape) for part in array.addressable_shards] for array in placed]
    try:
        check_rows(7)
    except Exception as error:
        found["refused"] = str(error)
    places = {}

    def watched(outputs, targets):
        for name in ("hidden", "logits"):
            value = jax.lax.stop_gradient(outputs[name])
            note = lambda sharding, name=name: places.update({name: sharding.is_fully_replicated})
            jax.debug.inspect_array_sharding(value, callback=note)
        return language_loss(outputs, targets)

    optimizer = make_optimizer(LanguageRecipe(1, optimizer="adamw"))
    make_stepper(model.network, watched, optimizer, shared=True).step(inputs, targets)
    found["replicated"] = places
print(json.dumps(found))
"""
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Initial weights, which each backend draws in its own way."""
    path = tmp_path_factory.mktemp("first") / "weights.npz"
    run("tensorflow", "-c", MAKE, str(path))
    return path


def learn(backend: str, weights: Path, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(backend, "-c", LEARN, str(weights), *more).splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def on_tensorflow(weights: Path) -> dict[str, Any]:
    return learn("tensorflow", weights, "half")


@pytest.mark.parametrize("backend", ["jax", pytest.param("torch", marks=pytest.mark.slow)])
def test_the_first_losses_are_the_same(backend: str, on_tensorflow: dict[str, Any], weights: Path) -> None:
    need(backend)
    found = learn(backend, weights)["losses"]
    assert found[2] != found[0]
    np.testing.assert_allclose(found, on_tensorflow["losses"], atol=1e-4)


@pytest.mark.parametrize("where", ["tensorflow", pytest.param("jax", marks=pytest.mark.slow)])
def test_in_bfloat16_a_model_learns_and_its_weights_are_float32(
    where: str, on_tensorflow: dict[str, Any], weights: Path
) -> None:
    if where == "jax":
        need("jax")
    found = on_tensorflow if where == "tensorflow" else learn("jax", weights, "half")
    assert found["kinds"] == ["float32"]
    assert np.mean(found["half"][-10:]) < np.mean(found["half"][:3]) - 0.5


@pytest.mark.slow
def test_a_run_on_jax_goes_on_to_the_bit_and_adds_gradients_up() -> None:
    need("jax")
    said = run(
        "jax",
        *("-m", "pytest", "-rf", "--tb=short", "-p", "no:cacheprovider", "-k", "adamw"),
        *(
            f"tests/unit/test_language_training.py::test_{name}"
            for name in (
                "a_stopped_run_goes_on_to_the_very_bits",
                "two_small_batches_make_the_step_of_one_large_one",
            )
        ),
    )
    assert "3 passed" in said.splitlines()[-1], said


@pytest.mark.slow
def test_two_devices_learn_what_one_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout included: what is dropped is drawn for the whole batch, wherever its rows lie."""
    need("jax")
    one = json.loads(run("jax", "-c", SHARED).splitlines()[-1])
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    monkeypatch.setenv("XLA_FLAGS", flags)
    two = json.loads(run("jax", "-c", SHARED).splitlines()[-1])
    assert (one["devices"], two["devices"]) == (1, 2)
    np.testing.assert_allclose(two["losses"], one["losses"], atol=1e-5)
    assert two["sum"] == pytest.approx(one["sum"], rel=1e-5)
    assert set(two["weights"]) == {1}  # afterwards the model lies on one device
    for given, placed in zip(two["given"], two["placed"], strict=True):
        assert placed == [[-(-given[0] // 2), *given[1:]]] * 2
    assert two["replicated"] == {"hidden": False, "logits": False}
    assert "7 rows of a batch cannot be shared out evenly among 2 devices" in two["refused"]
