"""TensorFlow Serving's REST API, for clients that speak it: `GET /v1/models/M`, `POST /v1/models/M:predict`.

The answers are those of the SavedModel that `sopan export` writes: `classes` and `scores` for each text.
Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StrictStr

from sopan.serve.dispatch import ModelClient
from sopan.serve.limits import MOST_TEXTS, StrictRoute
from sopan.serve.protocols import ModelName, find_step, predictions
from sopan.serve.refusals import refusals
from sopan.serve.schemas import RequestBody, Text


class NamedText(RequestBody):
    """A text by its input's name."""

    text: Text


class TfPredictRequest(RequestBody):
    """Texts, in the row format."""

    signature_name: Annotated[StrictStr | None, Field(max_length=100)] = None
    instances: Annotated[list[Text | NamedText], Field(min_length=1, max_length=MOST_TEXTS)]
    model_config = ConfigDict(json_schema_extra={"examples": [{"instances": ["a warm film", "dull"]}]})


class Scores(BaseModel):
    """Of one text."""

    classes: list[str]
    scores: list[float]


class TfPredictAnswer(BaseModel):
    """In the order of the instances."""

    predictions: list[Scores]


class Status(BaseModel):
    """Of one version."""

    version: str
    state: Literal["AVAILABLE", "LOADING"]
    status: dict[str, str]


class TfModelAnswer(BaseModel):
    """The one version that is served."""

    model_version_status: list[Status]


def tfserving(client: ModelClient) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["TensorFlow Serving"])

    @router.post(
        "/models/{name}:predict",
        responses={200: {"model": TfPredictAnswer}, **refusals(400, 403, 404, 408, 413, 415, 422, 429, 503)},
    )
    async def predict(name: ModelName, asked: TfPredictRequest, request: Request) -> dict[str, Any]:
        """Classify texts by one step."""
        step = find_step(client, name)
        texts = [each if isinstance(each, str) else each.text for each in asked.instances]
        _, said = await predictions(client, request, step["step"], texts)
        labels = step["labels"]
        return {
            "predictions": [
                {"classes": labels, "scores": [each["probabilities"][label] for label in labels]}
                for each in said
            ]
        }

    @router.get("/models/{name}", responses={200: {"model": TfModelAnswer}, **refusals(404, 422, 503)})
    async def status(name: ModelName) -> TfModelAnswer:
        """Say whether a model is there; its version is its hash."""
        step = find_step(client, name)
        state: Literal["AVAILABLE", "LOADING"] = "AVAILABLE" if client.ready else "LOADING"
        fine = {"error_code": "OK", "error_message": ""}
        return TfModelAnswer(model_version_status=[Status(version=step["hash"], state=state, status=fine)])

    return router
