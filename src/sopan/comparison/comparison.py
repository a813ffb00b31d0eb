"""The result of a comparison, as an object that shows itself in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sopan.comparison.leaderboard import summary_html
from sopan.fit.artifact import load_model
from sopan.steps.base import Step
from sopan.types import Json


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `sopan compare` found, and the folder that it wrote.

    Args:
        results: the object in `results.json`.
        folder: holds results.json, report.html, predictions.parquet, config.json and models/.
    """

    results: dict[str, Json]
    folder: Path

    def as_json(self) -> dict[str, Json]:
        """Return what results.json holds."""
        return self.results

    @property
    def recommended(self) -> str:
        """The step that the verdict recommends."""
        return str(self.results["recommendation"]["step"])

    @property
    def report(self) -> Path:
        """The self-contained page; there where the extra `report` is installed."""
        return self.folder / "report.html"

    def model(self, step: str | None = None) -> Step:
        """Load a compared model, the recommended one unless another step is named."""
        return load_model(self.folder / "models" / (step or self.recommended).replace(":", "-"))

    def predictions(self) -> pa.Table:
        """Read every test text's prediction by every step."""
        return pq.read_table(self.folder / "predictions.parquet", page_checksum_verification=True)

    def __repr__(self) -> str:
        scores = ", ".join(f"{s['step']} {s['accuracy']:.4f}" for s in self.results["steps"])
        return f"Comparison({scores}; recommended: {self.recommended}; folder: {self.folder})"

    def _repr_html_(self) -> str:
        return summary_html(self.results)
