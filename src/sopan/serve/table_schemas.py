"""What `POST /table` tells."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from sopan.serve.schemas import ResponseBody


class TableAudit(BaseModel):
    """What stands in a table, looked at as one part: counts of texts, and findings in words, worst first.

    `rows` of a finding count from 0, the header left out. Without labels `classes` is empty.
    """

    texts: int
    findings: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    imbalance: float | None = Field(description="Texts of the largest class to one of the smallest.")
    lengths: dict[str, dict[str, float]] = Field(
        description="Mean, median, p95 and max, in words and characters."
    )
    empty: int = Field(description="Texts that are empty or blank, or have no word.")
    duplicates: int = Field(description="Texts that repeat an earlier one.")
    near_duplicates: int = Field(description="Pairs of texts that are nearly the same.")
    conflicts: int = Field(description="Texts that stand with different labels.")
    scripts: dict[str, float]


class Unmeasured(BaseModel):
    """Why no step was scored."""

    reason: Literal["no_labels", "other_labels"]
    detail: str


class StepScore(BaseModel):
    """One step on the table's texts."""

    step: str
    accuracy: float
    accuracy_ci: list[float] = Field(description="The 95% interval: how far other such texts could move it.")
    macro_f1: float


class TableDisagreements(BaseModel):
    """On how many texts steps disagree, and the shortest of these texts."""

    count: int
    texts: list[dict[str, Any]]


class Leaderboard(BaseModel):
    """Every step's scores, lowest step first.

    If the models were trained on these very texts, the scores flatter them.
    """

    texts: int = Field(description="Scored: all, or those that the table's column `split` calls test.")
    steps: list[StepScore]
    disagreements: TableDisagreements


class TableAnswer(ResponseBody):
    """A table's audit; and its leaderboard, or why there is none."""

    audit: TableAudit
    unmeasured: Unmeasured | None
    leaderboard: Leaderboard | None
