"""The models of a run, or one, held in memory for `sopan serve`, and the messages to and from them.

Answers become JSON as they are, and the server documents its routes by their types, here and in `answers`;
docs/adr/0010-serving.md shows each. `model` is the hash of all that is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, NotRequired, TypeAlias

from typing_extensions import TypedDict  # pydantic reads typing's own from Python 3.12 on

Answer: TypeAlias = Mapping[str, object]
"""One of the types below or in `answers`, or `error` and `error_type`."""


class Question(NamedTuple):
    """A call of a method of `ServedRun`: its name, and its arguments as they came from JSON."""

    op: str
    arguments: dict[str, Any]


# ---- what is served --------------------------------------------------------------------------------


class RecordedScores(TypedDict):
    """One step's scores and costs, null where nothing was measured."""

    recommended: bool
    accuracy: float | None
    accuracy_ci: list[float] | None
    macro_f1: float | None
    log_loss: float | None
    ece: float | None
    fit_seconds: float | None
    texts_per_second: float | None
    latency_ms: dict[str, float] | None
    artifact_bytes: float | None
    peak_rss_mb: float | None


class StepAbout(RecordedScores):
    """One step; `folder` never leaves the machine."""

    step: str
    adds: str
    lacks: str
    hash: str
    has: list[str]
    labels: list[str]
    folder: NotRequired[str]


class RunRecords(TypedDict):
    """A run, or a single model, as results.json or config.json has it."""

    name: str
    kind: Literal["run", "model"]
    recommendation: dict[str, object] | None
    verdict: list[str]
    data: dict[str, object] | None
    learning_curve: list[dict[str, object]] | None
    label_errors: list[dict[str, object]]
    examples: list[str]


class About(RunRecords):
    """What is served."""

    model: str
    labels: list[str]
    steps: list[StepAbout]
    language_model: str | None


class PairCounts(TypedDict):
    """On how many test texts two steps differ, and which of them is right."""

    a: str
    b: str
    differ: int
    only_a_right: int
    only_b_right: int


class DisputedText(TypedDict):
    """A text on which steps differ: what each says, and how sure it is."""

    row: int
    text: str
    label: str
    predicted: dict[str, str]
    confidence: dict[str, float]


class Disagreements(TypedDict):
    """Where the steps of a run differ: counts over all `test` texts, and the texts that the run kept."""

    test: int
    pairs: list[PairCounts]
    texts: list[DisputedText]


class DisagreementsAnswer(Disagreements):
    """Where the steps of a run differ."""

    model: str


# ---- a user's table --------------------------------------------------------------------------------


class TableAudit(TypedDict):
    """What stands in a table, looked at as one part: counts of texts, and findings in words, worst first.

    `rows` of a finding count from 0, the header left out. Without labels `classes` is empty. `imbalance`:
    texts of the largest class to one of the smallest. `lengths`: mean, median, p95 and max, in words and
    characters. `empty`: texts that are empty or blank, or have no word. `duplicates`: texts that repeat an
    earlier one. `near_duplicates`: pairs of texts. `conflicts`: texts that stand with different labels.
    """

    texts: int
    findings: list[dict[str, object]]
    classes: list[dict[str, object]]
    imbalance: float | None
    lengths: dict[str, dict[str, float]]
    empty: int
    duplicates: int
    near_duplicates: int
    conflicts: int
    scripts: dict[str, float]


class Unmeasured(TypedDict):
    """Why no step was scored."""

    reason: Literal["no_labels", "other_labels"]
    detail: str


class TableContent(TypedDict):
    """A table's audit, and of the texts that can be scored their rows and labels."""

    audit: TableAudit
    unmeasured: Unmeasured | None
    rows: list[int]
    texts: list[str]
    labels: list[str]


class TableContentAnswer(TableContent):
    """What stands in a table."""

    model: str


class StepScore(TypedDict):
    """One step on a table's texts; `accuracy_ci`: how far other such texts could move it, 95%."""

    step: str
    accuracy: float
    accuracy_ci: list[float]
    macro_f1: float


class TableScoresAnswer(TypedDict):
    """Of each step."""

    model: str
    steps: list[StepScore]
