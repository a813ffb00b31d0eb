"""JSON read and written strictly: no repeated key, no NaN, nothing else that RFC 8259 does not know."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

from sopan.errors import ModelFolderError, damaged

LARGEST_JSON = 1 << 26
"""Bytes of a file that `read_json` takes."""


class JsonError(ValueError):
    """A text is no strict JSON; `reason` says why without repeating any of it."""

    def __init__(self, what: str, reason: str = "it cannot be read"):
        super().__init__(what)
        self.reason = reason


def parse_json(
    text: str,
    *,
    parse_int: Callable[[str], object] | None = None,
    parse_float: Callable[[str], object] | None = None,
) -> Any:
    """Read one JSON value strictly.

    Args:
        text: all of it.
        parse_int, parse_float: make a number of its digits, as for `json.loads`.

    Raises:
        JsonError: why it cannot be read, in one phrase.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_int=parse_int,
            parse_float=parse_float,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise JsonError(f"not valid JSON: {error.msg} at {place}") from error
    except RecursionError as error:
        raise JsonError("JSON nested too deeply") from error


def parse_object(content: bytes | memoryview[Any], where: Path) -> dict[str, Any]:
    """Read the content of a model's file that holds one JSON object.

    Raises:
        ModelFolderError: it holds anything else.
    """
    try:
        return _object(bytes(content))
    except ValueError as error:
        raise damaged(where, str(error)) from error


def read_json(path: Path, largest: int = LARGEST_JSON) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        ModelFolderError: it does not, it is larger than `largest` bytes, or it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        raise ModelFolderError(f"cannot be read ({error.strerror or error})", where=str(path)) from error
    if len(content) > largest:
        raise ModelFolderError(f"is larger than {largest:,} bytes", where=str(path))
    try:
        return _object(content)
    except ValueError as error:
        raise ModelFolderError(str(error), where=str(path)) from error


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = parse_json(content.decode())
    except ValueError as error:  # JSON and UTF-8 errors are both ValueErrors
        raise ValueError(f"is not valid JSON ({str(error).removeprefix('not valid JSON: ')})") from error
    if not isinstance(value, dict):
        raise ValueError("does not hold a JSON object")
    return value


def dump_json(value: object) -> bytes:
    """Return a JSON file's content: indented, UTF-8, a newline at the end; NumPy's scalars as numbers.

    Raises:
        TypeError, ValueError: the value is no JSON, holds NaN, or a text with a lone surrogate.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2, default=_numpy_scalar)
    return f"{text}\n".encode()


def _numpy_scalar(value: object) -> object:
    import numpy as np  # noqa: PLC0415  # the server reads JSON without it

    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        repeated = [repr(key) for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise JsonError(f"the key {', '.join(repeated)} is given twice", "a key stands twice in an object")
    return value


def _refuse_constant(name: str) -> Never:
    raise JsonError(f"{name} is not JSON", "NaN and Infinity are no numbers of JSON")
