"""A room of 150 on one small machine: everyone thinks, asks, and at the end all press at once.

    python bench/room.py [--run FOLDER] [--clients 150] [--seconds 60] [--steps bow,bert] [--smoke]

Starts `sopan serve` on loopback and asks it as the page does: each client loads the page, then with real
sentences, 1 to 4 seconds apart, by turns lets all steps predict and one explain, with its variants: the one
that is in view, from one sentence to the next the next step up; then all clients let all steps predict in the
same moment. A 429 is waited out and asked again, as the page does; its time counts. At last the model child
is killed (-9); the page must stay, and the child come back. The last line is JSON: times in milliseconds, the
press in seconds until the last answer, the memory of door and child once a minute, how fast it grew after a
warm-up of a third, and the seconds until the server was ready, first and after the kill.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from sopan import usecases
from sopan.text.read import read_corpus

MOST_CLIENTS, MOST_SECONDS = 1000, 3600
THINK = (1.0, 4.0)
PATIENCE = 15.0
PEOPLE = ("the actor", "my friend", "the director", "a small child", "the whole cast", "an old sailor")
DEEDS = {
    "good": ("charms us all", "is a delight", "shines"),
    "bad": ("bores us", "is a mess", "never wakes up"),
}


@dataclass
class Found:
    """What the clients saw: milliseconds by kind, and what went wrong."""

    times: dict[str, list[float]] = field(default_factory=lambda: {"page": [], "predict": [], "explain": []})
    errors: list[str] = field(default_factory=list)
    refused: int = 0


class Client:
    """One browser with one line to the server, as lean as can be: it shares the machine."""

    def __init__(self, port: int, found: Found, steps: list[str] | None) -> None:
        self.port, self.found, self.steps = port, found, steps
        self.flight: list[list[str]] = []
        self.reader: asyncio.StreamReader | None = None

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
        if self.reader is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        self.writer.write(head.encode() + b"\r\n" + content)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"content-length: (\d+)", answer.lower())
        return int(answer[9:12]), await self.reader.readexactly(int(size[1]) if size else 0)

    async def timed(self, kind: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        """Ask until there is an answer; anything but 200 and 429 is an error."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    status, content = await self.ask(path, body)
                    if status != 429:
                        break
                    self.found.refused += 1
                    await asyncio.sleep(json.loads(content)["retry_after"])
        except (OSError, EOFError, TimeoutError) as error:
            self.reader, status, content = None, 0, type(error).__name__.encode()
        if status == 200:
            self.found.times[kind].append(1000 * (time.perf_counter() - started))
        else:
            self.found.errors.append(f"{path}: {status} {content[:100]!r}")
        return content

    async def load_page(self) -> None:
        page = (await self.timed("page", "/")).decode(errors="replace")
        for path in sorted(set(re.findall(r"""(?:src|href)="\.?/?([\w./-]+\.(?:js|css|json|svg))""", page))):
            await self.timed("page", f"/{path}")
        self.flight = flight_of(json.loads(await self.timed("page", "/run"))["steps"], self.steps)

    def close(self) -> None:
        if self.reader is not None:
            self.writer.close()


def flight_of(served: list[dict[str, Any]], asked: list[str] | None) -> list[list[str]]:
    """Put a step's variants together, as the page shows them."""
    flight: dict[str, list[str]] = {}
    for step in (each["step"] for each in served):
        if asked is None or step in asked:
            flight.setdefault(step.partition(":")[0], []).append(step)
    return list(flight.values())


async def visit(client: Client, sentences: Sequence[str], until: float, seed: int) -> None:
    """Come in, then predict and have explained, with time to think, until it is over."""
    rng = random.Random(seed)
    await asyncio.sleep(rng.uniform(0, THINK[1]))
    await client.load_page()
    for turn in count(seed):
        text = rng.choice(sentences)
        for kind, steps in (("predict", client.steps), ("explain", client.flight[turn % len(client.flight)])):
            await asyncio.sleep(rng.uniform(*THINK))
            if time.monotonic() >= until:
                return
            await client.timed(kind, f"/{kind}", {"text": text, "steps": steps})


async def room(
    port: int, pids: Sequence[int], sentences: Sequence[str], options: argparse.Namespace
) -> dict[str, Any]:
    found, pressed = Found(), Found()
    clients = [Client(port, found, options.steps) for _ in range(options.clients)]
    until = time.monotonic() + options.seconds
    memory: list[tuple[float, float]] = []
    watching = asyncio.create_task(watch(pids, memory))
    await asyncio.gather(*(visit(client, sentences, until, seed) for seed, client in enumerate(clients)))
    watching.cancel()
    started = time.perf_counter()
    for client in clients:
        client.found = pressed
    asked = random.Random(-1).sample(list(sentences), min(len(sentences), len(clients)))
    await asyncio.gather(
        *(
            client.timed("predict", "/predict", {"text": asked[i % len(asked)], "steps": options.steps})
            for i, client in enumerate(clients)
        )
    )
    press = time.perf_counter() - started
    for client in clients:
        client.close()
    for error in (*found.errors, *pressed.errors)[:5]:
        print(error, file=sys.stderr)
    return {
        "bench": "room",
        "clients": options.clients,
        "errors": len(found.errors) + len(pressed.errors),
        "requests": sum(map(len, found.times.values())),
        "page_p95_ms": percentile(found.times["page"]),
        "predict_p50_ms": percentile(found.times["predict"], 50),
        "predict_p95_ms": percentile(found.times["predict"]),
        "explain_p50_ms": percentile(found.times["explain"], 50),
        "explain_p95_ms": percentile(found.times["explain"]),
        "press_s": round(press, 3),
        "refused": found.refused,
        "refused_in_press": pressed.refused,
        "rss_mb": [round(size) for _, size in memory[::120]],
        "rss_slope_mb_per_min": slope(memory),
    }


def percentile(times: list[float], share: float = 95) -> float | None:
    return round(float(np.percentile(times, share)), 1) if times else None


async def kill(port: int, child: int) -> float:
    """Kill the model child; return the seconds until the server was ready again and had answered."""
    client = Client(port, Found(), None)
    os.kill(child, signal.SIGKILL)
    started, gone = time.perf_counter(), False
    while time.perf_counter() - started < 2 * PATIENCE:
        status, _ = await client.ask("/v2/health/ready")
        gone = gone or status == 503
        if gone and status == 200:
            break
        page, _ = await client.ask("/")
        if page != 200:
            raise SystemExit(f"with its model child killed, the page answers {page}")
        await asyncio.sleep(0.02)
    status, _ = await client.ask("/predict", {"text": "A film that charms."})
    client.close()
    if not gone:
        raise SystemExit("with its model child killed, the server says that it is ready")
    if status != 200:
        raise SystemExit(f"a while after its model child was killed, the server answers {status}")
    return round(time.perf_counter() - started, 2)


# ---- memory --------------------------------------------------------------------------------------


async def watch(pids: Sequence[int], memory: list[tuple[float, float]]) -> None:
    """Note the megabytes of some processes, twice a second."""
    while True:
        with suppress(OSError):
            pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
            memory.append((time.monotonic(), pages * 4096 / 1e6))
        await asyncio.sleep(0.5)


def slope(memory: list[tuple[float, float]]) -> float | None:
    """Megabytes a minute, by least squares, over the last two thirds."""
    kept = np.array(memory[len(memory) // 3 :])
    if len(kept) < 4:
        return None
    return round(60 * float(np.polyfit(kept[:, 0] - kept[0, 0], kept[:, 1], 1)[0]), 2)


# ---- the server ----------------------------------------------------------------------------------


@contextmanager
def serving(folder: Path) -> Iterator[tuple[float, int, list[int]]]:
    """Serve a folder on loopback; give after how many seconds it was ready, its port and its processes."""
    main = "from sopan.cli import main; main()"
    command = [sys.executable, "-c", main, "serve", str(folder), "--port", "0"]
    started = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = 0
            for line in process.stderr:
                if address := re.search(r"http://\S+:(\d+)", line):
                    port = int(address[1])
                if line.strip() == "sopan: ready":
                    break
            else:
                raise SystemExit("the server did not start")
            ready = round(time.perf_counter() - started, 2)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield ready, port, [process.pid, *map(int, children)]
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()


def small_run(folder: Path) -> Path:
    """Train a small bag of words on made-up sentences, for a smoke."""
    rows = [f"{who} {deed} in scene {i},{label}" for label, deeds in DEEDS.items() for deed in deeds
            for who in PEOPLE for i in range(4)]  # fmt: skip
    (folder / "data.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    usecases.train("bow", folder / "data.csv", folder / "model", budget="1trials")
    return folder / "model"


def sentences_of(options: argparse.Namespace) -> list[str]:
    """Return sentences to ask about: a data set's shorter texts, or made-up ones for a smoke."""
    if options.smoke:
        deeds = [deed for some in DEEDS.values() for deed in some]
        return [f"{who} {deed}, as I saw {i} times" for who in PEOPLE for deed in deeds for i in range(20)]
    texts = read_corpus(options.data).texts.to_pylist()
    return [text for text in texts if 20 <= len(text) <= 400][:20_000]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a run or a model; a small one is trained unless given")
    parser.add_argument("--data", default="snippets", help="where the sentences come from")
    parser.add_argument("--clients", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--steps", type=lambda steps: steps.split(","), help="all unless given")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.clients, options.seconds = 8, 9
    if not (0 < options.clients <= MOST_CLIENTS and 0 < options.seconds <= MOST_SECONDS):
        parser.error(f"at most {MOST_CLIENTS} clients and {MOST_SECONDS} seconds")
    sentences = sentences_of(options)
    with tempfile.TemporaryDirectory(prefix="sopan-room-") as place:
        folder = options.run or small_run(Path(place))
        with serving(folder) as (ready, port, pids):
            result = asyncio.run(room(port, pids, sentences, options))
            result |= {"ready_s": ready, "back_after_kill_s": asyncio.run(kill(port, pids[1]))}
    for name, value in result.items():
        print(f"{name:22} {value}", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
