"""Use a fitted step: stream predictions of any number of texts to a file, or measure it on labelled texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sopan.errors import ConfigError, DataError
from sopan.fit.intervals import accuracy_interval, macro_f1_interval
from sopan.fit.metrics import measure
from sopan.fit.saved import label_names
from sopan.fit.scores import EvaluationScores
from sopan.fit.served import Predictor
from sopan.storage.atomic import replacing_file
from sopan.text.labels import alike, folded
from sopan.types import Int64Array, Labelled, Labels, Prediction

ROW_GROUP = 32_768
"""Rows of one Parquet row group: the most that is held before it is written."""

FORMULA_START = "^[=+@'\t\r-]"
"""What a spreadsheet may take for the start of a formula, and the mark that guards against it."""


def evaluate_model(model: Predictor, labelled: Labelled, *, as_written: bool = False) -> EvaluationScores:
    """Measure a fitted step on labelled texts; labels are matched by name.

    A label that is written otherwise than the model's (`Pos`, `1.0`) is taken for the one name that differs
    in nothing but that, and the scores' notes say so.

    Args:
        model: a fitted step, or one that is served.
        labelled: N texts with labels, none that the step has not learned.
        as_written: names that are written otherwise are other labels.

    Raises:
        DataError: a label that the model does not know.
    """
    names = label_names(model.classes_)
    labels, notes = _by_name(labelled, names, as_written=as_written)
    prediction = model.predict_texts(labelled.texts)
    scores = score_prediction(prediction, labels, names, np.random.default_rng(0))
    notes += _cannot_tell(np.bincount(labels, minlength=len(names)), names)
    return replace(scores, notes=tuple(notes)) if notes else scores


def _cannot_tell(counts: Int64Array, names: Sequence[str]) -> list[str]:
    """Say what texts with so many of each class (C,) cannot tell."""
    notes, absent = [], [repr(name) for name, count in zip(names, counts, strict=True) if not count]
    single = [repr(name) for name, count in zip(names, counts, strict=True) if count == 1]
    if absent:
        notes.append(
            f"no text has the label {_some(absent)}: its precision, recall and F1 are not measured, and "
            "macro-F1 is the mean over the classes that are there or were predicted"
        )
    if len(absent) == len(names) - 1:
        notes.append("every text has the same label: nothing is said of how well it is told from the others")
    if single:
        notes.append(
            f"one text alone has the label {_some(single)}: its figures are those of a single answer"
        )
    return notes


def score_prediction(
    prediction: Prediction, labels: Labels, names: Sequence[str], rng: np.random.Generator
) -> EvaluationScores:
    """Measure a prediction against the (N,) labels, indices into `names`: see `evaluate_model`."""
    scores = measure(prediction.probabilities, labels, names)
    confusion = np.asarray(scores.confusion)
    return EvaluationScores(
        **vars(scores),
        accuracy_ci=accuracy_interval(confusion, rng),
        macro_f1_ci=macro_f1_interval(confusion, rng),
        truncated=int(prediction.truncated.sum()),
        no_known_words=int(prediction.no_known_words.sum()),
    )


def _by_name(labelled: Labelled, names: tuple[str, ...], *, as_written: bool) -> tuple[Int64Array, list[str]]:
    """Return the (N,) labels as indices into the model's own `names`, and which were written otherwise."""
    place = {name: index for index, name in enumerate(names)}
    counts = np.bincount(labelled.labels, minlength=len(labelled.classes))
    there = [name for name, count in zip(labelled.classes, counts, strict=True) if count]
    meant = {} if as_written else {folded(name): name for name in names}
    ambiguous = {folded(name) for group in alike(names) for name in group}
    same = {
        name: meant[folded(name)]
        for name in there
        if name not in place and folded(name) in meant and folded(name) not in ambiguous
    }
    unknown = [
        f"{name!r} ({count:,} {'text' if count == 1 else 'texts'})"
        for name, count in zip(labelled.classes, counts, strict=True)
        if count and name not in place and name not in same
    ]
    if unknown:
        raise DataError(
            f"the model does not know {len(unknown)} of the labels: {_some(unknown)}",
            next_step=f"it knows {_some(names)}; leave those texts out, or train again with them",
        )
    own: Int64Array = np.array([place.get(same.get(name, name), -1) for name in labelled.classes], np.int64)
    said = [f"{theirs!r} is {ours!r}" for theirs, ours in same.items()]
    notes = [f"labels written otherwise than the model's: {_some(said)}"] if said else []
    return own[np.asarray(labelled.labels)], notes


def _some(items: Sequence[str], limit: int = 10) -> str:
    rest = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + rest


def prediction_schema(model: Predictor) -> pa.Schema:
    """Return the columns that `predict_stream` gives."""
    probabilities = [(f"p_{name}", pa.float64()) for name in label_names(model.classes_)]
    flags = [("truncated", pa.bool_()), ("no_known_words", pa.bool_())]
    return pa.schema([("row", pa.int64()), ("predicted", pa.string()), *probabilities, *flags])


def predict_stream(model: Predictor, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Predict texts batch by batch, holding one batch at a time.

    Args:
        model: a fitted step, or one that is served.
        batches: with columns `row` (int64) and `text` (large_string). If it keeps a list `cut_rows` of the
            rows whose text was cut while reading, as `TextStream` does, these count as truncated too.

    Yields:
        As many rows: `row`, `predicted` (the label's name), `p_<label>` for each label (float64, sum 1),
        `truncated` and `no_known_words` (bool).
    """
    schema = prediction_schema(model)
    names = pa.array(label_names(model.classes_))
    for batch in batches:
        prediction = model.predict_texts(batch.column("text"))
        best = pa.array(prediction.probabilities.argmax(axis=1))
        cut = np.isin(batch.column("row"), getattr(batches, "cut_rows", []))
        columns = [
            batch.column("row"),
            names.take(best),
            *(pa.array(column) for column in prediction.probabilities.T),
            pa.array(prediction.truncated | cut),
            pa.array(prediction.no_known_words),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def write_predictions(batches: Iterator[pa.RecordBatch], path: str | Path) -> int:
    """Write predictions as they come to `.parquet`, `.csv` or `.jsonl`; return how many rows.

    Nothing is left behind, and an older file stays as it was, if the texts turn out to be unreadable
    half-way or the run is interrupted.

    In CSV, a text that begins with one of `= + - @ '`, a tab or a carriage return gets one `'` in front, so
    that no spreadsheet runs it as a formula. To read the file exactly, take one leading `'` away.

    Args:
        batches: all of one schema.
        path: what follows the last dot chooses the format. Parquet pages carry checksums.

    Raises:
        ConfigError: another suffix.
        DataError: there is nothing to predict.
        SopanError: the file cannot be written.
    """
    path = Path(path)
    write = WRITERS.get(path.suffix.lower())
    if write is None:
        raise ConfigError(
            f"predictions cannot be written as {path.suffix or 'a file without a suffix'!r}",
            where=str(path),
            next_step=f"end the name in one of: {', '.join(WRITERS)}",
        )
    first = next(batches, None)
    if first is None:
        raise DataError("there are no texts to predict")
    with replacing_file(path) as new:
        return write(chain([first], batches), first.schema, new)


def _write_parquet(batches: Iterator[pa.RecordBatch], schema: pa.Schema, path: Path) -> int:
    """Gather small batches into row groups, which readers need to be large."""
    rows, waiting = 0, 0
    group: list[pa.RecordBatch] = []
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in batches:
            group.append(batch)
            rows, waiting = rows + batch.num_rows, waiting + batch.num_rows
            if waiting >= ROW_GROUP:
                writer.write_table(pa.Table.from_batches(group), ROW_GROUP)
                group, waiting = [], 0
        if group:
            writer.write_table(pa.Table.from_batches(group), ROW_GROUP)
    return rows


def _write_csv(batches: Iterator[pa.RecordBatch], schema: pa.Schema, path: Path) -> int:
    rows = 0
    with pa_csv.CSVWriter(path, schema) as writer:
        for batch in batches:
            guarded = [
                _guard(column) if pa.types.is_string(column.type) else column for column in batch.columns
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(guarded, schema=schema))
            rows += batch.num_rows
    return rows


def _guard(column: pa.StringArray) -> pa.StringArray:
    """Put a `'` before the texts that a spreadsheet could take for a formula."""
    return pc.if_else(
        pc.match_substring_regex(column, FORMULA_START), pc.binary_join_element_wise("'", column, ""), column
    )


def _write_jsonl(batches: Iterator[pa.RecordBatch], schema: pa.Schema, path: Path) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for batch in batches:
            for row in batch.to_pylist():
                stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            rows += batch.num_rows
    return rows


WRITERS: dict[str, Callable[[Iterator[pa.RecordBatch], pa.Schema, Path], int]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
}
