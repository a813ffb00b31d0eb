"""An option is declared once: its flag, its environment twin, its keyword and its entries follow."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Annotated, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from sopan.cli import COMMANDS
from sopan.cli.flags import Command
from sopan.errors import ConfigError
from sopan.options.base import Option, option_fields, takes
from sopan.options.classify import CompareOptions
from sopan.options.language import PretrainOptions


@dataclass(frozen=True, kw_only=True)
class PatientOptions(CompareOptions):
    """`compare` with an option more; this is all that declares it."""

    patience: Annotated[
        int | None, Option("Stop tuning after so many settings that are no better.", at_least=1)
    ] = None


@takes(PatientOptions)
def compare(options: PatientOptions) -> dict[str, object]:
    """Use it."""
    return options.as_json() | {"command": options.command_line("compare")}


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer(context_settings={"auto_envvar_prefix": "SOPAN"}, rich_markup_mode=None)
    app.callback()(lambda: None)
    Command("compare", PatientOptions, "test_options:compare", show="none").add_to(app)
    return app


def test_the_flag_and_its_twin(app: typer.Typer) -> None:
    command = ["compare", "x.csv", "--json"]
    for arguments, environment, patience in (
        (["--patience", "3"], {}, 3),
        ([], {"SOPAN_COMPARE_PATIENCE": "4"}, 4),
        ([], {}, None),
    ):
        done = CliRunner().invoke(app, [*command, *arguments], env=environment)
        assert json.loads(done.stdout)["patience"] == patience
    shown = CliRunner().invoke(app, ["compare", "--help"], env={"COLUMNS": "200"}).stdout
    assert "Stop tuning after so many settings that are no better (at least 1)." in " ".join(shown.split())
    assert "SOPAN_COMPARE_PATIENCE" in shown


def test_the_keyword_and_the_docstring() -> None:
    assert compare("x.csv", patience=5)["patience"] == 5
    assert compare.run(PatientOptions("x.csv", patience=5)) == compare("x.csv", patience=5)
    assert inspect.signature(compare).parameters["patience"].annotation == int | None
    assert "patience: Stop tuning after" in (compare.__doc__ or "")


def test_the_entry_of_config_json_and_the_command() -> None:
    options = PatientOptions(Path("x.csv"), steps=("bow", "cbow"), patience=5, header=False)
    entries = json.loads(json.dumps(options.as_json()))
    assert entries["patience"] == 5
    assert PatientOptions(**entries).as_json() == options.as_json()
    assert options.command_line("compare") == (
        "sopan compare x.csv --patience 5 --steps bow,cbow --no-header"
    )


@pytest.mark.parametrize("value", [0, "many"])
def test_it_is_checked_from_python_and_from_the_command_line(app: typer.Typer, value: object) -> None:
    with pytest.raises(ConfigError, match=f"patience={value!r} cannot work"):
        PatientOptions("x.csv", patience=value)  # type: ignore[arg-type]
    assert CliRunner().invoke(app, ["compare", "x.csv", "--patience", str(value)]).exit_code != 0


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_field_is_an_option_with_one_line_of_help(command: Command) -> None:
    declared = {each.name: each for each in option_fields(command.options)}
    assert set(declared) | {"progress"} >= {each.name for each in fields(command.options)}
    for each in declared.values():
        assert each.option.help.endswith(".")
        assert "\n" not in each.option.help


def test_what_a_string_can_say_is_read_as_python_would_give_it() -> None:
    """The command line knows strings alone: numbers, lists and switches come as what the field says."""
    found: list[PretrainOptions] = []
    app = typer.Typer(rich_markup_mode=None)
    app.callback()(lambda: None)
    globals()["keep"] = found.append
    Command("pretrain", PretrainOptions, "test_options:keep", show=None).add_to(app)
    words = "pretrain a.csv b.csv --out m --vocabulary 500 --cased --no-xla --shift 3"
    assert CliRunner().invoke(app, words.split()).exit_code == 0
    expected = PretrainOptions(
        ["a.csv", "b.csv"],
        "m",
        vocabulary=500,
        lowercase=False,
        xla=False,
        shift=3,
        progress=found[0].progress,
    )
    assert found == [expected]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_leads_to_a_use_case_of_the_same_options(command: Command) -> None:
    place = command.use_case or f"sopan.usecases:{command.name}"
    module, name = place.split(":")
    use_case = getattr(import_module(module), name)
    takes = getattr(use_case, "options", None) or get_type_hints(use_case)["options"]
    assert takes is command.options
    if command.show is not None:
        module, name = command.show.split(":")
        assert callable(getattr(import_module(f"sopan.cli.{module}"), name))
