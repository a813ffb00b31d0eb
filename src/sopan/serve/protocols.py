"""The protocols of other servers: the Open Inference Protocol V2, and TensorFlow Serving's REST API.

V2                   KServe, Triton, MLServer: https://github.com/kserve/open-inference-protocol (HTTP/REST,
                     with texts as BYTES tensors)
TensorFlow Serving   https://www.tensorflow.org/tfx/serving/api_rest; the answers are those of the SavedModel
                     that `sopan export` writes: `classes` and `scores` for each text
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Annotated, Literal, NotRequired, get_args

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, JsonValue, StrictInt, StrictStr
from typing_extensions import TypedDict

from sopan import __version__
from sopan.options.names import path_name
from sopan.serve.dispatch import Cost, padded
from sopan.serve.limits import MOST_TEXTS, StrictRoute
from sopan.serve.model_client import ModelClient
from sopan.serve.refusals import Failure, Refusal, documented
from sopan.serve.schemas import RequestBody, Text, examples
from sopan.usecases.served import Question, StepAbout
from sopan.usecases.served.answers import PredictAnswer, StepPrediction

ASK = (400, 403, 404, 408, 413, 415, 422, 429, 503)
ModelName = Annotated[str, Path(max_length=100, description="A step's name, with - for :", examples=["bow"])]


def find_step(client: ModelClient, name: str) -> StepAbout:
    """Return what is known of a step.

    Raises:
        Refusal: 404.
    """
    found = next((step for step in client.about["steps"] if path_name(step["step"]) == name), None)
    if found is None:
        raise Refusal(404, "there is no such model", "not_found")
    return found


async def predict_texts(
    client: ModelClient, request: Request, step: str, texts: list[str]
) -> tuple[str, list[StepPrediction]]:
    """Let one step read some texts: return the hash of what answered, and the predictions."""
    question = Question("predict", {"texts": texts, "steps": [step]})
    raw = await client.answer(request, question, Cost(length=padded(texts), count=len(texts)))
    answer: PredictAnswer = json.loads(raw.content)
    return answer["model"], [result["steps"][0] for result in answer["results"]]


# ---- Open Inference Protocol V2 --------------------------------------------------------------------

OutputName = Literal["label", "probabilities", "truncated", "no_known_words"]
OUTPUTS: tuple[OutputName, ...] = get_args(OutputName)
Parameters = Annotated[dict[str, JsonValue] | None, Field(max_length=16)]


class Tensor(RequestBody):
    """Texts, as a flat list."""

    name: Annotated[StrictStr, Field(max_length=100)]
    shape: Annotated[
        list[Annotated[StrictInt, Field(ge=1, le=MOST_TEXTS)]], Field(min_length=1, max_length=2)
    ]
    datatype: Literal["BYTES"]
    data: Annotated[list[Text], Field(min_length=1, max_length=MOST_TEXTS)]
    parameters: Parameters = None


class WantedOutput(RequestBody):
    """One output that is wanted."""

    name: OutputName
    parameters: Parameters = None


INPUT: JsonValue = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a warm film"]}


class InferRequest(RequestBody, json_schema_extra=examples({"inputs": [INPUT]})):
    """One tensor `text`, and which outputs to give."""

    id: Annotated[StrictStr | None, Field(max_length=200)] = None
    inputs: Annotated[list[Tensor], Field(min_length=1, max_length=1)]
    outputs: Annotated[list[WantedOutput] | None, Field(max_length=len(OUTPUTS))] = None
    parameters: Parameters = None


class OutputTensor(TypedDict):
    """One output."""

    name: str
    shape: list[int]
    datatype: str
    data: list[str | float | bool]


class InferAnswer(TypedDict):
    """The outputs."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: list[OutputTensor]


class TensorAbout(TypedDict):
    """An input or an output of a model."""

    name: str
    datatype: str
    shape: list[int]


class ModelAbout(TypedDict):
    """A model, its inputs and its outputs."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorAbout]
    outputs: list[TensorAbout]


class ServerAbout(TypedDict):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class Live(TypedDict):
    """Whether the server answers."""

    live: bool


class Ready(TypedDict):
    """Whether there is a model that answers."""

    ready: bool


class ModelReady(Ready):
    """Whether this model answers."""

    name: str


def inference_protocol(client: ModelClient) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/v2", route_class=StrictRoute, tags=["Open Inference Protocol"])

    @router.get("", responses=documented(ServerAbout))
    async def server() -> ServerAbout:
        """Say what this server is."""
        return {"name": "sopan", "version": __version__, "extensions": []}

    @router.get("/health/live", responses=documented(Live))
    async def live() -> Live:
        """Say that the server answers."""
        return {"live": True}

    @router.get("/health/ready", responses={200: {"model": Ready}, 503: {"model": Ready}})
    async def ready() -> JSONResponse:
        """Say whether the models answer."""
        return JSONResponse({"ready": client.ready}, 200 if client.ready else 503)

    @router.get("/models/{name}", responses=documented(ModelAbout, 404, 422, 503))
    async def model(name: ModelName) -> ModelAbout:
        """Describe a model."""
        step = find_step(client, name)
        outputs: list[TensorAbout] = [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(step["labels"])]},
            {"name": "truncated", "datatype": "BOOL", "shape": [-1]},
            {"name": "no_known_words", "datatype": "BOOL", "shape": [-1]},
        ]
        return {
            "name": name,
            "versions": [step["hash"]],
            "platform": "sopan",
            "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
            "outputs": outputs,
        }

    @router.get(
        "/models/{name}/ready",
        responses={**documented(ModelReady, 404, 422), 503: {"model": ModelReady | Failure}},
    )
    async def model_ready(name: ModelName) -> JSONResponse:
        """Say whether a model answers."""
        find_step(client, name)
        return JSONResponse({"name": name, "ready": client.ready}, 200 if client.ready else 503)

    @router.post("/models/{name}/infer", responses=documented(InferAnswer, *ASK))
    async def infer(name: ModelName, body: InferRequest, request: Request) -> Response:
        """Classify texts by one step."""
        step, tensor = find_step(client, name), body.inputs[0]
        if tensor.name != "text" or math.prod(tensor.shape) != len(tensor.data):
            raise Refusal(422, "one input is taken: text, whose shape is that of its data", "invalid")
        version, predicted = await predict_texts(client, request, step["step"], tensor.data)
        wanted = OUTPUTS if body.outputs is None else [output.name for output in body.outputs]
        answer: InferAnswer = {
            "model_name": path_name(step["step"]),
            "model_version": version,
            "outputs": [_output(each, predicted, step["labels"]) for each in wanted],
        }
        if body.id is not None:
            answer["id"] = body.id
        return JSONResponse(answer)

    return router


def _output(name: OutputName, predicted: Sequence[StepPrediction], labels: list[str]) -> OutputTensor:
    n = len(predicted)
    if name == "probabilities":
        data = [each["probabilities"][label] for each in predicted for label in labels]
        return {"name": name, "shape": [n, len(labels)], "datatype": "FP64", "data": [*data]}
    kind = "BYTES" if name == "label" else "BOOL"
    return {"name": name, "shape": [n], "datatype": kind, "data": [each[name] for each in predicted]}


# ---- TensorFlow Serving ----------------------------------------------------------------------------


class NamedText(RequestBody):
    """A text by its input's name."""

    text: Text


class TfPredictRequest(RequestBody, json_schema_extra=examples({"instances": ["a warm film", "dull"]})):
    """Texts, in the row format."""

    signature_name: Annotated[StrictStr | None, Field(max_length=100)] = None
    instances: Annotated[list[Text | NamedText], Field(min_length=1, max_length=MOST_TEXTS)]


class Scores(TypedDict):
    """Of one text."""

    classes: list[str]
    scores: list[float]


class TfPredictAnswer(TypedDict):
    """In the order of the instances."""

    predictions: list[Scores]


class VersionStatus(TypedDict):
    """Of one version."""

    version: str
    state: Literal["AVAILABLE", "LOADING"]
    status: dict[str, str]


class TfModelAnswer(TypedDict):
    """The one version that is served."""

    model_version_status: list[VersionStatus]


def tensorflow_serving(client: ModelClient) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["TensorFlow Serving"])

    @router.post("/models/{name}:predict", responses=documented(TfPredictAnswer, *ASK))
    async def predict(name: ModelName, body: TfPredictRequest, request: Request) -> Response:
        """Classify texts by one step."""
        step = find_step(client, name)
        texts = [each if isinstance(each, str) else each.text for each in body.instances]
        _, predicted = await predict_texts(client, request, step["step"], texts)
        labels = step["labels"]
        scores: list[Scores] = [
            {"classes": labels, "scores": [each["probabilities"][label] for label in labels]}
            for each in predicted
        ]
        return JSONResponse({"predictions": scores})

    @router.get("/models/{name}", responses=documented(TfModelAnswer, 404, 422, 503))
    async def status(name: ModelName) -> TfModelAnswer:
        """Say whether a model is there; its version is its hash."""
        step = find_step(client, name)
        version: VersionStatus = {
            "version": step["hash"],
            "state": "AVAILABLE" if client.ready else "LOADING",
            "status": {"error_code": "OK", "error_message": ""},
        }
        return {"model_version_status": [version]}

    return router
