"""One model at a time: train it, measure it, use it, look into its words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from sopan.errors import ConfigError, ModelFolderError
from sopan.fit.artifact import load_model, save_model
from sopan.fit.predict import evaluate_model, predict_stream, write_predictions
from sopan.fit.saved import MODEL_FILES
from sopan.fit.served import load_served
from sopan.fit.tune import Budget, tune
from sopan.options.base import takes
from sopan.options.classify import EvaluateOptions, TrainOptions
from sopan.options.data import TextOptions
from sopan.runtime.network import Precision
from sopan.steps.base import Step
from sopan.storage.atomic import check_replaceable, folder_lock, replacing_file
from sopan.text.duplicates import fingerprint
from sopan.text.read import read_corpus, stream_texts
from sopan.text.vectors import WordVectors, load_word_vectors, save_projector, save_word2vec
from sopan.training.checkpoint import CheckpointFile
from sopan.training.recipe import Monitor
from sopan.types import Json
from sopan.usecases.inputs import check_out, check_steps, clean_split, labelled_parts, with_unlabelled


@takes(TrainOptions)
def train(options: TrainOptions) -> dict[str, Json]:
    """Tune and fit one step and publish its model folder; return its scores on the test part.

    With a checkpoint folder, training in epochs is kept there every minute. The same command goes on from
    there, to the very bits that it would have reached undisturbed. It is emptied at the end.

    Raises:
        SopanError: the step, the data or the folder cannot be used.
    """
    step, out, progress = options.step, options.out, options.progress
    check_steps([step])
    check_replaceable(check_out(out), MODEL_FILES)
    limit = Budget.parse(options.budget)
    with folder_lock(Path(out)):
        corpus = read_corpus(options.data, options)
        split = clean_split(corpus, options, options.tokens).clean
        corpus, extra = with_unlabelled(corpus, split, options)
        train_part, val_part, test_part = labelled_parts(corpus, split)
        fixed = {"tokens": options.tokens, "random_state": options.seed}
        tuned = tune(
            step,
            train_part,
            val_part,
            budget=limit,
            fixed=fixed,
            unlabelled=extra,
            on_trial=lambda trial, offered: progress(step, {"trial": trial.accuracy, "offered": offered}),
            monitor=lambda number: _monitor(number, options),
        )
        scores = evaluate_model(tuned.estimator, test_part)
        counts = {"train": len(train_part), "val": len(val_part), "test": len(test_part)}
        about = {"name": corpus.source.name, "fingerprint": fingerprint(corpus), **counts}
        save_model(tuned.estimator, out, data=about, metrics=scores, step=step)
        if options.checkpoint is not None:
            for number in range(len(tuned.trials)):
                _checkpoint(options.checkpoint, number).path.unlink(missing_ok=True)
    return scores


def _monitor(number: int, options: TrainOptions) -> Monitor:
    """Return who watches one trial."""
    return Monitor(
        on_progress=lambda training: options.progress(options.step, {"stage": training.line()}),
        checkpoint=None if options.checkpoint is None else _checkpoint(options.checkpoint, number),
        logs=None if options.logs is None else Path(options.logs) / f"trial-{number}",
    )


def _checkpoint(folder: str | Path, number: int) -> CheckpointFile:
    return CheckpointFile(Path(folder) / f"trial-{number}.safetensors")


@takes(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> dict[str, Json]:
    """Measure a saved model on every labelled text of `data`.

    Raises:
        SopanError: the folder or the data cannot be used, or a label is unknown to the model.
    """
    return evaluate_model(load_served(options.model), read_corpus(options.data, options))


def predict_file(
    model: str | Path, data: str | Path, out: str | Path, *, reading: TextOptions = TextOptions()
) -> int:
    """Stream predictions for a file of any size to `.parquet`, `.csv` or `.jsonl`; return how many."""
    return write_predictions(predict_stream(load_served(model), _batches(data, reading)), out)


def load(model: str | Path) -> Step:
    """Load a model folder: a fitted scikit-learn classifier of texts.

    Raises:
        ModelFolderError: there is no model there, or it was altered.
    """
    return load_model(model)


def neighbors(vectors: str | Path, word: str, top: int = 10) -> list[tuple[str, float]]:
    """List the `top` words nearest to `word` by cosine, nearest first.

    Args:
        vectors: a model folder that holds word vectors, or a word2vec, GloVe or fastText file.

    Raises:
        SopanError: there are no vectors, or not of that word.
    """
    return _word_vectors(vectors).nearest(word, top)


def embed_file(
    model: str | Path, data: str | Path, out: str | Path, *, reading: TextOptions = TextOptions()
) -> int:
    """Stream a vector for each text to a Parquet file, columns `row` and `vector`; return how many."""
    if Path(out).suffix != ".parquet":
        raise ConfigError("vectors are written as Parquet", where=str(out), next_step="name a .parquet file")
    estimator = _embedding_model(model)
    rows = 0
    width = estimator.transform([""]).shape[1]
    schema = pa.schema([("row", pa.int64()), ("vector", pa.list_(pa.float32(), width))])
    with (
        replacing_file(Path(out)) as new,
        pq.ParquetWriter(new, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        for batch in _batches(data, reading):
            vectors = pa.FixedSizeListArray.from_arrays(
                pa.array(estimator.transform(batch["text"]).ravel()), width
            )
            writer.write_batch(pa.record_batch([batch["row"], vectors], schema=schema))
            rows += len(batch)
    return rows


EXPORTS = ("word2vec", "projector", "savedmodel", "keras", "openvino", "onnx")
"""Formats of `export`: two of the word vectors, the others of the network."""

CHECK_TEXTS = 1000
"""An exported model must agree with ours on so many texts, if the file that is named has as many."""


def export(
    model: str | Path,
    form: str,
    out: str | Path,
    *,
    texts: str | Path | None = None,
    precision: str = "float32",
    reading: TextOptions = TextOptions(),
) -> tuple[Path, ...]:
    """Write a model in another tool's format; return the files.

    Args:
        model: a model folder.
        form: for the word vectors `word2vec` text or TensorBoard's `projector`; for the network TensorFlow's
            `savedmodel`, which takes raw strings, Keras' own `keras`, `onnx`, or `openvino`: a model folder
            that serves in another precision.
        out: a file (word2vec, keras, onnx) or a folder.
        texts: a table of texts on which a SavedModel must agree with ours before it is written, or on which
            a graph of OpenVINO's is calibrated and compared: `served` in its config.json says how it did.
        precision: of the graph of OpenVINO's.
        reading: how to read them.

    Raises:
        ConfigError: another format, or no texts to check a SavedModel on.
        ModelFolderError: the model has no word vectors.
        SopanError: what was exported does not agree with the model.
    """
    if form not in EXPORTS:
        raise ConfigError(
            f"a model cannot be written as {form!r}", next_step=f"formats: {', '.join(EXPORTS)}"
        )
    if form in ("openvino", "onnx"):
        _export_graph(model, form, out, texts, precision, reading)
        return (Path(out),)
    if form in ("savedmodel", "keras"):
        _export_network(model, form, out, texts, reading)
        return (Path(out),)
    vectors = _embedding_model(model).word_vectors
    if form == "projector":
        return save_projector(vectors, out)
    save_word2vec(vectors, out)
    return (Path(out),)


def _export_network(
    model: str | Path, form: str, out: str | Path, texts: str | Path | None, reading: TextOptions
) -> None:
    if form == "savedmodel" and texts is None:
        raise ConfigError(
            "a SavedModel is checked on real texts before it is written",
            next_step="name some, 1,000 or more if you can: --texts reviews.csv",
        )
    estimator = load_model(model)
    from sopan.fit.export.savedmodel import export_keras, export_savedmodel  # noqa: PLC0415  # imports Keras

    if form == "keras":
        export_keras(estimator, out)
    else:
        batch = next(_batches(str(texts), reading))
        export_savedmodel(estimator, out, batch["text"].slice(0, CHECK_TEXTS))


def _export_graph(
    model: str | Path,
    form: str,
    out: str | Path,
    texts: str | Path | None,
    precision: str,
    reading: TextOptions,
) -> None:
    from sopan.fit.export.runtimes import export_onnx, export_openvino  # noqa: PLC0415  # needs the runtimes

    if form == "onnx":
        export_onnx(model, out)
        return
    if precision not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise ConfigError(f"no precision is called {precision!r}", next_step=f"precisions: {known}")
    if texts is None:
        raise ConfigError(
            "a graph is calibrated and compared on texts before it is written",
            next_step="name some, 600 or more if you can: --texts reviews.csv",
        )
    batch = next(_batches(str(texts), reading))
    export_openvino(model, out, batch["text"].slice(0, CHECK_TEXTS), cast(Precision, precision))


def _word_vectors(vectors: str | Path) -> WordVectors:
    return load_word_vectors(vectors) if Path(vectors).is_file() else _embedding_model(vectors).word_vectors


def _embedding_model(model: str | Path) -> Any:
    """Load a step that has `word_vectors`."""
    estimator = load_model(model)
    if not hasattr(estimator, "word_vectors"):
        raise ModelFolderError(
            f"a {estimator.name} model has no word vectors",
            where=str(model),
            next_step="train one that has: sopan train cbow DATA --out MODEL",
        )
    return estimator


def _batches(data: str | Path, reading: TextOptions) -> Iterator[pa.RecordBatch]:
    return iter(stream_texts(data, reading))
