"""Bad input: a 4xx that says what is wrong and repeats nothing, never a 5xx, and the server goes on."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from serving import Server

SECRET = "xyzzy-secret"
POSTS = (
    "/predict",
    "/explain",
    "/tokens",
    "/neighbors",
    "/guess",
    "/embed",
    "/fill",
    "/score",
    "/room/vote",
    "/room/show",
)
POSTS += ("/reload", "/v2/models/bow/infer", "/v1/models/bow:predict")
JSON = {"Content-Type": "application/json"}

BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "not JSON": (SECRET.encode(), 400),
    "NaN": (b'{"text": NaN}', 400),
    "Infinity": (b'{"text": -Infinity}', 400),
    "a float too large": (b'{"text": 1e999}', 400),
    "a number of 10,000 digits": (b'{"text": ' + b"9" * 10_000 + b"}", 400),
    "deep lists": (b"[" * 100_000 + b"]" * 100_000, 400),
    "deep objects": (b'{"text":' * 20_000 + b"1" + b"}" * 20_000, 400),
    "a key twice": (b'{"text": "a", "text": "xyzzy-secret"}', 400),
    "a lone surrogate": (rb'{"text": "xyzzy-secret \ud800"}', 400),
    "a lone surrogate as a key": (rb'{"\udfff": "a"}', 400),
    "NUL": (rb'{"text": "xyzzy-secret \u0000"}', 400),
    "a raw NUL": (b'{"text": "\0"}', 400),
    "UTF-16": ('{"text": "a"}'.encode("utf-16"), 400),
    "Latin-1": ('{"text": "é"}'.encode("latin-1"), 400),
    "a byte order mark": (b'\xef\xbb\xbf{"text": "a"}', 400),
    "more after it": (b'{"text": "a"} {"text": "b"}', 400),
    "a long list": (b'{"texts": [' + b"1," * 120_000 + b"1]}", 422),
    "33 texts": (json.dumps({"texts": ["a"] * 33}).encode(), 422),
    "no texts": (b'{"texts": []}', 422),
    "a long text": (json.dumps({"text": "a" * 10_001}).encode(), 422),
    "an unknown field": (b'{"text": "a", "xyzzy-secret": 1}', 422),
    "a number": (b'{"text": 12345678901}', 422),
    "null": (b"null", 422),
    "a list": (b'["xyzzy-secret"]', 422),
    "both": (b'{"text": "a", "texts": ["a"]}', 422),
    "neither": (b"{}", 422),
    "an unknown step": (b'{"text": "a", "steps": ["xyzzy-secret"]}', 422),
    "too large": (b'{"text": "' + b"a" * 300_000 + b'"}', 413),
}


@pytest.mark.parametrize("name", BODIES)
def test_bad_bodies_are_refused_and_not_repeated(server: Server, name: str) -> None:
    body, status = BODIES[name]
    answer = server.client.post("/predict", content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "error_type"}
    assert SECRET not in answer.text
    assert "12345678901" not in answer.text


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "name", ["NaN", "deep lists", "a key twice", "a lone surrogate", "null", "too large"]
)
def test_every_route_is_strict(server: Server, path: str, name: str) -> None:
    body, status = BODIES[name]
    answer = server.client.post(path, content=body, headers=JSON)
    assert answer.status_code in (status, 401), answer.text
    assert "error_type" in answer.json()


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/json; charset=latin-1"]
)
def test_other_types_are_refused(server: Server, kind: str) -> None:
    answer = server.client.post("/predict", content=b'{"text": "a"}', headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert answer.json()["error_type"] == "unsupported_media_type"


def chunks(count: int, sent: list[int]) -> Iterator[bytes]:
    yield b'{"text": "'
    for _ in range(count):
        sent.append(10_000)
        yield b"a" * 10_000


def test_a_body_without_a_length_is_counted_while_it_comes(server: Server) -> None:
    assert server.client.post("/predict", content=chunks(60, []), headers=JSON).status_code == 413
    sent: list[int] = []
    with contextlib.suppress(httpx.HTTPError):  # the line is closed while we still send
        assert server.client.post("/predict", content=chunks(5000, sent), headers=JSON).status_code == 413
    assert sum(sent) < 15_000_000, "the server read on and on"


def test_texts_that_are_odd_but_texts_are_answered(server: Server) -> None:
    odd = ["", " ", "\u202eabc", "e\u0301" * 50, "\u200b", "👩‍👩‍👧", "ছবিটা", "𝒳" * 10_000, "\ufffd", "[MASK]"]
    for path in ("/predict", "/explain", "/tokens"):
        for text in odd:
            answer = server.client.post(path, json={"text": text})
            assert answer.status_code == 200, (path, text[:10], answer.text)
    assert server.client.post("/embed", json={"texts": odd}).status_code == 200


def test_broken_http_harms_nobody(server: Server) -> None:
    for sent in (
        b"\0\xff\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(sent)
            raw.settimeout(5)
            assert not raw.recv(1000).startswith(b"HTTP/1.1 5")
    assert server.client.post("/predict", json={"text": "a"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/%2e%2e/pyproject.toml", "//etc/passwd", "/static/x", "/no"]
)
def test_no_path_of_a_client_is_opened(server: Server, path: str) -> None:
    answer = server.client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error_type"] == "not_found"


def test_other_methods_are_refused(server: Server) -> None:
    answer = server.client.get("/predict")
    assert answer.status_code == 405
    assert answer.json()["error_type"] == "method_not_allowed"
