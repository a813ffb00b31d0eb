"""What each dependency costs: megabytes on disk, and CPU milliseconds to import.

    python bench/dependencies.py [--smoke]

Sizes are of the files that the installed distribution lists; times are CPU time (user and system) of a fresh
interpreter that imports the module, less that of one that imports nothing, the median of seven (once
for a smoke).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

MODULES = {
    "scikit-learn": "sklearn.linear_model",
    "vl-convert-python": "vl_convert",
    "pyarrow": "pyarrow.parquet",
}
REPEATS = 1 if "--smoke" in sys.argv[1:] else 7


def megabytes(distribution: str) -> float:
    """Size on disk of one installed distribution, compiled caches left out."""
    files = metadata.files(distribution) or []
    paths = (Path(str(f.locate())) for f in files if f.suffix != ".pyc")
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def cpu_ms(statement: str) -> float:
    """Median CPU time of a fresh interpreter that runs one statement."""
    times = []
    for _ in range(REPEATS):
        before = os.times()
        subprocess.run([sys.executable, "-c", statement], check=True, stderr=subprocess.DEVNULL)
        after = os.times()
        children = (
            after.children_user - before.children_user,
            after.children_system - before.children_system,
        )
        times.append(sum(children) * 1e3)
    return statistics.median(times)


def main() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    names = [Requirement(line).name for line in project["dependencies"]]
    names = [name for name in (*names, "tensorflow-cpu") if _installed(name)]  # one of TensorFlow's builds
    bare = cpu_ms("pass")
    rows = []
    for name in names:
        module = MODULES.get(name, name.removesuffix("-cpu").replace("-", "_"))
        rows.append((name, metadata.version(name), megabytes(name), cpu_ms(f"import {module}") - bare))
    print(f"{'dependency':<20}{'version':<14}{'MB':>8}{'import ms':>11}")
    for name, version, size, milliseconds in sorted(rows, key=lambda row: -row[2]):
        print(f"{name:<20}{version:<14}{size:>8.1f}{milliseconds:>11.0f}")
    print(json.dumps({"bench": "dependencies", "megabytes": round(sum(row[2] for row in rows), 1)}))


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
