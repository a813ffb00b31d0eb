"""One served step: a network in a runtime, or `bow` or `cbow` itself, and all that may be asked of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sopan.errors import ModelFolderError
from sopan.fit.saved import Saved, label_names, read_saved
from sopan.fit.served import Predictor, Served, load_served
from sopan.runtime.graph import Graph
from sopan.runtime.network import Network, describe
from sopan.runtime.numpy_operations import NumPyOperations
from sopan.runtime.program import compile_network, read_texts
from sopan.storage.manifest import MANIFEST
from sopan.text.arrow import as_texts
from sopan.text.batch import FIRST_WORD
from sopan.text.intake import Intake, PieceIntake
from sopan.text.vectors import WordVectors
from sopan.types import Float32Array, Json, Prediction
from sopan.usecases.served.records import read_config
from sopan.usecases.served.words import Seen, pieces_of, seen, words_of

DECIMALS = 6
"""Of every number that is told."""
EXACT = ("bow", "cbow")
"""Steps whose logits are sums: what each word adds is known from the weights."""


@dataclass(frozen=True)
class ServedStep:
    """A fitted step.

    Args:
        step: its name, with its variant.
        folder: where it was loaded from.
        model: what predicts.
        hash: 16 hexadecimal digits of the SHA-256 of its manifest, which holds the hash of every file.
    """

    step: str
    folder: Path
    model: Predictor
    hash: str

    @classmethod
    def load(cls, folder: Path) -> ServedStep:
        """Load a model folder.

        Raises:
            ModelFolderError: there is no model, or it was altered.
        """
        model = load_served(folder)
        digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()[:16]
        step = str(getattr(model, "step", "") or read_config(folder)["step"])
        return cls(step, folder, model, digest)

    @property
    def name(self) -> str:
        """Without the variant."""
        return self.step.partition(":")[0]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The C names of the classes."""
        return label_names(self.model.classes_)

    @property
    def has(self) -> list[str]:
        """What the step can be asked besides a prediction."""
        found = {
            "exact": self.name in EXACT,
            "features": self.name == "bow",
            "vectors": self.name != "bow",
            "embed": self.name != "bow",
            "guess": self.name == "cbow",
            "attention": self.name not in EXACT,
            "pieces": self.name == "bert",
        }
        return [what for what, there in found.items() if there]

    def said(self, prediction: Prediction, row: int) -> dict[str, Json]:
        """Tell one row of a prediction."""
        probabilities = prediction.probabilities[row]
        best = int(probabilities.argmax())
        return {
            "step": self.step,
            "label": self.labels[best],
            "confidence": round(float(probabilities[best]), DECIMALS),
            "probabilities": dict(zip(self.labels, np.round(probabilities, DECIMALS).tolist(), strict=True)),
            "truncated": bool(prediction.truncated[row]),
            "no_known_words": bool(prediction.no_known_words[row]),
        }

    # ---- looking inside ------------------------------------------------------------------

    @property
    def estimator(self) -> Any:
        """The step itself; of `bow` and `cbow` only."""
        return self.model

    @property
    def temperature(self) -> float:
        """Divides logits."""
        return float(getattr(self.model, "temperature_", 1.0))

    @cached_property
    def intake(self) -> Intake:
        """How texts come to the network."""
        if isinstance(self.model, Served):
            return self.model.intake
        found: Intake = self._in_keras().intake
        return found

    def seen(self, text: str) -> Seen:
        """Cut a text into words, as the step reads them."""
        return seen(self.estimator.vocabulary_, text) if self.name == "cbow" else words_of(self.intake, text)

    def pieces(self, text: str) -> Seen:
        """Cut a text into what the step over pieces reads."""
        assert isinstance(self.intake, PieceIntake)
        return pieces_of(self.intake, text)

    def _in_keras(self) -> Any:
        """Load the network that was trained: Keras is the runtime here."""
        from sopan.fit.artifact import load_model  # noqa: PLC0415  # brings Keras in

        return load_model(self.folder)

    @cached_property
    def _saved(self) -> Saved:
        return read_saved(self.folder, memory_map=True)

    @cached_property
    def network(self) -> Network:
        """The weights of a network."""
        return describe(self.name, self._saved.settings, self._saved.state)

    @cached_property
    def word_vectors(self) -> WordVectors:
        """The words, or pieces, with the vectors that the step has of them.

        Raises:
            ModelFolderError: it has none.
        """
        if self.name == "bow":
            raise ModelFolderError("a bow model has no word vectors", where=str(self.folder))
        if self.name == "cbow":
            found: WordVectors = self.estimator.word_vectors
            return found
        table = self.network.arrays["words/embeddings"]
        first = 0 if self.name == "bert" else FIRST_WORD
        return WordVectors(self._saved.state.words, np.asarray(table[first:], np.float32))

    def spelling(self, word: str) -> str | None:
        """Return a word as it stands among `word_vectors`: as it is given, or in lower case."""
        return next((form for form in (word, word.lower()) if form in self.word_vectors), None)

    @cached_property
    def _vector(self) -> Any:
        return compile_network(self.network, ("vector",))

    def embed(self, texts: list[str]) -> Float32Array:
        """Turn texts into vectors (N, E)."""
        if self.name == "cbow":
            found: Float32Array = self.estimator.transform(texts)
            return found
        if self._vector is None:
            return np.asarray(self._in_keras().transform(texts), np.float32)
        windows = self.intake.windows(as_texts(texts))
        width = int(self.network.arrays["logits/kernel"].shape[0])
        vectors = read_texts(self._vector, windows.clipped, width)
        return np.asarray(windows.pooled(vectors), np.float32)

    def attention(self, text: str) -> list[Float32Array]:
        """Return each layer's weights (H, Q, A) over the words, or pieces, of one short text."""
        clipped = self.intake.windows(as_texts([text])).clipped
        ids = clipped.encoded.ids[: clipped.encoded.offsets[1]][None]
        if not ids.size:
            return []
        ops = NumPyOperations()
        Graph(ops, self.network).outputs(ids, np.ones(ids.shape, bool), ("vector",))
        marks = slice(1, -1) if self.name == "bert" else slice(None)
        layers = []
        for weights in ops.weights:
            one = weights[0] if weights.ndim == 4 else weights  # a reader has one head
            queries = marks if one.shape[1] == one.shape[2] else slice(None)
            layers.append(np.asarray(one[:, queries, marks], np.float32))
        return layers
