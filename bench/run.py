"""Run the measurements in this folder, one process each, and gather their JSON lines.

    python bench/run.py [--smoke] [NAME ...]

Each script prints a table and ends with lines of JSON, one a peer: `measure.report`. They go to
bench/out/results.jsonl behind a line about the machine; those of a script that is named take the place of its
older ones, unless the machine or a library changed, which empties the file. With `--smoke` each does the same
work on little data, two scripts at a time, which shows that they run and no more; nothing is kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from sopan.comparison.comparison import environment

SCRIPTS: dict[str, list[str]] = {
    "limit": ["--smoke"],
    "bert_predict": ["--smoke"],
    "bert_latency": ["--smoke"],
    "bert_train": ["--smoke", "--only", "masked", "--who", "sopan", "Trainer"],
    "bow_count": ["--smoke"],
    "wordpiece": ["--smoke"],
    "compare": ["--smoke"],
    "memory": ["--smoke"],
    "dependencies": ["--smoke"],
    "verdict_honesty": ["--smoke"],
    "combined_honesty": ["--smoke"],
    "cbow": ["--smoke"],
    "room": ["--smoke"],
    "few_labels": ["--smoke"],
    "first_guess": ["--smoke"],
    "one_vs_rest": ["--smoke"],
    "frozen_layers": ["--smoke"],
    "near_copies": ["--smoke"],
}
"""Each measurement, with what makes a smoke of it."""
PEERS = (
    "fasttext-numpy2-wheel", "gensim", "keras-hub", "nncf", "onnxruntime",
    "openvino", "tokenizers", "torch", "transformers",
)  # fmt: skip
"""Libraries whose versions the figures depend on, beside those of a comparison."""
RESULTS = Path(__file__).with_name("out") / "results.jsonl"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCRIPTS)}; all if none is")
    parser.add_argument("--smoke", action="store_true", help="a few seconds each")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(SCRIPTS)):
        parser.error(f"there is no measurement {unknown[0]}")
    gathered: list[dict[str, Any]] = []
    failed = []
    names = list(options.names or SCRIPTS)
    with ThreadPoolExecutor(2 if options.smoke else 1) as threads:  # a smoke measures nothing
        done = threads.map(lambda name: run(name, SCRIPTS[name] if options.smoke else []), names)
        for name, (found, right) in zip(names, done, strict=True):
            gathered += found
            if not right:
                failed.append(name)
            elif not options.smoke:
                keep(name, found)
    print("\n== all")
    for result in gathered:
        print(json.dumps(result))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def run(name: str, given: list[str]) -> tuple[list[dict[str, Any]], bool]:
    """Run one script; return its results and whether it ended well with at least one."""
    started = time.perf_counter()
    script = Path(__file__).with_name(f"{name}.py")
    done = subprocess.run(
        [sys.executable, str(script), *given], stdout=subprocess.PIPE, text=True, check=False
    )
    print(f"\n== {name}\n{done.stdout}", end="", flush=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"bench"')]
    about = {
        "script": name,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "script_seconds": round(time.perf_counter() - started, 1),
    }
    return [line | about for line in lines], not done.returncode and bool(lines)


def keep(name: str, found: list[dict[str, Any]]) -> None:
    """Write a script's results among those of the others that were found on the same machine."""
    here = machine()
    kept: list[dict[str, Any]] = []
    if RESULTS.exists():
        there, *kept = map(json.loads, RESULTS.read_text().splitlines())
        if there != here:
            print("the machine or a library has changed: older results are dropped", file=sys.stderr)
            kept = []
    kept = [line for line in kept if line["script"] in SCRIPTS and line["script"] != name] + found
    kept.sort(key=lambda line: list(SCRIPTS).index(line["script"]))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("".join(f"{json.dumps(line)}\n" for line in (here, *kept)))


def machine() -> dict[str, Any]:
    """Describe the machine, and the libraries of both sides."""
    here = environment().as_json()
    installed = {found.metadata["Name"]: found.version for found in metadata.distributions()}
    versions = here["versions"] | {name: installed[name] for name in PEERS if name in installed}
    return here | {"versions": dict(sorted(versions.items()))}


if __name__ == "__main__":
    sys.exit(main())
