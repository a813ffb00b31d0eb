"""Deal texts to parts: in proportion, in exact numbers, and copies of one text together."""

from __future__ import annotations

import numpy as np

from sopan.types import FloatArray, Int64Array


def apportion(quotas: FloatArray, total: int) -> Int64Array:
    """Round quotas to whole numbers that add up to `total`: largest remainder (Hamilton's method).

    Quotas that do not add up to `total` are scaled to it first.
    """
    quotas = quotas * (total / quotas.sum()) if quotas.sum() else quotas
    counts = np.floor(quotas + 1e-9).astype(np.int64)
    order = np.argsort(counts - quotas, kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def apportion_table(classes: Int64Array, parts: Int64Array) -> Int64Array:
    """Deal classes over parts in proportion, with both margins exact (controlled rounding).

    Each class that has a text gets one in part 0 (training).

    Args:
        classes: (C,) texts of each class.
        parts: (P,) texts of each part, the same sum; part 0 has C or more.

    Returns:
        (C, P) int64, rows adding up to `classes` and columns to `parts`.
    """
    quotas = np.outer(classes, parts) / classes.sum()
    table: Int64Array = np.floor(quotas + 1e-9).astype(np.int64)
    of_class, of_part = classes - table.sum(axis=1), parts - table.sum(axis=0)
    cells = np.argsort(table - quotas, axis=None, kind="stable")  # largest remainder first
    while of_class.any():  # a second pass is rare: the first left a row and a column that do not meet
        for row, column in zip(*np.unravel_index(cells, table.shape), strict=True):
            if of_class[row] and of_part[column]:
                table[row, column] += 1
                of_class[row] -= 1
                of_part[column] -= 1
    for row in np.flatnonzero((table[:, 0] == 0) & (classes > 0)):
        lender, column = table[:, 0].argmax(), table[row].argmax()  # swap two texts: margins stay
        table[[row, lender], [0, column]] += 1
        table[[lender, row], [0, column]] -= 1
    return table


def deal(labels: Int64Array, groups: Int64Array, counts: Int64Array, rng: np.random.Generator) -> Int64Array:
    """Deal N texts to P parts, stratified by label, never parting a group; return each text's part.

    Groups of several texts are dealt first, largest first, each to a part that has room for it, at
    random in proportion to the room; single texts then fill every part exactly.

    Args:
        labels: (N,) class indices.
        groups: (N,) equal for texts that must stay together.
        counts: (P,) texts wanted in each part, adding up to N.
        rng: shuffles.
    """
    part_of = np.full(len(labels), -1, np.int64)
    room = apportion_table(np.bincount(labels), counts)
    n_classes = len(room)
    order = rng.permutation(len(labels))
    group_sizes = np.bincount(groups)
    single = group_sizes[groups] == 1
    in_train = np.bincount(labels[single], minlength=n_classes) > 0  # single texts will see to these

    several = order[~single[order]]
    several = several[np.lexsort((groups[several], -group_sizes[groups[several]]))]
    cuts = np.flatnonzero(np.diff(groups[several])) + 1
    for members in np.split(several, cuts) if len(several) else []:
        classes, needs = np.unique(labels[members], return_counts=True)
        fits = (room[classes] >= needs[:, None]).all(axis=0)
        if not in_train[classes].all():
            part = 0
        elif fits.any():
            weights = np.where(fits, room[classes].sum(axis=0), 0)
            part = int(rng.choice(len(counts), p=weights / weights.sum()))
        else:
            part = int(room[classes].sum(axis=0).argmax())
        in_train[classes] |= part == 0
        room[classes, part] -= needs
        part_of[members] = part

    for label in range(n_classes):
        rows = order[single[order] & (labels[order] == label)]
        left = apportion(np.maximum(room[label], 0).astype(np.float64), len(rows))
        if room[label, 0] > 0 and left[0] == 0 < len(rows):  # groups that fit nowhere squeezed training out
            left[left.argmax()] -= 1
            left[0] = 1
        part_of[rows] = np.repeat(np.arange(len(counts)), left)
    return part_of
