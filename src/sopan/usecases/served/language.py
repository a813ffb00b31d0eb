"""The language model that is served: it fills blanks and scores texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from sopan.errors import InputError
from sopan.lm.fill import fill
from sopan.lm.score import score
from sopan.runtime.language import RuntimeLanguageModel
from sopan.runtime.network import encoder_body
from sopan.steps.bert_folder import read_bert_folder
from sopan.steps.encoder_config import EncoderConfig
from sopan.steps.presets import preset_folder
from sopan.text.packing import Rows
from sopan.text.wordpiece import WordPiece
from sopan.types import Float32Array, Int32Array, Json
from sopan.usecases.served.step import DECIMALS

MOST_BLANKS = 4
"""That are filled together."""
MASK = "[MASK]"
LEFT = {"sopan-mini": "sopan-mini-causal"}
"""Models as large that see the left side of a word alone, of those that see both."""


@dataclass(frozen=True, eq=False)
class LoadedLanguageModel:
    """A language model in a runtime; see `sopan.lm.ask.AnyLanguageModel`.

    Args:
        config: of its encoder.
        wordpiece: cuts texts.
        missing_heads: heads that its folder lacked.
        network: its network.
    """

    config: EncoderConfig
    wordpiece: WordPiece
    missing_heads: tuple[str, ...]
    network: RuntimeLanguageModel

    @classmethod
    def read(cls, folder: Path) -> LoadedLanguageModel:
        """Read a folder that holds a BERT, as Hugging Face lays it out.

        Raises:
            ModelFolderError: there is none, or it is damaged.
        """
        found = read_bert_folder(folder)
        body = encoder_body(asdict(found.config), "none", found.config.max_length)
        network = RuntimeLanguageModel(found.weights, body)
        return cls(found.config, found.wordpiece, found.missing_heads, network)

    @property
    def objective(self) -> Literal["masked", "causal"]:
        """Whether it fills blanks or predicts the next piece."""
        return "causal" if self.config.causal else "masked"

    def logits(self, rows: Rows, at: Int32Array) -> Float32Array:
        """Return the logits (P, V) of the pieces at P places in B · T; a row is one text."""
        return self.network.logits(rows.ids, rows.blocks > 0, at)


class ServedLanguageModel:
    """A language model, loaded when it is first asked.

    Args:
        name: a preset, a folder of a BERT or its name on the hub.

    Raises:
        SopanError: nothing has that name.
    """

    def __init__(self, name: str) -> None:
        self._asked = name
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
                    hashlib.file_digest(stream, lambda: digest)
        return digest.hexdigest()[:16]

    @cached_property
    def model(self) -> LoadedLanguageModel:
        """The model itself."""
        return LoadedLanguageModel.read(self.folder)

    @cached_property
    def left(self) -> tuple[str, LoadedLanguageModel]:
        """The name and the model that fills a blank from its left side: a causal one, or this one unaided."""
        if (name := LEFT.get(self._asked)) is None:
            return self.name, self.model
        return name, LoadedLanguageModel.read(preset_folder(name))

    def fill(self, question: Mapping[str, Json]) -> dict[str, Json]:
        """Fill the blanks of a text; see `POST /fill`."""
        text = question["text"]
        blanks = text.count(MASK)
        if not 0 < blanks <= MOST_BLANKS:
            raise InputError(f"the text needs 1 to {MOST_BLANKS} blanks, each written {MASK}")
        asked = text[: text.rindex(MASK) + len(MASK)] if question["left_only"] else text
        name, model = self.left if question["left_only"] else (self.name, self.model)
        found = fill(model, asked, top=question["top"]).as_json()
        reads = "the left side" if question["left_only"] else found["reads"]
        rest = text[len(asked) :]
        return {
            "language_model": name,
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
        found = score(self.model, text).as_json()
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
