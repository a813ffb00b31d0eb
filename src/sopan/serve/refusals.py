"""How refusals look in the OpenAPI document, and how they are sent."""

from __future__ import annotations

from typing import Any, TypeAlias

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sopan.serve.limits import Refusal
from sopan.serve.schemas import Failure

EXAMPLES: dict[int, tuple[str, str, str]] = {
    400: (
        "Not JSON, or JSON that is not taken.",
        "the body is not JSON that is taken here: a key stands twice in an object",
        "invalid_json",
    ),
    401: ("The token is missing or wrong.", "this needs the token", "unauthorized"),
    403: ("A write from another page.", "requests from other pages are refused", "foreign_origin"),
    404: ("There is no such thing.", "there is no such model", "not_found"),
    408: ("The body did not come in time.", "the body did not come in time", "timeout"),
    413: ("The body is too large.", "the body is larger than 262,144 bytes", "too_large"),
    415: ("Another type than JSON.", "send application/json, in UTF-8", "unsupported_media_type"),
    422: ("JSON of the wrong shape, or a text or name that cannot be used.", "texts: too long", "invalid"),
    429: ("Too busy: come back after `Retry-After`.", "too many are waiting", "busy"),
    503: (
        "Not ready, stopping, or out of time: come back after `Retry-After`.",
        "the models are being loaded",
        "not_ready",
    ),
}
NAMES = {404: "not_found", 405: "method_not_allowed"}
"""Statuses that the framework itself gives."""
LONGEST_PLACE = 4

Responses: TypeAlias = dict[int | str, dict[str, Any]]
"""What FastAPI takes for the documentation of a route's answers."""


def refusals(*statuses: int) -> Responses:
    """Return the OpenAPI entries of some statuses, with an example each."""
    return {status: refusal_entry(status, *EXAMPLES[status]) for status in statuses}


def refusal_entry(status: int, description: str, error: str, error_type: str) -> dict[str, Any]:
    """Return one such entry, for a route whose refusal is not like the others'."""
    example = {"error": error, "error_type": error_type}
    if status in (429, 503):
        example["retry_after"] = 0.7  # type: ignore[assignment]
    return {
        "model": Failure,
        "description": description,
        "content": {"application/json": {"example": example}},
    }


def install(app: FastAPI) -> None:
    """Let every failure of the app be answered in one form, which tells nothing of what was sent."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error, Refusal):
            content = error.content
        else:
            content = {
                "error": str(error.detail).lower(),
                "error_type": NAMES.get(error.status_code, "http"),
            }
        return JSONResponse(content, error.status_code, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        content = {"error": describe(error), "error_type": "invalid"}
        return JSONResponse(content, 422)


def describe(error: RequestValidationError) -> str:
    """Say what is wrong with the first field that is; names that the sender made up are left out."""
    first = error.errors()[0]
    if first["type"] == "extra_forbidden":
        return "there is a field that is not known here"
    places = [str(part) for part in first["loc"][1:LONGEST_PLACE]]
    where = ".".join(place for place in places if place.isidentifier() or place.isdigit())
    what = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
