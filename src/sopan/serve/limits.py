"""What a request may be: how large, of which type, and which JSON. No error ever repeats any of it."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Collection, Coroutine
from typing import Any, ClassVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from sopan.serve.refusals import Refusal, not_json
from sopan.storage.strict_json import JsonError, parse_json

MOST_BYTES = 256 << 10
MOST_TEXTS = 32
MOST_CHARACTERS = 10_000
SECONDS = 10.0
"""From the first byte of a request to its answer."""
MOST_THROWN_AWAY = 1 << 20
"""Bytes beyond the limit that are still taken from the line, and dropped: a connection that is closed on data
that waits is reset, and the client may never see why."""
DEEPEST = 32
"""Levels of lists and objects."""
MOST_DIGITS = 400
"""Of a number: those of the largest float, and some."""

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_SUSPICIOUS = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


JSON_TYPES = ("application/json", "", "application/x-www-form-urlencoded")
"""What may be said of a body of JSON: its type, nothing, or what `curl -d` says of whatever it sends.

No page elsewhere gets in by this. A browser names its Origin on every POST that a foreign page makes it send,
and `SecurityMiddleware` refuses those before a body is read; a form that says so is percent-encoded, as JSON
never is. `text/plain`, which a form can fill with JSON, stays refused.
"""


class StrictRequest(Request):
    """A request whose body is counted while it comes, and read as strict JSON.

    FastAPI calls `body` and then `json`.

    Attributes:
        types: content types that are taken.
        most_bytes, seconds: how large the body may be, and how long it may take to come.
    """

    types: ClassVar[tuple[str, ...]] = JSON_TYPES
    most_bytes: ClassVar[int] = MOST_BYTES
    seconds: ClassVar[float] = SECONDS

    async def body(self) -> bytes:
        """Read the body.

        Raises:
            Refusal: 400 nothing came, or it broke off, 413 too large, 408 too slow, 415 another type.
        """
        if not hasattr(self, "_body"):
            self._check_type()
            closing = {"Connection": "close"}
            try:
                async with asyncio.timeout(self.seconds):
                    self._body = await self._counted()
            except TimeoutError as error:
                raise Refusal(408, "the body did not come in time", "timeout", closing) from error
            except ClientDisconnect as error:
                raise Refusal(400, "the body broke off", "broken_off") from error
            if not self._body:
                raise Refusal(400, "the body is empty", "empty")
        return self._body

    async def json(self) -> Any:
        """Read the body as JSON.

        Raises:
            Refusal: 400, it is not JSON, or not strict.
        """
        return strict_json(await self.body())

    def _check_type(self) -> None:
        kind, _, parameters = self.headers.get("content-type", "").partition(";")
        charset = parameters.strip().lower().replace('"', "")
        if kind.strip().lower() not in self.types or charset not in ("", "charset=utf-8"):
            named = " or ".join(kind for kind in self.types if kind)
            raise Refusal(415, f"send {named}, in UTF-8", "unsupported_media_type")

    async def _counted(self) -> bytes:
        announced = self.headers.get("content-length", "0")
        too_large = int(announced[:20]) > self.most_bytes
        parts: list[bytes] = []
        size = 0
        async for part in self.stream():
            size += len(part)
            too_large = too_large or size > self.most_bytes
            if size > self.most_bytes + MOST_THROWN_AWAY:
                break
            if too_large:
                parts.clear()
            else:
                parts.append(part)
        if too_large:
            error = f"the body is larger than {self.most_bytes:,} bytes"
            raise Refusal(413, error, "too_large", {"Connection": "close"})
        return b"".join(parts)


class StrictRoute(APIRoute):
    """A route whose requests are strict."""

    requests: ClassVar[type[StrictRequest]] = StrictRequest

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request: as `APIRoute` has it, but for the class of the request."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(
                self.requests(_called_json(request.scope, self.requests.types), request.receive)
            )

        return strictly


def _called_json(scope: Scope, types: Collection[str]) -> Scope:
    """Call a body JSON that is taken as such under another type: FastAPI goes by the type."""
    kind, mark, parameters = Headers(scope=scope).get("content-type", "").partition(";")
    if JSON_TYPES[0] not in types or kind.strip().lower() not in types:
        return scope
    others = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-type"]
    return {**scope, "headers": [*others, (b"content-type", f"{JSON_TYPES[0]}{mark}{parameters}".encode())]}


def strict_json(content: bytes) -> object:
    """Read JSON as RFC 8259 has it, and as little surprising as can be.

    Raises:
        Refusal: 400. No UTF-8, no JSON, `NaN` or `Infinity`, a key twice, more than `DEEPEST` levels, a
            number of more than `MOST_DIGITS` digits or too large, a lone surrogate, NUL.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise not_json("it is not UTF-8") from error
    if text.count("[") + text.count("{") > DEEPEST and _depth(text) > DEEPEST:
        raise not_json(f"it has more than {DEEPEST} levels")
    try:
        value: object = parse_json(text, parse_int=_integer, parse_float=_float)
    except JsonError as error:
        raise not_json(error.reason) from error
    if _SUSPICIOUS.search(text):
        _check_characters(value)
    return value


def _depth(text: str) -> int:
    deepest = level = 0
    for found in _BRACKETS.finditer(text):
        mark = found[0]
        if mark in "[{":
            level += 1
            deepest = max(deepest, level)
        elif mark in "]}":
            level -= 1
    return deepest


def _integer(digits: str) -> int:
    return int(_few(digits))


def _float(digits: str) -> float:
    value = float(_few(digits))
    if not math.isfinite(value):
        raise not_json("a number is too large")
    return value


def _few(digits: str) -> str:
    if len(digits) > MOST_DIGITS:
        raise not_json(f"a number has more than {MOST_DIGITS} digits")
    return digits


def _check_characters(value: object) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise not_json("a text holds NUL")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise not_json("a text holds a lone surrogate") from error
    elif isinstance(value, dict):
        for each in (*value, *value.values()):
            _check_characters(each)
    elif isinstance(value, list):
        for each in value:
            _check_characters(each)
