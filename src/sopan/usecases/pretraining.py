"""Language models from a user's own text: train one, adapt one, hold the two kinds side by side."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypedDict, cast

import numpy as np

from sopan.errors import ConfigError, DataError
from sopan.lm.hugging_face import FILES, save_hugging_face
from sopan.lm.model_card import describe_model
from sopan.lm.pretrain import Pretrained, Pretraining, pretrain_language_model
from sopan.options.base import EvaluationEntry, ProgressCallback, takes
from sopan.options.language import InitialVectors, LearnOptions, NewModelOptions, PairTask, PretrainOptions
from sopan.runtime.encoder_config import EncoderConfig, bert_config
from sopan.steps.language_model import LanguageModel
from sopan.storage.atomic import check_replaceable, folder_lock, write_atomic
from sopan.text.packing import LEAST, PieceStore, write_store
from sopan.text.piece_tokenizer import PieceTokenizer
from sopan.text.wordpiece import WordPiece
from sopan.training.checkpoint import CheckpointFile
from sopan.training.devices import check_rows, choose_xla, idle_gpus
from sopan.training.language_modelling import Batches, PretrainingTask
from sopan.training.recipe import Evaluation, LanguageRecipe, Monitor
from sopan.usecases.inputs import CorpusReading, check_out


class TrainingAccount(TypedDict):
    """How a language model was trained, as `training.json` holds it."""

    corpus: list[str]
    settings: dict[str, object]
    looks: list[EvaluationEntry]


@takes(PretrainOptions)
def pretrain(options: PretrainOptions) -> TrainingAccount:
    """Train a language model from a corpus and publish it as a Hugging Face folder.

    The corpus as pieces, and what is kept to go on from, are in the folder `work`. The same command goes on
    from there, to the very bits that it would have reached undisturbed.

    Returns:
        What `training.json` holds: the settings and the evaluations on held-out text.

    Raises:
        SopanError: one line that says what is wrong, where, and what to do.
    """
    config = new_encoder(options, causal=options.objective == "causal")
    settings = chosen_settings(
        options, config, length=options.length, pairs=options.pairs, start=options.start
    )
    documents = CorpusReading(tuple(map(str, options.corpus)), options, options.held_out)
    place = Workplace.of(options.out, options.work)
    with folder_lock(Path(options.out)):
        options.progress("pieces", {"stage": "finding the vocabulary"})
        wordpiece = find_vocabulary(documents, options, place.folder)
        store, apart = place.stores(documents, wordpiece, options.progress)
        settings = with_steps(settings, store, wordpiece, options)
        found = train_language_model(
            place, store, apart, wordpiece, config, settings, progress=options.progress
        )
        return publish(found, options.out, settings, documents.paths)


def new_encoder(options: NewModelOptions, *, causal: bool) -> EncoderConfig:
    """Return the network of a model that begins anew.

    Raises:
        ConfigError: naming the setting and what can work.
    """
    config = bert_config(
        width=options.width,
        depth=options.depth,
        heads=options.heads,
        inner=4 * options.width,
        max_length=options.max_length,
        dropout=options.dropout,
        attention_dropout=options.dropout,
    )
    return replace(config, causal=causal)


def chosen_settings(
    options: LearnOptions,
    config: EncoderConfig,
    *,
    length: int,
    pairs: PairTask = "none",
    start: InitialVectors = "random",
) -> Pretraining:
    """Check settings as a user gives them, before any text is read.

    Args:
        options: how to learn; the number of steps is set later, by `with_steps`.
        config: of the network that learns. Where the options do not say how far sequences are shifted, it is
            so far that every place of the network is learnt.
        length: pieces of a row.
        pairs: what is to be predicted of two texts.
        start: where the vectors of pieces begin.

    Raises:
        ConfigError: naming the setting and what can work.
    """
    room = config.max_length - length
    shift = max(room, 0) if options.shift is None else options.shift
    task = PretrainingTask(
        causal=config.causal,
        length=length,
        rows=options.rows,
        mask_rate=options.mask_rate,
        whole_words=options.whole_words,
        pairs=pairs,
        shift=shift,
    )
    if shift > room:
        raise ConfigError(
            f"the pieces of a row reach {length + shift} places, and the encoder has {config.max_length}",
            next_step="raise max_length, or lower length or shift",
        )
    check_rows(options.rows)
    choose_xla(options.xla)
    recipe = LanguageRecipe(
        steps=1,
        learning_rate=options.learning_rate,
        warm_up=options.warm_up,
        decay=options.decay,
        optimizer=options.optimizer,
        accumulate=options.accumulate,
        judge_every=options.look_every,
    )
    return Pretraining(task, recipe, start, options.precision, options.seed, options.xla)


def evaluation_entry(evaluation: Evaluation) -> EvaluationEntry:
    """Return an evaluation as `training.json` holds it."""
    return cast(EvaluationEntry, evaluation._asdict())


def publish(
    found: Pretrained, out: str | Path, settings: Pretraining, corpus: Sequence[str]
) -> TrainingAccount:
    """Write a trained model and the account of its training."""
    names = [Path(path).name for path in corpus]
    account: TrainingAccount = {
        "corpus": names,
        "settings": asdict(settings),
        "looks": [evaluation_entry(each) for each in found.evaluations],
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
        self, corpus: CorpusReading, wordpiece: PieceTokenizer, progress: ProgressCallback
    ) -> tuple[PieceStore, PieceStore | None]:
        """Cut the corpus into pieces on the disk, or open what was cut: what teaches, what measures."""
        about = corpus.about(wordpiece)
        progress("pieces", {"stage": "cutting the corpus"})
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


def train_language_model(
    place: Workplace,
    store: PieceStore,
    apart: PieceStore | None,
    wordpiece: PieceTokenizer,
    config: EncoderConfig,
    settings: Pretraining,
    *,
    begin: LanguageModel | None = None,
    progress: ProgressCallback,
) -> Pretrained:
    """Train a language model in a workplace, or go on with what is kept there."""
    if idle := idle_gpus():
        progress("devices", {"stage": idle})
    return pretrain_language_model(
        store,
        apart,
        wordpiece,
        config,
        settings,
        monitor=Monitor(
            on_progress=lambda training: progress("training", {"stage": training.line()}),
            on_evaluation=lambda found: progress("training", {"evaluation": evaluation_entry(found)}),
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


def find_vocabulary(corpus: CorpusReading, options: NewModelOptions, work: Path) -> WordPiece:
    """Find the pieces, or take those of a file; what was found is kept for when the run goes on."""
    wanted, lowercase = options.vocabulary, options.lowercase
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
    settings: Pretraining, store: PieceStore, wordpiece: PieceTokenizer, options: LearnOptions
) -> Pretraining:
    """Set the number of steps, from passes over the corpus where none is given.

    Raises:
        ConfigError: there is no such number of passes.
        DataError: the corpus does not fill a batch.
    """
    steps, epochs = options.steps, options.epochs
    if steps is None:
        if not 0 < epochs < math.inf:
            raise ConfigError(f"{epochs} epochs cannot be trained", next_step="give a number above 0")
        batches = Batches(store, wordpiece, settings.task, settings.seed).batches_an_epoch
        steps = max(1, round(epochs * batches / settings.recipe.accumulate))
    warm_up = min(settings.recipe.warm_up, max(1, steps // 10))
    return replace(settings, recipe=replace(settings.recipe, steps=steps, warm_up=warm_up))
