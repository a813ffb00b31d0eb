"""How an option is declared and checked, and how a function takes options as keywords."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import wraps
from math import inf
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from sopan.errors import ConfigError
from sopan.options.rules import Between, OneOf, Rule, check_apart, check_values

P = ParamSpec("P")
OptionsT = TypeVar("OptionsT", bound="Options")
Result = TypeVar("Result")
Place: TypeAlias = str | Path
"""A file or a folder."""


@dataclass(frozen=True, slots=True)
class Option:
    """What is known of an option besides its name, type and default: `seed: Annotated[int, Option("…")] = 0`.

    Args:
        help: one line, for `--help` and for the docstring.
        metavar: what stands for the value in `--help`.
        at_least, at_most: bounds of a number.
        flag: its name on the command line, where that is not the field's (`within`: `--in`).
        off: of a switch that is on, the name of its only flag, which turns it off (`header`: `--no-header`).
        off_help: what that flag does.
        argument: on the command line it stands in its place, without a flag.
        reads, writes: of a file or a folder, or several, that are read or written.
    """

    help: str
    metavar: str | None = None
    at_least: float = -inf
    at_most: float = inf
    flag: str | None = None
    off: str | None = None
    off_help: str | None = None
    argument: bool = False
    reads: bool = False
    writes: bool = False


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option of a class of options.

    Args:
        name: the Python keyword.
        kind: its type, without what is annotated.
        default: `dataclasses.MISSING` where it must be given; "" too, after others that need not be.
        option: the rest.
    """

    name: str
    kind: object
    default: object
    option: Option

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING or self.default == ""

    @property
    def kinds(self) -> tuple[object, ...]:
        """The types that its value may have, None left out."""
        united = get_args(self.kind) if get_origin(self.kind) in (Union, UnionType) else (self.kind,)
        return tuple(kind for kind in united if kind is not NoneType)

    @property
    def repeated(self) -> bool:
        """Whether its flag stands once for each of several values, rather than once for all."""
        return all(get_origin(kind) is Sequence for kind in self.kinds)

    @property
    def flag(self) -> str:
        """What sets it on the command line: `--max-rejects`."""
        return _flag(self.option.flag or self.name)

    @property
    def off(self) -> str:
        """What turns a switch off on the command line: `--no-header`, `--cased`."""
        return _flag(self.option.off or f"no_{self.option.flag or self.name}")

    @property
    def rule(self) -> Rule | None:
        """What its value must keep to, besides its type."""
        optional, bounds = self.default is None, (self.option.at_least, self.option.at_most)
        for kind in self.kinds:
            if get_origin(kind) is Literal:
                return OneOf((*get_args(kind), *[None] * optional))
            if kind in (int, float) and bounds != (-inf, inf):
                return Between(Integral if kind is int else Real, *bounds, optional=optional)
        return None


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every class of options can do."""

    def __post_init__(self) -> None:
        """Hold each option to its names or bounds, and what is written apart from what is read.

        Raises:
            ConfigError: naming the option and what it can be, or one that must be given.
        """
        known = option_fields(type(self))
        for each in known:
            if each.default == "" and getattr(self, each.name) == "":
                raise ConfigError(
                    f"{each.name} is missing", next_step=f"give {each.flag}: {each.option.help}"
                )
        rules = {each.name: each.rule for each in known if each.rule is not None}
        check_values({name: getattr(self, name) for name in rules}, rules)
        read = [path for each in known if each.option.reads for path in _paths(getattr(self, each.name))]
        for each in known:
            for path in _paths(getattr(self, each.name)) if each.option.writes else ():
                check_apart(path, read, each.flag)

    def as_json(self) -> dict[str, object]:
        """Return every option as JSON holds it: paths as strings, tuples as lists. `cls(**…)` reads it."""
        return {each.name: _plain(getattr(self, each.name)) for each in option_fields(type(self))}

    def command_line(self, command: str) -> str:
        """Write the command that means these options, those left out that have their default."""
        arguments, flags = [], []
        for each in option_fields(type(self)):
            value = getattr(self, each.name)
            if each.option.argument:
                arguments += list(value) if isinstance(value, list | tuple) else [value]
            elif isinstance(value, bool) and value != each.default:
                flags.append(each.flag if value else each.off)
            elif value != each.default:
                several = value if isinstance(value, list | tuple) else [value]
                flags += (
                    [part for one in several for part in (each.flag, one)]
                    if each.repeated
                    else [each.flag, ",".join(map(str, several))]
                )
        return shlex.join(["sopan", *command.split(), *map(str, [*arguments, *flags])])


def option_fields(options: type[Options]) -> tuple[OptionField, ...]:
    """List the options of a class: those given by their place, its own, then those that it inherits."""
    kinds, found = get_type_hints(options, include_extras=True), []
    owners = [inspect.get_annotations(owner) for owner in options.__mro__]
    places = {
        each.name: next(i for i, own in enumerate(owners) if each.name in own) for each in fields(options)
    }
    for each in sorted(fields(options), key=lambda one: one.kw_only and places[one.name] + 1):
        if get_origin(kinds[each.name]) is Annotated:
            kind, option = get_args(kinds[each.name])
            found.append(OptionField(each.name, kind, each.default, option))
    return tuple(found)


def _paths(value: object) -> list[Path]:
    """Return the files and folders that an option names."""
    several = value if isinstance(value, list | tuple) else [value]
    return [Path(one).expanduser() for one in several if isinstance(one, str | Path)]


def listed(names: Sequence[str] | str) -> list[str]:
    """Return several names, which one string may hold with commas between them."""
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


# ---- progress ------------------------------------------------------------------------------------


class EvaluationEntry(TypedDict):
    """An evaluation of a language model in training, as `training.json` holds it."""

    step: int
    pieces: int
    seconds: float
    loss: float
    held_out: dict[str, float]


class Message(TypedDict, total=False):
    """What is said of a part of the work: a stage, one of so many trials and its score, or an evaluation."""

    stage: str
    trial: float
    offered: int
    evaluation: EvaluationEntry


ProgressCallback = Callable[[str, Message], None]
"""Told which part of the work goes on (a step's name, `read`, `audit`, …) and what is to be said of it."""


def no_progress(part: str, message: Message) -> None:
    """Say nothing of what is going on."""


@dataclass(frozen=True, kw_only=True)
class ProgressOptions(Options):
    """Whom to tell how far the work is: from Python a function, on the command line standard error."""

    progress: ProgressCallback = field(default=no_progress, compare=False, repr=False)


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
    known = option_fields(cast("type[OptionsT]", options))

    def decorate(run: Callable[[OptionsT], Result]) -> UseCase[P, OptionsT, Result]:
        @wraps(run)
        def call(*args: P.args, **kwargs: P.kwargs) -> Result:
            return run(options(*args, **kwargs))

        first, _, rest = (run.__doc__ or "").partition("\n\n")
        arguments = "\n".join(f"        {each.name}: {each.option.help}" for each in known)
        parts = (first, f"    Args:\n{arguments}", rest.rstrip())
        call.__doc__ = "\n\n".join(part for part in parts if part) + "\n    "
        call.__dict__ |= {"run": run, "options": options, "__signature__": _signature(options, known)}
        return cast("UseCase[P, OptionsT, Result]", call)

    return decorate


def _signature(options: Callable[..., Options], known: Sequence[OptionField]) -> inspect.Signature:
    """Return a constructor's signature with plain types, as `help` shows it."""
    signature = inspect.signature(options)
    options_first = {each.name: each.kind for each in known}
    rest = {name: each.annotation for name, each in signature.parameters.items() if name not in options_first}
    return signature.replace(
        parameters=[
            signature.parameters[name].replace(annotation=kind)
            for name, kind in (options_first | rest).items()
        ],
        return_annotation=inspect.Signature.empty,
    )
