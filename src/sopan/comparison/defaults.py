"""What is compared unless somebody says otherwise, and which preset `bert` then starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from sopan.comparison.contenders import Contender
from sopan.errors import DownloadError, SopanError
from sopan.options.base import ProgressCallback
from sopan.options.names import StepName
from sopan.steps import STEPS
from sopan.steps.presets import PRESETS, present, preset_tokenizer
from sopan.text.audit_report import Finding
from sopan.text.piece_tokenizer import UNK, PieceTokenizer
from sopan.text.tokenize import tokenize

BEST_FIRST = ("minilm", "sopan-mini")
"""Presets that `bert` may start from: `minilm` came out ahead on every data set tried (docs/log.md)."""
DEFAULT = (*STEPS, "bert:frozen", "stack", "cascade")
"""What is compared unless told otherwise."""
PROBED = 500
"""So many training texts tell whether a preset knows their language."""
MOST_UNKNOWN, MOST_PIECES = 0.1, 3.5
"""A preset that does not know more than this share of the pieces, or that cuts a word into more than so many,
knows another language: of Bengali an English one does not know 78%, of Hindi 30%."""


def lacks_preset(contender: Contender) -> bool:
    """Say whether a contender is a `bert` whose start nobody named."""
    step, variant, preset = StepName.parse(contender.name)
    named = preset is not None or variant == "scratch" or "preset" in contender.settings
    return contender.estimator is None and step == "bert" and not named


def name_presets(
    contenders: Sequence[Contender], texts: pa.LargeStringArray, progress: ProgressCallback
) -> tuple[Contender, ...]:
    """Name the preset of each `bert` whose start nobody named: the best at hand for the texts' language.

    Where no preset knows it, `bert` learns from scratch, and one that is frozen is left out; both is said.

    Args:
        contenders: as given.
        texts: N training texts.
        progress: told what is fetched and chosen, and why.
    """
    if not any(map(lacks_preset, contenders)):
        return tuple(contenders)
    preset = choose_preset(texts, progress)
    taken = {contender.name for contender in contenders}
    named = []
    for contender in contenders:
        if not lacks_preset(contender):
            named.append(contender)
            continue
        name = StepName.parse(contender.name)
        if preset is None and name.variant is not None:
            progress(contender.name, {"stage": "left out: no preset knows the language of the texts"})
            continue
        meant = str(name._replace(preset=preset) if preset else name._replace(variant="scratch"))
        if meant not in taken:
            named.append(replace(contender, name=meant))
    return tuple(named)


def choose_preset(texts: pa.LargeStringArray, progress: ProgressCallback) -> str | None:
    """Return the best preset at hand that knows the texts' language, fetching it; None: none does."""
    for name in BEST_FIRST:
        preset = PRESETS[name]
        if present(preset) is None:
            why = f"fetching {name} ({preset.megabytes:.0f} MB), the better start"
            progress("bert", {"stage": why})
        try:
            tokenizer = preset_tokenizer(name)
        except DownloadError as error:
            progress("bert", {"stage": f"{error.what}; starting from {BEST_FIRST[-1]}"})
            continue
        misfit = misfit_of(tokenizer, texts)
        if misfit is None:
            return name
        progress("bert", {"stage": f"{name} {misfit}"})
    return None


def misfit_of(tokenizer: PieceTokenizer, texts: pa.LargeStringArray) -> str | None:
    """Say why a preset does not know the language of N texts, by how it cuts some of them; None: it does."""
    sample = texts.take(pa.array(np.linspace(0, len(texts) - 1, min(PROBED, len(texts))).astype(np.int64)))
    pieces = tokenizer.encode(sample).ids
    unknown = float(np.mean(pieces == tokenizer.specials[UNK])) if len(pieces) else 0.0
    if unknown > MOST_UNKNOWN:
        return f"does not know {unknown:.0%} of the texts' pieces"
    words = sum(len(tokenize(text).words) for text in sample.to_pylist())
    if len(pieces) > MOST_PIECES * words:
        return f"cuts a word of the texts into {len(pieces) / max(words, 1):.1f} pieces"
    return None


def preset_findings(contenders: Sequence[Contender], texts: pa.LargeStringArray) -> list[Finding]:
    """Warn of each preset that was named and does not know the language of the N training texts."""
    findings = []
    for contender in contenders:
        name = StepName.parse(contender.name)
        preset = name.preset or contender.settings.get("preset")
        if contender.estimator is not None or name.step != "bert" or not preset:
            continue
        try:
            misfit = misfit_of(preset_tokenizer(str(preset)), texts)
        except SopanError:
            continue  # whoever starts from it says why it cannot be had
        if misfit is not None:
            message = (
                f"`{contender.name}`: {preset} {misfit}: try bert:scratch, or a preset of their language."
            )
            findings.append(Finding("warning", "preset_misfit", message, len(texts), ()))
    return findings
