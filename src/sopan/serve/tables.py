"""A table of one's own: read and audited by the child, then predicted a few texts at a time."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request

from sopan.serve.dispatch import ModelClient, busy, not_ready
from sopan.serve.limits import MOST_TEXTS, Refusal, StrictRequest, StrictRoute
from sopan.serve.queueing import BATCH_TOKENS, SLOW, padded
from sopan.serve.refusals import Responses, refusal_entry, refusals
from sopan.serve.table_schemas import TableAnswer

FORMS = {
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
}
"""How a table may be written. A browser lets no page send these types to another server unasked."""
MOST_TABLE_BYTES = 2 << 20
MOST_TABLE_ROWS = 2000
MOST_SHOWN = 24
"""Texts on which steps disagree that are told, the shortest ones."""
UPLOAD_SECONDS = 30.0
TABLE_SECONDS = 60.0
"""From the last byte of a table to its scores."""
MOST_TABLES = 4
"""Are measured at a time: each has a copy of its texts here."""
PORTION = 4 * BATCH_TOKENS
"""Padded tokens that are asked at a time."""
LONGEST_COUNTED = 1024
"""Tokens that a long text is taken for: no network reads much more."""
AUDIT_COST = 512
"""Bytes of a table that are read and audited in the time of one token."""
MARKS = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PK\x05\x06", b"PAR1")
"""First bytes of gzip, Zstandard, zip and Parquet files, whatever they are said to be."""

ROWS = (
    ("a warm and funny film", "positive"),
    ("dull and far too long", "negative"),
    ("I laughed all the way", "positive"),
    ("I left before the end", "negative"),
)
"""An example."""


class TableRequest(StrictRequest):
    """A request whose body is a table."""

    types = tuple(FORMS)
    most_bytes = MOST_TABLE_BYTES
    seconds = UPLOAD_SECONDS


class TableRoute(StrictRoute):
    """A route that takes tables."""

    requests = TableRequest


def tables(client: ModelClient) -> APIRouter:
    """Make the route."""
    router = APIRouter(route_class=TableRoute, tags=["sopan"])
    measuring = Measuring(client)

    @router.post("/table", responses=_answers(), openapi_extra={"requestBody": _body()})
    async def table(request: Request) -> dict[str, Any]:
        """Audit a table of texts, and score every step on it if its labels are those that are served.

        The body is the table itself: CSV or TSV with a header, or a JSON object a line; in UTF-8, at most
        2 MB and 2,000 rows, not compressed. The columns of texts and labels are found by their names (`text`,
        `label` and the like) or by what they hold. If a column `split` names rows `test`, those are scored.
        Nothing is kept.
        """
        content = readable(await request.body())
        form = FORMS[request.headers["content-type"].partition(";")[0].strip().lower()]
        return await measuring.measure(request, content, form)

    return router


def readable(content: bytes) -> str:
    """Return the text of a table.

    Raises:
        Refusal: 422, it is compressed, binary, or not UTF-8.
    """
    if content.startswith(MARKS):
        raise Refusal(422, "the table is compressed or binary: send plain text", "input")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise Refusal(422, "the table is not UTF-8", "input") from error
    if "\0" in text:
        raise Refusal(422, "the table holds NUL: it is binary, or not UTF-8", "input")
    return text


class Measuring:
    """Asks the child what a table takes, one small question after the other.

    Args:
        client: where to ask.
    """

    def __init__(self, client: ModelClient) -> None:
        self._client, self._running = client, 0

    async def measure(self, request: Request, content: str, form: str) -> dict[str, Any]:
        """Audit and score one table.

        Raises:
            Refusal: 422 it cannot be read, 429 busy, 503 not ready or too late.
        """
        if self._running >= MOST_TABLES:
            raise busy(round(random.uniform(2.0, 5.0), 2))
        self._running += 1
        try:
            return await self._measure(request, content, form)
        finally:
            self._running -= 1

    async def _measure(self, request: Request, content: str, form: str) -> dict[str, Any]:
        until = time.monotonic() + TABLE_SECONDS
        asked = {"op": "table", "content": content, "form": form, "most_rows": MOST_TABLE_ROWS}
        count = 1 + len(content) // AUDIT_COST // 8
        found = await self._ask(request, asked, length=8, count=count, timed=False)
        texts, rows, labels = found.pop("texts"), found.pop("rows"), found.pop("labels")
        if found["unmeasured"] is not None:
            return {**found, "leaderboard": None}
        said: list[dict[str, dict[str, Any]]] = [{} for _ in texts]
        for portion in portions(texts):
            some = [texts[i] for i in portion]
            asked = {"op": "predict", "texts": some, "steps": None}
            cost = {"length": min(LONGEST_COUNTED, padded(some)), "count": len(some)}
            told = await self._patiently(request, asked, found["model"], until, **cost)
            for i, result in zip(portion, told["results"], strict=True):
                said[i] = {one["step"]: one for one in result["steps"]}
        predicted = {step: [one[step]["label"] for one in said] for step in said[0]}
        asked = {"op": "table_scores", "labels": labels, "predicted": predicted}
        scores = await self._patiently(request, asked, found["model"], until, count=len(predicted))
        differ = [i for i, one in enumerate(said) if len({each["label"] for each in one.values()}) > 1]
        shortest = sorted(differ, key=lambda i: len(texts[i]))[:MOST_SHOWN]
        shown = [
            {"row": rows[i], "text": texts[i], "label": labels[i], **_opinions(said[i])} for i in shortest
        ]
        disagreements = {"count": len(differ), "texts": shown}
        board = {"texts": len(texts), "steps": scores["steps"], "disagreements": disagreements}
        return {**found, "leaderboard": board}

    async def _ask(self, request: Request, question: dict[str, Any], **job: Any) -> dict[str, Any]:
        piece = await self._client.answer(request, question, kind=SLOW, keep=False, **job)
        answer: dict[str, Any] = json.loads(piece.content)
        return answer

    async def _patiently(
        self, request: Request, question: dict[str, Any], model: str, until: float, **job: Any
    ) -> dict[str, Any]:
        """Ask again for as long as others are before us.

        Raises:
            Refusal: 503, the time of the table is up, or other models would answer than before.
        """
        while time.monotonic() < until:
            try:
                told = await self._ask(request, question, **job)
            except Refusal as refusal:
                if refusal.status_code != 429:
                    raise
                await asyncio.sleep(refusal.content["retry_after"])
                continue
            if told["model"] != model:
                raise not_ready("the models were reloaded meanwhile", 1.0)
            return told
        raise not_ready(f"the steps need more than {TABLE_SECONDS:.0f} s for this table", 30.0, "late")


def portions(texts: Sequence[str]) -> list[list[int]]:
    """Cut texts, named by their places, into portions of like length, each small enough for one batch."""
    found: list[list[int]] = []
    for i in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        length = min(LONGEST_COUNTED, padded([texts[i]]))
        if not found or len(found[-1]) == MOST_TEXTS or length * (len(found[-1]) + 1) > PORTION:
            found.append([])
        found[-1].append(i)
    return found


def _opinions(said: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what each step says of one text, and how sure it is."""
    return {
        "predicted": {step: one["label"] for step, one in said.items()},
        "confidence": {step: one["confidence"] for step, one in said.items()},
    }


# ---- OpenAPI ---------------------------------------------------------------------------------------


def _body() -> dict[str, Any]:
    lines = [json.dumps({"text": text, "label": label}) for text, label in ROWS]
    examples = {
        "csv": "\n".join(["text,label", *(",".join(row) for row in ROWS)]),
        "tsv": "\n".join(["text\tlabel", *("\t".join(row) for row in ROWS)]),
        "jsonl": "\n".join(lines),
    }
    schema = {"type": "string", "maxLength": MOST_TABLE_BYTES}
    content = {kind: {"schema": schema, "example": examples[form]} for kind, form in FORMS.items()}
    return {"required": True, "content": content}


def _answers() -> Responses:
    own = {
        400: ("Nothing was sent, or it broke off.", "the body is empty", "empty"),
        413: ("The table is too large.", f"the body is larger than {MOST_TABLE_BYTES:,} bytes", "too_large"),
        415: (
            "Another type than those of tables.",
            f"send {' or '.join(FORMS)}, in UTF-8",
            "unsupported_media_type",
        ),
        422: (
            "It cannot be read as a table of texts, or has too many rows. The line is told, if there is one, "
            "and nothing of the table is repeated.",
            "3 rows cannot be used (line 17)",
            "input",
        ),
    }
    entries: Responses = {status: refusal_entry(status, *said) for status, said in own.items()}
    return {200: {"model": TableAnswer}, **entries, **refusals(403, 408, 429, 503)}
