"""The JSON Schema of `results.json`, the one object that the leaderboard and the report are made from."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from sopan.types import Json


@cache
def results_schema() -> dict[str, Json]:
    """Return the JSON Schema (draft 2020-12) that every `results.json` keeps to."""
    schema: dict[str, Json] = json.loads(
        files(__package__).joinpath("results.schema.json").read_text(encoding="utf-8")
    )
    return schema
