"""The Open Inference Protocol V2, as KServe, Triton and MLServer speak it.

https://github.com/kserve/open-inference-protocol (HTTP/REST, texts as BYTES tensors), with Triton's extension
for binary tensors: see `binary_tensors`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, NotRequired, get_args

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, JsonValue, StrictInt, StrictStr
from typing_extensions import TypedDict

from sopan import __version__
from sopan.options.names import path_name
from sopan.serve.binary_tensors import TensorRoute, binary_response
from sopan.serve.limits import MOST_TEXTS
from sopan.serve.model_client import ModelClient
from sopan.serve.protocols import ASK, ModelName, ModelVersion, find_step, predict_texts
from sopan.serve.refusals import Failure, Refusal, documented
from sopan.serve.schemas import RequestBody, Text, examples
from sopan.usecases.served import StepAbout
from sopan.usecases.served.answers import StepPrediction

OutputName = Literal["label", "probabilities", "truncated", "no_known_words"]
OUTPUTS: tuple[OutputName, ...] = get_args(OutputName)
Parameters = Annotated[dict[str, JsonValue] | None, Field(max_length=16)]


class Tensor(RequestBody):
    """Texts, as a list, flat or of the tensor's shape."""

    name: Annotated[StrictStr, Field(max_length=100)]
    shape: Annotated[
        list[Annotated[StrictInt, Field(ge=1, le=MOST_TEXTS)]], Field(min_length=1, max_length=2)
    ]
    datatype: Literal["BYTES"]
    data: Annotated[list[Text | list[Text]], Field(min_length=1, max_length=MOST_TEXTS)]
    parameters: Parameters = None

    @property
    def texts(self) -> list[str]:
        """All texts, in order."""
        return [text for row in self.data for text in ([row] if isinstance(row, str) else row)]


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
    router = APIRouter(prefix="/v2", route_class=TensorRoute, tags=["Open Inference Protocol"])

    @router.get("", responses=documented(ServerAbout))
    async def server() -> ServerAbout:
        """Say what this server is."""
        return {"name": "sopan", "version": __version__, "extensions": ["binary_tensor_data"]}

    @router.get("/health/live", responses=documented(Live))
    @router.head("/health/live", include_in_schema=False)
    async def live() -> Live:
        """Say that the server answers."""
        return {"live": True}

    @router.get("/health/ready", responses={200: {"model": Ready}, 503: {"model": Ready}})
    @router.head("/health/ready", include_in_schema=False)
    async def ready() -> JSONResponse:
        """Say whether the models answer."""
        return JSONResponse({"ready": client.ready}, 200 if client.ready else 503)

    @router.get("/models/{name}", responses=documented(ModelAbout, 404, 422, 503))
    async def model(name: ModelName) -> ModelAbout:
        """Describe a model."""
        return _about(find_step(client, name))

    @router.get("/models/{name}/versions/{version}", responses=documented(ModelAbout, 404, 422, 503))
    async def model_version(name: ModelName, version: ModelVersion) -> ModelAbout:
        """Describe a version of a model."""
        return _about(find_step(client, name, version))

    ready_answers = {**documented(ModelReady, 404, 422), 503: {"model": ModelReady | Failure}}

    @router.get("/models/{name}/ready", responses=ready_answers)
    async def model_ready(name: ModelName) -> JSONResponse:
        """Say whether a model answers."""
        find_step(client, name)
        return JSONResponse({"name": name, "ready": client.ready}, 200 if client.ready else 503)

    @router.get("/models/{name}/versions/{version}/ready", responses=ready_answers)
    async def version_ready(name: ModelName, version: ModelVersion) -> JSONResponse:
        """Say whether a version of a model answers."""
        find_step(client, name, version)
        return JSONResponse({"name": name, "ready": client.ready}, 200 if client.ready else 503)

    @router.post("/models/{name}/infer", responses=documented(InferAnswer, *ASK))
    async def infer(name: ModelName, body: InferRequest, request: Request) -> Response:
        """Classify texts by one step."""
        return await _infer(client, request, body, find_step(client, name))

    @router.post("/models/{name}/versions/{version}/infer", responses=documented(InferAnswer, *ASK))
    async def infer_version(
        name: ModelName, version: ModelVersion, body: InferRequest, request: Request
    ) -> Response:
        """Classify texts by one version of a step."""
        return await _infer(client, request, body, find_step(client, name, version))

    return router


def _about(step: StepAbout) -> ModelAbout:
    outputs: list[TensorAbout] = [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(step["labels"])]},
        {"name": "truncated", "datatype": "BOOL", "shape": [-1]},
        {"name": "no_known_words", "datatype": "BOOL", "shape": [-1]},
    ]
    return {
        "name": path_name(step["step"]),
        "versions": [step["hash"]],
        "platform": "sopan",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": outputs,
    }


async def _infer(client: ModelClient, request: Request, body: InferRequest, step: StepAbout) -> Response:
    tensor = body.inputs[0]
    texts = tensor.texts
    if tensor.name != "text" or math.prod(tensor.shape) != len(texts) or len(texts) > MOST_TEXTS:
        raise Refusal(422, "one input is taken: text, whose shape is that of its data", "invalid")
    predicted = await predict_texts(client, request, step["step"], texts)
    wanted = [WantedOutput(name=name) for name in OUTPUTS] if body.outputs is None else body.outputs
    answer: InferAnswer = {
        "model_name": path_name(step["step"]),
        "model_version": step["hash"],
        "outputs": [_output(each.name, predicted, step["labels"]) for each in wanted],
    }
    if body.id is not None:
        answer["id"] = body.id
    every = (body.parameters or {}).get("binary_data_output") is True
    binary = [(each.parameters or {}).get("binary_data", every) is True for each in wanted]
    return binary_response(answer, binary) if any(binary) else JSONResponse(answer)


def _output(name: OutputName, predicted: Sequence[StepPrediction], labels: list[str]) -> OutputTensor:
    n = len(predicted)
    if name == "probabilities":
        data = [each["probabilities"][label] for each in predicted for label in labels]
        return {"name": name, "shape": [n, len(labels)], "datatype": "FP64", "data": [*data]}
    kind = "BYTES" if name == "label" else "BOOL"
    return {"name": name, "shape": [n], "datatype": kind, "data": [each[name] for each in predicted]}
