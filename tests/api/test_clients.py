"""Clients as they come: Triton's own, curl, and what pages elsewhere may and may not do."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import Server, serving

from sopan import usecases
from sopan.errors import ConfigError
from sopan.serve.binary_tensors import SIZE, _fill
from sopan.serve.refusals import Refusal
from sopan.serve.server import allowed_origins

TEXTS = ["The baker waters the roses", "gulls", "sch\u00f6n \U0001f600"]
PAGE = "https://page.example"


def own(run_folder: Path, step: str = "bow") -> np.ndarray:
    return usecases.load(run_folder / "models" / step).predict_texts(TEXTS).probabilities


# ---- the content type -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json", None])
def test_json_is_json_whatever_the_client_calls_it(server: Server, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = httpx.post(f"{server.address}/predict", content=b'{"text": "gulls"}', headers=headers)
    assert answer.status_code == 200


def test_curl_needs_no_header(server: Server) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    command = ["curl", "-s", "-d", '{"text": "gulls"}', f"{server.address}/predict"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["results"]


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", None])
def test_a_page_elsewhere_cannot_make_a_browser_write(server: Server, kind: str | None) -> None:
    headers = {"Origin": PAGE} | ({} if kind is None else {"Content-Type": kind})
    answer = httpx.post(f"{server.address}/predict", content=b'{"text": "gulls"}', headers=headers)
    assert answer.status_code == 403
    form = httpx.post(f"{server.address}/predict", data={'{"text": "gulls"}': ""})
    assert form.status_code == 400  # a form is percent-encoded: no JSON


# ---- Triton ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("shape", [[3], [3, 1]])
def test_tritons_own_client(server: Server, run_folder: Path, binary: bool, shape: list[int]) -> None:
    triton = pytest.importorskip("tritonclient.http")
    client = triton.InferenceServerClient(server.address.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("bow")
    (version,) = client.get_model_metadata("bow")["versions"]
    tensor = triton.InferInput("text", shape, "BYTES")
    tensor.set_data_from_numpy(np.array(TEXTS, object).reshape(shape), binary_data=binary)
    names = ("label", "probabilities", "truncated")
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
    for wanted in (outputs, None):
        result = client.infer("bow", [tensor], model_version=version, outputs=wanted)
        probabilities = result.as_numpy("probabilities")
        np.testing.assert_allclose(probabilities, own(run_folder), atol=1e-6)
        labels = [name.decode() if isinstance(name, bytes) else name for name in result.as_numpy("label")]
        assert labels == [["garden", "harbour", "kitchen"][i] for i in probabilities.argmax(axis=1)]
        assert result.as_numpy("truncated").tolist() == [False] * 3
        assert result.get_response()["model_version"] == version
    with pytest.raises(Exception, match="no such version"):
        client.infer("bow", [tensor], model_version="7")
    client.close()


def packed(texts: list[str]) -> bytes:
    return b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=9), max_size=4), st.binary(max_size=9))
def test_what_was_packed_is_unpacked_and_nothing_else(texts: list[str], more: bytes) -> None:
    content = packed(texts)
    body = {"inputs": [{"parameters": {SIZE: len(content)}}]}
    assert _fill(body, content + more) == more
    assert body["inputs"][0]["data"] == texts


@given(st.binary(max_size=40), st.integers(-5, 60))
@settings(max_examples=300)
def test_any_bytes_are_texts_or_refused(content: bytes, size: int) -> None:
    try:
        _fill({"inputs": [{"parameters": {SIZE: size}}]}, content)
    except Refusal as refusal:
        assert refusal.status_code == 400  # noqa: PT017


@pytest.mark.parametrize("length", ["-1", "x", "9999", "2"])
def test_a_header_that_lies_is_refused(server: Server, length: str) -> None:
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "parameters": {SIZE: 5}}
    body = json.dumps({"inputs": [tensor]}).encode() + packed(["a"])
    headers = {"Inference-Header-Content-Length": length, "Content-Type": "application/octet-stream"}
    answer = server.client.post("/v2/models/bow/infer", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error_type"] == "invalid_json"


# ---- TensorFlow Serving ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"instances": TEXTS},
        {"instances": [{"texts": text} for text in TEXTS], "signature_name": "serving_default"},
        {"inputs": TEXTS},
        {"inputs": {"texts": TEXTS}},
    ],
)
def test_the_shapes_of_tensorflow_serving(server: Server, run_folder: Path, body: dict[str, object]) -> None:
    found = server.client.get("/v1/models/bow").json()["model_version_status"][0]["version"]
    for place in ("bow", f"bow/versions/{found}"):
        answer = server.client.post(f"/v1/models/{place}:predict", json=body).json()
        scores = (
            [row["scores"] for row in answer["predictions"]]
            if "instances" in body
            else answer["outputs"]["scores"]
        )
        np.testing.assert_allclose(scores, own(run_folder), atol=1e-6)
        assert (
            server.client.get(f"/v1/models/{place}").json()["model_version_status"][0]["state"] == "AVAILABLE"
        )
        told = server.client.get(f"/v1/models/{place}/metadata").json()
        assert told["model_spec"] == {"name": "bow", "signature_name": "", "version": found}
        assert list(told["metadata"]["signature_def"]["signature_def"]) == ["serving_default"]
    assert server.client.get("/v2/models/bow").json()["versions"] == [found]  # one version, whoever asks
    wrong = server.client.post("/v1/models/bow:predict", json={**body, "signature_name": "other"})
    assert (wrong.status_code, wrong.json()["error_type"]) == (404, "not_found")
    assert server.client.get("/v1/models/bow/versions/1").status_code == 404


# ---- methods, and pages elsewhere ------------------------------------------------------------------------


def test_head_and_options_are_answered(server: Server) -> None:
    for path in ("/v2/health/live", "/v2/health/ready"):
        answer = server.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
    answer = server.client.options("/predict")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")
    assert (
        "access-control-allow-origin"
        not in server.client.options("/predict", headers={"Origin": PAGE}).headers
    )


def test_a_page_that_is_named_may_ask_and_read(run_folder: Path) -> None:
    with serving(run_folder, "--allow-origin", PAGE) as server:
        server.until_ready()
        asks = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
        before = server.client.options("/predict", headers=asks)
        assert before.status_code == 204
        assert before.headers["access-control-allow-origin"] == PAGE
        assert "Content-Type" in before.headers["access-control-allow-headers"]
        headers = {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"}
        answer = server.client.post("/predict", json={"text": "gulls"}, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["vary"] == "Origin"
        for other in ("https://other.example", "http://page.example", "null"):
            refused = server.client.post("/predict", json={"text": "gulls"}, headers={"Origin": other})
            assert refused.status_code == 403
            assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("origin", ["*", "page.example", "https://page.example/path", "https://"])
def test_an_origin_is_exact(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"is no origin; give each as https://example.org"):
        allowed_origins([origin])
