"""Pre-training: a language model from a corpus, from nothing or from where another stopped.

    corpus -> pieces on the disk -> [word vectors by CBOW] -> steps of filling blanks -> a language model

A model that goes on in new text takes the words that are frequent there as pieces of their own. A new word's
vector starts as the mean of the vectors of its pieces, so that the model reads the text almost as before
(J. Hong et al. 2021, "AVocaDo", section 3, for growth by frequency).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from scipy.special import log_softmax

from sopan.errors import ConfigError
from sopan.options.language import InitialVectors, Precision
from sopan.runtime.encoder_config import EncoderConfig
from sopan.steps.embedding import CbowSettings, train_word_vectors
from sopan.steps.language_model import LanguageModel
from sopan.text.packing import PieceStore, Rows
from sopan.text.piece_tokenizer import UNK, PieceTokenizer
from sopan.text.wordpiece import WordPiece
from sopan.training.devices import choose_xla
from sopan.training.language_modelling import Batches, Judge, PretrainingTask, train_language_model
from sopan.training.recipe import Evaluation, LanguageRecipe, Monitor
from sopan.types import Encoded, Float32Array

CBOW_PIECES = 20_000_000
"""Word vectors to start from are learnt from so many pieces at most."""
JUDGE_ROWS = 64
"""Held-out text is judged on so many rows at most."""
VECTOR_SPREAD = 0.02
"""Standard deviation of initial vectors, BERT's."""
LEAST_COUNT = 20
"""A word that occurs less often does not become a piece."""
_LETTERS = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Pretraining:
    """All that decides a pre-training but its corpus.

    Args:
        task: what is to be predicted.
        recipe: how it is learnt.
        start: where word vectors begin.
        precision: what the network computes in; weights are float32.
        seed: decides weights, batches and blanks.
        xla: whether XLA compiles a step on TensorFlow; None: where there is a GPU.
    """

    task: PretrainingTask
    recipe: LanguageRecipe
    start: InitialVectors = "cbow"
    precision: Precision = "float32"
    seed: int = 0
    xla: bool | None = None


class Pretrained(NamedTuple):
    """A model, and the evaluations on the way."""

    model: LanguageModel
    evaluations: list[Evaluation]


def pretrain_language_model(
    store: PieceStore,
    held_out: PieceStore | None,
    wordpiece: PieceTokenizer,
    config: EncoderConfig,
    settings: Pretraining,
    *,
    monitor: Monitor | None = None,
    begin: LanguageModel | None = None,
    identity: str = "",
) -> Pretrained:
    """Train a language model on a corpus.

    Args:
        store: the corpus.
        held_out: further documents, to measure on; they teach nothing.
        wordpiece: what both were cut with.
        config: of the encoder.
        settings: the rest.
        monitor: who watches, and where the run is kept to go on from.
        begin: a model whose weights are the first ones; `settings.start` then means nothing.
        identity: what distinguishes this run beyond its settings and the corpus' size, for its snapshots.

    Raises:
        DataError: the corpus does not fill a batch.
        ConfigError: what was kept is of another run, or the backend has no such choice of compiling.
        DivergedError: the loss was no longer a number.
    """
    task, seed = settings.task, settings.seed
    batches = Batches(store, wordpiece, task, seed)
    model = LanguageModel.make(
        config, wordpiece, seed=seed, pairs=task.pairs != "none", precision=settings.precision
    )
    fresh = monitor is None or monitor.checkpoint is None or monitor.checkpoint.read() is None
    if begin is not None:
        model.set_weights({**model.weights(), **begin.weights()})
    elif settings.start == "cbow" and fresh:
        vectors = start_vectors(store, len(wordpiece), config.width, seed)
        model.network.get_layer("words").embeddings.assign(vectors)
    judge = None if held_out is None else make_judge(model, held_out, task)
    about = repr((asdict(task), settings.start, settings.precision, seed, len(store.offsets)))
    evaluations = train_language_model(
        model.network,
        batches,
        settings.recipe,
        identity=f"{about} {int(store.offsets[-1])}{identity}",
        judge=judge,
        monitor=monitor,
        xla=choose_xla(settings.xla),
        shared=True,
    )
    return Pretrained(model, evaluations)


def start_vectors(store: PieceStore, vocabulary: int, width: int, seed: int) -> Float32Array:
    """Return vectors (V, width) as CBOW learns them from the pieces, with the spread of drawn ones."""
    documents = int(np.searchsorted(store.offsets, store.offsets[0] + CBOW_PIECES))
    bounds = store.offsets[: max(documents, 2)]
    ids = np.asarray(store.ids[bounds[0] : bounds[-1]], np.int32)
    counts = np.bincount(ids, minlength=vocabulary)
    settings = CbowSettings(dimension=width, window=5, epochs=3, subsample=1e-3, learning_rate=0.05)
    rng = np.random.default_rng([seed, 1])
    vectors = train_word_vectors(Encoded(ids, bounds - bounds[0]), counts, settings, rng)
    vectors -= vectors[counts > 0].mean(axis=0)
    spread = float(vectors[counts > 0].std())
    drawn = rng.normal(0, VECTOR_SPREAD, vectors.shape).astype(np.float32)
    seen = (counts > 0)[:, None]
    return np.where(seen, vectors * np.float32(VECTOR_SPREAD / max(spread, 1e-9)), drawn)


def make_judge(model: LanguageModel, held_out: PieceStore, task: PretrainingTask) -> Judge:
    """Return what measures a model on held-out documents, always on the same blanks.

    It gives `loss` in nats, `accuracy`, and `perplexity`, e to the loss: over blanks of a masked model
    a pseudo-perplexity; and nothing where no piece can be predicted.
    """
    single = PretrainingTask(**{**asdict(task), "rows": 1})
    batches = Batches(held_out, model.wordpiece, single, seed=0)
    drawn = [batches(number) for number in range(min(JUDGE_ROWS, batches.batches_an_epoch))]
    drawn = [batch for batch in drawn if batch[1][1].any()]

    def judge() -> dict[str, float]:
        if not drawn:
            return {}
        losses, right = [], []
        for (ids, blocks, places, segments, at, *_), (truth, weights, *_) in drawn:
            real = weights > 0
            logits = model.logits(Rows(ids, blocks, places, segments), at)[real].astype(np.float64)
            true = truth[real]
            losses.append(-log_softmax(logits, axis=1)[np.arange(len(true)), true])
            right.append(logits.argmax(axis=1) == true)
        loss = float(np.concatenate(losses).mean())
        accuracy = float(np.concatenate(right).mean())
        return {"loss": loss, "accuracy": accuracy, "perplexity": float(np.exp(min(loss, 700)))}

    return judge


# ---- New words ---------------------------------------------------------------------------------


def new_words(texts: Iterable[pa.LargeStringArray], wordpiece: PieceTokenizer, most: int) -> list[str]:
    """Find the words of a text that are cut into several pieces, by the pieces that they would save.

    Args:
        texts: batches, read once.
        wordpiece: cuts them.
        most: how many words at most.

    Returns:
        Words in normal form, the most worthwhile first.
    """
    counts: Counter[tuple[int, ...]] = Counter()
    for batch in texts:
        encoded = wordpiece.encode(batch)
        if not len(encoded.ids):
            continue
        first = ~wordpiece.continues[encoded.ids]
        first[encoded.offsets[:-1][encoded.offsets[:-1] < len(first)]] = True
        starts = np.flatnonzero(first)
        sizes = np.diff(np.append(starts, len(first)))
        several = sizes > 1
        counts.update(
            tuple(encoded.ids[start : start + size].tolist())
            for start, size in zip(starts[several], sizes[several], strict=True)
        )
    unknown = wordpiece.specials[UNK]
    worth = [
        (count * (len(ids) - 1), wordpiece.join(ids))
        for ids, count in counts.items()
        if count >= LEAST_COUNT and unknown not in ids
    ]
    words = [word for _, word in sorted(worth, key=lambda pair: (-pair[0], pair[1])) if _LETTERS.search(word)]
    return words[:most]


def grow(model: LanguageModel, words: Iterable[str]) -> LanguageModel:
    """Return the model with further pieces, whole words, at the end of its vocabulary.

    A word's vector is the mean of its pieces' vectors, and its bias the mean of theirs.

    Args:
        model: stays as it is.
        words: in normal form, none of them a piece yet.

    Raises:
        ConfigError: its vocabulary is not WordPiece's.
    """
    before, added = model.wordpiece, list(dict.fromkeys(words))
    if not isinstance(before, WordPiece):
        raise ConfigError("only a WordPiece vocabulary takes further words")
    cuts = [before.encode([word]).ids for word in added]
    wordpiece = before.with_pieces([*before.pieces, *added])
    weights = model.weights()
    for path in ("words/embeddings", "predict_bias/bias"):
        table = weights[path]
        more = [table[cut].mean(axis=0) for cut in cuts]
        weights[path] = np.concatenate([table, np.array(more, table.dtype).reshape(-1, *table.shape[1:])])
    grown = LanguageModel.make(model.config, wordpiece, seed=0, pairs=model.pairs)
    grown.set_weights(weights)
    grown.missing_heads = model.missing_heads
    return grown
