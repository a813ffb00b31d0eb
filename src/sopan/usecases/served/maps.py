"""The words of a step on a map: their vectors brought to two dimensions, once, and kept on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from sopan.storage.atomic import write_atomic
from sopan.types import Float32Array, FloatArray, Json
from sopan.usecases.served.step import ServedStep

View = Literal["pca", "tsne"]
VIEWS: tuple[View, ...] = get_args(View)

MOST_WORDS = 2000
"""On a map; t-SNE of so many takes some seconds."""
FIRST = 50
"""t-SNE starts from so many principal components (van der Maaten and Hinton 2008, section 4.2: 30)."""


def write_word_map(folder: str | Path, view: View, out: str | Path) -> None:
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
    chosen = np.argsort(-lengths, kind="stable")[: min(MOST_WORDS, int(shown.sum()))]
    places, explained = project(found.vectors[chosen], view)
    x, y = np.round(places.T, 4).tolist() if len(places) else ([], [])
    content: dict[str, Json] = {
        "view": view,
        "of": len(found),
        "words": [found.words[i] for i in chosen.tolist()],
        "x": x,
        "y": y,
        "explained": explained,
    }
    write_atomic(Path(out), json.dumps(content, ensure_ascii=False, allow_nan=False))


def project(vectors: Float32Array, view: View) -> tuple[FloatArray, list[float] | None]:
    """Bring vectors (N, D) to places (N, 2) within -1 … 1; with PCA, the axes' shares of the variance."""
    from sklearn.decomposition import PCA  # noqa: PLC0415

    if len(vectors) < 3:
        return np.zeros((len(vectors), 2)), None
    size = min(2 if view == "pca" else FIRST, *vectors.shape)
    pca = PCA(size, random_state=0)
    places = np.asarray(pca.fit_transform(vectors), np.float64)
    explained = None
    if view == "pca":
        explained = np.round(pca.explained_variance_ratio_, 4).tolist()
    else:
        from sklearn.manifold import TSNE  # noqa: PLC0415

        perplexity = min(30.0, (len(places) - 1) / 3)
        places = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(places)
    most = float(np.abs(places).max())
    return np.asarray(places / (most or 1.0), np.float64), explained
