"""Labelled tables for tests, every sentence made up here: several languages, any number of classes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ENGLISH = {
    "good": ("warm", "funny", "honest", "lovely", "clever", "moving"),
    "bad": ("dull", "clumsy", "empty", "tedious", "noisy", "stale"),
    "mixed": ("uneven", "patchy", "decent", "passable", "ordinary", "middling"),
}
BENGALI = {
    "ভালো": ("চমৎকার", "সুন্দর", "মজার", "হৃদয়স্পর্শী", "অসাধারণ", "প্রাণবন্ত"),
    "খারাপ": ("বিরক্তিকর", "দুর্বল", "ক্লান্তিকর", "হতাশাজনক", "নিস্প্রাণ", "এলোমেলো"),
}
HINDI = {
    "अच्छा": ("शानदार", "मज़ेदार", "सुंदर", "दिलचस्प", "बेहतरीन", "प्यारी"),
    "बुरा": ("उबाऊ", "कमज़ोर", "बेकार", "निराशाजनक", "थकाऊ", "फीकी"),
}
FILLERS = {
    "en": "the film has a long story about two sisters and their old house by the river",
    "bn": "ছবিটা গল্পটা অভিনয় গান দুই বোন আর পুরোনো বাড়ি নদীর ধারে আমরা দেখলাম",
    "hi": "फ़िल्म कहानी अभिनय गाना दो बहनें और पुराना घर नदी किनारे हमने देखी",
}


def opinions(
    counts: dict[str, int],
    signs: dict[str, Sequence[str]],
    language: str = "en",
    words: int = 12,
    seed: int = 0,
) -> list[tuple[str, str]]:
    """Make (text, label) rows: filler words, two that give the label away, now and then one that misleads."""
    rng = np.random.default_rng(seed)
    every_sign = [word for group in signs.values() for word in group]
    rows = []
    for label, count in counts.items():
        for _ in range(count):
            chosen = list(rng.choice(FILLERS[language].split(), words)) + list(rng.choice(signs[label], 2))
            if rng.random() < 0.3:
                chosen.append(str(rng.choice(every_sign)))
            rows.append((" ".join(rng.permutation(chosen)), label))
    return [rows[i] for i in rng.permutation(len(rows))]


def topics(n_classes: int, each: int, seed: int = 0) -> list[tuple[str, str]]:
    """Make rows of many classes, each with three made-up words of its own."""
    signs = {f"intent_{c:02d}": [f"{s}{c:02d}" for s in ("zor", "mib", "kel")] for c in range(n_classes)}
    return opinions(dict.fromkeys(signs, each), signs, words=6, seed=seed)


def write_csv(
    path: Path, rows: Sequence[tuple[str, str]], header: Sequence[str] | None = ("text", "label")
) -> Path:
    """Write rows as CSV, or as TSV if the name says so."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t" if path.suffix == ".tsv" else ",")
        if header:
            writer.writerow(header)
        writer.writerows(rows)
    return path


def reviews(path: Path, each: int = 60, seed: int = 0) -> Path:
    """Write a small two-class table of English opinions."""
    signs = {label: ENGLISH[label] for label in ("good", "bad")}
    return write_csv(path, opinions(dict.fromkeys(signs, each), signs, seed=seed))
