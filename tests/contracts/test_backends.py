"""Every step on Keras keeps its contract on JAX and PyTorch too, and reads models made on TensorFlow.

The backend is chosen when Keras is imported, so each has a process of its own. Only what a backend can
break is run there; the whole suite runs on the backend of this process. On each backend all models of
TensorFlow's are read and one step learns; that every step keeps the contract there is among the slow tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import need
from quick_steps import LABELS, ON_KERAS, TEXTS, brief, eagerly
from test_steps import ODD_TEXTS

from sopan.fit.artifact import save_model

TESTS = Path(__file__).resolve().parents[1]
CONTRACT = (
    "learns_the_topics",
    "learns_eight_examples",
    "what_is_restored_predicts_the_same_bits",
    "a_batch_of_one_equals_a_batch_of_many",
    "more_padding_changes_nothing_whatever_stands_there",
    "a_text_that_is_too_long_loses_its_middle_and_says_so",
    "pickling_changes_no_bit",
    "no_texts_give_no_predictions",
    "the_same_seed_gives_the_same_bits",
    "every_probability_is_finite_and_rows_sum_to_one",
    "texts_without_known_words_are_flagged",
    "labels_that_cannot_be_learnt_are_refused",
    "empty_texts_are_refused",
)
"""Tests of `test_steps.py` that meet the network's arithmetic, its randomness or its variables."""

LOAD = """
import json, os, sys, keras, numpy as np
from quick_steps import EIGHT, SOIL_OR_SEA, TEXTS, brief
from test_steps import ODD_TEXTS
from sopan.fit.artifact import load_model
assert keras.backend.backend() == os.environ["KERAS_BACKEND"]
for step in sys.argv[2:]:
    found = load_model(f"{sys.argv[1]}/{step}").predict_proba(TEXTS + ODD_TEXTS)
    print(json.dumps([step, float(abs(found - np.load(f"{sys.argv[1]}/{step}.npy")).max())]))
estimator = brief("self_attention").fit(EIGHT, SOIL_OR_SEA)
print(json.dumps(["learnt", estimator.predict(EIGHT).tolist() == SOIL_OR_SEA]))
"""


def run(backend: str, *arguments: str) -> str:
    """Run Python with Keras on `backend` and return what it printed; fail with all it said."""
    paths = os.pathsep.join([str(TESTS), str(TESTS / "contracts"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths, "SOPAN_RUNTIME": "keras"}
    environment["OMP_NUM_THREADS"] = (
        "1"  # PyTorch's threads wait for each other far longer than these sums take
    )
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=TESTS.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"on {backend}:\n{done.stdout[-20_000:]}\n{done.stderr[-4_000:]}", pytrace=False)
    return done.stdout


@pytest.fixture(scope="module", params=["jax", "torch"])
def backend(request: pytest.FixtureRequest) -> str:
    need(request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def made_on_tensorflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of each step and the probabilities that it gave where it was made."""
    folder = tmp_path_factory.mktemp("models")
    with eagerly(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOPAN_RUNTIME", "keras")
        for step in ON_KERAS:
            estimator = brief(step).fit(TEXTS, LABELS)
            save_model(estimator, folder / step, data={}, metrics={})
            np.save(folder / f"{step}.npy", estimator.predict_proba(TEXTS + ODD_TEXTS))
    return folder


@pytest.mark.slow
def test_the_contract_holds(backend: str) -> None:
    suite = "tests/contracts/test_steps.py"
    steps = " or ".join(f"[{step}" for step in ON_KERAS)
    said = run(
        backend,
        *("-m", "pytest", "-rf", "--tb=short", "-p", "no:cacheprovider", "-k", f"({steps}) and not :"),
        *(f"{suite}::test_{name}" for name in CONTRACT),
    )
    assert "passed" in said.splitlines()[-1], said


def test_a_model_made_on_tensorflow_predicts_the_same_and_a_step_learns(
    backend: str, made_on_tensorflow: Path
) -> None:
    said = run(backend, "-c", LOAD, str(made_on_tensorflow), *ON_KERAS)
    apart = dict(json.loads(line) for line in said.splitlines())
    assert apart.pop("learnt")
    assert tuple(apart) == ON_KERAS
    np.testing.assert_array_less(list(apart.values()), 1e-4, err_msg=str(apart))
