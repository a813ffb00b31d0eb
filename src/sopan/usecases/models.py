"""One model at a time: train it, measure it, use it, look into its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NotRequired, Protocol, TypedDict, runtime_checkable

import pyarrow as pa
import pyarrow.parquet as pq

from sopan.comparison.contenders import Contender, check_contenders
from sopan.errors import ConfigError, ModelFolderError, needs_extra
from sopan.fit.artifact import load_model, save_model
from sopan.fit.predict import evaluate_model
from sopan.fit.saved import MODEL_FILES, text_column
from sopan.fit.scores import EvaluationScores
from sopan.fit.served import load_served
from sopan.fit.tune import Budget, Tuned, tune
from sopan.options.base import Place, takes
from sopan.options.classify import EmbedOptions, EvaluateOptions, ExportOptions, TrainOptions, TuneOptions
from sopan.options.data import TextOptions
from sopan.options.language import NeighborsOptions
from sopan.options.names import StepName
from sopan.steps import import_with_backend
from sopan.steps.base import Step
from sopan.steps.teaching import DISTILLED, needs_teacher
from sopan.storage.atomic import check_replaceable, folder_lock, replacing_file
from sopan.text.audit import CleanData
from sopan.text.duplicates import fingerprint
from sopan.text.read import read_corpus, stream_texts
from sopan.text.vectors import WordVectors, load_word_vectors, save_projector, save_word2vec
from sopan.training.checkpoint import CheckpointFile
from sopan.training.recipe import Monitor
from sopan.types import Float32Array, Json, SoftLabels
from sopan.usecases.inputs import check_out, tuning_data
from sopan.usecases.language import load_language_model, numbered_texts
from sopan.usecases.predicting import WrittenRows

CHECK_TEXTS = 1000
"""An exported model must agree with ours on so many texts, if the file that is named has as many."""


@runtime_checkable
class HasWordVectors(Protocol):
    """A step that represents words by vectors, and texts by vectors made of them."""

    @property
    def word_vectors(self) -> WordVectors:
        """The vectors of its words."""

    def transform(self, X: list[str]) -> Float32Array:
        """Return a vector for each text, (N, D)."""


class NearWord(TypedDict):
    """A word and its cosine; in context also its sentence, its place in it, and the row of its text."""

    word: str
    cosine: float
    sentence: NotRequired[str]
    start: NotRequired[int]
    end: NotRequired[int]
    row: NotRequired[int]


@takes(TrainOptions)
def train(options: TrainOptions) -> EvaluationScores:
    """Tune and fit one step and publish its model folder; return its scores on the test part.

    With a checkpoint folder, training in epochs is kept there every minute. The same command goes on from
    there, to the very bits that it would have reached undisturbed. It is emptied at the end.

    Raises:
        SopanError: the step, the data or the folder cannot be used.
    """
    step, out = options.step, options.out
    (contender,) = check_contenders([step], options.settings)
    if StepName.parse(step).variant in DISTILLED:
        raise needs_teacher(step)
    check_replaceable(check_out(out), MODEL_FILES)
    limit = Budget.parse(options.budget)
    with folder_lock(Path(out)):
        data = tuning_data(options)
        scores, tuned = tune_and_save(
            contender, data, options, out, limit, lambda number: _monitor(number, options)
        )
        if options.checkpoint is not None:
            for number in range(len(tuned.trials)):
                _checkpoint(options.checkpoint, number).path.unlink(missing_ok=True)
    return scores


def tune_and_save(
    contender: Contender,
    data: CleanData,
    options: TuneOptions,
    out: Place,
    limit: Budget,
    monitor: Callable[[int], Monitor],
    *,
    soft: SoftLabels | None = None,
    notes: Sequence[str] = (),
) -> tuple[EvaluationScores, Tuned]:
    """Tune a step, measure it on the test part and write its model folder.

    Args:
        contender: the step, and settings that every trial keeps to.
        data: split, and clean.
        options: seed, rule for tokens, and who is told how far it is.
        out: the model folder.
        limit: of tuning.
        monitor: who watches the training of the trial with this number.
        soft: what a teacher says of the unlabelled texts, if there is one.
        notes: sentences for the model card.
    """
    step = contender.name
    train_part, val_part, test_part = data.parts()
    tuned = tune(
        step,
        train_part,
        val_part,
        budget=limit,
        fixed={"tokens": options.tokens, "random_state": options.seed, **contender.settings},
        unlabelled=data.unlabelled,
        soft=soft,
        on_trial=lambda trial, offered: options.progress(step, {"trial": trial.accuracy, "offered": offered}),
        monitor=monitor,
    )
    scores = evaluate_model(tuned.estimator, test_part)
    counts = {"train": len(train_part), "val": len(val_part), "test": len(test_part)}
    about: dict[str, Json] = {
        "name": data.corpus.source.name,
        "fingerprint": fingerprint(data.corpus),
        **counts,
    }
    if data.corpus.source.text is not None:
        about["text_column"] = data.corpus.source.text
    if notes:
        about["notes"] = list(notes)
    save_model(tuned.estimator, out, data=about, metrics=scores.as_json(), step=step)
    return scores, tuned


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
def evaluate(options: EvaluateOptions) -> EvaluationScores:
    """Measure a saved model on every labelled text of `data`, and say what these cannot tell.

    Raises:
        SopanError: the folder or the data cannot be used, or a label is unknown to the model.
    """
    corpus = read_corpus(options.data, options, learning=False, trained_on=text_column(options.model))
    return evaluate_model(load_served(options.model), corpus, as_written=options.keep_labels)


def load(model: str | Path) -> Step:
    """Load a model folder: a fitted scikit-learn classifier of texts.

    Raises:
        ModelFolderError: there is no model there, or it was altered.
    """
    return load_model(model)


@takes(NeighborsOptions)
def neighbors(options: NeighborsOptions) -> list[NearWord]:
    """List the words nearest to a word by cosine, nearest first: by themselves, or as they stand in texts.

    Raises:
        SopanError: there are no vectors, or not of that word; or the layer or the texts cannot be used.
    """
    if options.text is not None and options.within is not None:
        lm = import_with_backend("sopan.lm.contextual", "a language model")
        texts = numbered_texts(options.within, TextOptions(text=options.column))
        model = load_language_model(options.model)
        found = lm.find_contextual_neighbors(
            model, options.word, options.text, texts, top=options.top, layer=options.layer
        )
        return [one.as_json() for one in found]
    place = Path(str(options.model))
    vectors = load_word_vectors(place) if place.is_file() else _embedding_model(place).word_vectors
    return [{"word": word, "cosine": cosine} for word, cosine in vectors.nearest(options.word, options.top)]


@takes(EmbedOptions)
def embed(options: EmbedOptions) -> WrittenRows:
    """Stream a vector for each text to a Parquet file, columns `row` and `vector`; say how many.

    Raises:
        SopanError: the model has no vectors, or a file cannot be used.
    """
    out = Path(options.out)
    if out.suffix != ".parquet":
        raise ConfigError("vectors are written as Parquet", where=str(out), next_step="name a .parquet file")
    estimator = _embedding_model(options.model)
    rows = 0
    width = estimator.transform([""]).shape[1]
    schema = pa.schema([("row", pa.int64()), ("vector", pa.list_(pa.float32(), width))])
    with (
        replacing_file(out) as new,
        pq.ParquetWriter(new, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        for batch in stream_texts(options.file, options, trained_on=text_column(options.model)):
            vectors = pa.FixedSizeListArray.from_arrays(
                pa.array(estimator.transform(batch["text"]).ravel()), width
            )
            writer.write_batch(pa.record_batch([batch["row"], vectors], schema=schema))
            rows += len(batch)
    return {"rows": rows, "out": str(out)}


@takes(ExportOptions)
def export(options: ExportOptions) -> tuple[Path, ...]:
    """Write a model in another tool's format; return the files.

    The word vectors go to `word2vec` text or TensorBoard's `projector`; the network to TensorFlow's
    `savedmodel`, which takes raw strings, Keras' own `keras`, `onnx`, or `openvino`: a model folder that
    serves in another precision. A SavedModel must agree with ours on the texts before it is written; a graph
    of OpenVINO's is calibrated and compared on them, and `served` in its config.json says how it did.

    Raises:
        ConfigError: there are no texts to check a model on.
        ModelFolderError: the model has no word vectors.
        SopanError: what was exported does not agree with the model.
    """
    model, out = options.model, Path(options.out)
    if options.format == "projector":
        return save_projector(_embedding_model(model).word_vectors, out)
    if options.format == "word2vec":
        save_word2vec(_embedding_model(model).word_vectors, out)
    elif options.format in ("savedmodel", "keras"):
        if options.format == "savedmodel":
            _check_texts(options, "a SavedModel is checked on real texts before it is written", 1000)
        estimator = load_model(model)
        with needs_extra("tensorflow", f"the format {options.format}"):
            from sopan.fit.export import savedmodel  # noqa: PLC0415  # imports Keras

        if options.format == "keras":
            savedmodel.export_keras(estimator, out)
        else:
            savedmodel.export_savedmodel(estimator, out, _first_texts(options))
    else:
        from sopan.fit.export import runtimes  # noqa: PLC0415  # needs the runtimes

        if options.format == "onnx":
            with needs_extra("onnx", "the format onnx"):
                runtimes.export_onnx(model, out, options.ids)
        else:
            _check_texts(options, "a graph is calibrated and compared on texts before it is written", 600)
            runtimes.export_openvino(model, out, _first_texts(options), options.precision)
    return (out,)


def _check_texts(options: ExportOptions, why: str, enough: int) -> None:
    """Hold that there are texts to check an export on, before any work is done."""
    if options.texts is None:
        next_step = f"name some, {enough:,} or more if you can: --texts reviews.csv"
        raise ConfigError(why, next_step=next_step)


def _first_texts(options: ExportOptions) -> pa.LargeStringArray:
    """Read as many texts as an exported model must agree with ours on, if there are as many."""
    with closing(stream_texts(str(options.texts), options)) as batches:
        return next(batches)["text"].slice(0, CHECK_TEXTS)


def _embedding_model(model: str | Path) -> HasWordVectors:
    """Load a step that has word vectors."""
    estimator = load_model(model)
    if not isinstance(estimator, HasWordVectors):
        raise ModelFolderError(
            f"a {estimator.name} model has no word vectors",
            where=str(model),
            next_step="train one that has: sopan train cbow DATA --out MODEL",
        )
    return estimator
