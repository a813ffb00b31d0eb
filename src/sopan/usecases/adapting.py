"""Language models at home in a user's own text, and held side by side: does it help, and by how much?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import MappingProxyType

import numpy as np

from sopan.errors import DataError
from sopan.lm.adapt import grow, new_words
from sopan.lm.evaluate import Blank, compare_filled, fill_blanks, make_blanks, sentences
from sopan.options.data import ReadOptions, SplitOptions, TextOptions
from sopan.steps.language_model import LanguageModel
from sopan.steps.presets import from_preset
from sopan.storage.atomic import folder_lock
from sopan.text.wordpiece import WordPiece
from sopan.types import Json
from sopan.usecases.corpus import CorpusReading
from sopan.usecases.downstream import Exam
from sopan.usecases.inputs import check_out
from sopan.usecases.pretraining import (
    Tell,
    Workplace,
    chosen_settings,
    find_vocabulary,
    publish,
    train,
    with_steps,
)

BLANKS = 2000
"""Words of held-out sentences by which language models are compared."""


def adapt(
    preset: str,
    corpus: Sequence[str | Path],
    out: str | Path,
    *,
    words: int = 1000,
    task: Mapping[str, Json] = MappingProxyType({}),
    recipe: Mapping[str, Json] = MappingProxyType({}),
    steps: int | None = None,
    epochs: float = 1.0,
    precision: str = "float32",
    held_out: float = 0.01,
    reading: TextOptions = TextOptions(),
    work: str | Path | None = None,
    labelled: str | Path | None = None,
    labelled_reading: ReadOptions = ReadOptions(),
    parts: SplitOptions | None = None,
    seed: int = 0,
    tell: Tell = lambda part, message: None,
) -> dict[str, Json]:
    """Let a preset go on learning on a user's own text, frequent words of which become pieces of their own.

    Args:
        preset: a name, a folder or a hub id.
        corpus, task, recipe, steps, epochs, precision, held_out, reading, work, seed, tell: see `pretrain`.
        out: the new model's folder.
        words: how many words become pieces, at most.
        labelled: texts with labels. The step `bert` learns them from the preset and from the adapted model,
            and both are tested on the test part; validation and test texts are first taken out of the corpus.
        labelled_reading, parts: how to read and split these.

    Returns:
        `training` (what `training.json` holds), `new_words`, `blanks` (held-out words that the preset and the
        adapted model fill right, and the difference) where sentences are held out, and `downstream` where
        there are labelled texts.

    Raises:
        SopanError: one line that says what is wrong, where, and what to do.
    """
    before = from_preset(preset)
    chosen = {"objective": before.objective, "length": min(128, before.config.max_length), **task}
    places = {"max_length": before.config.max_length}
    _, settings = chosen_settings(places, chosen, recipe, "random", precision, seed)
    exam = None if labelled is None else Exam(labelled, labelled_reading, parts or SplitOptions(seed=seed))
    documents = _documents(corpus, reading, held_out, exam)
    place = Workplace.of(out, work)
    with folder_lock(Path(out)):
        tell("pieces", {"stage": "finding new words"})
        added = new_words(documents.batches(held_out=False), before.wordpiece, words)
        begin = grow(before, added)
        store, apart = place.stores(documents, begin.wordpiece, tell)
        settings = with_steps(settings, store, begin.wordpiece, steps, epochs)
        blanks = _held_out_blanks(documents, before.wordpiece, seed)
        found = train(place, store, apart, begin.wordpiece, begin.config, settings, begin=begin, tell=tell)
        account = publish(found, out, settings, documents.paths)
    report: dict[str, Json] = {"training": account, "new_words": added}
    if blanks and "predict" not in before.missing_heads:
        tell("blanks", {"stage": "filling held-out blanks"})
        pair = {"before": fill_blanks(before, blanks), "after": fill_blanks(found.model, blanks)}
        report["blanks"] = compare_filled(pair, "after", "before")
    if exam is not None:
        tell("labels", {"stage": "learning labels from both"})
        right = {"before": exam.right(preset), "after": exam.right(str(out))}
        report["downstream"] = exam.report(right, "after", "before")
    return report


def compare_objectives(
    corpus: Sequence[str | Path],
    *,
    encoder: Mapping[str, Json] = MappingProxyType({}),
    task: Mapping[str, Json] = MappingProxyType({}),
    recipe: Mapping[str, Json] = MappingProxyType({}),
    vocabulary: int | str = 12_000,
    steps: int | None = None,
    epochs: float = 1.0,
    precision: str = "float32",
    held_out: float = 0.01,
    reading: TextOptions = TextOptions(),
    work: str | Path | None = None,
    labelled: str | Path | None = None,
    labelled_reading: ReadOptions = ReadOptions(),
    parts: SplitOptions | None = None,
    seed: int = 0,
    tell: Tell = lambda part, message: None,
) -> dict[str, Json]:
    """Train a masked and a causal model of the same size on the same text, and let both fill the same blanks.

    Args:
        corpus, encoder, task, recipe, vocabulary, steps, epochs, precision, held_out, reading, seed, tell:
            see `pretrain`. Both read the same sequences in the same order, for as many steps.
        work: a folder to go on from; a temporary one unless given.
        labelled: texts with labels, which the step `bert` learns from either; see `adapt`.
        labelled_reading, parts: how to read and split these.

    Returns:
        `looks` of both, `blanks`, and `downstream` where there are labelled texts.

    Raises:
        SopanError: one line that says what is wrong, where, and what to do.
    """
    chosen = {
        objective: chosen_settings(encoder, {**task, "objective": objective}, recipe, "cbow", precision, seed)
        for objective in ("masked", "causal")
    }
    exam = None if labelled is None else Exam(labelled, labelled_reading, parts or SplitOptions(seed=seed))
    documents = _documents(corpus, reading, held_out, exam)
    with _kept(work) as folder:
        wordpiece = find_vocabulary(documents, vocabulary, True, folder)
        models: dict[str, LanguageModel] = {}
        looks: dict[str, Json] = {}
        store, apart = Workplace(folder).stores(documents, wordpiece, tell)
        blanks = _held_out_blanks(documents, wordpiece, seed)
        if not blanks:
            raise DataError(
                "there are no sentences of 5 to 40 words in the held-out texts",
                where=", ".join(documents.paths),
                next_step="hold out more texts, with --held-out",
            )
        for objective, (config, given) in chosen.items():
            settings = with_steps(given, store, wordpiece, steps, epochs)
            place = Workplace(folder / objective)
            found = train(place, store, apart, wordpiece, config, settings, tell=tell)
            models[objective] = found.model
            looks[objective] = [look._asdict() for look in found.looks]
            if exam is not None:
                publish(found, folder / objective / "model", settings, documents.paths)
        tell("blanks", {"stage": "filling held-out blanks"})
        filled = {name: fill_blanks(model, blanks) for name, model in models.items()}
        report: dict[str, Json] = {"looks": looks, "blanks": compare_filled(filled, "masked", "causal")}
        if exam is not None:
            tell("labels", {"stage": "learning labels from both"})
            right = {name: exam.right(str(folder / name / "model")) for name in models}
            report["downstream"] = exam.report(right, "masked", "causal")
    return report


def _documents(
    corpus: Sequence[str | Path], reading: TextOptions, held_out: float, exam: Exam | None
) -> CorpusReading:
    """Read a corpus without the texts of an exam."""
    barred = None if exam is None else exam.held_out()
    return CorpusReading(tuple(map(str, corpus)), reading, held_out, barred)


def _held_out_blanks(corpus: CorpusReading, wordpiece: WordPiece, seed: int) -> list[Blank]:
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
