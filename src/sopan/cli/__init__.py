"""The command line: thin doors, one command a file, onto `sopan.usecases`.

Results go to standard output, progress and errors to standard error. Exit code 0 is fine, 1 a failure,
2 bad usage or bad input. Nothing heavy is imported before a command needs it, so that help is instant.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from sopan import __version__
from sopan.cli import (
    adapt,
    audit,
    compare,
    data,
    embed,
    evaluate,
    explain,
    export,
    fill,
    generate,
    lm,
    neighbors,
    predict,
    presets,
    pretrain,
    score,
    serve,
    train,
)
from sopan.errors import SopanError

app = typer.Typer(
    name="sopan",
    help="Climb every step of text representation, from bag of words to BERT, on your own text.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "SOPAN", "help_option_names": ["-h", "--help"]},
)
for command in (
    compare,
    audit,
    train,
    evaluate,
    predict,
    explain,
    neighbors,
    embed,
    export,
    data,
    pretrain,
    adapt,
    fill,
    score,
    serve,
    generate,
):
    app.command(command.__name__.rpartition(".")[2])(command.run)
app.add_typer(lm.app, name="lm")
app.add_typer(presets.app, name="presets")


@app.callback(invoke_without_command=True)
def _no_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run one command; turn every known failure into one line on standard error."""
    try:
        sys.exit(app(standalone_mode=False))
    except SopanError as error:
        _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        _fail(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _fail(message: str, code: int) -> None:
    print(f"sopan: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
