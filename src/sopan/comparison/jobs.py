"""A job for each step, in a folder: what goes in, who does it, and the one file that comes out.

The job folder holds `job.json` and the texts as Arrow files; below it each step has a folder of its own, in
which its worker writes `outcome.safetensors`, whole or not at all. These files are the ledger: an outcome
that is there is done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa

from sopan.comparison.contenders import Contender
from sopan.comparison.results import DataSummary, StepScores, checked
from sopan.options.classify import CompareOptions
from sopan.steps.base import Settings
from sopan.storage.atomic import replacing_file
from sopan.storage.strict_json import dump_json, read_json
from sopan.storage.tensors import read_tensors, write_tensors
from sopan.text.audit import CleanData
from sopan.text.split import PARTS
from sopan.types import Array, BoolArray, FloatArray, Int64Array, Json, Labelled, SoftLabels

OUTCOME, ESTIMATOR = "outcome.safetensors", "estimator.pickle"


_ARRAYS = (
    "probabilities", "validation", "truncated", "no_known_words", "curve", "correct_with_leaks",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker found out about one step.

    Args:
        scores: its item of `steps` in results.json.
        probabilities: (N, C) of the test texts.
        validation: (M, C) of the validation texts.
        truncated, no_known_words: (N,) bool.
        curve: (P, 3) int64, points of a learning curve: texts trained on, right, and tested on.
        correct_with_leaks: (N,) bool, where the step was also trained with the leaks put back.
        key: what it hangs on; see `sopan.comparison.ledger`.
    """

    scores: StepScores
    probabilities: FloatArray
    validation: FloatArray
    truncated: BoolArray
    no_known_words: BoolArray
    curve: Int64Array
    correct_with_leaks: BoolArray | None = None
    key: str = ""

    def write(self, path: Path, *, key: str = "") -> None:
        """Write it as one file, under a key."""
        arrays: dict[str, Array] = {
            name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None
        }
        arrays["scores"] = np.frombuffer(json.dumps(self.scores.as_json()).encode(), np.uint8)
        arrays["key"] = np.frombuffer(key.encode(), np.uint8)
        with replacing_file(path) as new:
            write_tensors(arrays, new)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        arrays = read_tensors(memoryview(path.read_bytes()), path)
        scores, key = arrays.pop("scores").tobytes(), arrays.pop("key").tobytes().decode()
        return cls(checked(StepScores, scores, path), **arrays, key=key)


# ---- the job folder ------------------------------------------------------------------------------


def write_job(
    folder: Path,
    options: CompareOptions,
    contenders: Sequence[Contender],
    data: CleanData,
    summary: DataSummary,
) -> None:
    """Write what every worker reads: texts, what is said of them, options, and each one's settings."""
    parts = dict(zip(PARTS, data.parts(), strict=True))
    if len(data.given.train) != len(data.split.train):
        parts["leaky"] = data.corpus.take(data.given.train)
    for name, part in parts.items():
        _write_table(folder, name, {"text": part.texts, "label": pa.array(part.labels, pa.int32())})
    if data.unlabelled is not None:
        _write_table(folder, "unlabelled", {"text": data.unlabelled})
    settings = {one.name: dict(one.settings) for one in contenders}
    job = {"options": options.as_json(), "data": summary.as_json(), "settings": settings}
    (folder / "job.json").write_bytes(dump_json(job))


def _write_table(folder: Path, name: str, columns: dict[str, pa.Array]) -> None:
    """Write an Arrow file that a worker maps instead of copying."""
    table = pa.table(columns)
    with (
        pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)


class Job(NamedTuple):
    """What a worker reads of the job folder.

    Args:
        options: how to compare; steps and folder are named.
        data: what `config.json` of a model says of the data.
        settings: those given to each contender.
        train, val, test: the texts, the leaks taken out.
        leaky: training texts with the leaks put back, where there are any.
        unlabelled: further texts.
        soft: what a teacher says of them, for a step that is distilled.
    """

    options: CompareOptions
    data: dict[str, Json]
    settings: dict[str, Settings]
    train: Labelled
    val: Labelled
    test: Labelled
    leaky: Labelled | None
    unlabelled: pa.LargeStringArray | None
    soft: SoftLabels | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The contenders of the run."""
        return tuple(map(str, self.options.steps or ()))


def read_job(folder: Path) -> Job:
    """Map what `write_job` wrote."""
    job = read_json(folder / "job.json")
    classes = tuple(job["data"]["classes"])

    def table(name: str) -> pa.Table:
        with pa.memory_map(str(folder / f"{name}.arrow")) as source:
            return pa.ipc.open_file(source).read_all().combine_chunks()

    def part(name: str) -> Labelled:
        columns = table(name)
        return Labelled(columns["text"].combine_chunks(), columns["label"].to_numpy(), classes)

    return Job(
        CompareOptions(**job["options"]),
        job["data"],
        {name: _values(settings) for name, settings in job["settings"].items()},
        train=part("train"),
        val=part("val"),
        test=part("test"),
        leaky=part("leaky") if (folder / "leaky.arrow").exists() else None,
        unlabelled=table("unlabelled")["text"].combine_chunks()
        if (folder / "unlabelled.arrow").exists()
        else None,
    )


def _values(settings: Mapping[str, Json]) -> Settings:
    """Return settings as they were given: what JSON has as a list was a tuple."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
