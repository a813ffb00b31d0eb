"""TensorFlow Serving's REST API: https://www.tensorflow.org/tfx/serving/api_rest.

The answers are those of the SavedModel that `sopan export` writes: its signature `serving_default` takes
`texts` and returns `classes` and `scores` for each text.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, StrictStr, model_validator
from typing_extensions import TypedDict

from sopan.options.names import path_name
from sopan.serve.limits import MOST_TEXTS, StrictRoute
from sopan.serve.model_client import ModelClient
from sopan.serve.protocols import ASK, ModelName, ModelVersion, find_step, predict_texts
from sopan.serve.refusals import Refusal, documented
from sopan.serve.schemas import RequestBody, Text, Texts, examples
from sopan.usecases.served import StepAbout

SIGNATURE = "serving_default"


class NamedText(RequestBody):
    """A text by its input's name: `texts`, as the SavedModel calls it, or `text`."""

    texts: Text | None = None
    text: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.texts is None) == (self.text is None):
            raise ValueError("give texts, or text")
        return self

    @property
    def value(self) -> str:
        """The text."""
        return self.texts if self.texts is not None else str(self.text)


class NamedTexts(RequestBody):
    """Texts by their input's name."""

    texts: Texts


class TfPredictRequest(
    RequestBody,
    json_schema_extra=examples(
        {"instances": ["a warm film", "dull"]}, {"inputs": {"texts": ["a warm film"]}}
    ),
):
    """Texts, in the row format (`instances`) or the columnar one (`inputs`)."""

    signature_name: Annotated[StrictStr | None, Field(max_length=100)] = None
    instances: Annotated[list[Text | NamedText] | None, Field(min_length=1, max_length=MOST_TEXTS)] = None
    inputs: Texts | NamedTexts | None = None

    @model_validator(mode="after")
    def _one_format(self) -> Self:
        if (self.instances is None) == (self.inputs is None):
            raise ValueError("give either instances or inputs")
        return self

    @property
    def all(self) -> list[str]:
        """The texts, however they were given."""
        if self.instances is not None:
            return [each if isinstance(each, str) else each.value for each in self.instances]
        return self.inputs.texts if isinstance(self.inputs, NamedTexts) else list(self.inputs or ())


class Scores(TypedDict):
    """Of one text."""

    classes: list[str]
    scores: list[float]


class TfRows(TypedDict):
    """In the order of the instances."""

    predictions: list[Scores]


class Columns(TypedDict):
    """Of all texts, in their order."""

    classes: list[list[str]]
    scores: list[list[float]]


class TfColumns(TypedDict):
    """What a request in the columnar format gets."""

    outputs: Columns


class VersionStatus(TypedDict):
    """Of one version."""

    version: str
    state: Literal["AVAILABLE", "LOADING"]
    status: dict[str, str]


class TfModelAnswer(TypedDict):
    """The one version that is served."""

    model_version_status: list[VersionStatus]


class TfMetadata(TypedDict):
    """A model's name and version, and its signatures."""

    model_spec: dict[str, str]
    metadata: dict[str, object]


def tensorflow_serving(client: ModelClient) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/v1/models", route_class=StrictRoute, tags=["TensorFlow Serving"])
    answers = documented(TfRows | TfColumns, *ASK)

    @router.post("/{name}:predict", responses=answers)
    async def predict_latest(name: ModelName, body: TfPredictRequest, request: Request) -> Response:
        """Classify texts by one step."""
        return await _predict(client, request, body, find_step(client, name))

    @router.post("/{name}/versions/{version}:predict", responses=answers)
    async def predict_version(
        name: ModelName, version: ModelVersion, body: TfPredictRequest, request: Request
    ) -> Response:
        """Classify texts by one version of a step."""
        return await _predict(client, request, body, find_step(client, name, version))

    @router.get("/{name}", responses=documented(TfModelAnswer, 404, 422, 503))
    async def status_of_latest(name: ModelName) -> TfModelAnswer:
        """Say whether a model is there; its version is its hash."""
        return _status(client, find_step(client, name))

    @router.get("/{name}/versions/{version}", responses=documented(TfModelAnswer, 404, 422, 503))
    async def status_of_version(name: ModelName, version: ModelVersion) -> TfModelAnswer:
        """Say whether a version of a model is there."""
        return _status(client, find_step(client, name, version))

    @router.get("/{name}/metadata", responses=documented(TfMetadata, 404, 422, 503))
    async def metadata_of_latest(name: ModelName) -> TfMetadata:
        """Describe a model's inputs and outputs."""
        return _metadata(find_step(client, name))

    @router.get("/{name}/versions/{version}/metadata", responses=documented(TfMetadata, 404, 422, 503))
    async def metadata_of_version(name: ModelName, version: ModelVersion) -> TfMetadata:
        """Describe the inputs and outputs of a version of a model."""
        return _metadata(find_step(client, name, version))

    return router


async def _predict(
    client: ModelClient, request: Request, body: TfPredictRequest, step: StepAbout
) -> Response:
    if body.signature_name not in (None, SIGNATURE):
        raise Refusal(404, f"there is no such signature: {SIGNATURE} is the one", "not_found")
    predicted = await predict_texts(client, request, step["step"], body.all)
    labels = step["labels"]
    scores = [[each["probabilities"][label] for label in labels] for each in predicted]
    if body.instances is None:
        outputs: Columns = {"classes": [labels for _ in scores], "scores": scores}
        return JSONResponse({"outputs": outputs})
    return JSONResponse({"predictions": [{"classes": labels, "scores": row} for row in scores]})


def _status(client: ModelClient, step: StepAbout) -> TfModelAnswer:
    found: VersionStatus = {
        "version": step["hash"],
        "state": "AVAILABLE" if client.ready else "LOADING",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return {"model_version_status": [found]}


def _metadata(step: StepAbout) -> TfMetadata:
    spec = {"name": path_name(step["step"]), "signature_name": "", "version": step["hash"]}
    return {"model_spec": spec, "metadata": {"signature_def": _signatures(len(step["labels"]))}}


def _signatures(classes: int) -> dict[str, object]:
    """Describe the one signature, as TensorFlow Serving writes a SavedModel's."""

    def tensor(dtype: str, *sizes: int) -> dict[str, object]:
        dimensions = [{"size": str(size), "name": ""} for size in sizes]
        return {"dtype": dtype, "tensor_shape": {"dim": dimensions, "unknown_rank": False}, "name": ""}

    return {
        "signature_def": {
            SIGNATURE: {
                "inputs": {"texts": tensor("DT_STRING", -1)},
                "outputs": {
                    "classes": tensor("DT_STRING", -1, classes),
                    "scores": tensor("DT_FLOAT", -1, classes),
                },
                "method_name": "tensorflow/serving/predict",
            }
        }
    }
