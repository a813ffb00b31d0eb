"""The processes: a child that is killed, grows or hangs; a flood; a drain; a reload; half-open lines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving import BEARER, COMMAND, Server, serving

SCRIPTED = (sys.executable, str(Path(__file__).with_name("scripted_server.py")))


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose child does as the text says; see `scripted_child`."""
    tests = str(Path(__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]))
    with serving(tmp_path, command=SCRIPTED) as running:
        running.until_ready()
        yield running


def ask(server: Server, text: str) -> httpx.Response:
    return server.client.post("/predict", json={"text": text})


def in_background(server: Server, text: str, answers: list[int]) -> threading.Thread:
    def run() -> None:
        answers.append(httpx.post(f"{server.address}/predict", json={"text": text}, timeout=30).status_code)

    before = server.metric("sopan_waiting")
    thread = threading.Thread(target=run)
    thread.start()
    while server.metric("sopan_waiting") == before:
        time.sleep(0.01)
    return thread


def test_a_killed_child_comes_back_and_nothing_hangs(server: Server) -> None:
    before = ask(server, "the baker waters the roses").json()
    restarts, child = server.metric("sopan_child_restarts"), server.child()
    os.kill(child, signal.SIGKILL)
    killed = time.monotonic()
    while server.client.get("/v2/health/ready").status_code == 200:
        assert time.monotonic() < killed + 2
    assert server.client.get("/run").status_code == 200, "the page has what it needs"
    assert server.client.get("/v2/health/live").json() == {"live": True}
    waiting = ask(server, "the baker waters the roses again")  # waits for the next child
    assert waiting.status_code in (200, 503)
    assert time.monotonic() - killed < 11
    server.until_ready()
    assert ask(server, "the baker waters the roses").json() == before
    assert server.metric("sopan_child_restarts") == restarts + 1
    assert server.child() != child


def test_a_question_that_kills_is_asked_once_more_and_no_more(scripted: Server) -> None:
    started = time.monotonic()
    answer = ask(scripted, "die")
    assert answer.status_code == 503
    assert answer.json()["error_type"] == "late"
    assert time.monotonic() - started < 10
    scripted.until_ready()
    assert scripted.metric("sopan_child_restarts") == 2
    assert ask(scripted, "hello").status_code == 200


def test_no_request_hangs_past_its_deadline(scripted: Server) -> None:
    answers: list[int] = []
    started = time.monotonic()
    thread = in_background(scripted, "wait 11.5", answers)
    assert ask(scripted, "hello behind it").status_code == 503
    assert 9 < time.monotonic() - started < 11.4
    thread.join()
    assert answers == [503]


def test_a_child_that_grew_is_replaced_without_a_gap(scripted: Server) -> None:
    child = scripted.child()
    assert ask(scripted, "grow").status_code == 200
    until = time.monotonic() + 10
    while time.monotonic() < until:
        assert ask(scripted, f"hello {time.monotonic()}").status_code == 200
        with contextlib.suppress(AssertionError):  # two of them, for a moment
            if scripted.child() != child:
                break
        time.sleep(0.05)
    assert scripted.child() != child


def test_a_flood_is_refused_with_a_time_to_come_back(scripted: Server) -> None:
    async def flood() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=scripted.address, timeout=30, limits=limits) as client:
            ask(scripted, "wait 0.2")  # a slow child, as far as is known
            texts = [f"wait 0.05 {i} " + "long " * 300 for i in range(300)]
            return await asyncio.gather(*(client.post("/predict", json={"text": text}) for text in texts))

    answers = asyncio.run(flood())
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= 10
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert len({answer.json()["retry_after"] for answer in refused}) > 1, "with jitter"
    assert scripted.client.get("/v2/health/ready").status_code == 200
    time.sleep(3)
    assert ask(scripted, "hello").status_code == 200


def test_a_client_that_left_is_dropped(scripted: Server) -> None:
    answers: list[int] = []
    thread = in_background(scripted, "wait 1", answers)
    with contextlib.suppress(httpx.TimeoutException):
        httpx.post(f"{scripted.address}/predict", json={"text": "wait 5"}, timeout=0.2)
    started = time.monotonic()
    assert ask(scripted, "hello").status_code == 200
    assert time.monotonic() - started < 3, "the question of one who left was still asked"
    thread.join()


def test_half_open_lines_refuse_nobody(scripted: Server) -> None:
    head = (
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n" % scripted.port
    )
    starts = [b"", b"POST /pre", head, head + b'Content-Length: 50\r\n\r\n{"text": ']
    lines = [socket.create_connection(("127.0.0.1", scripted.port)) for _ in range(400)]
    try:
        for i, line in enumerate(lines):
            line.sendall(starts[i % len(starts)])
        started = time.monotonic()
        assert all(ask(scripted, f"hello {i}").status_code == 200 for i in range(20))
        assert time.monotonic() - started < 3
        lines[3].settimeout(13)
        assert lines[3].recv(100).startswith(b"HTTP/1.1 408"), "a body that never comes is given up"
    finally:
        for line in lines:
            line.close()


def test_half_a_head_is_given_up_and_disturbs_nobody(scripted: Server) -> None:
    whole = b"GET /v2/health/live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % scripted.port
    begun = (b"P", b"POST /pre", whole[:-2], whole + b"GET /v2", whole + whole + whole[:-2])
    lines = [socket.create_connection(("127.0.0.1", scripted.port)) for _ in range(len(begun) + 4)]
    silent, dribbling, slow, resting = lines[len(begun) :]
    started = time.monotonic()
    for line, sent in zip(lines, begun, strict=False):
        line.sendall(sent)
    slow.sendall(whole[:20])
    resting.sendall(whole)
    for second in range(9):
        dribbling.sendall(whole[second : second + 1])
        if second == 3:
            slow.sendall(whole[20:])
        assert ask(scripted, f"hello {second}").status_code == 200
        time.sleep(1)
    try:
        for line in (silent, dribbling, slow, *lines[: len(begun)]):
            line.settimeout(5)
            received = b"".join(iter(lambda one=line: one.recv(1000), b"")) if line is not slow else b""
            late = received.rpartition(b"HTTP/1.1 ")[2]
            assert late.startswith(b"408") == (line not in (silent, slow)), received
        assert 9 < time.monotonic() - started < 13
        assert slow.recv(1000).startswith(b"HTTP/1.1 200"), "slow, but in time"
        for line in (slow, resting):
            line.sendall(whole)
            assert b"HTTP/1.1 200" in line.recv(1000), "a line that rests between two requests stays open"
    finally:
        for line in lines:
            line.close()


def test_a_drain_finishes_what_waits_and_refuses_what_comes(scripted: Server) -> None:
    answers: list[int] = []
    threads = [in_background(scripted, f"wait 1 {i}", answers) for i in range(2)]
    scripted.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert scripted.client.get("/v2/health/ready").status_code == 503
    refused = ask(scripted, "hello")
    assert refused.status_code == 503
    assert refused.json()["error_type"] == "not_ready"
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    assert scripted.process.wait(timeout=5) == 0


def test_when_the_server_is_killed_the_child_goes_too(scripted: Server) -> None:
    child = scripted.child()
    scripted.process.kill()
    until = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()


def test_a_reload_swaps_and_a_bad_one_changes_nothing(scripted: Server, tmp_path: Path) -> None:
    child = scripted.child()
    answer = scripted.client.post("/reload", json={}, headers=BEARER)
    assert answer.json() == {"model": "feed", "before": "feed"}
    assert ask(scripted, "hello").status_code == 200
    new = scripted.child()
    assert new != child
    (tmp_path / "broken").touch()
    answer = scripted.client.post("/reload", json={}, headers=BEARER)
    assert answer.status_code == 503
    assert answer.json()["error_type"] == "reload_failed"
    assert scripted.child() == new
    assert ask(scripted, "hello again").status_code == 200


def test_a_folder_without_a_model_is_one_line(tmp_path: Path) -> None:
    command = [*COMMAND, str(tmp_path), "--port", "0", "--lm", "none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    line = done.stderr.strip().splitlines()[-1]
    assert "no config.json" in line
    assert "sopan train" in line
