"""sopan: every step of text representation, from bag of words to BERT, on your own text.

import sopan
result = sopan.compare("reviews.csv")          # every step trained, measured, weighed
model = sopan.BagOfWords().fit(texts, labels)  # each step is a scikit-learn classifier
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Attention": "sopan.steps.attention",
    "BagOfWords": "sopan.steps.bow",
    "Bert": "sopan.steps.bert",
    "CBOW": "sopan.steps.cbow",
    "Cascade": "sopan.steps.cascade",
    "SelfAttention": "sopan.steps.self_attention",
    "SopanError": "sopan.errors",
    "Stack": "sopan.steps.stack",
    "Transformer": "sopan.steps.transformer",
    "audit": "sopan.usecases",
    "compare": "sopan.usecases",
    "explain": "sopan.usecases",
    "load": "sopan.usecases",
}
__all__ = [  # served by __getattr__
    "CBOW",
    "Attention",
    "BagOfWords",
    "Bert",
    "Cascade",
    "SelfAttention",
    "SopanError",
    "Stack",
    "Transformer",
    "audit",
    "compare",
    "explain",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import sopan` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sopan' has no attribute {name!r}")
    from sopan.steps import import_with_backend  # noqa: PLC0415  # what `import sopan` does without

    value = getattr(import_with_backend(_HOMES[name], f"sopan.{name}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
