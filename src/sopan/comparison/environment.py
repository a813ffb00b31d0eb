"""Where a comparison ran: enough to judge its times, nothing that names the user."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

import psutil

from sopan.text.arrow import cores
from sopan.types import Json

LIBRARIES = (
    "sopan",
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "pyarrow",
    "keras",
    "tensorflow-cpu",
    "tensorflow",
)


def environment() -> dict[str, Json]:
    """Describe the machine and the versions of the libraries that the figures depend on."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "cpu": _cpu(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "versions": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
