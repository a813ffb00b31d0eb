"""Language models from a user's own text: train one, adapt one, hold the two kinds side by side."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import cast, get_args

import numpy as np

from sopan.errors import ConfigError, DataError
from sopan.lm.card import describe_model
from sopan.lm.hugging_face import FILES, save_hugging_face
from sopan.lm.pretrain import Pretrained, Pretraining, Start
from sopan.lm.pretrain import pretrain as run_pretraining
from sopan.options.data import TextOptions
from sopan.options.rules import Between, OneOf, Rule, check_values
from sopan.steps.encoder_config import EncoderConfig, bert_config
from sopan.steps.language_model import LanguageModel, Objective
from sopan.steps.layers import Precision
from sopan.storage.atomic import check_replaceable, folder_lock, write_atomic
from sopan.text.packing import LEAST
from sopan.text.piece_store import PieceStore, write_store
from sopan.text.wordpiece import WordPiece
from sopan.training.checkpoint import CheckpointFile
from sopan.training.devices import check_rows, choose_xla, idle_gpus
from sopan.training.language_batches import Batches, PairTask, Task
from sopan.training.language_recipe import LanguageRecipe, OptimizerName
from sopan.training.recipe import Monitor
from sopan.types import Json
from sopan.usecases.corpus import CorpusReading
from sopan.usecases.inputs import check_out

Tell = Callable[[str, dict[str, Json]], None]
"""Told the part of the work, and what it says."""

RULES: dict[str, Rule] = {
    "objective": OneOf(get_args(Objective)),
    "pairs": OneOf(get_args(PairTask)),
    "optimizer": OneOf(get_args(OptimizerName)),
    "learning_rate": Between(Real, 1e-8, 1),
    "start": OneOf(get_args(Start)),
    "precision": OneOf(get_args(Precision)),
}
"""What the settings of a training that a user chooses by name or by size must keep to."""


def pretrain(
    corpus: Sequence[str | Path],
    out: str | Path,
    *,
    encoder: Mapping[str, Json] = MappingProxyType({}),
    task: Mapping[str, Json] = MappingProxyType({}),
    recipe: Mapping[str, Json] = MappingProxyType({}),
    vocabulary: int | str = 12_000,
    lowercase: bool = True,
    steps: int | None = None,
    epochs: float = 1.0,
    start: str = "cbow",
    precision: str = "float32",
    xla: bool | None = None,
    held_out: float = 0.005,
    reading: TextOptions = TextOptions(),
    work: str | Path | None = None,
    seed: int = 0,
    tell: Tell = lambda part, message: None,
) -> dict[str, Json]:
    """Train a language model from a corpus and publish it as a Hugging Face folder.

    Args:
        corpus: files; see `CorpusReading`.
        out: the model's folder.
        encoder: width, depth, heads, inner, max_length, dropout; 4 layers of 256 unless told otherwise.
        task: objective (`masked` or `causal`), and the fields of `sopan.training.language_batches.Task`.
        recipe: fields of `sopan.training.language_recipe.LanguageRecipe`.
        vocabulary: how many pieces to find, or a `vocab.txt` or `tokenizer.json` to take.
        lowercase: fold to lower case.
        steps: of the optimiser; None: `epochs` passes over the corpus.
        epochs: passes over the corpus.
        start, precision, xla, seed: see `sopan.lm.pretrain.Pretraining`.
        held_out: share of the documents to measure on.
        reading: how to read the files.
        work: a folder for the corpus as pieces and for what is kept to go on from; `OUT.work` unless given.
            The same command goes on from there, to the very bits that it would have reached undisturbed.
        tell: told what is going on.

    Returns:
        What `training.json` holds: the settings and the looks at held-out text.

    Raises:
        SopanError: one line that says what is wrong, where, and what to do.
    """
    config, settings = chosen_settings(encoder, task, recipe, start, precision, seed, xla)
    documents = CorpusReading(tuple(map(str, corpus)), reading, held_out)
    place = Workplace.of(out, work)
    with folder_lock(Path(out)):
        tell("pieces", {"stage": "finding the vocabulary"})
        wordpiece = find_vocabulary(documents, vocabulary, lowercase, place.folder)
        store, apart = place.stores(documents, wordpiece, tell)
        settings = with_steps(settings, store, wordpiece, steps, epochs)
        found = train(place, store, apart, wordpiece, config, settings, tell=tell)
        return publish(found, out, settings, documents.paths)


def chosen_settings(
    encoder: Mapping[str, Json],
    task: Mapping[str, Json],
    recipe: Mapping[str, Json],
    start: str,
    precision: str,
    seed: int,
    xla: bool | None = None,
) -> tuple[EncoderConfig, Pretraining]:
    """Check settings as a user gives them, before any text is read.

    Raises:
        ConfigError: naming the setting and what can work.
    """
    task = {"objective": "masked", "pairs": "none", **task}
    recipe = {"learning_rate": 1e-3, "optimizer": "muon", **recipe}
    check_values({"start": start, "precision": precision, **task, **recipe}, RULES)
    sizes = {"width": 256, "depth": 4, "heads": 4, "max_length": 256, "dropout": 0.0, **encoder}
    sizes = {"inner": 4 * sizes["width"], "attention_dropout": sizes["dropout"], **sizes}
    config = replace(bert_config(**sizes), causal=task["objective"] == "causal")
    asked = _asked(task, config)
    check_rows(asked.rows)
    choose_xla(xla)
    return config, Pretraining(
        task=asked,
        recipe=LanguageRecipe(**{"steps": 1, **recipe}),
        start=cast(Start, start),
        precision=cast(Precision, precision),
        seed=seed,
        xla=xla,
    )


def _asked(task: Mapping[str, Json], config: EncoderConfig) -> Task:
    """Return the task; unless told how far to shift sequences, so far that every place is learnt."""
    given = {name: value for name, value in task.items() if name != "objective" and value is not None}
    asked = Task(causal=config.causal, **given)
    room = config.max_length - asked.length
    if asked.shift > room or room < 0:
        raise ConfigError(
            f"the pieces of a row reach {asked.length + asked.shift} places, "
            f"and the encoder has {config.max_length}",
            next_step="raise max_length, or lower length or shift",
        )
    return asked if "shift" in given else replace(asked, shift=room)


def publish(
    found: Pretrained, out: str | Path, settings: Pretraining, corpus: Sequence[str]
) -> dict[str, Json]:
    """Write a trained model and the account of its training."""
    names = [Path(path).name for path in corpus]
    account: dict[str, Json] = {
        "corpus": names,
        "settings": asdict(settings),
        "looks": [look._asdict() for look in found.looks],
    }
    card = describe_model(found.model, account)
    save_hugging_face(found.model, out, card=card, account=account)
    return account


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a run keeps its corpus as pieces and what it goes on from."""

    folder: Path

    @classmethod
    def of(cls, out: str | Path, work: str | Path | None) -> Workplace:
        """Hold that both folders can be written, before any work is done."""
        check_replaceable(check_out(out), FILES)
        return cls(check_out(Path(f"{out}.work") if work is None else work))

    def stores(
        self, corpus: CorpusReading, wordpiece: WordPiece, tell: Tell
    ) -> tuple[PieceStore, PieceStore | None]:
        """Cut the corpus into pieces on the disk, or open what was cut: what teaches, what measures."""
        about = corpus.about(wordpiece)
        tell("pieces", {"stage": "cutting the corpus"})
        store = write_store(self.folder / "corpus", corpus.batches(held_out=False), wordpiece, about)
        if not len(store.ids):
            raise DataError("there are no texts in the corpus", where=", ".join(corpus.paths))
        if not corpus.held_out:
            return store, None
        apart = write_store(self.folder / "held_out", corpus.batches(held_out=True), wordpiece, about)
        return store, apart if np.diff(apart.offsets).max(initial=0) >= LEAST else None

    @property
    def checkpoint(self) -> CheckpointFile:
        """Where the run is kept."""
        return CheckpointFile(self.folder / "run.safetensors")


def train(
    place: Workplace,
    store: PieceStore,
    apart: PieceStore | None,
    wordpiece: WordPiece,
    config: EncoderConfig,
    settings: Pretraining,
    *,
    begin: LanguageModel | None = None,
    tell: Tell,
) -> Pretrained:
    """Train a language model in a workplace, or go on with what is kept there."""
    if idle := idle_gpus():
        tell("devices", {"stage": idle})
    return run_pretraining(
        store,
        apart,
        wordpiece,
        config,
        settings,
        on_look=lambda look: tell("training", {"look": look._asdict()}),
        monitor=Monitor(
            on_progress=lambda progress: tell("training", {"stage": progress.line()}),
            checkpoint=place.checkpoint,
        ),
        begin=begin,
        identity=_identity(config, store, begin),
    )


def _identity(config: EncoderConfig, store: PieceStore, begin: LanguageModel | None) -> str:
    """Return a digest of what a run is made of beyond its settings: network, corpus and first weights."""
    found = hashlib.sha256(f"{config} {store.digest()}".encode())
    for path, weight in sorted(begin.weights().items()) if begin is not None else ():
        found.update(path.encode())
        found.update(weight.tobytes())
    return found.hexdigest()


def find_vocabulary(corpus: CorpusReading, wanted: int | str, lowercase: bool, work: Path) -> WordPiece:
    """Find the pieces, or take those of a file; what was found is kept for when the run goes on."""
    if isinstance(wanted, str):
        return WordPiece.load(wanted, lowercase=lowercase)
    made_of = hashlib.sha256(repr((corpus.made_of(), wanted, lowercase)).encode()).hexdigest()[:16]
    kept = work / f"vocabulary-{made_of}.json"
    if kept.exists():
        return WordPiece.load(kept)
    wordpiece = WordPiece.train(corpus.texts(), wanted, lowercase=lowercase)
    write_atomic(kept, wordpiece.tokenizer.to_str())
    return wordpiece


def with_steps(
    settings: Pretraining, store: PieceStore, wordpiece: WordPiece, steps: int | None, epochs: float
) -> Pretraining:
    """Set the number of steps, from passes over the corpus where none is given.

    Raises:
        ConfigError: there is no such number of passes.
        DataError: the corpus does not fill a batch.
    """
    if steps is None:
        if not 0 < epochs < math.inf:
            raise ConfigError(f"{epochs} epochs cannot be trained", next_step="give a number above 0")
        batches = Batches(store, wordpiece, settings.task, settings.seed).batches_an_epoch
        steps = max(1, round(epochs * batches / settings.recipe.accumulate))
    warm_up = min(settings.recipe.warm_up, max(1, steps // 10))
    return replace(settings, recipe=replace(settings.recipe, steps=steps, warm_up=warm_up))
