"""What the two protocols of other servers share: models by their path names, and predictions by one step."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Path, Request

from sopan.serve.dispatch import ModelClient
from sopan.serve.limits import MOST_CHARACTERS, MOST_TEXTS, Refusal
from sopan.serve.queueing import padded

ModelName = Annotated[str, Path(max_length=100, description="A step's name, with - for :", examples=["bow"])]


def path_name(step: str) -> str:
    """Return a step's name as it stands in paths."""
    return step.replace(":", "-")


def find_step(client: ModelClient, name: str) -> dict[str, Any]:
    """Return what is known of a step.

    Raises:
        Refusal: 404.
    """
    found = next((step for step in client.about["steps"] if path_name(step["step"]) == name), None)
    if found is None:
        raise Refusal(404, "there is no such model", "not_found")
    return dict(found)


def check_texts(texts: list[str]) -> None:
    """Hold that texts keep to the limits.

    Raises:
        Refusal: 422.
    """
    if not 0 < len(texts) <= MOST_TEXTS:
        raise Refusal(422, f"1 to {MOST_TEXTS} texts are taken at once", "invalid")
    if any(len(text) > MOST_CHARACTERS for text in texts):
        raise Refusal(422, f"a text has at most {MOST_CHARACTERS:,} characters", "invalid")


async def predictions(
    client: ModelClient, request: Request, step: str, texts: list[str]
) -> tuple[str, list[dict[str, Any]]]:
    """Ask one step about some texts: the hash of what answered, and what it said of each."""
    check_texts(texts)
    question = {"op": "predict", "texts": texts, "steps": [step]}
    piece = await client.answer(request, question, length=padded(texts), count=len(texts))
    answer = json.loads(piece.content)
    return answer["model"], [result["steps"][0] for result in answer["results"]]
