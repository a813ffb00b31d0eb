"""OpenVINO, kept from telling anybody that it was imported.

`import openvino` sends an event to its makers if the package `openvino_telemetry` is there, which it brings
along. Python takes a `None` among the modules for one that is not there, and OpenVINO is content with that.
"""

from __future__ import annotations

import sys

if "openvino" not in sys.modules:  # whoever imported it before us has let it have its way
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # that is how it is said

import openvino  # type: ignore[import-untyped]

__all__ = ["openvino"]
