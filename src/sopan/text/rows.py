"""Which rows can be used: refusals gathered, judged and told; texts too long to be texts cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError
from sopan.text.columns import Roles
from sopan.text.files import printable
from sopan.text.labels import is_blank
from sopan.text.table import LINE, ROW
from sopan.types import BoolArray, Reject

MAX_TEXT_CHARS = 1_000_000
"""Longer texts are cut here before anything else is done with them, and counted."""

_LISTED_REJECTS = 5


def usable_rows(batch: pa.RecordBatch, roles: Roles) -> tuple[pa.RecordBatch, list[Reject]]:
    """Part a batch into the rows that can be used and the refusals of those without text or label."""
    no_text = np.asarray(batch.column(roles.text).is_null())
    no_label = is_blank(batch.column(roles.label)) if roles.label else np.zeros(len(no_text), bool)
    bad = np.flatnonzero(no_text | no_label)
    if not len(bad):
        return batch, []
    refused = []
    for i in bad.tolist():
        row, line, text = (batch.column(name)[i].as_py() for name in (ROW, LINE, roles.text))
        reason = f"no {roles.text}" if no_text[i] else f"no {roles.label}"
        refused.append(Reject(line, reason if line else f"row {row}: {reason}", printable(text or "")))
    return batch.filter(pa.array(~(no_text | no_label))), refused


def judge(rejects: list[Reject], max_rejects: int, name: str) -> list[Reject]:
    """Return the rejects in the order of the file if they may be tolerated.

    Raises:
        DataError: there are more than `max_rejects`.
    """
    rejects = sorted(rejects, key=lambda reject: reject.line or 0)
    if len(rejects) <= max_rejects:
        return rejects
    shown = [
        (f"line {r.line}: " if r.line else "") + r.reason + (f" ({r.excerpt})" if r.excerpt else "")
        for r in rejects[:_LISTED_REJECTS]
    ]
    more = len(rejects) - len(shown)
    listed = "; ".join(shown) + (f"; and {more:,} more" if more > 0 else "")
    where = f"{name}:{rejects[0].line}" if rejects[0].line else name
    encoding = ", use --encoding if the file has another" if "not valid UTF-8" in listed else ""
    raise DataError(
        f"{len(rejects):,} row{'s' * (len(rejects) > 1)} cannot be used: {listed}",
        where=where,
        next_step=f"mend the file{encoding}, or go on without them: --max-rejects {len(rejects)}",
    )


def cut_long(texts: pa.LargeStringArray) -> tuple[pa.LargeStringArray, BoolArray]:
    """Cut texts at `MAX_TEXT_CHARS`, and tell which were."""
    cut = np.asarray(pc.greater(pc.utf8_length(texts), MAX_TEXT_CHARS))
    if cut.any():
        texts = pc.utf8_slice_codeunits(texts, 0, MAX_TEXT_CHARS)
    return texts, cut


def loss_notes(cut: int, rejects: Sequence[Reject]) -> list[str]:
    """Say in words what was cut and what was refused."""
    notes = []
    if cut:
        notes.append(f"{cut:,} text{'s' * (cut > 1)} cut at {MAX_TEXT_CHARS:,} characters")
    if rejects:
        notes.append(f"{len(rejects):,} row{'s' * (len(rejects) > 1)} refused and left out")
    return notes
