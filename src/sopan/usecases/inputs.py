"""What several use cases do first: split a corpus, read further texts, check steps and folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sopan.errors import ConfigError, DataError
from sopan.options.base import listed
from sopan.options.classify import TuneOptions
from sopan.options.data import SplitOptions, TokenRule
from sopan.runtime.network import NETWORKS
from sopan.steps import STEPS, check_backend, step_class
from sopan.text.audit import Audit, audit_corpus, remove_leaks
from sopan.text.read import read_texts
from sopan.text.split import check_parts, dedupe_unlabelled, make_split
from sopan.types import Corpus, Labelled, Split


class CleanSplit(NamedTuple):
    """A split of a corpus, what its audit found, and the same without what leaked."""

    given: Split
    audit: Audit
    clean: Split


def split_corpus(corpus: Corpus, options: SplitOptions) -> Split:
    """Split a corpus, reproducibly."""
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(0,)))
    return make_split(corpus, train=options.train, val=options.val, test=options.test, rng=rng)


def clean_split(corpus: Corpus, options: SplitOptions, rule: TokenRule = "words") -> CleanSplit:
    """Split a corpus, audit it, and keep from the training texts what leaked into the others.

    Raises:
        DataError: too few texts are left.
    """
    split = split_corpus(corpus, options)
    audit = audit_corpus(corpus, split, rule=rule)
    clean = remove_leaks(split, audit)
    check_parts(corpus, clean)
    return CleanSplit(split, audit, clean)


def labelled_parts(corpus: Corpus, split: Split) -> tuple[Labelled, Labelled, Labelled]:
    """Return the texts to train, validate and test on, with their labels."""
    train, val, test = (corpus.take(rows) for rows in (split.train, split.val, split.test))
    return train, val, test


def with_unlabelled(
    corpus: Corpus, split: Split, options: TuneOptions
) -> tuple[Corpus, pa.LargeStringArray | None]:
    """Read further texts, drop those that are held out, and note both numbers on the corpus."""
    if options.unlabelled is None:
        return corpus, None
    try:
        texts, _ = read_texts(options.unlabelled, options)
    except DataError:
        if options.text is None:
            raise
        inferred = replace(options, text=None)  # another file may call its text column otherwise
        texts, _ = read_texts(options.unlabelled, inferred)
    held_out = corpus.texts.take(pa.array(np.concatenate([split.val, split.test])))
    kept, dropped = dedupe_unlabelled(texts, held_out)
    note = f"{len(kept):,} unlabelled texts, {dropped:,} dropped that stand in validation or test"
    return replace(corpus, source=replace(corpus.source, notes=(*corpus.source.notes, note))), kept


def check_out(out: str | Path) -> Path:
    """Hold that a folder can be written, before any work is done for it.

    Raises:
        ConfigError: a file is in the way, or the place is not writable.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ConfigError("this is a file, not a folder", where=str(folder), next_step="choose another --out")
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not os.access(there, os.W_OK):
        raise ConfigError("cannot be written", where=str(there), next_step="choose another --out")
    return folder


def check_steps(steps: Sequence[str] | str) -> tuple[str, ...]:
    """Hold that every step, with its variant, exists and is named once; one string may name several.

    Raises:
        ConfigError: which is not so.
        MissingExtraError: a step is a network, and what it runs on is not installed.
    """
    steps = [step for step in listed(steps) if step]
    if not steps:
        raise ConfigError("no step was named", next_step=f"steps: {', '.join(STEPS)}")
    for step in steps:
        if step not in STEPS:  # a plain name needs no look into its module, which may bring TensorFlow in
            step_class(step).variant_settings(step)
        elif step in NETWORKS:
            check_backend(f"the step {step}")
    twice = {step for step in steps if list(steps).count(step) > 1}
    if twice:
        raise ConfigError(f"the step {min(twice)} is named twice")
    return tuple(steps)
