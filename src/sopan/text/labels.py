"""Labels as class indices, and the checks that keep two spellings of one class from becoming two classes."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError
from sopan.options.data import ReadOptions
from sopan.types import Int32Array

PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""What a split column or a folder may call the three parts."""

UNEVEN, IMBALANCED, VERY_IMBALANCED = 1.5, 3.0, 10.0
"""Three thresholds of `imbalance`, which differ in what crossing them costs.

Above `UNEVEN` a linear step also tries to weigh its classes: such a trial takes seconds, and the validation
texts decide. Above `IMBALANCED` an accuracy hides the small classes: settings are tuned for macro-F1, a
network, whose trials take minutes, also tries weights, and the audit notes it; from `VERY_IMBALANCED` on it
warns.
"""

_LISTED = 8


class Coded(NamedTuple):
    """N labels as numbers.

    Args:
        indices: (N,) int32, places in the classes.
        classes: C names, sorted.
        notes: what was done to the names.
    """

    indices: Int32Array
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def encode_labels(
    labels: pa.LargeStringArray, name: str, options: ReadOptions = ReadOptions(), *, learning: bool = True
) -> Coded:
    """Turn N label names into indices of the sorted class names.

    Whatever wrote the file, a value has one name: if all labels are numbers as programs write them, 1.0 is
    called 1, and True is true.

    Args:
        labels: N names, none missing.
        name: the file, for errors.
        options: with `keep_labels` names stay as they are; with `merge_labels` the most frequent spelling of
            a class is its name.
        learning: from these; else something learnt is measured on them, which asks for less.

    Raises:
        DataError: to learn from there are fewer than two classes, spellings that differ only by spaces,
            number format or Unicode form, or a class with a single example.
    """
    encoded = labels.dictionary_encode()
    seen = encoded.dictionary.to_pylist()
    counts = np.bincount(encoded.indices.to_numpy(), minlength=len(seen))
    written, notes = seen, list[str]()
    if options.merge_labels:
        written, notes = _merged(seen, counts)
    elif learning and not options.keep_labels:
        _check_spellings(seen, name)
    if not options.keep_labels and written != (plain := plain_names(written)):
        place = next(i for i, (old, new) in enumerate(zip(written, plain, strict=True)) if old != new)
        notes.append(
            f"labels are values: {written[place]!r} is called {plain[place]!r} (--keep-labels: not so)"
        )
        written = plain
    classes = tuple(sorted(set(written)))
    if learning and len(classes) < 2:
        raise DataError(
            f"every text has the same label, {classes[0]!r}",
            where=name,
            next_step="two or more classes are needed to learn a difference",
        )
    place_of = {label: i for i, label in enumerate(classes)}
    order = np.array([place_of[label] for label in written], np.int32)
    index = order[encoded.indices.to_numpy()]
    if learning:
        _check_counts(np.bincount(index, minlength=len(classes)), classes, name)
    return Coded(index, classes, tuple(notes))


def plain_names(labels: Sequence[str]) -> list[str]:
    """Return labels that are values of numbers or of yes and no as Parquet has them: 1.0 is 1, True is true.

    All of them must be written as Python, pandas and NumPy write such values; others are names.
    """
    if labels and all(_is_float(label) for label in labels):
        return [label.removesuffix(".0") for label in labels]
    if labels and any(set(labels) <= style for style in _BOOLEANS):
        return [label.lower() for label in labels]
    return list(labels)


_BOOLEANS = ({"True", "False"}, {"TRUE", "FALSE"})


def _is_float(label: str) -> bool:
    try:
        return repr(float(label)) == label and label not in ("nan", "inf", "-inf")
    except ValueError:
        return False


def folded(label: str) -> object:
    """Return what spellings of one class share that differ in case too; see `_meaning`."""
    meaning = _meaning(label)
    return meaning.casefold() if isinstance(meaning, str) else meaning


def alike(classes: Sequence[str]) -> list[list[str]]:
    """Return the groups of names that differ only in case, spaces, Unicode form or the writing of numbers."""
    groups: dict[object, list[str]] = defaultdict(list)
    for label in classes:
        groups[folded(label)].append(label)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _merged(labels: Sequence[str], counts: npt.NDArray[np.int64]) -> tuple[list[str], list[str]]:
    """Return each label in its class's most frequent spelling, the first of equals, and what was merged."""
    of = dict(zip(labels, counts.tolist(), strict=True))
    chosen, notes = {label: label for label in labels}, []
    for group in alike(labels):
        best = min(group, key=lambda label: (-of[label], label))
        chosen |= dict.fromkeys(group, best)
        others = ", ".join(f"{label!r} ({of[label]:,})" for label in group if label != best)
        notes.append(f"labels merged into {best!r} ({of[best]:,}): {others}")
    return [chosen[label] for label in labels], notes


def normalise_split(values: pa.LargeStringArray, column: str, name: str) -> npt.NDArray[np.str_]:
    """Turn N values of a split column into 'train', 'val' or 'test'.

    Raises:
        DataError: values that name none of the three.
    """
    encoded = values.dictionary_encode()
    seen = encoded.dictionary.to_pylist()
    parts = [PART_NAMES.get(value.strip().lower(), "") for value in seen]
    unknown = sorted(repr(value) for value, part in zip(seen, parts, strict=True) if not part)
    if unknown or encoded.null_count:
        unknown += ["a missing value"] * bool(encoded.null_count)
        raise DataError(
            f"the split column {column!r} holds {_listed(unknown)}",
            where=name,
            next_step=f"its values must be among {', '.join(PART_NAMES)}; or rename the column to split anew",
        )
    named: npt.NDArray[np.str_] = np.asarray(parts, str)[encoded.indices.to_numpy()]
    return named


def imbalance(counts: npt.NDArray[np.integer[Any]]) -> float:
    """Return how many texts the largest class has to one of the smallest, of those that have any.

    Args:
        counts: (C,) texts of each class.
    """
    present = counts[counts > 0]
    return float(present.max() / present.min())


def is_blank(values: pa.LargeStringArray) -> npt.NDArray[np.bool_]:
    """Tell which of N values are missing or hold nothing but white space."""
    empty = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0)
    return np.asarray(pc.fill_null(empty, True))


def _check_spellings(labels: Sequence[str], name: str) -> None:
    groups: dict[object, list[str]] = defaultdict(list)
    for label in labels:
        groups[_meaning(label)].append(label)
    clashes = [" and ".join(map(repr, sorted(group))) for group in groups.values() if len(group) > 1]
    if clashes:
        raise DataError(
            f"labels that differ only in spelling: {_listed(sorted(clashes))}",
            where=name,
            next_step="write each class in one way, or say which it is: --merge-labels makes them one class, "
            "--keep-labels takes them as they are",
        )


def _meaning(label: str) -> object:
    """Return what two spellings of one class share: words without outer spaces, or a number's value."""
    plain = " ".join(unicodedata.normalize("NFC", label).split())
    try:
        return plain if "_" in plain else float(plain)
    except ValueError:
        return plain


def _check_counts(counts: npt.NDArray[np.int64], classes: tuple[str, ...], name: str) -> None:
    single = [repr(c) for c, count in zip(classes, counts, strict=True) if count == 1]
    if single:
        what = "the class" if len(single) == 1 else "classes with a single example each:"
        has = " has a single example" if len(single) == 1 else ""
        raise DataError(
            f"{what} {_listed(single)}{has}: it could be learned or tested, not both",
            where=name,
            next_step="give it more examples, merge it with another class, or leave it out",
        )


def _listed(items: Sequence[str]) -> str:
    """Join the first few items, and say how many more there are."""
    more = len(items) - _LISTED
    return ", ".join(items[:_LISTED]) + (f" and {more} more" if more > 0 else "")
