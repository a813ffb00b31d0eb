"""A small run with every kind of step but one, served, for tests of the page in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from quick_steps import LABELS, TEXTS, brief, eagerly, quick
from results_sample import sample_json

from sopan.fit.artifact import save_model
from sopan.text.parquet import write_parquet

STEPS = ("bow", "cbow", "attention:global", "attention:local", "self_attention", "bert")
ABSENT = "transformer"
SENTENCE = "The old captain hoists the sail, and the baker stirs the soup."
SCREENSHOTS = Path(__file__).resolve().parents[1] / "runs" / "screenshots"

ATTACKS = (
    "<script>window.attacked = 1</script>",
    "<img src=x onerror='window.attacked = 1'>",
    '"><svg onload=window.attacked=1>',
    "'-window['attacked']=1-'",
    "javascript:window.attacked=1",
    "{{constructor.constructor('window.attacked=1')()}}",
    "</textarea><iframe srcdoc='<script>parent.attacked=1</script>'>",
    "<math><mi xlink:href='data:x,<script>window.attacked=1</script>'>",
    "soup \u202e<b onmouseover=window.attacked=1>evil\u202c \u200b",
)


def make_page_run(folder: Path) -> Path:
    """Write the folder of a run: models fitted in seconds to texts of three classes, and made-up scores."""
    for step in STEPS:
        name = step.replace(":", "-")
        with eagerly():
            fitted = (quick if step in ("bow", "cbow") else brief)(step).fit(TEXTS, LABELS)
        save_model(fitted, folder / "models" / name, data={"name": "toy"}, metrics={}, step=step)
    results = _results()
    (folder / "results.json").write_text(json.dumps(results))
    truth, other = ["garden", "kitchen", "harbour"], ["kitchen", "kitchen", "garden"]
    rows = [
        (i, truth[i], step, (truth if k % 2 else other)[i]) for k, step in enumerate(STEPS) for i in range(3)
    ]
    columns = zip(("row", "label", "step", "predicted"), zip(*rows, strict=True), strict=True)
    write_parquet(pa.table({name: list(values) for name, values in columns}), folder / "predictions.parquet")
    return folder


def _results() -> dict[str, Any]:
    """Make scores for the plain steps' names, and give them to the variants that this run has."""
    plain = ("bow", "cbow", "attention", "transformer", "self_attention", "bert")
    text = json.dumps(sample_json(plain, tuple(sorted(set(LABELS))), n_test=300, learning_curve=False))
    text = text.replace('"attention"', '"attention:global"').replace('"transformer"', '"attention:local"')
    found: dict[str, Any] = json.loads(text)
    found["data"]["name"] = "toy"
    return found
