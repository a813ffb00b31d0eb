"""What the use cases take in: how to read a table, how to split it, which steps and rules there are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pyarrow as pa

from sopan.errors import ConfigError, DataError
from sopan.steps import STEPS, step_class
from sopan.text.audit import audit_corpus, remove_leaks
from sopan.text.read import read_corpus, read_texts
from sopan.text.split import check_parts, dedupe_unlabelled, make_split
from sopan.text.tokenize import TokenRule
from sopan.types import Corpus, Labelled, Split


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a table of texts; the defaults infer what they can.

    Args:
        text, label, split_column: column names, or positions where there is no header.
        header: whether the first line names the columns.
        encoding: of text files; bytes that do not decode are rejected rows.
        max_rejects: how many unreadable rows to tolerate.
    """

    text: str | None = None
    label: str | None = None
    split_column: str | None = None
    header: bool = True
    encoding: str = "utf-8"
    max_rejects: int = 0

    def corpus(self, data: str | Path) -> Corpus:
        """Read labelled texts."""
        if not isinstance(data, str | Path):
            raise DataError(
                f"data must be a path or a name, not a {type(data).__name__}",
                next_step="write it to a file first, such as table.to_parquet('reviews.parquet')",
            )
        return read_corpus(data, **asdict(self))

    @property
    def unlabelled(self) -> dict[str, Any]:
        """The settings that reading without labels needs."""
        return {key: value for key, value in asdict(self).items() if key not in ("label", "split_column")}


@dataclass(frozen=True, slots=True)
class Parts:
    """How many texts to train, validate and test on: counts (>= 1) or fractions (< 1)."""

    train: float | None = None
    val: float | None = None
    test: float | None = None

    def split(self, corpus: Corpus, seed: int) -> Split:
        """Split a corpus, reproducibly."""
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        return make_split(corpus, **asdict(self), rng=rng)

    def clean(self, corpus: Corpus, seed: int, rule: TokenRule = "words") -> Split:
        """Split a corpus and keep from the training texts what leaked into the others.

        Raises:
            DataError: too few texts are left.
        """
        split = self.split(corpus, seed)
        split = remove_leaks(split, audit_corpus(corpus, split, rule=rule))
        check_parts(corpus, split)
        return split


DEFAULT_READING = Reading()
DEFAULT_PARTS = Parts()


def labelled_parts(corpus: Corpus, split: Split) -> tuple[Labelled, Labelled, Labelled]:
    """Return the texts to train, validate and test on, with their labels."""
    train, val, test = (corpus.take(rows) for rows in (split.train, split.val, split.test))
    return train, val, test


def with_unlabelled(
    corpus: Corpus, split: Split, unlabelled: str | Path | None, reading: Reading
) -> tuple[Corpus, pa.LargeStringArray | None]:
    """Read further texts, drop those that are held out, and note both numbers on the corpus."""
    if unlabelled is None:
        return corpus, None
    try:
        texts, _ = read_texts(unlabelled, **reading.unlabelled)
    except DataError:
        if reading.text is None:
            raise
        inferred = replace(reading, text=None)  # another file may call its text column otherwise
        texts, _ = read_texts(unlabelled, **inferred.unlabelled)
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


def check_steps(steps: Sequence[str]) -> tuple[str, ...]:
    """Hold that every step, with its variant, exists and is named once; one string may name several.

    Raises:
        ConfigError: which is not so.
    """
    if isinstance(steps, str):
        steps = [step.strip() for step in steps.split(",") if step.strip()]
    if not steps:
        raise ConfigError("no step was named", next_step=f"steps: {', '.join(STEPS)}")
    for step in steps:
        if step not in STEPS:  # a plain name needs no look into its module, which may bring TensorFlow in
            step_class(step).variant_settings(step)
    twice = {step for step in steps if list(steps).count(step) > 1}
    if twice:
        raise ConfigError(f"the step {min(twice)} is named twice")
    return tuple(steps)


def token_rule(name: str) -> TokenRule:
    """Return the rule of that name.

    Raises:
        ConfigError: there is none.
    """
    rules = get_args(TokenRule)
    if name not in rules:
        near = get_close_matches(name, rules, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"no token rule is called {name!r}", next_step=f"{hint}rules: {', '.join(rules)}")
    return cast(TokenRule, name)
