"""Language models at home in a user's own text, and held side by side: does it help, and by how much?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import pyarrow as pa

from sopan.errors import DataError
from sopan.fit.intervals import paired_difference
from sopan.fit.tune import Budget, tune
from sopan.lm.evaluate import Blank, compare_filled, evaluate_blanks, make_blanks, sentences
from sopan.lm.hugging_face import check_bert
from sopan.lm.pretrain import Pretraining, grow, new_words
from sopan.options.base import EvaluationEntry, takes
from sopan.options.language import AdaptOptions, CompareObjectivesOptions, LabelledOptions, LearnOptions
from sopan.steps.language_model import LanguageModel
from sopan.steps.presets import from_preset
from sopan.storage.atomic import folder_lock
from sopan.text.piece_tokenizer import PieceTokenizer
from sopan.text.read import read_corpus
from sopan.training.recipe import HEAD_SHARE
from sopan.types import BoolArray, Json
from sopan.usecases.inputs import CorpusReading, check_out, clean_data
from sopan.usecases.pretraining import (
    TrainingAccount,
    Workplace,
    chosen_settings,
    evaluation_entry,
    find_vocabulary,
    new_encoder,
    publish,
    train_language_model,
    with_steps,
)

BLANKS = 2000
"""Words of held-out sentences by which language models are compared."""


class Downstream(TypedDict):
    """How accurately models tell the labels of the same test texts, and by how much one is better."""

    tests: int
    accuracy: dict[str, float]
    difference: dict[str, float]


class Adapted(TypedDict):
    """What adapting came to.

    `training` is what `training.json` holds; `blanks` says how many held-out words the preset and the adapted
    model fill right, where sentences are held out; `downstream` is there where there are labelled texts.
    """

    training: TrainingAccount
    new_words: list[str]
    blanks: NotRequired[Mapping[str, Json]]
    downstream: NotRequired[Downstream]


class Objectives(TypedDict):
    """How a masked and a causal model compare; `downstream` is there where there are labelled texts."""

    looks: dict[str, list[EvaluationEntry]]
    blanks: Mapping[str, Json]
    downstream: NotRequired[Downstream]


@takes(AdaptOptions)
def adapt(options: AdaptOptions) -> Adapted:
    """Let a preset go on learning on a user's own text, frequent words of which become pieces of their own.

    A preset that cannot fill blanks grows the head for it: tied to the vectors of its pieces, with a new
    transform and a new bias. The head learns first, with the body still; then both do.

    The step `bert` learns labelled texts from the preset and from the adapted model, and both are tested on
    the test part; validation and test texts are first taken out of the corpus.

    Raises:
        SopanError: one line that says what is wrong, where, and what to do.
    """
    progress = options.progress
    before = from_preset(options.preset)
    check_bert(before)
    length = options.length or min(128, before.config.max_length)
    settings = chosen_settings(options, before.config, length=length)
    task = None if options.labelled is None else DownstreamTask(options)
    documents = _documents(options.corpus, options, task)
    place = Workplace.of(options.out, options.work)
    with folder_lock(Path(options.out)):
        progress("pieces", {"stage": "finding new words"})
        added = new_words(documents.batches(held_out=False), before.wordpiece, options.words)
        begin = grow(before, added)
        store, apart = place.stores(documents, begin.wordpiece, progress)
        settings = with_steps(settings, store, begin.wordpiece, options)
        if "predict" in before.missing_heads:
            settings = _head_first(settings, options.head_steps)
        blanks = _held_out_blanks(documents, before.wordpiece, options.seed)
        found = train_language_model(
            place, store, apart, begin.wordpiece, begin.config, settings, begin=begin, progress=progress
        )
        account = publish(found, options.out, settings, documents.paths)
    report: Adapted = {"training": account, "new_words": added}
    if blanks and "predict" not in before.missing_heads:
        progress("blanks", {"stage": "filling held-out blanks"})
        pair = {"before": evaluate_blanks(before, blanks), "after": evaluate_blanks(found.model, blanks)}
        report["blanks"] = compare_filled(pair, "after", "before")
    if task is not None:
        progress("labels", {"stage": "learning labels from both"})
        correct = {"before": task.correct(str(options.preset)), "after": task.correct(str(options.out))}
        report["downstream"] = task.report(correct, "after", "before")
    return report


def _head_first(settings: Pretraining, given: int | None) -> Pretraining:
    """Let a new head learn alone in the first steps: as many as were given, or `HEAD_SHARE` of all."""
    recipe = settings.recipe
    steps = round(HEAD_SHARE * recipe.steps) if given is None else given
    return replace(settings, recipe=replace(recipe, head_steps=steps))


@takes(CompareObjectivesOptions)
def compare_objectives(options: CompareObjectivesOptions) -> Objectives:
    """Train a masked and a causal model of the same size on the same text, and let both fill the same blanks.

    Both read the same sequences in the same order, for as many steps.

    Raises:
        SopanError: one line that says what is wrong, where, and what to do.
    """
    progress = options.progress
    wide = replace(options, max_length=max(options.max_length, options.length))
    configs = {name: new_encoder(wide, causal=name == "causal") for name in ("masked", "causal")}
    chosen = {
        name: chosen_settings(options, config, length=options.length, start=options.start)
        for name, config in configs.items()
    }
    task = None if options.labelled is None else DownstreamTask(options)
    documents = _documents(options.corpus, options, task)
    with _kept(options.work) as folder:
        wordpiece = find_vocabulary(documents, options, folder)
        models: dict[str, LanguageModel] = {}
        looks: dict[str, list[EvaluationEntry]] = {}
        store, apart = Workplace(folder).stores(documents, wordpiece, progress)
        blanks = _held_out_blanks(documents, wordpiece, options.seed)
        if not blanks:
            raise DataError(
                "there are no sentences of 5 to 40 words in the held-out texts",
                where=", ".join(documents.paths),
                next_step="hold out more texts, with --held-out",
            )
        for objective, config in configs.items():
            settings = with_steps(chosen[objective], store, wordpiece, options)
            place = Workplace(folder / objective)
            found = train_language_model(place, store, apart, wordpiece, config, settings, progress=progress)
            models[objective] = found.model
            looks[objective] = [evaluation_entry(each) for each in found.evaluations]
            if task is not None:
                publish(found, folder / objective / "model", settings, documents.paths)
        progress("blanks", {"stage": "filling held-out blanks"})
        filled = {name: evaluate_blanks(model, blanks) for name, model in models.items()}
        report: Objectives = {"looks": looks, "blanks": compare_filled(filled, "masked", "causal")}
        if task is not None:
            progress("labels", {"stage": "learning labels from both"})
            correct = {name: task.correct(str(folder / name / "model")) for name in models}
            report["downstream"] = task.report(correct, "masked", "causal")
    return report


class DownstreamTask:
    """One labelled data set, split once: models learn its labels, and all are tested on the same texts.

    Args:
        options: which data, how to read and split them.

    Raises:
        SopanError: the data cannot be used.
    """

    def __init__(self, options: LabelledOptions):
        self.seed = options.seed
        corpus = read_corpus(str(options.labelled), options.labelled_reading)
        self.train, self.val, self.test = clean_data(corpus, options).parts()

    def held_out(self) -> pa.LargeStringArray:
        """Return the validation and test texts."""
        return pa.concat_arrays([self.val.texts, self.test.texts])

    def correct(self, preset: str) -> BoolArray:
        """Let the step `bert` learn the labels from a preset; say which test texts (N,) it gets right."""
        fixed = {"preset": preset, "adapt_steps": 0, "random_state": self.seed}
        tuned = tune("bert", self.train, self.val, budget=Budget.parse("1trials"), fixed=fixed)
        found: BoolArray = tuned.estimator.predict(self.test.texts) == self.test.names
        return found

    def report(self, correct: Mapping[str, BoolArray], a: str, b: str) -> Downstream:
        """Say how accurate each was, and by how much a beats b: share, 95% interval, exact McNemar p."""
        difference = paired_difference(correct[a], correct[b], np.random.default_rng(0))
        accuracy = {name: float(each.mean()) for name, each in correct.items()}
        return {"tests": len(correct[a]), "accuracy": accuracy, "difference": difference}


def _documents(
    corpus: Sequence[str | Path], options: LearnOptions, task: DownstreamTask | None
) -> CorpusReading:
    """Read a corpus without the texts that a task is tested on."""
    barred = None if task is None else task.held_out()
    return CorpusReading(tuple(map(str, corpus)), options, options.held_out, barred)


def _held_out_blanks(corpus: CorpusReading, wordpiece: PieceTokenizer, seed: int) -> list[Blank]:
    """Hide a word in each of some held-out sentences, if there are any."""
    rng = np.random.default_rng([seed, 2])
    texts = chain.from_iterable(batch.to_pylist() for batch in corpus.batches(held_out=True))
    return make_blanks(sentences(texts, BLANKS, rng), wordpiece, rng)


@contextmanager
def _kept(work: str | Path | None) -> Iterator[Path]:
    """Give the folder to work in, which goes away afterwards if none was named."""
    if work is not None:
        yield check_out(work)
        return
    with tempfile.TemporaryDirectory(prefix="sopan-") as folder:
        yield Path(folder)
