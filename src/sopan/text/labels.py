"""Labels as class indices, and the checks that keep two spellings of one class from becoming two classes."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError
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


def encode_labels(labels: pa.LargeStringArray, name: str) -> tuple[Int32Array, tuple[str, ...]]:
    """Turn N label names into indices of the sorted class names.

    Args:
        labels: N names, none missing.
        name: the file, for errors.

    Returns:
        (N,) int32 indices, and the C class names.

    Raises:
        DataError: fewer than two classes, spellings that differ only by spaces, number format or
            Unicode form, or a class with a single example.
    """
    encoded = labels.dictionary_encode()
    seen = encoded.dictionary.to_pylist()
    _check_spellings(seen, name)
    classes = tuple(sorted(seen))
    if len(classes) < 2:
        raise DataError(
            f"every text has the same label, {classes[0]!r}",
            where=name,
            next_step="two or more classes are needed to learn a difference",
        )
    place = {label: i for i, label in enumerate(classes)}
    order = np.array([place[label] for label in seen], np.int32)
    index = order[encoded.indices.to_numpy()]
    _check_counts(np.bincount(index, minlength=len(classes)), classes, name)
    return index, classes


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
            next_step="write each class in one way",
        )


def _meaning(label: str) -> object:
    """Return what two spellings of one class share: words without outer spaces, or a number's value."""
    plain = " ".join(unicodedata.normalize("NFC", label).split())
    try:
        return float(plain)
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
