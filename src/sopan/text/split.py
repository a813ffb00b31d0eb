"""Cut a corpus into training, validation and test parts, without making leaks of our own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import ConfigError, DataError
from sopan.options.data import TokenRule
from sopan.text.arrow import Texts, as_texts
from sopan.text.duplicates import canonical, duplicate_groups
from sopan.text.near_duplicates import holds_copy
from sopan.text.stratify import apportion, deal
from sopan.text.vocab import build_vocabulary
from sopan.types import Corpus, Int64Array, Split

Size: TypeAlias = "int | float | None"
"""How much of a part is wanted: a count (1 or more), a fraction (below 1), or None for the default."""

PARTS = ("train", "val", "test")
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
"""What each part gets where nothing is asked; parts left open share in this proportion what others leave."""
VAL_FROM_TRAIN = 0.2
"""The share of the training texts that becomes validation where the source names no validation part."""


def make_split(
    corpus: Corpus, *, train: Size = None, val: Size = None, test: Size = None, rng: np.random.Generator
) -> Split:
    """Cut a corpus into three parts, stratified by label.

    A split that the source names is kept: sizes then draw from each part, and a missing validation
    part is cut from the training texts. Otherwise all texts are dealt anew; copies of one text stay
    together, every class keeps a text in training, and the counts are exact (they can miss only where
    groups of copies are too large to be dealt so).

    Args:
        corpus: N labelled texts.
        train, val, test: counts (1 or more) or fractions (below 1; of all texts, or of the named part).
        rng: the same state gives the same split.

    Raises:
        ConfigError: sizes that cannot be.
        DataError: fewer than two classes, or a label that training would never see.
    """
    sizes = {"train": train, "val": val, "test": test}
    for part, size in sizes.items():
        _check_size(part, size)
    present = np.bincount(corpus.labels, minlength=len(corpus.classes)) > 0
    if present.sum() < 2:
        only = f"one class ({corpus.classes[int(present.argmax())]})" if present.any() else "no labelled text"
        raise DataError(
            f"the data have {only}",
            where=corpus.source.name,
            next_step="a step needs two or more to tell apart",
        )
    if corpus.split is None:
        parts = _deal_anew(corpus, sizes, int(present.sum()), rng)
    else:
        parts = _draw_named(corpus, corpus.split, sizes, rng)
    return Split(**{part: np.sort(rows) for part, rows in parts.items()})


def check_parts(corpus: Corpus, split: Split) -> None:
    """Refuse a split that cannot be trained and measured on.

    Raises:
        DataError: the training texts lack a class, or another part is empty.
    """
    lacking = set(range(len(corpus.classes))) - set(corpus.labels[split.train].tolist())
    if lacking:
        names = ", ".join(corpus.classes[c] for c in sorted(lacking))
        raise DataError(
            f"no training text has the label {names}",
            where=corpus.source.name,
            next_step="give the training part more rows (--train), or drop those rows",
        )
    for part, rows in (("validation", split.val), ("test", split.test)):
        if not len(rows):
            raise DataError(f"the {part} part is empty", next_step="set --train, --val and --test")


def dedupe_unlabelled(
    unlabelled: Texts, held_out_texts: Texts, rule: TokenRule = "words"
) -> tuple[pa.LargeStringArray, int]:
    """Drop the unlabelled texts that repeat, nearly repeat, or hold a validation or test text.

    They are compared by their words, so that neither case, markup nor a label in front hides a copy; equal
    texts without words are copies too.

    Args:
        unlabelled, held_out_texts: texts.
        rule: how they are cut into words.

    Returns:
        The texts that are left, as they were given, and how many were dropped.
    """
    texts, held_out = as_texts(unlabelled), as_texts(held_out_texts)
    copies = np.asarray(pc.is_in(canonical(texts), value_set=canonical(held_out)))
    both = pa.concat_arrays([held_out, texts])
    try:
        encoded = build_vocabulary(both, rule)[1]
    except DataError:  # not one word in any text
        pass
    else:
        copies |= holds_copy(encoded, np.arange(len(both)) < len(held_out))[len(held_out) :]
    kept = texts.filter(pa.array(~copies))
    return kept, len(texts) - len(kept)


# ---- sizes -------------------------------------------------------------------------------


def _check_size(part: str, size: Size) -> None:
    if size is None:
        return
    usable = not isinstance(size, bool) and math.isfinite(size) and size > 0
    if not usable or (size >= 1 and size != int(size)):
        raise ConfigError(
            f"--{part} {size} is not a size", next_step="give a count (1 or more) or a fraction (below 1)"
        )


def _wanted(size: float, available: int) -> float:
    """Return how many texts a size asks for, of so many; a fraction need not give a whole number."""
    return float(size) if size >= 1 else size * available


def _too_many(asked: float, available: int, of_what: str) -> ConfigError:
    return ConfigError(
        f"{math.ceil(asked):,} texts were asked of {available:,} {of_what}",
        next_step="ask for fewer with --train, --val, --test",
    )


def _whole_parts(sizes: Mapping[str, Size], n_texts: int) -> Int64Array:
    """Return how many texts go to train, val, test and to no part; (4,), adding up to all texts."""
    wanted = {part: _wanted(size, n_texts) for part, size in sizes.items() if size is not None}
    left = n_texts - sum(wanted.values())
    if left < -1e-6:
        raise _too_many(n_texts - left, n_texts, "in the data")
    left_open = [part for part in PARTS if part not in wanted]
    for part in left_open:
        wanted[part] = left * SHARES[part] / sum(SHARES[p] for p in left_open)
    quotas = np.array([wanted[part] for part in PARTS] + [0.0 if left_open else max(left, 0.0)])
    counts = apportion(quotas, n_texts)
    counted = np.array([(sizes[part] or 0) >= 1 for part in PARTS] + [False])  # what was asked for exactly
    for empty in np.flatnonzero(counts[: len(PARTS)] == 0):  # a small fraction must not round to nothing
        spare = np.where(counted, 0, counts - np.array([1, 1, 1, 0]))  # of each part, and of no part
        if spare.max() < 1:
            raise ConfigError(
                f"{n_texts:,} texts are too few for these parts", next_step="each part needs a text at least"
            )
        counts[len(PARTS) if counts[-1] else spare.argmax()] -= 1
        counts[empty] = 1
    return counts


# ---- parts --- -----------------------------------------------------------------------------


def _deal_anew(
    corpus: Corpus, sizes: Mapping[str, Size], n_classes: int, rng: np.random.Generator
) -> dict[str, Int64Array]:
    counts = _whole_parts(sizes, len(corpus))
    if counts[0] < n_classes:
        raise ConfigError(
            f"{counts[0]:,} training texts are too few for {n_classes} classes",
            where=corpus.source.name,
            next_step="every class needs one at least: raise --train",
        )
    part_of = deal(corpus.labels.astype(np.int64), duplicate_groups(corpus.texts), counts, rng)
    parts = {part: np.flatnonzero(part_of == i) for i, part in enumerate(PARTS)}
    _check_labels_in_train(corpus, parts)
    return parts


def _draw_named(
    corpus: Corpus, named: npt.NDArray[np.str_], sizes: Mapping[str, Size], rng: np.random.Generator
) -> dict[str, Int64Array]:
    parts = {part: np.flatnonzero(named == part) for part in PARTS}
    for part in ("train", "test"):
        if not len(parts[part]):
            raise DataError(
                f"the split names no {part} text",
                where=corpus.source.name,
                next_step="name it in the split column, or let sopan split: leave out --split-column",
            )
    drawn = dict(sizes)
    if not len(parts["val"]):
        parts["train"], parts["val"] = _cut_validation(corpus, parts["train"], sizes["val"], rng)
        drawn["val"] = None
    _check_labels_in_train(corpus, parts)
    return {part: _draw(corpus, part, parts[part], drawn[part], rng) for part in PARTS}


def _cut_validation(
    corpus: Corpus, train: Int64Array, size: Size, rng: np.random.Generator
) -> tuple[Int64Array, Int64Array]:
    """Return the training rows that are left, and the validation rows cut from them."""
    asked = max(1, round(_wanted(VAL_FROM_TRAIN if size is None else size, len(train))))
    if asked >= len(train):
        raise _too_many(asked, len(train), "training texts, for validation")
    _, labels = np.unique(corpus.labels[train], return_inverse=True)
    if len(train) - asked <= labels.max():
        raise _too_many(
            asked, len(train), "training texts, for validation, which leaves too few to learn from"
        )
    groups = duplicate_groups(corpus.texts.take(pa.array(train)))
    part_of = deal(labels, groups, np.array([len(train) - asked, asked]), rng)
    return train[part_of == 0], train[part_of == 1]


def _draw(corpus: Corpus, part: str, rows: Int64Array, size: Size, rng: np.random.Generator) -> Int64Array:
    """Draw a stratified sample of one part, with a text of every class where there is room."""
    if size is None:
        return rows
    wanted = _wanted(size, len(rows))
    if wanted > len(rows):
        raise _too_many(wanted, len(rows), f"in the part {part}")
    n_rows = max(1, round(wanted))
    classes, labels, available = np.unique(corpus.labels[rows], return_inverse=True, return_counts=True)
    if part == "train" and n_rows < len(classes):
        raise ConfigError(f"--train {size} gives {n_rows} texts, too few for {len(classes)} classes")
    counts = apportion(available.astype(np.float64), n_rows)
    while n_rows >= len(classes) and not counts.all():
        counts[counts.argmax()] -= 1
        counts[counts.argmin()] = 1
    chosen = [rng.choice(rows[labels == i], n, replace=False) for i, n in enumerate(counts)]
    return np.concatenate(chosen)


def _check_labels_in_train(corpus: Corpus, parts: Mapping[str, Int64Array]) -> None:
    n_classes = len(corpus.classes)
    trained = np.bincount(corpus.labels[parts["train"]], minlength=n_classes)
    for part in ("val", "test"):
        there = np.bincount(corpus.labels[parts[part]], minlength=n_classes)
        unseen = np.flatnonzero((there > 0) & (trained == 0))
        if len(unseen):
            raise DataError(
                f"the label {corpus.classes[unseen[0]]!r} stands in {part} ({there[unseen[0]]} texts) "
                "and never in train",
                where=corpus.source.name,
                next_step="give training texts of it, or take its rows out",
            )
