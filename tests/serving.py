"""A server to test: small models in the folder of a run, and the process that serves them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
from quick_steps import LABELS, TEXTS, quick
from results_sample import sample_json

from sopan.fit.artifact import save_model
from sopan.text.parquet import write_parquet

TOKEN = "a token of tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
STEPS = ("bow", "cbow")
COMMAND = (sys.executable, "-c", "from sopan.cli import main; main()", "serve")


def make_run(folder: Path) -> Path:
    """Write a run as `sopan compare` does: models that know three topics, and made-up scores."""
    for step in STEPS:
        save_model(quick(step).fit(TEXTS, LABELS), folder / "models" / step, data={"name": "toy"}, metrics={})
    results = sample_json(STEPS, tuple(sorted(set(LABELS))), n_test=90)
    (folder / "results.json").write_text(json.dumps(results))
    said = {
        "bow": ["garden", "garden", "kitchen", "harbour"],
        "cbow": ["garden", "kitchen", "kitchen", "garden"],
    }
    truth = ["garden", "garden", "harbour", "garden"]
    rows = [(i, truth[i], step, said[step][i]) for step in STEPS for i in range(4)]
    columns = zip(("row", "label", "step", "predicted"), zip(*rows, strict=True), strict=True)
    write_parquet(pa.table({name: list(values) for name, values in columns}), folder / "predictions.parquet")
    return folder


class Server:
    """A running `sopan serve`."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address
        self.port = int(address.rpartition(":")[2])
        self.client = httpx.Client(base_url=address, timeout=30)

    def until_ready(self, seconds: float = 60) -> float:
        """Wait until it is ready; return how long that took."""
        started = time.monotonic()
        while time.monotonic() < started + seconds:
            with contextlib.suppress(httpx.HTTPError):
                if self.client.get("/v2/health/ready").json()["ready"]:
                    return time.monotonic() - started
            time.sleep(0.02)
        raise AssertionError("the server is not ready")

    def metric(self, name: str) -> float:
        """Read one number of /metrics."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.client.get("/metrics").text, re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    def child(self) -> int:
        """Return the process id of the model child."""
        listing = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        assert len(listing) == 1, listing
        return int(listing[0])


@contextlib.contextmanager
def serving(*arguments: str | Path, command: tuple[str, ...] = COMMAND) -> Iterator[Server]:
    """Run a server at a free port until the block ends."""
    given = [*command, *map(str, arguments)]
    process = subprocess.Popen(given, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"})
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found is not None, line + (process.stderr.read() if process.poll() is not None else "")
        server = Server(process, found[0])
        yield server
        server.client.close()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def spread(values: object) -> np.ndarray:
    """Return numbers as an array, for comparisons."""
    return np.asarray(values, np.float64)
