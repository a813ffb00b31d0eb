"""Run every measurement in this folder, one process each, and gather their JSON lines.

    python bench/run.py [--smoke]

Each script prints a table and ends with one line of JSON (or several, one a peer). With `--smoke` each
does the same work on little data, in seconds, which shows that it runs and no more.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = {
    "dependencies": ["--smoke"],
    "verdict_honesty": ["--smoke"],
    "cbow_quality": ["--texts", "400", "--seeds", "1"],
    "room": ["--smoke"],
}
"""Each measurement, with what makes a smoke of it."""


def main() -> int:
    smoke = "--smoke" in sys.argv[1:]
    gathered, failed = [], []
    for name, smoke_options in SCRIPTS.items():
        print(f"\n== {name}", flush=True)
        started = time.perf_counter()
        script = Path(__file__).with_name(f"{name}.py")
        done = subprocess.run(
            [sys.executable, str(script), *(smoke_options if smoke else [])],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        print(done.stdout, end="")
        results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"bench"')]
        if done.returncode or not results:
            failed.append(name)
        gathered += [result | {"seconds": round(time.perf_counter() - started, 1)} for result in results]
    print("\n== all")
    for result in gathered:
        print(json.dumps(result))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
