"""sopan: every step of text representation, from bag of words to BERT, on your own text.

import sopan
result = sopan.compare("reviews.csv")          # every step trained, measured, weighed
model = sopan.BagOfWords().fit(texts, labels)  # each step is a scikit-learn classifier
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "BagOfWords": "sopan.steps.bow",
    "CBOW": "sopan.steps.cbow",
    "SopanError": "sopan.errors",
    "audit": "sopan.usecases",
    "compare": "sopan.usecases",
    "explain": "sopan.usecases",
    "load": "sopan.usecases",
}
__all__ = ["CBOW", "BagOfWords", "SopanError", "audit", "compare", "explain", "load"]  # served by __getattr__


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import sopan` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sopan' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
