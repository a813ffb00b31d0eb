"""Where a comparison ran: enough to judge its times, nothing that names the user."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

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
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gb": round(_memory_bytes() / 1e9, 1),
        "versions": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
