"""One served step: a network in a runtime, or `bow` or `cbow` itself; its words and their vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from sopan.errors import ModelFolderError
from sopan.fit.saved import Saved, label_names, read_saved
from sopan.fit.served import Predictor, Served, ServedCombination, answered_by, load_served
from sopan.options.names import StepName, path_name
from sopan.runtime.graph import Graph
from sopan.runtime.network import Network, network_of
from sopan.runtime.numpy_operations import NumPyOperations
from sopan.runtime.program import Program, compile_network, run_program
from sopan.storage.atomic import write_atomic
from sopan.storage.manifest import MANIFEST, MEMBERS
from sopan.storage.strict_json import read_json
from sopan.text.arrow import as_texts
from sopan.text.batch import FIRST_WORD
from sopan.text.intake import Intake
from sopan.text.vectors import WordVectors
from sopan.types import Float32Array, FloatArray, Prediction
from sopan.usecases.served.answers import (
    Projection,
    SimilarWord,
    StepGuesses,
    StepNeighbors,
    StepPrediction,
    WordMap,
)

if TYPE_CHECKING:  # they bring scikit-learn or Keras in
    from sopan.steps.bow import BagOfWords
    from sopan.steps.cbow import CBOW
    from sopan.steps.network import NetworkStep

DECIMALS = 6
"""Of every number in an answer."""
EXACT = ("bow", "cbow")
"""Steps whose logits are sums: what each word adds is known from the weights."""
MOST_MAPPED = 2000
"""Words on a map; t-SNE of so many takes some seconds."""
TSNE_FROM = 50
"""t-SNE starts from so many principal components (van der Maaten and Hinton 2008, section 4.2: 30)."""


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
        step = str(getattr(model, "step", "") or read_json(folder / "config.json")["step"])
        return cls(step, folder, model, digest)

    @property
    def name(self) -> str:
        """Without the variant."""
        return StepName.parse(self.step).step

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The C names of the classes."""
        return label_names(self.model.classes_)

    @cached_property
    def members(self) -> tuple[ServedStep, ...]:
        """What a stack or a cascade is made of; nothing of a single step."""
        if not isinstance(self.model, ServedCombination):
            return ()
        return tuple(
            ServedStep(name, self.folder / MEMBERS / path_name(name), cast(Predictor, member), self.hash)
            for name, member in self.model.members.items()
        )

    @property
    def has(self) -> list[str]:
        """What the step can answer besides a prediction and an explanation."""
        if self.members:
            return []
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

    def prediction(self, prediction: Prediction, row: int) -> StepPrediction:
        """Return one row of a prediction, with the names of the labels."""
        probabilities = prediction.probabilities[row]
        best = int(probabilities.argmax())
        found: StepPrediction = {
            "step": self.step,
            "label": self.labels[best],
            "confidence": round(float(probabilities[best]), DECIMALS),
            "probabilities": dict(zip(self.labels, np.round(probabilities, DECIMALS).tolist(), strict=True)),
            "truncated": bool(prediction.truncated[row]),
            "no_known_words": bool(prediction.no_known_words[row]),
        }
        if (name := answered_by(self.model, prediction, row)) is not None:
            found["answered_by"] = name
        return found

    # ---- looking inside ------------------------------------------------------------------

    @property
    def bow(self) -> BagOfWords:
        """The step itself, where it is bow."""
        return cast("BagOfWords", self.model)

    @property
    def cbow(self) -> CBOW:
        """The step itself, where it is cbow."""
        return cast("CBOW", self.model)

    @property
    def temperature(self) -> float:
        """Divides logits."""
        return float(getattr(self.model, "temperature_", 1.0))

    @cached_property
    def intake(self) -> Intake:
        """How texts come to the network."""
        return self.model.intake if isinstance(self.model, Served) else self._in_keras.intake

    @cached_property
    def _in_keras(self) -> NetworkStep:
        """The network that was trained, where Keras is the runtime."""
        from sopan.fit.artifact import load_model  # noqa: PLC0415  # brings Keras in

        return cast("NetworkStep", load_model(self.folder))

    @cached_property
    def _saved(self) -> Saved:
        return read_saved(self.folder, memory_map=True)

    @cached_property
    def network(self) -> Network:
        """The weights of a network."""
        return network_of(self.name, self._saved.settings, self._saved.state)

    @cached_property
    def word_vectors(self) -> WordVectors:
        """The words, or pieces, with the vectors that the step has of them.

        Raises:
            ModelFolderError: it has none.
        """
        if self.name == "bow" or self.members:
            raise ModelFolderError(f"a {self.name} model has no word vectors", where=str(self.folder))
        if self.name == "cbow":
            return self.cbow.word_vectors
        table = self.network.arrays["words/embeddings"]
        first = 0 if self.name == "bert" else FIRST_WORD
        return WordVectors(self._saved.state.words, np.asarray(table[first:], np.float32))

    def spelling(self, word: str) -> str | None:
        """Return a word as it stands among `word_vectors`: as it is given, or in lower case."""
        return next((form for form in (word, word.lower()) if form in self.word_vectors), None)

    @cached_property
    def _vector_program(self) -> Program | None:
        return compile_network(self.network, ("vector",))

    def embed(self, texts: list[str]) -> Float32Array:
        """Turn texts into vectors (N, E)."""
        if self.name == "cbow":
            return self.cbow.transform(texts)
        if self._vector_program is None:
            return self._in_keras.transform(texts)
        windows = self.intake.windows(as_texts(texts))
        width = int(self.network.arrays["logits/kernel"].shape[0])
        vectors = run_program(self._vector_program, windows.clipped, width)
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


# ---- words and their vectors -------------------------------------------------------------------------


def neighbors(step: ServedStep, word: str, top: int) -> StepNeighbors:
    """List the words nearest to a word."""
    form = step.spelling(word)
    near = [] if form is None else step.word_vectors.nearest(form, top)
    listed: list[SimilarWord] = [{"word": w, "cosine": round(cosine, DECIMALS)} for w, cosine in near]
    return {"step": step.step, "known": form is not None, "neighbors": listed}


def guess(step: ServedStep, context: Sequence[str], word: str | None, top: int) -> StepGuesses:
    """Rank a step's words by their cosine with the mean of a context's vectors.

    In training the mean was held against a second vector of each word (see `sopan.kernels.cbow_block`). A
    model does not keep these, so the words' own vectors stand in for them.

    Args:
        step: one with vectors of words.
        context: words; those that have no vector are left out of the mean, and all out of the ranking.
        word: one whose rank is wanted; it is ranked even if it is of the context.
        top: how many words to list.
    """
    vectors = step.word_vectors
    forms, wanted = [step.spelling(each) for each in context], step.spelling(word or "")
    known, around = [form is not None for form in forms], [form for form in forms if form is not None]
    if not around:
        return {"step": step.step, "known": known, "of": 0, "guesses": [], "asked": None}
    cosines = vectors.cosines(np.mean([vectors[form] for form in around], axis=0))
    candidate = np.ones(len(vectors), bool)
    candidate[[vectors.place(form) for form in set(around) - {wanted}]] = False
    places = np.flatnonzero(candidate)
    ranked = places[np.argsort(-cosines[places], kind="stable")].tolist()

    def similar(place: int) -> SimilarWord:
        return {"word": vectors.words[place], "cosine": round(float(cosines[place]), DECIMALS)}

    asked: SimilarWord | None = None
    if wanted is not None:
        place = vectors.place(wanted)
        asked = {**similar(place), "rank": ranked.index(place) + 1}
    guesses = [similar(place) for place in ranked[:top]]
    return {"step": step.step, "known": known, "of": len(ranked), "guesses": guesses, "asked": asked}


def write_word_map(folder: str | Path, projection: Projection, out: str | Path) -> None:
    """Compute the map of a model folder's words and write it as JSON.

    The words are those with the longest vectors: a vector is the longer the more often its word comes and
    the more alike its contexts are (Schakel and Wilson 2015, "Measuring Word Significance using Distributed
    Representations of Words"). Pieces within words and special pieces are left out.

    Raises:
        ModelFolderError: there is no model, or it has no word vectors.
    """
    found = ServedStep.load(Path(folder)).word_vectors
    shown = np.array([not word.startswith(("##", "[")) for word in found.words], bool)
    lengths = np.where(shown, np.linalg.norm(found.vectors, axis=1), -1.0)
    chosen = np.argsort(-lengths, kind="stable")[: min(MOST_MAPPED, int(shown.sum()))]
    places, explained = project(found.vectors[chosen], projection)
    x, y = np.round(places.T, 4).tolist() if len(places) else ([], [])
    content: WordMap = {
        "view": projection,
        "of": len(found),
        "words": [found.words[i] for i in chosen.tolist()],
        "x": x,
        "y": y,
        "explained": explained,
    }
    write_atomic(Path(out), json.dumps(content, ensure_ascii=False, allow_nan=False))


def project(vectors: Float32Array, projection: Projection) -> tuple[FloatArray, list[float] | None]:
    """Bring vectors (N, D) to places (N, 2) within -1 … 1; with PCA, the axes' shares of the variance."""
    from sklearn.decomposition import PCA  # noqa: PLC0415

    if len(vectors) < 3:
        return np.zeros((len(vectors), 2)), None
    size = min(2 if projection == "pca" else TSNE_FROM, *vectors.shape)
    pca = PCA(size, random_state=0)
    places = np.asarray(pca.fit_transform(vectors), np.float64)
    explained = None
    if projection == "pca":
        explained = np.round(pca.explained_variance_ratio_, 4).tolist()
    else:
        from sklearn.manifold import TSNE  # noqa: PLC0415

        perplexity = min(30.0, (len(places) - 1) / 3)
        places = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(places)
    most = float(np.abs(places).max())
    return np.asarray(places / (most or 1.0), np.float64), explained
