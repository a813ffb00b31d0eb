"""A user's table: read and audited by the child, then predicted a few texts at a time."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from typing_extensions import TypedDict

from sopan.serve.dispatch import BATCH_TOKENS, SLOW, Cost, padded
from sopan.serve.limits import MOST_TEXTS, StrictRequest, StrictRoute
from sopan.serve.model_client import ModelClient
from sopan.serve.refusals import Refusal, Responses, busy, documented, not_ready, refusal_entry
from sopan.usecases.served import (
    DisputedText,
    Question,
    StepScore,
    TableAudit,
    TableContentAnswer,
    TableScoresAnswer,
    Unmeasured,
)
from sopan.usecases.served.answers import PredictAnswer, StepPrediction

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
"""Texts on which steps disagree that are listed, the shortest ones."""
UPLOAD_SECONDS = 30.0
TABLE_SECONDS = 60.0
"""From the last byte of a table to its scores."""
MOST_TABLES = 4
"""Tables that are measured at a time: each has a copy of its texts here."""
PORTION = 4 * BATCH_TOKENS
"""Padded tokens of a question."""
LONGEST_COUNTED = 1024
"""Tokens that a long text is taken for: no network reads much more."""
AUDIT_COST = 512
"""Bytes of a table that are read and audited in the time of one token."""
MARKS = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PK\x05\x06", b"PAR1")
"""First bytes of gzip, Zstandard, zip and Parquet files, whatever their type is said to be."""

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


class TableDisagreements(TypedDict):
    """On how many texts steps disagree, and the shortest of these texts."""

    count: int
    texts: list[DisputedText]


class Leaderboard(TypedDict):
    """Every step's scores, lowest step first.

    `texts` are scored: all, or those that the table's column `split` calls test. If the models were trained
    on these very texts, the scores flatter them.
    """

    texts: int
    steps: list[StepScore]
    disagreements: TableDisagreements


class TableAnswer(TypedDict):
    """A table's audit; and its leaderboard, or why there is none."""

    model: str
    audit: TableAudit
    unmeasured: Unmeasured | None
    leaderboard: Leaderboard | None


def tables(client: ModelClient) -> APIRouter:
    """Make the route."""
    router = APIRouter(route_class=TableRoute, tags=["sopan"])
    measuring = Measuring(client)

    @router.post("/table", response_model=None, responses=_answers(), openapi_extra={"requestBody": _body()})
    async def table(request: Request) -> TableAnswer:
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
    """Puts to the child what a table takes, one small question after the other.

    Args:
        client: of the child.
    """

    def __init__(self, client: ModelClient) -> None:
        self._client, self._places = client, asyncio.Semaphore(MOST_TABLES)

    async def measure(self, request: Request, content: str, form: str) -> TableAnswer:
        """Audit and score one table.

        Raises:
            Refusal: 422 it cannot be read, 429 busy, 503 not ready or too late.
        """
        if self._places.locked():
            raise busy(round(random.uniform(2.0, 5.0), 2))
        async with self._places:
            until = time.monotonic() + TABLE_SECONDS
            question = Question("table", {"content": content, "form": form, "most_rows": MOST_TABLE_ROWS})
            cost = Cost(SLOW, count=1 + len(content) // AUDIT_COST // 8, timed=False)
            raw = await self._client.answer(request, question, cost, keep=False)
            found: TableContentAnswer = json.loads(raw.content)
            board = None if found["unmeasured"] else await self._leaderboard(request, found, until)
        return {
            "model": found["model"],
            "audit": found["audit"],
            "unmeasured": found["unmeasured"],
            "leaderboard": board,
        }

    async def _leaderboard(self, request: Request, table: TableContentAnswer, until: float) -> Leaderboard:
        texts, labels, model = table["texts"], table["labels"], table["model"]
        predicted: list[dict[str, StepPrediction]] = [{} for _ in texts]
        for portion in portions(texts):
            some = [texts[i] for i in portion]
            cost = Cost(SLOW, min(LONGEST_COUNTED, padded(some)), len(some))
            question = Question("predict", {"texts": some, "steps": None})
            answer: PredictAnswer = await self._retry(request, question, cost, model, until)
            for i, result in zip(portion, answer["results"], strict=True):
                predicted[i] = {one["step"]: one for one in result["steps"]}
        names = {step: [one[step]["label"] for one in predicted] for step in predicted[0]}
        question = Question("table_scores", {"labels": labels, "predicted": names})
        cost = Cost(SLOW, count=len(names))
        scores: TableScoresAnswer = await self._retry(request, question, cost, model, until)
        differ = [i for i, one in enumerate(predicted) if len({each["label"] for each in one.values()}) > 1]
        shown: list[DisputedText] = [
            {
                "row": table["rows"][i],
                "text": texts[i],
                "label": labels[i],
                "predicted": {step: one["label"] for step, one in predicted[i].items()},
                "confidence": {step: one["confidence"] for step, one in predicted[i].items()},
            }
            for i in sorted(differ, key=lambda i: len(texts[i]))[:MOST_SHOWN]
        ]
        disagreements: TableDisagreements = {"count": len(differ), "texts": shown}
        return {"texts": len(texts), "steps": scores["steps"], "disagreements": disagreements}

    async def _retry(self, request: Request, question: Question, cost: Cost, model: str, until: float) -> Any:
        """Put a question again and again for as long as others are before it; return the answer.

        Raises:
            Refusal: 503, the time of the table is up, or other models would answer than before.
        """
        while time.monotonic() < until:
            try:
                raw = await self._client.answer(request, question, cost, keep=False)
            except Refusal as refusal:
                if refusal.status_code != 429 or refusal.retry_after is None:
                    raise
                await asyncio.sleep(refusal.retry_after)
                continue
            answer = json.loads(raw.content)
            if answer["model"] != model:
                raise not_ready("the models were reloaded meanwhile", 1.0)
            return answer
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


# ---- OpenAPI ---------------------------------------------------------------------------------------


def _body() -> dict[str, object]:
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
            "It cannot be read as a table of texts, or has too many rows. The line is named, if there is "
            "one, and nothing of the table is repeated.",
            "3 rows cannot be used (line 17)",
            "input",
        ),
    }
    entries: Responses = {status: refusal_entry(status, *entry) for status, entry in own.items()}
    return documented(TableAnswer, 403, 408, 429, 503) | entries
