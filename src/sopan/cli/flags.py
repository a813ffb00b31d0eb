"""Commands from options: arguments, flags and environment twins are all read off a class of options."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import typer

from sopan.cli.streams import takes_unicode
from sopan.options.base import OptionField, Options, ProgressOptions, option_fields
from sopan.options.rules import Between


@runtime_checkable
class _AsJson(Protocol):
    def as_json(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it takes, what it does, how the result is shown.

    Args:
        name: as it is called.
        options: what it takes; the first line of their docstring is the help.
        use_case: a function of the options, `module:function`; that of `sopan.usecases` with the command's
            name unless given.
        show: a function of the result and the options, `module:function` in `sopan.cli`; None: the command
            has no result. It is imported when the command runs, so that help is instant.
    """

    name: str
    options: type[Options]
    use_case: str | None = None
    _: KW_ONLY
    show: str | None

    def run(self, given: Mapping[str, object]) -> None:
        """Do what was asked for on the command line.

        Args:
            given: what typer found, by the names of the parameters.

        Raises:
            SopanError: the options, or what they name, cannot be used.
        """
        options = read_options(self.options, given)
        use_case = _imported(self.use_case or f"sopan.usecases:{self.name}")
        run = getattr(use_case, "run", use_case)
        if isinstance(options, ProgressOptions):
            from sopan.cli.progress import show_progress  # noqa: PLC0415

            with show_progress() as tell:
                found = run(replace(options, progress=tell))
        else:
            found = run(options)
        if given.get("as_json"):
            for each in found if isinstance(found, Iterator) else (found,):
                print(json.dumps(each, ensure_ascii=not takes_unicode(), default=_plain))
        elif self.show is not None:
            _imported(f"sopan.cli.{self.show}")(found, options)

    def add_to(self, app: typer.Typer) -> None:
        """Make it a command of an app."""
        about = inspect.cleandoc(self.options.__doc__ or "").partition("\n")[0]
        app.command(self.name, help=about)(self.function())

    def function(self, *, group: bool = False) -> Callable[..., None]:
        """Return it as a function that typer can read: its signature has the flags.

        Args:
            group: it has commands of its own, and does nothing itself where one of them runs.
        """

        def call(**given: object) -> None:
            if getattr(given.pop("context", None), "invoked_subcommand", None) is None:
                self.run(given)

        parameters = [_flag(each) for each in option_fields(self.options)]
        if self.show is not None:
            info = typer.Option(False, "--json", help="Print JSON on standard output.")
            parameters.append(_parameter("as_json", bool, info))
        if group:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(inspect.Parameter("context", kind, annotation=typer.Context))
        call.__dict__["__signature__"] = inspect.Signature(parameters)
        call.__annotations__ = {each.name: each.annotation for each in parameters}
        return call


def read_options(options: type[Options], given: Mapping[str, object]) -> Options:
    """Return the options that were given on the command line or in the environment.

    Args:
        options: their class.
        given: values by the names of the parameters; None where nothing was given.

    Raises:
        ConfigError: an option cannot have its value.
    """
    found = {}
    for each in option_fields(options):
        value = given[each.option.off or each.name]
        if each.option.off:
            value = not value
        elif isinstance(value, str) and int in each.kinds and value.isdecimal():
            value = int(value)
        if value is not None:
            found[each.name] = value
    return options(**found)


def _flag(each: OptionField) -> inspect.Parameter:
    """Return an option as a parameter that typer reads."""
    option, kind = each.option, _kind(each)
    default = ... if each.required else each.default
    if default == ():
        default = None  # typer has no empty list
    elif kind is str and isinstance(default, int):
        default = str(default)
    bounds = f" ({each.rule})." if isinstance(each.rule, Between) else "."
    text = option.help.removesuffix(".") + bounds
    annotation = kind | None if default is None else kind
    if option.argument:
        info = typer.Argument(default, help=text, metavar=option.metavar, show_default=False)
        return _parameter(each.name, annotation, info)
    if option.off:
        return _parameter(option.off, bool, typer.Option(False, each.off, help=option.off_help))
    spelled = f"{each.flag}/{each.off}" if kind is bool and default is not False else each.flag
    return _parameter(
        each.name, annotation, typer.Option(default, spelled, help=text, metavar=option.metavar)
    )


def _kind(each: OptionField) -> type:
    """Return the type that typer is to read; one string may hold what is given as several from Python."""
    if each.repeated:
        return list[str]
    return next((kind for kind in (bool, int, float) if each.kinds == (kind,)), str)


def _parameter(name: str, kind: object, info: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=info)


def _imported(place: str) -> Callable[..., object]:
    """Import a function: `module:function`."""
    module, _, name = place.partition(":")
    found: Callable[..., object] = getattr(import_module(module), name)
    return found


def _plain(value: object) -> object:
    """Return a result as JSON takes it."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, _AsJson):
        return value.as_json()
    raise TypeError(f"a {type(value).__name__} is nothing that JSON takes")
