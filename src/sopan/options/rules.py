"""What a value may be, an option's or a step's setting: one of some names, a number within bounds, or two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Protocol

from sopan.errors import ConfigError, did_you_mean


class Rule(Protocol):
    """What a value must keep to."""

    def remedy(self, value: object) -> str | None:
        """Say what to give instead, or None if the value is fine."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A choice among named values."""

    choices: tuple[object, ...]

    def remedy(self, value: object) -> str | None:
        """Say what to give instead, or None if the value is fine."""
        if any(value is choice or (isinstance(value, str) and value == choice) for choice in self.choices):
            return None
        near = did_you_mean(str(value), (choice for choice in self.choices if isinstance(choice, str)))
        return f"{near}choices: {', '.join(map(repr, self.choices))}"


@dataclass(frozen=True, slots=True)
class Between:
    """A number within bounds, both included.

    Args:
        kind: Integral or Real.
        least, most: the bounds; infinite where there is none.
        optional: None is fine too.
    """

    kind: type[Integral] | type[Real]
    least: float
    most: float
    optional: bool = False

    def __str__(self) -> str:
        least, most = f"{self.least:g}", f"{self.most:g}"
        if math.isinf(self.most):
            return f"at least {least}"
        return f"at most {most}" if math.isinf(self.least) else f"from {least} to {most}"

    def remedy(self, value: object) -> str | None:
        """Say what to give instead, or None if the value is fine."""
        if value is None and self.optional:
            return None
        whole = "whole number" if self.kind is Integral else "number"
        if not isinstance(value, self.kind) or isinstance(value, bool) or value != value:  # noqa: PLR0124
            return f"give a {whole} {self}"
        number = float(value)
        if self.least <= number <= self.most:
            return None
        return f"the nearest that can is {self.least if number < self.least else self.most:g}"


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


@dataclass(frozen=True, slots=True)
class Either:
    """What keeps to one of two rules."""

    first: Rule
    second: Rule

    def remedy(self, value: object) -> str | None:
        """Say what to give instead, or None if the value is fine."""
        found = [rule.remedy(value) for rule in (self.first, self.second)]
        return None if None in found else ", or ".join(map(str, found))


def check_values(values: Mapping[str, object], rules: Mapping[str, Rule]) -> None:
    """Refuse the first value that breaks the rule of its name; each rule has a value.

    Raises:
        ConfigError: naming the setting, its value and the nearest that can work.
    """
    for name, rule in rules.items():
        if remedy := rule.remedy(values[name]):
            raise ConfigError(f"{name}={values[name]!r} cannot work", next_step=remedy)


def check_apart(written: Path, read: Sequence[Path], flag: str) -> None:
    """Hold that what is written is nothing that is read, and lies in no folder that is.

    Places are compared by what they are and not by their names: links and letter case make no difference.

    Args:
        written: a file or a folder, there or not.
        read: files and folders; those that are not there are passed over.
        flag: the option that names what is written.

    Raises:
        ConfigError: what is read would be replaced, or changed.
    """
    around = [place for place in (written, *written.absolute().parents) if place.exists()]
    for given in (place for place in read if place.exists()):
        if not any(place.samefile(given) for place in around if place == written or given.is_dir()):
            continue
        same = written.exists() and written.samefile(given)
        raise ConfigError(
            f"{flag} is what is read, which would be lost"
            if same
            else f"{flag} lies in {given}, which is read",
            where=str(written),
            next_step=f"choose another {flag}",
        )
