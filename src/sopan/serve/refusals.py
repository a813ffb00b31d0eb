"""Requests that are not answered: what the client gets, and how the OpenAPI document shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

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
"""Of each status its description in the OpenAPI document, and an example."""
NAMES = {404: "not_found", 405: "method_not_allowed"}
"""Statuses that the framework itself gives."""
Responses: TypeAlias = dict[int | str, dict[str, Any]]
"""What FastAPI takes for the documentation of a route's answers."""
LONGEST_PLACE = 4
"""Parts of a field's place that an error names, at most."""


class Failure(BaseModel):
    """Why there is no answer; never what was sent."""

    error: str
    error_type: str
    retry_after: float | None = Field(None, description="Seconds, of 429 and 503.")
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"error": "too many are waiting", "error_type": "busy", "retry_after": 0.7}]
        }
    )


class Refusal(HTTPException):
    """A request that is not answered.

    Args:
        status: of HTTP.
        error: one sentence.
        error_type: one word for programs.
        headers: further ones.
        retry_after: seconds after which to come back, of 429 and 503.
    """

    def __init__(
        self,
        status: int,
        error: str,
        error_type: str,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.content: dict[str, object] = {"error": error, "error_type": error_type}
        self.retry_after = retry_after
        if retry_after is not None:
            self.content["retry_after"] = retry_after
            headers = {"Retry-After": str(max(1, round(retry_after)))}
        super().__init__(status, error, headers)

    def response(self) -> JSONResponse:
        """Return what the client gets."""
        return JSONResponse(self.content, self.status_code, self.headers)


def not_json(what: str) -> Refusal:
    """Return the refusal of a body that is not the JSON that is taken here."""
    return Refusal(400, f"the body is not JSON that is taken here: {what}", "invalid_json")


def not_ready(error: str, retry_after: float, error_type: str = "not_ready") -> Refusal:
    """Return a 503."""
    return Refusal(503, error, error_type, retry_after=retry_after)


def busy(retry_after: float) -> Refusal:
    """Return a 429."""
    return Refusal(429, "too many are waiting", "busy", retry_after=retry_after)


def documented(content: object, *statuses: int) -> Responses:
    """Return the OpenAPI entries of a route: what it answers, and its refusals."""
    return {200: {"model": content}, **refusals(*statuses)}


def refusals(*statuses: int) -> Responses:
    """Return the OpenAPI entries of some statuses, with an example each."""
    return {status: refusal_entry(status, *EXAMPLES[status]) for status in statuses}


def refusal_entry(status: int, description: str, error: str, error_type: str) -> dict[str, Any]:
    """Return one such entry, for a route whose refusal is not like the others'."""
    example: dict[str, object] = {"error": error, "error_type": error_type}
    if status in (429, 503):
        example["retry_after"] = 0.7
    content = {"application/json": {"example": example}}
    return {"model": Failure, "description": description, "content": content}


def install(app: FastAPI) -> None:
    """Let every failure of the app be answered in one form, which says nothing of what was sent."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error, Refusal):
            return error.response()
        error_type = NAMES.get(error.status_code, "http")
        return Refusal(error.status_code, str(error.detail).lower(), error_type, error.headers).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return Refusal(422, explain_validation(error), "invalid").response()


def explain_validation(error: RequestValidationError) -> str:
    """Say what is wrong with the first field that is; names that the sender made up are left out."""
    first = error.errors()[0]
    if first["type"] == "extra_forbidden":
        return "there is a field that is not known here"
    places = [str(part) for part in first["loc"][1:LONGEST_PLACE]]
    where = ".".join(place for place in places if place.isidentifier() or place.isdigit())
    what = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
