"""An exported `bert` scores as the step does, and needs neither sopan nor tokenizers where it is loaded."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from quick_steps import EIGHT, SOIL_OR_SEA, brief, eagerly

from sopan.fit.export.savedmodel import BATCH, TRIALS, export_keras, export_savedmodel
from sopan.text.arrow import as_texts

LONG = [*EIGHT, "The gulls, " * 90, "ছবিটা খুব ভালো, " * 20, "the old captain " * 7, *TRIALS]

LOAD_ELSEWHERE = """
import json, sys
BANNED = ("sopan", "tensorflow_text", "tokenizers", "transformers", "keras_hub")
class Banned:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BANNED:
            raise ImportError(f"{name} is not to be had here")
sys.meta_path.insert(0, Banned())
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
answer = model.signatures["serving_default"](texts=tf.constant(json.loads(sys.argv[2])))
assert not [name for name in sys.modules if name.partition(".")[0] in BANNED]
classes = [[name.decode() for name in row] for row in answer["classes"].numpy()]
print(json.dumps({"classes": classes, "scores": answer["scores"].numpy().tolist()}))
"""


@pytest.fixture(scope="module")
def estimator():
    with eagerly():
        fitted = brief("bert", max_windows=3).fit(EIGHT, SOIL_OR_SEA)
    fitted.temperature_ = 0.25
    return fitted


def reading(estimator, **settings):
    """Return a step that reads long texts otherwise."""
    twin = copy.copy(estimator)
    for name, value in settings.items():
        setattr(twin, name, value)
    return twin


@pytest.mark.parametrize(
    ("long_texts", "pool"), [("head", "mean"), ("head+tail", "mean"), ("windows", "max")]
)
def test_scores_are_the_steps_own_however_long_texts_are_read(long_texts, pool, estimator, tmp_path):
    twin = reading(estimator, long_texts=long_texts, pool=pool)
    assert twin.read_some(as_texts(LONG)).truncated.any()
    assert export_savedmodel(twin, tmp_path / "served", LONG) < 1e-5
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    for n in (0, 1, BATCH, BATCH + 1):
        texts = [LONG[i % len(LONG)] for i in range(n)]
        scores = loaded.signatures["serving_default"](texts=tf.constant(texts, tf.string, [n]))["scores"]
        np.testing.assert_allclose(scores.numpy(), twin.predict_proba(texts), atol=1e-5)


def test_a_process_without_sopan_or_tokenizers_gives_the_same_scores(estimator, tmp_path):
    twin = reading(estimator, long_texts="windows", pool="mean")
    assert export_savedmodel(twin, tmp_path / "served", LONG) < 1e-5
    command = [sys.executable, "-I", "-c", LOAD_ELSEWHERE, str(tmp_path / "served"), json.dumps(LONG)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    np.testing.assert_allclose(answer["scores"], twin.predict_proba(LONG), atol=1e-5)
    assert answer["classes"][0] == ["sea", "soil"]


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_its_network_goes_out_as_keras_has_it(estimator, tmp_path):
    export_keras(estimator, tmp_path / "network.keras")
    twin = keras.saving.load_model(tmp_path / "network.keras")
    ids, mask = np.array([[2, 7, 3, 0]], np.int32), np.array([[True, True, True, False]])
    ours, theirs = (network([ids, mask], training=False)["logits"] for network in (estimator.network_, twin))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
