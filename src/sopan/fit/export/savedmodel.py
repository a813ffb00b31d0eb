"""A neural step in TensorFlow's and Keras' own formats, compared with the step before it is published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import keras
import numpy as np
import pyarrow as pa
from sklearn.utils.validation import check_is_fitted

from sopan.errors import ConfigError, SopanError
from sopan.fit.saved import label_names
from sopan.steps.base import Step
from sopan.steps.bert import Bert
from sopan.steps.neural import NeuralStep
from sopan.storage.atomic import replacing_file, replacing_folder
from sopan.text.arrow import Texts, as_texts
from sopan.text.batch import PADDING
from sopan.text.wordpiece import WordPiece
from sopan.types import Tensor

if TYPE_CHECKING:  # where Keras runs on another backend it may be absent
    import tensorflow as tf

SAVED_MODEL_FILES = ("assets", "fingerprint.pb", "saved_model.pb", "variables")
"""Every name that a SavedModel's folder may hold."""

SCORE_TOLERANCE = 1e-4
"""Most that a score of an exported model may differ from the step's own."""

BATCH = 32
"""Texts that an exported model reads at a time, so that its memory does not grow with the request."""

_CHECKED_AT_ONCE = 1024

TRIALS = (
    *("", " \n\t", "?!…", "<br />a<BR>b", "a\0b", "qwrtz xyzzy", "I can't: 3.14, 1,000 and e.g. U.S.A."),
    *("ΟΔΥΣΣΕΥΣ", "İstanbul", "Cafe\u0301 \u1112\u1161\u11ab", "soft\u00adhyphen"),
    *("ছবিটা খুব ভালো", "फ़िल्म अच्छी", "我爱北京"),
)
"""Texts on which ways of cutting words differ; every export is compared on them too."""


def export_savedmodel(estimator: Step, folder: str | Path, texts: Texts) -> float:
    """Write a step as a TensorFlow SavedModel that takes raw strings.

    Its signature `serving_default` takes `texts` (N,) string, UTF-8, and returns `classes` (N, C) string, the
    labels in the order of `classes_` in every row, and `scores` (N, C) float32, their probabilities. Where it
    is loaded it needs TensorFlow alone. Bytes of a text that are not UTF-8 separate words.

    Args:
        estimator: a fitted neural step.
        folder: where to write; an earlier SavedModel there is replaced.
        texts: N texts, 1,000 or more where there are so many, on which scores are compared before the folder
            is published; `TRIALS` are added to them.

    Returns:
        The largest difference between a score and the step's own probability.

    Raises:
        ConfigError: the step is not a neural network, or Keras does not run on TensorFlow.
        SopanError: a score differs by more than `SCORE_TOLERANCE`, or the folder cannot be written.
    """
    neural = _network_of(estimator)
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"a SavedModel is written by TensorFlow, and Keras runs on {keras.backend.backend()} here",
            next_step="set KERAS_BACKEND=tensorflow",
        )
    import tensorflow as tf  # noqa: PLC0415  # where Keras runs on another backend it may be absent

    served = tf.Module()
    signature = [tf.TensorSpec([None], tf.string, name="texts")]
    serve = tf.function(_serving(neural, served), input_signature=signature, autograph=False)
    signatures = {"serving_default": serve.get_concrete_function()}
    needed = 4 * neural.network_.count_params() + (32 << 20)  # weights; words, characters, operations
    with replacing_folder(Path(folder), bytes_needed=needed, names=SAVED_MODEL_FILES) as new:
        tf.saved_model.save(served, str(new), signatures=signatures)
        return _largest_difference(tf.saved_model.load(str(new)), neural, as_texts(texts))


def export_keras(estimator: Step, path: str | Path) -> None:
    """Write a step's network as a `.keras` file, which is read back and compared before it is published.

    It takes `[ids, mask]` as `sopan.text.batch` makes them and returns the network's dict of `logits`,
    `vector` and `attention`; the vocabulary and the temperature stay with the model folder.
    `keras.saving.load_model` reads it once the step's module, such as `sopan.steps.transformer`, is imported:
    that holds the layers of its own.

    Raises:
        ConfigError: the step is not a neural network, or `path` does not end in `.keras`.
        SopanError: what was read back computes something else, or the file cannot be written.
    """
    neural, path = _network_of(estimator), Path(path)
    if path.suffix != ".keras":
        raise ConfigError("Keras writes .keras files", where=str(path), next_step="name a .keras file")
    with replacing_file(path) as new, TemporaryDirectory(prefix=f"{new.name}-", dir=new.parent) as staging:
        staged = Path(staging) / path.name  # Keras goes by the suffix
        neural.network_.save(staged)
        if not _same_outputs(neural.network_, keras.saving.load_model(staged)):
            raise SopanError(
                "what was read back computes something else; nothing was written", where=str(path)
            )
        staged.replace(new)


def _network_of(estimator: Step) -> NeuralStep | Bert:
    """Return a step that is a fitted neural network, and refuse any other.

    Raises:
        ConfigError: it is another kind of step.
    """
    if not isinstance(estimator, NeuralStep | Bert):
        raise ConfigError(
            f"a {estimator.name} model is not a Keras network",
            next_step="SavedModel and .keras are for attention and the steps above it",
        )
    check_is_fitted(estimator, "network_")
    return estimator


def _same_outputs(network: keras.Model, twin: keras.Model) -> bool:
    """Say whether two networks make the same of a full text, a padded one and an empty one."""
    ids = np.arange(3 * 8, dtype=np.int32).reshape(3, 8) % network.get_layer("words").input_dim
    mask = np.arange(8) < np.array([[8], [5], [0]])
    ours, theirs = (
        [keras.ops.convert_to_numpy(value) for value in keras.tree.flatten(each([ids, mask], training=False))]
        for each in (network, twin)
    )
    return all(np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(ours, theirs, strict=True))


def _serving(estimator: NeuralStep | Bert, served: tf.Module) -> Callable[[Tensor], dict[str, Tensor]]:
    """Return the function from texts to classes and scores, in TensorFlow operations.

    Args:
        estimator: a fitted step.
        served: a `tf.Module`, given what the function needs to be saved with it.
    """
    import tensorflow as tf  # noqa: PLC0415

    served.network = estimator.network_
    logits = (
        _logits_of_pieces(estimator, served)
        if isinstance(estimator, Bert)
        else _logits_of_words(estimator, served)
    )
    names = label_names(estimator.classes_)

    def serve(texts: Tensor) -> dict[str, Tensor]:
        found = _in_parts(logits, texts, tf.size(texts), len(names))
        classes = tf.tile(tf.constant([names]), [tf.size(texts), 1])
        return {"classes": classes, "scores": tf.nn.softmax(found / estimator.temperature_)}

    return serve


def _logits_of_words(estimator: NeuralStep, served: tf.Module) -> Callable[[Tensor], Tensor]:
    """Return the function from texts (n,) to logits (n, C) float32 of a step over words."""
    from sopan.fit.export.graph_words import GraphVocabulary  # noqa: PLC0415  # imports TensorFlow

    known = estimator.vocabulary_
    read = GraphVocabulary(
        known.words, known.rule, lowercase=known.lowercase, max_length=estimator.max_length
    )
    served.read = read
    return lambda texts: estimator.network_(list(read(texts)), training=False)["logits"]


def _logits_of_pieces(estimator: Bert, served: tf.Module) -> Callable[[Tensor], Tensor]:
    """Return the function from texts (n,) to logits (n, C) float32 of a step over pieces."""
    import tensorflow as tf  # noqa: PLC0415

    from sopan.fit.export.graph_pieces import GraphWindows, pooled  # noqa: PLC0415  # imports TensorFlow

    if not isinstance(estimator.wordpiece_, WordPiece):
        raise ConfigError(
            "TensorFlow's graph cannot cut texts as this model's tokenizer does",
            next_step="a SavedModel is for models whose tokenizer is BERT's WordPiece",
        )
    read = served.read = GraphWindows(
        estimator.wordpiece_,
        max_length=estimator.intake.window_length,
        long_texts=estimator.long_texts,
        max_windows=estimator.max_windows,
    )

    def of_windows(windows: Tensor) -> Tensor:
        ids = windows.to_tensor(PADDING)
        mask = tf.sequence_mask(windows.row_lengths(), tf.shape(ids)[1])
        return estimator.network_([ids, mask], training=False)["logits"]

    def of_texts(texts: Tensor) -> Tensor:
        windows, of = read(texts)
        logits = _in_parts(of_windows, windows, tf.size(of), len(estimator.classes_))
        return pooled(logits, of, tf.size(texts), estimator.pool)

    return of_texts


def _in_parts(function: Callable[[Tensor], Tensor], rows: Tensor, n: Tensor, width: int) -> Tensor:
    """Apply a function from rows to (rows, `width`) to n rows, `BATCH` at a time: (n, `width`) float32."""
    import tensorflow as tf  # noqa: PLC0415

    parts = tf.maximum(1, -(-n // BATCH))
    found = tf.TensorArray(tf.float32, parts, infer_shape=False, element_shape=[None, width])
    _, found = tf.while_loop(
        lambda part, found: part < parts,
        lambda part, found: (
            part + 1,
            found.write(part, tf.cast(function(rows[part * BATCH : (part + 1) * BATCH]), tf.float32)),
        ),
        (0, found),
        parallel_iterations=1,
    )
    return found.concat()


def _largest_difference(loaded: tf.Module, estimator: Step, texts: pa.LargeStringArray) -> float:
    """Compare a loaded SavedModel with the step it was made of.

    Raises:
        SopanError: it gives other classes, or a score that differs by more than `SCORE_TOLERANCE`.
    """
    import tensorflow as tf  # noqa: PLC0415

    every = pa.concat_arrays([as_texts(TRIALS), texts])
    names = list(label_names(estimator.classes_))
    largest = 0.0
    for start in range(0, len(every), _CHECKED_AT_ONCE):
        part = every.slice(start, _CHECKED_AT_ONCE)
        answer = loaded.signatures["serving_default"](texts=tf.constant(part.to_pylist()))
        gaps = np.abs(answer["scores"].numpy() - estimator.predict_proba(part)).max(axis=1)
        same = [[name.decode() for name in row] == names for row in answer["classes"].numpy()]
        wrong = ~(gaps <= SCORE_TOLERANCE) | ~np.array(same)  # not-a-number is no agreement either
        if wrong.any():
            row = int(wrong.argmax())
            raise SopanError(
                f"the exported model differs by {gaps[row]:.2g} in a score; nothing was written",
                where=f"text {part[row].as_py()[:60]!r}",
            )
        largest = max(largest, float(gaps.max()))
    return largest
