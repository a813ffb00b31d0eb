"""The Open Inference Protocol V2, as KServe, Triton and MLServer speak it.

Source: https://github.com/kserve/open-inference-protocol (version 2, HTTP/REST), with texts as BYTES tensors.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from sopan import __version__
from sopan.serve.dispatch import ModelClient
from sopan.serve.limits import MOST_TEXTS, Refusal, StrictRoute
from sopan.serve.protocols import ModelName, find_step, path_name, predictions
from sopan.serve.refusals import refusals
from sopan.serve.schemas import RequestBody, Text

OUTPUTS = ("label", "probabilities", "truncated", "no_known_words")
Parameters = Annotated[dict[str, Any] | None, Field(max_length=16)]


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
    """One output that is asked for."""

    name: Literal["label", "probabilities", "truncated", "no_known_words"]
    parameters: Parameters = None


class InferRequest(RequestBody):
    """One tensor `text`, and which outputs to give."""

    id: Annotated[StrictStr | None, Field(max_length=200)] = None
    inputs: Annotated[list[Tensor], Field(min_length=1, max_length=1)]
    outputs: Annotated[list[WantedOutput] | None, Field(max_length=len(OUTPUTS))] = None
    parameters: Parameters = None
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a warm film"]}]}
            ]
        }
    )


class OutputTensor(BaseModel):
    """One output."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferAnswer(BaseModel):
    """The outputs."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class TensorAbout(BaseModel):
    """An input or an output of a model."""

    name: str
    datatype: str
    shape: list[int]


class ModelAbout(BaseModel):
    """A model, its inputs and its outputs."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorAbout]
    outputs: list[TensorAbout]


class ServerAbout(BaseModel):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """Whether the server answers."""

    live: bool


class Ready(BaseModel):
    """Whether there is a model that answers."""

    ready: bool


class ModelReady(Ready):
    """Whether this model answers."""

    name: str


def v2(client: ModelClient) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/v2", route_class=StrictRoute, tags=["Open Inference Protocol"])

    @router.get("", responses={200: {"model": ServerAbout}})
    async def server() -> ServerAbout:
        """Say what this server is."""
        return ServerAbout(name="sopan", version=__version__, extensions=[])

    @router.get("/health/live", responses={200: {"model": Live}})
    async def live() -> Live:
        """Say that the server answers."""
        return Live(live=True)

    @router.get("/health/ready", responses={200: {"model": Ready}, 503: {"model": Ready}})
    async def ready() -> JSONResponse:
        """Say whether the models answer."""
        return JSONResponse({"ready": client.ready}, 200 if client.ready else 503)

    @router.get("/models/{name}", responses={200: {"model": ModelAbout}, **refusals(404, 422, 503)})
    async def model(name: ModelName) -> ModelAbout:
        """Describe a model."""
        step = find_step(client, name)
        kinds = {
            "label": ("BYTES", [-1]),
            "probabilities": ("FP64", [-1, len(step["labels"])]),
            **{flag: ("BOOL", [-1]) for flag in OUTPUTS[2:]},
        }
        outputs = [TensorAbout(name=n, datatype=kind, shape=shape) for n, (kind, shape) in kinds.items()]
        text = TensorAbout(name="text", datatype="BYTES", shape=[-1])
        return ModelAbout(
            name=name, versions=[step["hash"]], platform="sopan", inputs=[text], outputs=outputs
        )

    @router.get(
        "/models/{name}/ready",
        responses={
            200: {"model": ModelReady},
            **refusals(404, 422),
            503: {"model": ModelReady | dict[str, Any]},
        },
    )
    async def model_ready(name: ModelName) -> JSONResponse:
        """Say whether a model answers."""
        find_step(client, name)
        return JSONResponse({"name": name, "ready": client.ready}, 200 if client.ready else 503)

    @router.post(
        "/models/{name}/infer",
        responses={200: {"model": InferAnswer}, **refusals(400, 403, 404, 408, 413, 415, 422, 429, 503)},
    )
    async def infer(name: ModelName, asked: InferRequest, request: Request) -> Response:
        """Classify texts by one step."""
        step, tensor = find_step(client, name), asked.inputs[0]
        size = 1
        for side in tensor.shape:
            size *= side
        if tensor.name != "text" or size != len(tensor.data):
            raise Refusal(422, "one input is taken: text, whose shape is that of its data", "invalid")
        version, said = await predictions(client, request, step["step"], tensor.data)
        wanted = OUTPUTS if asked.outputs is None else [output.name for output in asked.outputs]
        outputs = [_output(each, said, step["labels"]) for each in wanted]
        content = {"model_name": path_name(step["step"]), "model_version": version, "outputs": outputs}
        return JSONResponse(content | ({} if asked.id is None else {"id": asked.id}))

    return router


def _output(name: str, said: list[dict[str, Any]], labels: list[str]) -> dict[str, Any]:
    n = len(said)
    if name == "probabilities":
        data = [each["probabilities"][label] for each in said for label in labels]
        return {"name": name, "shape": [n, len(labels)], "datatype": "FP64", "data": data}
    kind = "BYTES" if name == "label" else "BOOL"
    return {"name": name, "shape": [n], "datatype": kind, "data": [each[name] for each in said]}
