"""Tensors as bytes behind the JSON of a request or an answer, as Triton and its clients send them.

Triton's docs/protocol/extension_binary_data.md: the header `Inference-Header-Content-Length` says how many
bytes the JSON has. Of a BYTES tensor each element is its length, in four bytes, little-endian, and then its
bytes; of the others the elements stand side by side.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fastapi import Response

from sopan.serve.limits import JSON_TYPES, StrictRequest, StrictRoute, strict_json
from sopan.serve.refusals import not_json

HEADER = "Inference-Header-Content-Length"
SIZE = "binary_data_size"
_FORMATS = {"FP64": "d", "BOOL": "?"}


class TensorRequest(StrictRequest):
    """A request whose JSON may be followed by the bytes of its tensors."""

    types: ClassVar[tuple[str, ...]] = (*JSON_TYPES, "application/octet-stream")

    async def json(self) -> Any:
        """Read the JSON, with the tensors that follow it as the `data` of its inputs.

        Raises:
            Refusal: 400, the JSON or the bytes are not what is taken here.
        """
        content, said = await self.body(), self.headers.get(HEADER)
        if said is None:
            return strict_json(content)
        if not said.isascii() or not said.isdigit() or int(said[:12]) > len(content):
            raise not_json(f"{HEADER} is not the length of its JSON")
        value = strict_json(content[: int(said)])
        rest = _fill(value, content[int(said) :])
        if rest:
            raise not_json("there are bytes that no tensor takes")
        return value


class TensorRoute(StrictRoute):
    """A route whose requests may bring tensors as bytes."""

    requests: ClassVar[type[StrictRequest]] = TensorRequest


def _fill(value: object, content: bytes) -> bytes:
    """Give the inputs of a request their data, and return the bytes that are left."""
    inputs = value.get("inputs") if isinstance(value, dict) else None
    for tensor in inputs if isinstance(inputs, list) else ():
        parameters = tensor.get("parameters") if isinstance(tensor, dict) else None
        size = parameters.get(SIZE) if isinstance(parameters, dict) else None
        if type(size) is not int or "data" in tensor:
            continue
        if not 0 <= size <= len(content):
            raise not_json("a tensor has not as many bytes as it says")
        tensor["data"] = _texts_of(content[:size])
        content = content[size:]
    return content


def _texts_of(content: bytes) -> list[str]:
    """Return the elements of a BYTES tensor.

    Raises:
        Refusal: 400, a length is not that of an element, or an element is not UTF-8.
    """
    found, at = [], 0
    while at < len(content):
        end = at + 4 + (struct.unpack_from("<I", content, at)[0] if at + 4 <= len(content) else len(content))
        if end > len(content):
            raise not_json("the last element of a tensor is cut off")
        try:
            found.append(content[at + 4 : end].decode())
        except UnicodeDecodeError as error:
            raise not_json("an element of a tensor is not UTF-8") from error
        at = end
    return found


def binary_response(answer: Mapping[str, Any], binary: Sequence[bool]) -> Response:
    """Return an answer with some of its outputs as bytes behind the JSON.

    Args:
        answer: with `outputs`.
        binary: of each output, whether it is wanted so.
    """
    outputs, blobs = [], []
    for output, as_bytes in zip(answer["outputs"], binary, strict=True):
        if not as_bytes:
            outputs.append(output)
            continue
        blob = _bytes_of(output["datatype"], output["data"])
        kept = {name: value for name, value in output.items() if name != "data"}
        outputs.append({**kept, "parameters": {SIZE: len(blob)}})
        blobs.append(blob)
    head = json.dumps({**answer, "outputs": outputs}, ensure_ascii=False, allow_nan=False).encode()
    return Response(
        head + b"".join(blobs), media_type="application/octet-stream", headers={HEADER: str(len(head))}
    )


def _bytes_of(datatype: str, data: Sequence[Any]) -> bytes:
    if datatype == "BYTES":
        encoded = [text.encode() for text in data]
        return b"".join(struct.pack("<I", len(text)) + text for text in encoded)
    return struct.pack(f"<{len(data)}{_FORMATS[datatype]}", *data)
