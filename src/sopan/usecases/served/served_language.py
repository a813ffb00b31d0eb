"""The language model that is served: it fills blanks and scores texts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from sopan.errors import InputError
from sopan.lm.fill import fill_blanks
from sopan.lm.score import perplexity, score_text
from sopan.runtime.encoder_config import EncoderConfig
from sopan.runtime.language import RuntimeLanguageModel
from sopan.steps.bert_folder import read_bert_folder
from sopan.steps.presets import preset_folder
from sopan.text.packing import Rows
from sopan.text.piece_tokenizer import PieceTokenizer
from sopan.types import Float32Array, Int32Array
from sopan.usecases.served.answers import BlankFilling, TextFilling, TextFillings, TextScore
from sopan.usecases.served.served_step import DECIMALS

MOST_BLANKS = 4
"""Of a text that is filled."""
MASK = "[MASK]"
LEFT = {"sopan-mini": "sopan-mini-causal"}
"""Models as large that see the left side of a word alone, of those that see both."""


@dataclass(frozen=True, eq=False)
class LoadedLanguageModel:
    """A language model in a runtime, a `sopan.lm.inference.AnyLanguageModel`.

    Args:
        config: of its encoder.
        wordpiece: cuts texts.
        missing_heads: heads that its folder lacked.
        network: its network.
    """

    config: EncoderConfig
    wordpiece: PieceTokenizer
    missing_heads: tuple[str, ...]
    network: RuntimeLanguageModel

    @classmethod
    def read(cls, folder: Path) -> LoadedLanguageModel:
        """Read a folder that holds a BERT, as Hugging Face lays it out.

        Raises:
            ModelFolderError: there is none, or it is damaged.
        """
        found = read_bert_folder(folder)
        network = RuntimeLanguageModel(found.weights, found.config)
        return cls(found.config, found.wordpiece, found.missing_heads, network)

    @property
    def objective(self) -> Literal["masked", "causal"]:
        """Whether it fills blanks or predicts the next piece."""
        return "causal" if self.config.causal else "masked"

    def logits(self, rows: Rows, at: Int32Array) -> Float32Array:
        """Return the logits (P, V) of the pieces at P places in B · T; a row is one text."""
        return self.network.logits(rows.ids, rows.blocks > 0, at)


class ServedLanguageModel:
    """A language model, loaded when it is first used.

    Args:
        name: a preset, a folder of a BERT or its name on the hub.

    Raises:
        SopanError: nothing has that name.
    """

    def __init__(self, name: str) -> None:
        self._given = name
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
        if (name := LEFT.get(self._given)) is None:
            return self.name, self.model
        return name, LoadedLanguageModel.read(preset_folder(name))

    def fill(self, text: str, top: int, *, left_only: bool) -> TextFillings:
        """Fill the blanks of a text; `left_only`: nothing behind the last of them is read.

        Raises:
            InputError: it has no blank, or too many.
        """
        if not 0 < text.count(MASK) <= MOST_BLANKS:
            raise InputError(f"the text needs 1 to {MOST_BLANKS} blanks, each written {MASK}")
        end = text.rindex(MASK) + len(MASK) if left_only else len(text)
        name, model = self.left if left_only else (self.name, self.model)
        found = fill_blanks(model, text[:end], top=top)
        blanks: list[list[BlankFilling]] = [
            [
                {"text": c.text, "probability": _rounded(c.probability), "pieces": list(c.pieces)}
                for c in blank
            ]
            for blank in found.blanks
        ]
        joint: list[TextFilling] = [
            {"text": f.text + text[end:], "words": list(f.words), "probability": _rounded(f.probability)}
            for f in found.joint
        ]
        return {
            "language_model": name,
            "text": text,
            "reads": "the left side" if left_only else found.reads,
            "truncated": found.truncated,
            "blanks": blanks,
            "joint": joint,
        }

    def score(self, text: str) -> TextScore:
        """Say how likely a text is, and each of its words."""
        found = score_text(self.model, text)
        each = perplexity(found.total, len(found.words))
        return {
            "text": found.text,
            "method": found.method,
            "n_words": len(found.words),
            "windowed": found.windowed,
            "total": _rounded(found.total),
            "perplexity_per_word": None if each is None else _rounded(each),
            "words": [
                {
                    "text": word.text,
                    "start": word.start,
                    "end": word.end,
                    "known": word.known,
                    "log_probability": _rounded(word.log_probability),
                }
                for word in found.words
            ],
        }


def _rounded(number: float) -> float:
    return round(float(number), DECIMALS)
