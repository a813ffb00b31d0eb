"""The room: the presenter shows, all follow, each has one vote."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import missing
from serving import BEARER, COMMAND, Server

POLL = {"question": "What is it?", "options": ["garden", "harbour"]}


@pytest.fixture(autouse=True)
def empty_room(server: Server) -> Iterator[None]:
    yield
    server.client.cookies.clear()
    shown = {"presenting": False, "text": None, "step": None, "slide": 0, "poll": None}
    assert server.client.post("/room/show", json=shown, headers=BEARER).status_code == 200


def show(server: Server, **what: object) -> dict:
    answer = server.client.post("/room/show", json=what, headers=BEARER)
    assert answer.status_code == 200, answer.text
    return answer.json()


def events(server: Server, count: int) -> Iterator[dict]:
    with httpx.stream("GET", f"{server.address}/room/events", timeout=10) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))
                count -= 1
                if not count:
                    return


def test_only_what_is_named_changes(server: Server) -> None:
    show(server, presenting=True, text="the baker waters the roses", step="cbow", slide=3)
    told = show(server, slide=4)
    assert told["text"] == "the baker waters the roses"
    assert (told["slide"], told["step"], told["presenting"]) == (4, "cbow", True)
    assert show(server, text=None)["text"] is None
    assert server.client.get("/room").json()["slide"] == 4


def test_all_follow_live(server: Server) -> None:
    following = events(server, 3)
    first = next(following)
    assert not first["presenting"]
    show(server, presenting=True, text="roses")
    started = time.monotonic()
    while not (second := next(following))["presenting"]:
        pass
    assert second["text"] == "roses"
    assert second["here"] == 1
    assert "yours" not in second
    assert time.monotonic() - started < 2


def test_each_client_has_one_vote_and_the_last_counts(server: Server) -> None:
    assert server.client.post("/room/vote", json={"choice": "garden"}).status_code == 422
    show(server, poll=POLL)
    for number in range(5):
        with httpx.Client(base_url=server.address) as client:
            for choice in ("harbour", "garden" if number else "harbour"):
                answer = client.post("/room/vote", json={"choice": choice})
                assert answer.json()["yours"] == choice
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "samesite=strict" in cookie.lower()
            assert client.get("/room").json()["yours"] == choice
    votes = server.client.get("/room").json()["poll"]["votes"]
    assert votes == {"garden": 4, "harbour": 1}
    assert server.client.post("/room/vote", json={"choice": "zzz"}).status_code == 422
    closed = show(server, poll={**POLL, "open": False})
    assert closed["poll"]["votes"] == votes, "closing keeps the votes"
    assert server.client.post("/room/vote", json={"choice": "garden"}).status_code == 422
    assert show(server, poll={"options": ["a", "b"]})["poll"]["votes"] == {"a": 0, "b": 0}


def test_a_made_up_cookie_is_no_voter(server: Server) -> None:
    show(server, poll=POLL)
    with httpx.Client(base_url=server.address, cookies={"sopan_client": "x" * 5000}) as client:
        answer = client.post("/room/vote", json={"choice": "garden"})
        assert "sopan_client=" in answer.headers["set-cookie"]
        assert "xxx" not in answer.headers["set-cookie"]


def test_all_of_it_works_without_a_network(run_folder: Path) -> None:
    script = Path(__file__).with_name("without_network.py")
    alone = ["unshare", "--map-root-user", "--net", sys.executable, str(script), str(run_folder), *COMMAND]
    if subprocess.run([*alone[:3], "true"], check=False, capture_output=True).returncode:
        missing("unshare, to run without a network")
    done = subprocess.run(alone, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"predict": 200, "explain": 200, "page": 200, "vectors": 200, "sent": 0}
