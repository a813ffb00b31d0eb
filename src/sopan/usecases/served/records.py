"""What a run's folder, or a model's, says of itself: scores, verdict, texts on which steps disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from sopan.errors import InputError
from sopan.storage.strict_json import read_json
from sopan.types import Json

RESULTS, PREDICTIONS, MODELS = "results.json", "predictions.parquet", "models"
MOST_RESULTS = 64 << 20
"""Bytes of a results.json that is read."""
EXAMPLES = 12
"""Texts that a newcomer is offered."""
LONGEST_EXAMPLE = 400
"""Characters; longer texts make poor examples on a page."""

SCORES = ("accuracy", "accuracy_ci", "macro_f1", "log_loss", "ece", "fit_seconds", "texts_per_second")
COSTS = ("latency_ms", "artifact_bytes", "peak_rss_mb")
COUNTS = ("name", "rows", "train", "val", "test", "classes", "tuned_for")


@dataclass(frozen=True)
class Records:
    """What is written about the models that are served.

    Args:
        folder: a run's, or a model's.
        models: the folders of models, in no order.
        results: the content of results.json, or None for a single model.
    """

    folder: Path
    models: tuple[Path, ...]
    results: Mapping[str, Any] | None
    _counted: dict[str, Json] = field(default_factory=dict)

    def about(self) -> dict[str, Json]:
        """Return what `/run` tells of the whole."""
        if self.results is None:
            empty: dict[str, Json] = {"recommendation": None, "learning_curve": None}
            return {
                **{"name": self.folder.resolve().name, "kind": "model", "verdict": [], "label_errors": []},
                **{**empty, "data": read_config(self.folder).get("data"), "examples": []},
            }
        found = self.results
        texts = [one["text"] for one in found["disagreements"] if len(one["text"]) <= LONGEST_EXAMPLE]
        return {
            "name": self.folder.resolve().name,
            "kind": "run",
            "recommendation": found["recommendation"],
            "verdict": found["verdict"],
            "learning_curve": found["learning_curve"],
            "label_errors": found["label_errors"],
            "data": {name: found["data"].get(name) for name in COUNTS},
            "examples": texts[:EXAMPLES],
        }

    def scores(self, step: str, folder: Path) -> dict[str, Json]:
        """Return one step's scores and costs; None for what was not measured."""
        recommended = False
        if self.results is None:
            measured = read_config(folder).get("metrics") or {}
        else:
            measured = next((one for one in self.results["steps"] if one["step"] == step), {})
            recommended = self.results["recommendation"]["step"] == step
        return {"recommended": recommended, **{name: measured.get(name) for name in (*SCORES, *COSTS)}}

    def disagreements(self, a: str | None, b: str | None) -> dict[str, Json]:
        """Count the test texts on which steps disagree, and give those that the run kept.

        Raises:
            InputError: a step that is not of this run.
        """
        if self.results is None:
            return {"test": 0, "pairs": [], "texts": []}
        steps = [one["step"] for one in self.results["steps"]]
        named = [step for step in (a, b) if step is not None]
        if any(step not in steps for step in named):
            raise InputError("no such step in this run")
        if not self._counted:
            self._counted.update(self._count(steps))
        pairs = [
            pair for pair in self._counted["pairs"] if all(step in (pair["a"], pair["b"]) for step in named)
        ]
        texts = [
            text
            for text in self.results["disagreements"]
            if len(named) < 2 or _differ(text["predicted"], named)
        ]
        return {"test": self._counted["test"], "pairs": pairs, "texts": texts}

    def _count(self, steps: list[str]) -> dict[str, Json]:
        """Compare every two steps over all test texts."""
        columns = ["row", "label", "step", "predicted"]
        table = pq.read_table(
            self.folder / PREDICTIONS, columns=columns, page_checksum_verification=True
        ).to_pydict()
        of = np.array(table["step"])
        said = {step: np.array(table["predicted"])[of == step] for step in steps}
        label = np.array(table["label"])[of == steps[0]]
        pairs = []
        for a, b in combinations(steps, 2):
            differ, right_a, right_b = said[a] != said[b], said[a] == label, said[b] == label
            pairs.append(
                {
                    **{"a": a, "b": b, "differ": int(differ.sum())},
                    "only_a_right": int((differ & right_a).sum()),
                    "only_b_right": int((differ & right_b).sum()),
                }
            )
        return {"test": len(label), "pairs": pairs}


def read_records(folder: Path) -> Records:
    """Find the models of a folder, and what a comparison wrote beside them.

    Raises:
        ModelFolderError: there is neither a run nor a model.
    """
    if not (folder / RESULTS).is_file():
        return Records(folder, (folder,), None)  # loading says what is wrong if it is no model
    results = read_json(folder / RESULTS, MOST_RESULTS)
    names = [str(step["step"]).replace(":", "-") for step in results["steps"]]
    return Records(folder, tuple(folder / MODELS / Path(name).name for name in names), results)


def read_config(folder: Path) -> dict[str, Json]:
    """Read the config.json of a model folder that was loaded, and so verified, before."""
    return read_json(folder / "config.json")


def _differ(predicted: Mapping[str, str], steps: list[str]) -> bool:
    return len({predicted[step] for step in steps}) > 1
