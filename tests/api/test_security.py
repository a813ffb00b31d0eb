"""Who may ask: hosts, origins, tokens, and what the page may do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from serving import BEARER, COMMAND, Server

from sopan.serve.server import allowed_hosts

TEXT = {"text": "a warm film"}


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "localhost.evil.example:{port}", "127.0.0.1:1", ""]
)
def test_other_hosts_are_refused(server: Server, host: str) -> None:
    answer = server.client.get("/run", headers={"Host": host.format(port=server.port)})
    assert answer.status_code in (400, 421), answer.text  # 400: HTTP's own, for an empty one


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_our_own_hosts_are_taken(server: Server, host: str) -> None:
    assert server.client.get("/run", headers={"Host": host.format(port=server.port)}).status_code == 200


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "https://localhost", "file://", ""])
def test_writes_from_other_pages_are_refused(server: Server, origin: str) -> None:
    answer = server.client.post("/predict", json=TEXT, headers={"Origin": origin})
    assert answer.status_code == 403
    assert answer.json()["error_type"] == "foreign_origin"


def test_writes_from_our_own_page_are_taken(server: Server) -> None:
    assert server.client.post("/predict", json=TEXT, headers={"Origin": server.address}).status_code == 200
    crossing = {"Sec-Fetch-Site": "cross-site"}
    assert server.client.post("/predict", json=TEXT, headers=crossing).status_code == 403


def test_no_other_page_may_read_us(server: Server) -> None:
    answer = server.client.get("/run", headers={"Origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/run", "/nothing", "/openapi.json", "/v2/health/live"])
def test_every_answer_is_guarded(server: Server, path: str) -> None:
    headers = server.client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-sopan-model"] == server.client.get("/run").json()["model"]
    assert "server" not in headers


@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic a token of tests"}]
)
@pytest.mark.parametrize("path", ["/reload", "/room/show"])
def test_what_changes_things_needs_the_token(server: Server, path: str, given: dict[str, str]) -> None:
    answer = server.client.post(path, json={}, headers=given)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_is_taken(server: Server) -> None:
    assert server.client.post("/room/show", json={}, headers=BEARER).status_code == 200


def test_all_interfaces_need_a_token(run_folder: Path) -> None:
    command = [*COMMAND, str(run_folder), "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--token" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_list_of_hosts_is_exact() -> None:
    assert allowed_hosts("127.0.0.1", 8000) == {"127.0.0.1:8000", "localhost:8000", "[::1]:8000"}
    assert "talk.example:8000" in allowed_hosts("0.0.0.0", 8000, ["Talk.example"])
    assert "talk.example" in allowed_hosts("0.0.0.0", 80, ["talk.example"])


def test_the_server_loads_no_models() -> None:
    code = (
        "import sys, sopan.serve.app, sopan.serve.server, uvicorn\n"
        "print(sorted({'tensorflow', 'keras', 'numpy', 'torch', 'openvino', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
