"""What the folder of a run, or of a model, says of it: scores, verdict, texts on which steps disagree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from sopan.comparison.results import PREDICTIONS, RESULTS, Results, model_folder, read_results
from sopan.errors import InputError, ModelFolderError
from sopan.storage.strict_json import read_json
from sopan.usecases.served import Disagreements, DisputedText, PairCounts, RecordedScores, RunRecords

CONFIG = "config.json"
EXAMPLES = 12
"""Texts that the page offers to try."""
LONGEST_EXAMPLE = 400
"""Characters; longer texts make poor examples on a page."""

COUNTS = ("name", "rows", "train", "val", "test", "classes", "tuned_for")


@dataclass(frozen=True)
class Records:
    """What is written about the models that are served.

    Args:
        folder: a run's, or a model's.
        models: the folders of models, in no order.
        results: what the comparison found, or None for a single model.
    """

    folder: Path
    models: tuple[Path, ...]
    results: Results | None

    def about(self) -> RunRecords:
        """Return what `/run` says of the whole."""
        if self.results is None:
            return {
                "name": self.folder.resolve().name,
                "kind": "model",
                "recommendation": None,
                "verdict": [],
                "learning_curve": None,
                "label_errors": [],
                "data": read_json(self.folder / CONFIG).get("data"),
                "examples": [],
            }
        texts = [one.text for one in self.results.disagreements if len(one.text) <= LONGEST_EXAMPLE]
        found = self.results.as_json()
        return {
            "name": self.folder.resolve().name,
            "kind": "run",
            "recommendation": found["recommendation"],
            "verdict": found["verdict"],
            "learning_curve": found["learning_curve"],
            "label_errors": found["label_errors"],
            "data": {name: found["data"][name] for name in COUNTS},
            "examples": texts[:EXAMPLES],
        }

    def scores(self, step: str, folder: Path) -> RecordedScores:
        """Return one step's scores and costs."""
        recommended = False
        if self.results is None:
            measured = read_json(folder / CONFIG).get("metrics") or {}
        else:
            measured = next((one.as_json() for one in self.results.steps if one.step == step), {})
            recommended = self.results.recommendation.step == step
        return {
            "recommended": recommended,
            "accuracy": measured.get("accuracy"),
            "accuracy_ci": measured.get("accuracy_ci"),
            "macro_f1": measured.get("macro_f1"),
            "log_loss": measured.get("log_loss"),
            "ece": measured.get("ece"),
            "fit_seconds": measured.get("fit_seconds"),
            "texts_per_second": measured.get("texts_per_second"),
            "latency_ms": measured.get("latency_ms"),
            "artifact_bytes": measured.get("artifact_bytes"),
            "peak_rss_mb": measured.get("peak_rss_mb"),
        }

    def disagreements(self, a: str | None, b: str | None) -> Disagreements:
        """Count the test texts on which steps disagree, and give those that the run kept.

        Raises:
            InputError: a step that is not of this run.
        """
        if self.results is None:
            return {"test": 0, "pairs": [], "texts": []}
        steps = [one.step for one in self.results.steps]
        named = [step for step in (a, b) if step is not None]
        if any(step not in steps for step in named):
            raise InputError("no such step in this run")
        n_test, counts = self._counts
        texts: list[DisputedText] = [
            {
                "row": text.row,
                "text": text.text,
                "label": text.label,
                "predicted": dict(text.predicted),
                "confidence": dict(text.confidence),
            }
            for text in self.results.disagreements
            if len(named) < 2 or len({text.predicted[step] for step in named}) > 1
        ]
        pairs = [pair for pair in counts if all(step in (pair["a"], pair["b"]) for step in named)]
        return {"test": n_test, "pairs": pairs, "texts": texts}

    @cached_property
    def _counts(self) -> tuple[int, list[PairCounts]]:
        """How many test texts there are, and every two steps compared over all of them."""
        assert self.results is not None
        steps = [one.step for one in self.results.steps]
        path, columns = self.folder / PREDICTIONS, ["row", "label", "step", "predicted"]
        table = pq.read_table(path, columns=columns, page_checksum_verification=True).to_pydict()
        of = np.array(table["step"])
        predicted = {step: np.array(table["predicted"])[of == step] for step in steps}
        label = np.array(table["label"])[of == steps[0]]
        pairs: list[PairCounts] = []
        for a, b in combinations(steps, 2):
            differ = predicted[a] != predicted[b]
            pairs.append(
                {
                    "a": a,
                    "b": b,
                    "differ": int(differ.sum()),
                    "only_a_right": int((differ & (predicted[a] == label)).sum()),
                    "only_b_right": int((differ & (predicted[b] == label)).sum()),
                }
            )
        return len(label), pairs


def read_records(folder: Path) -> Records:
    """Find the models of a folder, and what a comparison wrote beside them.

    Raises:
        ModelFolderError: there is neither a run nor a model.
    """
    if not (folder / RESULTS).is_file():
        return Records(folder, (folder,), None)  # loading says what is wrong if it is no model
    results = read_results(folder / RESULTS)
    written = [scores.step for scores in results.steps if scores.artifact_bytes is not None]
    if not written:
        raise ModelFolderError("none of the models of this run could be written", where=str(folder))
    return Records(folder, tuple(model_folder(folder, step) for step in written), results)
