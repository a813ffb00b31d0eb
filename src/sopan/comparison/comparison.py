"""The folder of a comparison: written whole, and shown as an object in a notebook."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sopan.comparison.results import PREDICTIONS, RESULTS, Results, file_name, model_folder
from sopan.comparison.terminal import summary_html
from sopan.errors import MissingExtraError, needs_extra
from sopan.fit.artifact import load_model
from sopan.steps.base import Step
from sopan.storage.atomic import write_atomic
from sopan.storage.manifest import MANIFEST
from sopan.storage.strict_json import dump_json
from sopan.text.parquet import write_parquet
from sopan.types import Json


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `sopan compare` found, and the folder that it wrote.

    Args:
        results: what results.json holds.
        folder: holds results.json, report.html, predictions.parquet, config.json and models/.
    """

    results: Results
    folder: Path

    def write(self, predictions: pa.Table, config: Mapping[str, object]) -> None:
        """Write the files beside the models, each whole or not at all, results.json last."""
        self._remove_other_models()
        write_atomic(self.folder / "config.json", dump_json(config))
        write_parquet(predictions, self.folder / PREDICTIONS)
        self._write_report()
        write_atomic(self.folder / RESULTS, dump_json(self.results.as_json()))

    def _write_report(self) -> None:
        """Write the report, or where what draws it is not installed, remove that of an earlier comparison."""
        try:
            with needs_extra("report", self.report.name):
                from sopan.comparison.report import render_report  # noqa: PLC0415  # imports what draws charts
        except MissingExtraError:
            self.report.unlink(missing_ok=True)
        else:
            write_atomic(self.report, render_report(self.results))

    def _remove_other_models(self) -> None:
        """Remove the models of an earlier comparison in this folder, which these results do not name."""
        kept = {file_name(scores.step) for scores in self.results.steps}
        for folder in (self.folder / "models").iterdir():
            if folder.name not in kept and (folder / MANIFEST).is_file():
                shutil.rmtree(folder)

    def as_json(self) -> dict[str, Json]:
        """Return what results.json holds."""
        return self.results.as_json()

    @property
    def recommended(self) -> str:
        """The step that the verdict recommends."""
        return self.results.recommendation.step

    @property
    def report(self) -> Path:
        """The self-contained page; there where the extra `report` is installed."""
        return self.folder / "report.html"

    def model(self, step: str | None = None) -> Step:
        """Load a compared model, the recommended one unless another step is named."""
        return load_model(model_folder(self.folder, step or self.recommended))

    def predictions(self) -> pa.Table:
        """Read every test text's prediction by every step."""
        return pq.read_table(self.folder / PREDICTIONS, page_checksum_verification=True)

    def __repr__(self) -> str:
        scores = ", ".join(f"{scores.step} {scores.accuracy:.4f}" for scores in self.results.steps)
        return f"Comparison({scores}; recommended: {self.recommended}; folder: {self.folder})"

    def _repr_html_(self) -> str:
        return summary_html(self.results)
