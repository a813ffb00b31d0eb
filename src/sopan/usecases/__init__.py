"""The only door: everything that the command line, the API or a notebook may ask of sopan.

Each function reads its input, hands it down the floors, and returns a value; none prints.
"""

from sopan.usecases.comparing import audit, compare, fetch_data
from sopan.usecases.inputs import Parts, Reading, token_rule
from sopan.usecases.models import (
    embed_file,
    evaluate,
    export,
    load,
    neighbors,
    predict_file,
    predict_text,
    train,
)

__all__ = [
    "Parts",
    "Reading",
    "audit",
    "compare",
    "embed_file",
    "evaluate",
    "export",
    "fetch_data",
    "load",
    "neighbors",
    "predict_file",
    "predict_text",
    "token_rule",
    "train",
]
