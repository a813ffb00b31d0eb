"""How an option is declared and checked, and how a function takes options as keywords."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from sopan.errors import ConfigError, did_you_mean

P = ParamSpec("P")
OptionsT = TypeVar("OptionsT")
Result = TypeVar("Result")

Progress = Callable[[str, dict[str, Any]], None]
"""Told which part of the work goes on (a step's name, `read`, `audit`, …) and what is to be said of it."""


def no_progress(part: str, message: dict[str, Any]) -> None:
    """Say nothing of what is going on."""


@dataclass(frozen=True, slots=True)
class Option:
    """What is known of an option besides its name, type and default: `seed: Annotated[int, Option("…")] = 0`.

    Args:
        help: one line, for `--help` and for the docstring.
        metavar: what stands for the value in `--help`.
        at_least, at_most: bounds of a number.
        flag: its name on the command line, where that is not the field's (`max_rejects`: `--max-rejects`).
        argument: on the command line it stands in its place, without a flag.
        negative: a switch that is on, and whose only flag turns it off: `header`, `--no-header`.
    """

    help: str
    metavar: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    flag: str | None = None
    argument: bool = False
    negative: bool = False


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option of a class of options.

    Args:
        name: the Python keyword.
        kind: its type, without what is annotated.
        default: `dataclasses.MISSING` where it must be given.
        option: the rest.
    """

    name: str
    kind: Any
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        """What sets it on the command line: `--max-rejects`."""
        return "--" + (self.option.flag or self.name).replace("_", "-")

    @property
    def negative(self) -> str:
        """What unsets a switch on the command line."""
        return self.flag.replace("--", "--no-", 1)

    @property
    def choices(self) -> tuple[str, ...]:
        """The names that the option's value is one of; empty where it may be anything of its type."""
        kinds = (self.kind, *get_args(self.kind))
        return next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())

    def check(self, value: Any) -> None:
        """Hold a value to the option's names or bounds.

        Raises:
            ConfigError: naming the option and what it can be.
        """
        if self.choices and value is not None and value not in self.choices:
            near = did_you_mean(str(value), self.choices)
            raise ConfigError(
                f"{self.name} cannot be {value!r}", next_step=f"{near}it is one of {', '.join(self.choices)}"
            )
        if not isinstance(value, int | float) or isinstance(value, bool):
            return
        low, high = self.option.at_least, self.option.at_most
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            bounds = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
            raise ConfigError(f"{self.name} cannot be {value}", next_step=f"it is {' and '.join(bounds)}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every class of options can do."""

    def __post_init__(self) -> None:
        """Hold each option to its names and bounds.

        Raises:
            ConfigError: naming the option and what it can be.
        """
        for each in option_fields(type(self)):
            each.check(getattr(self, each.name))

    def as_json(self) -> dict[str, Any]:
        """Return every option as JSON holds it: paths as strings, tuples as lists. `cls(**…)` reads it."""
        return {each.name: _plain(getattr(self, each.name)) for each in option_fields(type(self))}

    def part(self, options: type[OptionsT]) -> OptionsT:
        """Return those of the options that another class has as well, as a value of that class."""
        return options(**{each.name: getattr(self, each.name) for each in option_fields(options)})


def command_line(command: str, options: Options) -> str:
    """Write the command that means these options, those left out that have their default."""
    arguments, flags = [], []
    for each in option_fields(type(options)):
        value = getattr(options, each.name)
        if each.option.argument:
            arguments.append(str(value))
        elif value == each.default:
            continue
        elif isinstance(value, bool):
            flags.append(each.flag if value else each.negative)
        else:
            flags += [
                each.flag,
                ",".join(value) if isinstance(value, Sequence) and not isinstance(value, str) else str(value),
            ]
    return shlex.join(["sopan", command, *arguments, *flags])


def option_fields(options: Any) -> tuple[OptionField, ...]:
    """List the options of a class, in the order of its `__init__`."""
    kinds, found = get_type_hints(options, include_extras=True), []
    for each in sorted(fields(options), key=lambda one: bool(one.kw_only)):
        if get_origin(kinds[each.name]) is Annotated:
            kind, option = get_args(kinds[each.name])
            found.append(OptionField(each.name, kind, each.default, option))
    return tuple(found)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


# ---- functions of options ------------------------------------------------------------------------


class UseCase(Protocol[P, OptionsT, Result]):
    """A function of options: called with them as keywords, or `run` with the one value that holds them."""

    run: Callable[[OptionsT], Result]
    options: type[OptionsT]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result:
        """Do it."""


def takes(
    options: Callable[P, OptionsT],
) -> Callable[[Callable[[OptionsT], Result]], UseCase[P, OptionsT, Result]]:
    """Let a function of one value of options be called with its options as keywords.

    Args:
        options: the class of the options, whose fields become the keywords and the docstring's `Args`.
    """

    def decorate(run: Callable[[OptionsT], Result]) -> UseCase[P, OptionsT, Result]:
        @wraps(run)
        def call(*args: P.args, **kwargs: P.kwargs) -> Result:
            return run(options(*args, **kwargs))

        call.__dict__ |= {"run": run, "options": options, "__signature__": _signature(options)}
        call.__doc__ = _with_arguments(run.__doc__ or "", options)
        return cast("UseCase[P, OptionsT, Result]", call)

    return decorate


def _signature(options: Any) -> inspect.Signature:
    """Return a constructor's signature with plain types, as `help` shows it."""
    signature = inspect.signature(options)
    kinds = {each.name: each.kind for each in option_fields(options)}
    return signature.replace(
        parameters=[
            each.replace(annotation=kinds.get(each.name, each.annotation))
            for each in signature.parameters.values()
        ],
        return_annotation=inspect.Signature.empty,
    )


def _with_arguments(doc: str, options: Any) -> str:
    """Put the options into a docstring, behind its first paragraph."""
    first, _, rest = doc.partition("\n\n")
    arguments = "\n".join(f"        {each.name}: {each.option.help}" for each in option_fields(options))
    return "\n\n".join(part for part in (first, f"    Args:\n{arguments}", rest.rstrip()) if part) + "\n    "


def required(each: OptionField) -> bool:
    """Whether an option must be given."""
    return each.default is MISSING
