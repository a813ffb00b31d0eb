"""The command line: a table of commands, each made of its options, its use case, and how the result looks.

Results go to standard output, progress and errors to standard error. Exit code 0 is fine, 1 a failure,
2 bad usage or bad input. Nothing heavy is imported before a command needs it, so that help is instant.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import Annotated, TextIO

import typer

from sopan import __version__
from sopan.cli.flags import Command
from sopan.cli.streams import open_streams
from sopan.errors import ContradictionWarning, SopanError
from sopan.options.classify import (
    AuditOptions,
    CompareOptions,
    DistillOptions,
    EmbedOptions,
    EvaluateOptions,
    ExplainOptions,
    ExportOptions,
    FetchOptions,
    PredictOptions,
    ServeOptions,
    TrainOptions,
)
from sopan.options.language import (
    AdaptOptions,
    CompareObjectivesOptions,
    FillOptions,
    GenerateOptions,
    GetPresetOptions,
    ListPresetsOptions,
    NeighborsOptions,
    PretrainOptions,
    ScoreOptions,
)

COMMANDS = (
    Command("compare", CompareOptions, show="show:comparison"),
    Command("audit", AuditOptions, show="show:findings"),
    Command("train", TrainOptions, show="show:training"),
    Command("distill", DistillOptions, show="show:distilled"),
    Command("evaluate", EvaluateOptions, show="show:evaluation"),
    Command("predict", PredictOptions, show="show:prediction"),
    Command("explain", ExplainOptions, show="show:explanation"),
    Command("neighbors", NeighborsOptions, show="show_language:near_words"),
    Command("embed", EmbedOptions, show="show:embedding"),
    Command("export", ExportOptions, show="show:files"),
    Command("data", FetchOptions, "sopan.usecases:fetch_data", show="show:entries"),
    Command("pretrain", PretrainOptions, show="show_language:pretraining"),
    Command("adapt", AdaptOptions, show="show_language:adapting"),
    Command("fill", FillOptions, show="show_language:filling"),
    Command("score", ScoreOptions, show="show_language:scores"),
    Command("serve", ServeOptions, "sopan.serve.server:serve", show=None),
    Command("generate", GenerateOptions, show="show_language:generated"),
)

app = typer.Typer(
    name="sopan",
    help="Climb every step of text representation, from bag of words to BERT, on your own text.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "SOPAN", "help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    command.add_to(app)

lm_app = typer.Typer(help="Hold language models side by side.", rich_markup_mode=None, no_args_is_help=True)
lm_app.callback()(lambda: None)
Command(
    "compare", CompareObjectivesOptions, "sopan.usecases:compare_objectives", show="show_language:objectives"
).add_to(lm_app)
app.add_typer(lm_app, name="lm")

presets_app = typer.Typer(
    help="List the ready-made BERTs, or fetch one.", rich_markup_mode=None, invoke_without_command=True
)
listing = Command(
    "presets", ListPresetsOptions, "sopan.usecases:list_presets", show="show_language:preset_list"
)
presets_app.callback()(listing.function(group=True))
Command("get", GetPresetOptions, "sopan.usecases:get_preset", show="show:entries").add_to(presets_app)
app.add_typer(presets_app, name="presets")


@app.callback(invoke_without_command=True)
def _no_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())


_NO_TWIN = re.compile(r"SOPAN_(.*_)?(VERSION|HELP)")
"""What asks for an answer is no setting: such names in the environment are somebody else's."""


def main() -> None:
    """Run one command; turn every known failure into one line on standard error."""
    open_streams()
    warnings.showwarning = _warn
    for name in [name for name in os.environ if _NO_TWIN.fullmatch(name)]:
        del os.environ[name]
    try:
        sys.exit(app(standalone_mode=False))
    except SopanError as error:
        _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        _fail(error.format_message() + _text_or_flag(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _text_or_flag(error: typer.TyperException) -> str:
    """Say how a text that begins as a flag does is given, where that may be what was meant."""
    name = getattr(error, "option_name", "")
    return f"; if {name} begins a text, put -- before it" if name else ""


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Say one of our warnings in a line, as errors are said; others as Python says them."""
    ours = issubclass(category, ContradictionWarning)
    told = (
        f"sopan: {message}\n" if ours else warnings.formatwarning(message, category, filename, lineno, line)
    )
    print(told, end="", file=file or sys.stderr)


def _fail(message: str, code: int) -> None:
    print(f"sopan: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
