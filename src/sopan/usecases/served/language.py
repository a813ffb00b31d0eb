"""The language model that is served: it fills blanks and scores texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from sopan.errors import InputError
from sopan.rungs import import_with_backend
from sopan.rungs.presets import from_preset, preset_folder
from sopan.types import Json

MOST_BLANKS = 4
"""That are filled together."""
MASK = "[MASK]"
DECIMALS = 6
BYTES = 1 << 20


class Speaker:
    """A language model, loaded when it is first asked.

    Args:
        name: a preset, a folder of a BERT or its name on the hub.

    Raises:
        SopanError: nothing has that name.
    """

    def __init__(self, name: str) -> None:
        self.folder = preset_folder(name)
        self.name = self.folder.name

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits of the SHA-256 of its files."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                digest.update(path.name.encode())
                with path.open("rb") as stream:
                    while block := stream.read(BYTES):
                        digest.update(block)
        return digest.hexdigest()[:16]

    @cached_property
    def model(self) -> Any:
        """The model itself."""
        return from_preset(self.folder)

    def _lm(self, module: str) -> Any:
        """Import what asks a language model, and Keras with it."""
        return import_with_backend(f"sopan.lm.{module}", "a language model")

    def fill(self, question: Mapping[str, Json]) -> dict[str, Json]:
        """Fill the blanks of a text; see `POST /fill`."""
        text = question["text"]
        blanks = text.count(MASK)
        if not 0 < blanks <= MOST_BLANKS:
            raise InputError(f"the text needs 1 to {MOST_BLANKS} blanks, each written {MASK}")
        asked = text[: text.rindex(MASK) + len(MASK)] if question["left_only"] else text
        found = self._lm("fill").fill(self.model, asked, top=question["top"]).as_json()
        reads = "the left side" if question["left_only"] else found["reads"]
        rest = text[len(asked) :]
        return {
            "language_model": self.name,
            "text": text,
            "reads": reads,
            "truncated": found["truncated"],
            "blanks": [[_rounded(candidate) for candidate in blank] for blank in found["blanks"]],
            "joint": [_rounded(one) | {"text": one["text"] + rest} for one in found["joint"]],
        }

    def score(self, question: Mapping[str, Json]) -> dict[str, Json]:
        """Say how likely texts are; see `POST /score`."""
        return {"language_model": self.name, "results": [self._score(text) for text in question["texts"]]}

    def _score(self, text: str) -> dict[str, Json]:
        found = self._lm("score").score(self.model, text).as_json()
        words = [
            {name: word[name] for name in ("text", "start", "end", "known")}
            | {"log_probability": round(word["log_probability"], DECIMALS)}
            for word in found["words"]
        ]
        kept = {name: found[name] for name in ("text", "method", "n_words", "windowed")}
        each = found["perplexity_per_word"]
        perplexity = None if each is None else round(each, DECIMALS)
        return {
            **kept,
            "total": round(found["total"], DECIMALS),
            "perplexity_per_word": perplexity,
            "words": words,
        }


def _rounded(found: dict[str, Json]) -> dict[str, Json]:
    return {**found, "probability": float(np.round(found["probability"], DECIMALS))}
