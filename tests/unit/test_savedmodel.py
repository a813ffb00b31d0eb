"""Exported models score as the step does, take any bytes, and need no sopan where they are loaded."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from small_step import trained

from sopan.errors import ConfigError, ModelFolderError, SopanError
from sopan.fit.export import savedmodel
from sopan.fit.export.savedmodel import (
    BATCH,
    SAVED_MODEL_FILES,
    TRIALS,
    export_keras,
    export_savedmodel,
)
from sopan.steps import make_step
from sopan.text.arrow import as_texts

TEXTS = [
    "The baker kneads the dough, and stirs the soup after that.",
    "The captain mends the nets. He can't row the dinghy!<br /><br />The gulls…",
    "ΟΔΥΣΣΕΥΣ hoists the sail: 3,14 miles",
    "ছবিটা খুব ভালো, গানগুলো ভালো লাগল",
    "我爱北京 and the soup",
    "the gulls " * 300,
]
LABELS = [3, 11, 11, 5, 3, 11]

LOAD_ELSEWHERE = """
import json, sys
class NoSopan:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("sopan", "tensorflow_text"):
            raise ImportError(f"{name} is not to be had here")
sys.meta_path.insert(0, NoSopan())
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
answer = model.signatures["serving_default"](texts=tf.constant(json.loads(sys.argv[2])))
assert not [name for name in sys.modules if name.partition(".")[0] == "sopan"]
classes = [[name.decode() for name in row] for row in answer["classes"].numpy()]
print(json.dumps({"classes": classes, "scores": answer["scores"].numpy().tolist()}))
"""


QUICK = {"dimension": 16, "epochs": 1}


def fitted(step, texts=TEXTS, labels=LABELS, max_length=20):
    estimator = make_step(step, max_length=max_length, **QUICK).fit(texts, labels)
    estimator.temperature_ = 0.25
    return estimator


@pytest.fixture(scope="module")
def estimator():
    return fitted("self_attention")


@pytest.fixture(scope="module")
def exported(estimator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "served"
    assert 0 <= export_savedmodel(estimator, folder, TEXTS) < 1e-5
    return folder


@pytest.fixture(scope="module")
def serve(exported):
    loaded = tf.saved_model.load(str(exported))  # a function alone would let its tables be collected
    return lambda texts: loaded.signatures["serving_default"](texts=tf.constant(texts))


def drifted(estimator, drift):
    """Return a step whose own probabilities are others than its network's."""
    twin = copy.copy(estimator)
    twin.predict_proba = lambda X: estimator.predict_proba(X) + drift
    return twin


def test_scores_and_classes_are_the_steps_own(estimator, serve):
    answer = serve(TEXTS)
    np.testing.assert_allclose(answer["scores"].numpy(), estimator.predict_proba(TEXTS), atol=1e-6)
    assert answer["classes"].numpy().tolist() == [[b"3", b"5", b"11"]] * len(TEXTS)
    assert answer["scores"].dtype == tf.float32


def test_the_signature_is_as_promised(exported):
    signature = tf.saved_model.load(str(exported)).signatures["serving_default"]
    (given,) = signature.structured_input_signature[1].values()
    assert (given.name, given.dtype, given.shape.as_list()) == ("texts", tf.string, [None])
    found = {name: (spec.dtype, spec.shape.as_list()) for name, spec in signature.structured_outputs.items()}
    assert found == {"classes": (tf.string, [None, 3]), "scores": (tf.float32, [None, 3])}
    assert sorted(path.name for path in exported.iterdir()) == sorted(SAVED_MODEL_FILES)


@pytest.mark.parametrize("n", [0, 1, BATCH, BATCH + 1, 3 * BATCH])
def test_any_number_of_texts(estimator, serve, n):
    texts = [TEXTS[i % len(TEXTS)] for i in range(n)]
    answer = serve(tf.constant(texts, tf.string, [n]))
    np.testing.assert_allclose(answer["scores"].numpy(), estimator.predict_proba(texts), atol=1e-6)
    assert answer["classes"].shape == (n, 3)


def test_what_is_no_text_separates_words(serve):
    broken = [b"soup\xffgulls", b"\xed\xa0\x80", b"soup \xe0\xa6", b"soup\0gulls", b"\xf4\x90\x80\x80"]
    plain = ["soup gulls", "", "soup ", "soup gulls", ""]
    answer = serve(broken)["scores"].numpy()
    np.testing.assert_allclose(answer, serve(plain)["scores"].numpy(), atol=1e-6)


def test_a_process_without_sopan_gives_the_same_scores(estimator, exported):
    command = [sys.executable, "-I", "-c", LOAD_ELSEWHERE, str(exported), json.dumps([*TEXTS, *TRIALS])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    np.testing.assert_allclose(answer["scores"], estimator.predict_proba([*TEXTS, *TRIALS]), atol=1e-6)
    assert answer["classes"][0] == ["3", "5", "11"]


def test_a_thousand_reviews_agree(imdb_file, tmp_path):
    reviews = pq.read_table(imdb_file, columns=["text", "label"])
    reviews = reviews.take(np.arange(0, len(reviews), 45))  # 1,112 of them; they are sorted by label
    texts = reviews["text"].combine_chunks()
    labels = reviews["label"].to_pylist()
    estimator = fitted("self_attention", texts.to_pylist()[::8], labels[::8], max_length=128)
    assert export_savedmodel(estimator, tmp_path / "served", texts) <= 1e-5


def test_a_model_that_scores_otherwise_is_not_published(estimator, exported, tmp_path):
    with pytest.raises(SopanError, match=r"differs by 0\.0002 .*nothing was written"):
        export_savedmodel(drifted(estimator, 2e-4), tmp_path / "served", TEXTS)
    assert not (tmp_path / "served").exists()
    loaded = tf.saved_model.load(str(exported))
    with pytest.raises(SopanError, match="differs by nan"):
        savedmodel._largest_difference(loaded, drifted(estimator, np.nan), as_texts(TEXTS))


def test_an_export_replaces_an_export_and_nothing_else(estimator, exported, tmp_path):
    shutil.copytree(exported, tmp_path / "served")
    before = (tmp_path / "served" / "saved_model.pb").stat().st_ino
    export_savedmodel(estimator, tmp_path / "served", TEXTS[:1])
    assert (tmp_path / "served" / "saved_model.pb").stat().st_ino != before
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(ModelFolderError, match=r"chapter\.tex"):
        export_savedmodel(estimator, tmp_path / "thesis", TEXTS[:1])
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


def test_a_step_without_a_network_is_refused(tmp_path):
    for export in (
        lambda: export_savedmodel(trained(), tmp_path / "a", ["a"]),
        lambda: export_keras(trained(), "a"),
    ):
        with pytest.raises(ConfigError, match="not a Keras network"):
            export()


def test_another_backend_is_told_so(estimator, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ConfigError, match="Keras runs on jax here"):
        export_savedmodel(estimator, tmp_path / "served", TEXTS)
    assert not list(tmp_path.iterdir())


# Keras 3.15 asks NumPy 2.4 for a variable's values in a way that NumPy has deprecated.
keras_numpy = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


@keras_numpy
@pytest.mark.parametrize("step", ["attention:global", "attention:local-p", "transformer"])
def test_the_other_steps_go_out_too(step, tmp_path):
    estimator = fitted(step)
    assert export_savedmodel(estimator, tmp_path / "served", [*TEXTS, *TRIALS]) < 1e-5
    export_keras(estimator, tmp_path / "network.keras")


@keras_numpy
def test_a_keras_file_computes_the_same(estimator, tmp_path):
    export_keras(estimator, tmp_path / "network.keras")
    twin = keras.saving.load_model(tmp_path / "network.keras")
    ids, mask = np.array([[2, 3, 1, 0]], np.int32), np.array([[True, True, True, False]])
    ours, theirs = (network([ids, mask], training=False) for network in (estimator.network_, twin))
    assert sorted(theirs) == ["attention", "logits", "vector"]
    np.testing.assert_allclose(ours["logits"], theirs["logits"], rtol=1e-6)
    np.testing.assert_allclose(ours["attention"][0], theirs["attention"][0], rtol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["network.keras"]


@keras_numpy
def test_a_keras_file_that_computes_otherwise_is_not_published(estimator, tmp_path, monkeypatch):
    other = keras.models.clone_model(estimator.network_)
    other.set_weights([2 * weight for weight in estimator.network_.get_weights()])
    monkeypatch.setattr(keras.saving, "load_model", lambda path: other)
    (tmp_path / "network.keras").write_text("the one before")
    with pytest.raises(SopanError, match="computes something else"):
        export_keras(estimator, tmp_path / "network.keras")
    assert (tmp_path / "network.keras").read_text() == "the one before"
    assert [path.name for path in tmp_path.iterdir()] == ["network.keras"]


def test_a_keras_file_is_called_so(estimator, tmp_path):
    with pytest.raises(ConfigError, match=r"name a \.keras file"):
        export_keras(estimator, tmp_path / "network.h5")
