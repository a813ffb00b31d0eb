"""What the protocols of other servers share: models by name and version, and texts that a step reads."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import Path, Request

from sopan.options.names import path_name
from sopan.serve.dispatch import Cost, padded
from sopan.serve.model_client import ModelClient
from sopan.serve.refusals import Refusal
from sopan.usecases.served import Question, StepAbout
from sopan.usecases.served.answers import PredictAnswer, StepPrediction

ASK = (400, 403, 404, 408, 413, 415, 422, 429, 503)
ModelName = Annotated[str, Path(max_length=100, description="A step's name, with - for :", examples=["bow"])]
ModelVersion = Annotated[str, Path(max_length=100, description="The model's hash, its one version.")]


def find_step(client: ModelClient, name: str, version: str | None = None) -> StepAbout:
    """Return what is known of a step; its version, where one is asked for, is its model's hash.

    Raises:
        Refusal: 404.
    """
    found = next((step for step in client.about["steps"] if path_name(step["step"]) == name), None)
    if found is None:
        raise Refusal(404, "there is no such model", "not_found")
    if version not in (None, found["hash"]):
        raise Refusal(404, "there is no such version of this model", "not_found")
    return found


async def predict_texts(
    client: ModelClient, request: Request, step: str, texts: list[str]
) -> list[StepPrediction]:
    """Let one step read some texts, and return the predictions."""
    question = Question("predict", {"texts": texts, "steps": [step]})
    raw = await client.answer(request, question, Cost(length=padded(texts), count=len(texts)))
    answer: PredictAnswer = json.loads(raw.content)
    return [result["steps"][0] for result in answer["results"]]
