"""The only way in: everything that the command line, the API or a notebook may ask of sopan.

Each function reads its input, hands it down the floors, and returns a value; none prints.
"""

from __future__ import annotations

from typing import Any

from sopan.steps import import_with_backend

_HOMES = {
    "adapt": "adapting",
    "audit": "comparing",
    "compare": "comparing",
    "compare_objectives": "adapting",
    "distill": "distilling",
    "embed": "models",
    "evaluate": "models",
    "explain": "explaining",
    "export": "models",
    "fetch_data": "comparing",
    "fill": "language",
    "generate": "language",
    "get_preset": "language",
    "list_presets": "language",
    "load": "models",
    "neighbors": "models",
    "predict": "predicting",
    "pretrain": "pretraining",
    "score": "language",
    "ServedRun": "served.service",
    "train": "models",
    "write_word_map": "served.served_step",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605  # a list, as sorted makes


def __getattr__(name: str) -> Any:
    """Import a use case when it is first asked for: predicting need not load what draws reports."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sopan.usecases' has no attribute {name!r}")
    return getattr(import_with_backend(f"sopan.usecases.{_HOMES[name]}", name), name)
