"""A step's settings: refused before any work where they cannot be right, and, for networks, which to try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, get_args

import numpy.typing as npt

from sopan.options.data import TokenRule
from sopan.options.rules import Between, OneOf, Rule, check_values
from sopan.text.labels import IMBALANCED, imbalance


@dataclass(frozen=True, slots=True)
class Span:
    """Two lengths from 1 to `most`, the shorter first, or None."""

    most: int

    def remedy(self, value: object) -> str | None:
        """Say what to give instead, or None if the value is fine."""
        if value is None:
            return None
        if not isinstance(value, tuple | list) or len(value) != 2:
            return "give two lengths, such as (1, 2), or None"
        if not all(isinstance(end, Integral) and not isinstance(end, bool) for end in value):
            return "give two whole numbers, such as (1, 2)"
        near = sorted(min(max(int(end), 1), self.most) for end in value)
        return None if near == list(value) else f"the nearest that can is {tuple(near)}"


TEXT_RULES: dict[str, Rule] = {
    "class_weight": OneOf(("balanced", None)),
    "tokens": OneOf(get_args(TokenRule)),
    "lowercase": OneOf((True, False)),
}
"""For every step that learns classes from words."""
VECTOR_RULES: dict[str, Rule] = TEXT_RULES | {
    "dimension": Between(Integral, 1, 4096),
    "min_count": Between(Integral, 1, 1_000_000_000, optional=True),
    "deterministic": OneOf((True, False)),
    "n_jobs": Between(Integral, 1, 4096, optional=True),
    "random_state": Between(Integral, 0, 1e18),
}
"""For every step that gives words vectors."""


def check_settings(step: Any, rules: Mapping[str, Rule]) -> None:
    """Refuse the first setting that breaks its rule.

    Args:
        step: an estimator that has an attribute for each rule.
        rules: by the setting's name.

    Raises:
        ConfigError: naming the setting, its value and the nearest that can work.
    """
    check_values({name: getattr(step, name) for name in rules}, rules)


REGULARISERS: tuple[dict[str, Any], ...] = (
    {"dropout": 0.5, "label_smoothing": 0.1},
    {"dropout": 0.3, "word_dropout": 0.3},
    {"dropout": 0.3, "weight_decay": 0.1, "epochs": 8},
)
"""Ways to lean less, or more, on the few texts that there are."""


def settings_to_try(class_counts: npt.NDArray[Any], *own: dict[str, Any]) -> list[dict[str, Any]]:
    """List candidates: the defaults, a step's own alternatives, then other regularisers.

    Where classes are imbalanced, each comes with its classes weighed first.
    """
    return weighed_too(class_counts, [{"dropout": 0.3}, *own, *REGULARISERS])


def weighed_too(class_counts: npt.NDArray[Any], settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the settings; where classes are imbalanced, each with its classes weighed, and without."""
    if imbalance(class_counts) <= IMBALANCED:
        return settings
    return [each | {"class_weight": weight} for each in settings for weight in ("balanced", None)]
