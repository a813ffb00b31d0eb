"""What a comparison found: the one value that results.json, the leaderboard, the report and the server show.

It is built once, from below: a worker measures `StepScores`, `weigh_outcomes` compares them for `Results`.
The JSON Schema of results.json is derived from these types, and what is read back is checked against them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import annotated_types as at

from sopan.errors import ModelFolderError
from sopan.fit.scores import Interval, ModelMetrics, Trial
from sopan.options.names import path_name
from sopan.storage.strict_json import dump_json, read_json
from sopan.text.audit_report import AuditReport
from sopan.types import Amount, Count, Record, Share

Verdict = Literal["a better", "b better", "equivalent within margin", "not distinguishable"]
RESULTS, PREDICTIONS, MODELS = "results.json", "predictions.parquet", "models"
RecordT = TypeVar("RecordT", bound=Record)


class Keywords:
    """Keywords of JSON Schema that a type alone does not give."""

    def __init__(self, **keywords: object) -> None:
        self.keywords = keywords

    def __get_pydantic_json_schema__(
        self, core: object, schema_of: Callable[[object], dict[str, object]]
    ) -> dict[str, object]:
        return schema_of(core) | self.keywords


# ---- one step ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SeedScores(Record):
    """What the chosen setting scores when it is trained with another seed."""

    seed: int
    accuracy: Share
    macro_f1: Share
    log_loss: Amount


@dataclass(frozen=True, kw_only=True)
class StageScores(Record):
    """One stage of a stack or a cascade.

    Args:
        asks: the members that are asked now.
        weights: what each member asked so far counts in the answer.
        threshold: how sure the stage must be to answer; 0 at the last one.
        answered: share of the test texts that were answered here.
    """

    asks: tuple[str, ...]
    weights: Mapping[str, float]
    threshold: Share
    answered: Share


@dataclass(frozen=True, kw_only=True)
class StepScores(ModelMetrics):
    """One step of a comparison.

    Args:
        step: its name, perhaps with a variant: bow, bow:counts.
        artifact_bytes: size of the model's folder; None: of an estimator from outside none is written.
        config: the settings chosen.
        trials: settings tried, in order, with their scores on the validation texts.
        seeds: the same settings trained with other seeds.
        stages: of a stack or a cascade.
        teacher: of a distilled step, the contender that it learnt from.
    """

    step: str
    artifact_bytes: Count | None
    config: Mapping[str, Any]
    trials: Annotated[tuple[Trial, ...], at.MinLen(1)]
    seeds: tuple[SeedScores, ...]
    stages: tuple[StageScores, ...] | None = None
    teacher: str | None = None


@dataclass(frozen=True, kw_only=True)
class LearningPoint(Record):
    """The accuracy of a step after training on so many texts."""

    step: str
    train: Annotated[int, at.Ge(1)]
    accuracy: Share
    ci: Interval


# ---- all steps -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Pair(Record):
    """Two steps, tested on the same test texts.

    Args:
        difference: accuracy of a minus accuracy of b.
        p_adjusted: Holm-adjusted over all pairs.
    """

    a: str
    b: str
    difference: Annotated[float, at.Interval(ge=-1, le=1)]
    ci: Interval
    p_value: Share
    p_adjusted: Share
    test: str
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Recommendation(Record):
    """The step that is worth its cost; one within `margin` of the best's accuracy counts as not worse."""

    step: str
    reason: str
    margin: Amount


@dataclass(frozen=True, kw_only=True)
class Disagreement(Record):
    """A test text on which the steps disagree: what each predicted, and the probability that it gave that."""

    row: Count
    text: str
    label: str
    predicted: Mapping[str, str]
    confidence: Mapping[str, Share]


@dataclass(frozen=True, kw_only=True)
class LabelError(Record):
    """A text whose given label looks wrong, and the probability of the one suggested, out of sample."""

    row: Count
    text: str
    label: str
    suggested: str
    probability: Share


# ---- the data ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LeakedScores(Record):
    """A step's accuracy on all test texts, on the leaked and on the rest, and what the leaked make of it."""

    accuracy: Share | None
    accuracy_leaked: Share | None
    accuracy_rest: Share | None
    difference: float | None


@dataclass(frozen=True, kw_only=True)
class TrainedWithLeaks(Record):
    """What one step scores where the leaked texts stay in training."""

    step: str
    accuracy: Share
    accuracy_without: Share


@dataclass(frozen=True, kw_only=True)
class LeakEffect(Record):
    """What the `leaked` test texts, which also stand in training or validation, do to the scores."""

    leaked: Count
    steps: Mapping[str, LeakedScores]
    trained_with_leaks: TrainedWithLeaks | None = None


@dataclass(frozen=True, kw_only=True)
class AuditResults(AuditReport):
    """What was found in the data before any training, and what the leaks do to the scores."""

    leak_effect: LeakEffect


@dataclass(frozen=True, kw_only=True)
class DataSummary(Record):
    """What was trained and measured on.

    Args:
        train, val, test: texts, the leaks taken out.
        fingerprint: SHA-256 of the texts and labels.
        tuned_for: the score that tuning maximised on the validation texts.
        unlabelled: further texts given without labels.
        text_column: where the texts stood, where columns have names.
    """

    name: str
    rows: Count
    train: Count
    val: Count
    test: Count
    classes: Annotated[tuple[str, ...], at.MinLen(2), Keywords(uniqueItems=True)]
    fingerprint: str
    tuned_for: Literal["accuracy", "macro_f1"]
    unlabelled: Count
    notes: tuple[str, ...]
    text_column: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataReport(DataSummary):
    """What was trained and measured on, and its audit."""

    audit: AuditResults


@dataclass(frozen=True, kw_only=True)
class Majority(Record):
    """What the largest class of the training texts scores as the answer to every test text."""

    label: str
    accuracy: Share
    macro_f1: Share


# ---- the run -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Environment(Record):
    """Where it ran: enough to judge its times, nothing that names the user."""

    python: str
    platform: str
    cpu: str
    cores: Annotated[int, at.Ge(1)]
    memory_gb: Amount
    versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class RunReport(Record):
    """How it was run; `started` is UTC."""

    command: str
    seed: int
    seeds: Annotated[int, at.Ge(1)]
    budget: str
    deterministic: bool
    seconds: Amount
    started: Annotated[str, Keywords(format="date-time")]


@dataclass(frozen=True, kw_only=True)
class Results(Record):
    """What one comparison found.

    Args:
        sopan: the version that wrote this.
        steps: lowest step first.
        pairs: every pair of steps.
        verdict: the outcome in plain sentences; step names stand between backticks.
        learning_curve: None unless it was asked for.
        disagreements: those most confidently contested first.
        label_errors: most suspect first.
        majority: what needs no text; None in results of versions that did not measure it.
    """

    sopan: str
    data: DataReport
    steps: Annotated[tuple[StepScores, ...], at.MinLen(1)]
    pairs: tuple[Pair, ...]
    recommendation: Recommendation
    verdict: Annotated[tuple[str, ...], at.MinLen(1)]
    learning_curve: tuple[LearningPoint, ...] | None
    disagreements: tuple[Disagreement, ...]
    label_errors: tuple[LabelError, ...]
    environment: Environment
    run: RunReport
    majority: Majority | None = None


# ---- results.json --------------------------------------------------------------------------------


def model_folder(run: Path, step: str) -> Path:
    """Return where the model of a step lies in the folder of a comparison."""
    return run / MODELS / Path(path_name(step)).name  # and nowhere else, whatever the step is called


def results_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every results.json keeps to."""
    from pydantic import TypeAdapter  # noqa: PLC0415  # see `checked`

    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:sopan:results:1"}
    return about | TypeAdapter(Results).json_schema() | {"title": "results.json of sopan compare"}


def checked(kind: type[RecordT], content: bytes | str, where: Path) -> RecordT:
    """Read JSON as a value of that kind, strictly.

    Raises:
        ModelFolderError: it is no such value; the first place where it is not is named.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415  # workers report their memory, and need none of it

    try:
        return TypeAdapter(kind).validate_json(content)
    except ValueError as error:  # pydantic's ValidationError is one
        _, place, why, *_ = [*str(error).splitlines(), "", ""]
        what = f"is not what sopan compare writes ({place}: {why.strip().partition(' [type=')[0]})"
        raise ModelFolderError(what, where=str(where)) from error


def read_results(path: Path) -> Results:
    """Read a results.json, which must keep to `results_schema`.

    Raises:
        ModelFolderError: it does not, or it cannot be read.
    """
    return checked(Results, dump_json(read_json(path)), path)
