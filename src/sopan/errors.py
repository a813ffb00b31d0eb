"""Every way sopan says no: what happened, where it happened, and what to do next.

A `SopanError` prints as one line. The command line turns `exit_code` into the
process's exit status; the server answers an `InputError` of a model with 422.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import ClassVar


class SopanError(Exception):
    """A failure that sopan can name.

    Args:
        what: what happened, in plain words, without a trailing full stop.
        where: the file, line or row concerned, if there is one: `reviews.csv:17`.
        next_step: what the reader can do about it, often a command to run.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str | None = None, next_step: str | None = None):
        self.what, self.where, self.next_step = what, where, next_step
        line = f"{where}: {what}" if where else what
        super().__init__(f"{line}; {next_step}" if next_step else line)


class InputError(SopanError):
    """The request itself is at fault: exit code 2, HTTP 422."""

    exit_code = 2


class DataError(InputError, ValueError):
    """A data file, its columns, its rows or its labels cannot be used as they are.

    A `ValueError` too, as is `ConfigError`: that is what scikit-learn's tools expect of an estimator.
    """


class ConfigError(InputError, ValueError):
    """A setting is unknown, out of range, or contradicts another."""


class MissingExtraError(InputError):
    """What was asked for needs libraries that one of sopan's extras installs."""


class ModelFolderError(InputError):
    """A model folder is missing, incomplete, altered, or in use by another run."""


class ContradictionWarning(UserWarning):
    """What was read says two things, and one of them holds: named with the file, in one line."""


class DownloadError(SopanError):
    """No source of a named data set could be reached, or what came was not what was asked for."""


def damaged(where: object, what: str) -> ModelFolderError:
    """Return the error for a model's file or folder that is not what was saved."""
    return ModelFolderError(
        what, where=str(where), next_step="restore the folder from a copy, or train the model again"
    )


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Import in this block what an extra of sopan installs.

    Args:
        extra: its name in pyproject.toml, such as `serve`.
        what: what cannot be done without it, to begin the message with.

    Raises:
        MissingExtraError: a library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library == "sopan" or library in sys.stdlib_module_names:
            raise
        raise MissingExtraError(
            f"{what} needs {library}, which is not installed", next_step=f'pip install "sopan[{extra}]"'
        ) from error


def did_you_mean(name: str, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> str:
    """Return `did you mean NAME? `, with the nearest of what is known, or nothing where none is near."""
    near = get_close_matches(name, list(known), n=most, cutoff=cutoff)
    return f"did you mean {', '.join(near)}? " if near else ""
