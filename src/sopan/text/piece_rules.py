"""The normal form of WordPiece: what becomes of a text before it is cut into words."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tokenizers import Regex, normalizers

from sopan.text.unicode import LINE_BREAK

Accents = Literal["keep", "strip", "strip-alphabets"]
"""Which combining marks are dropped: none, all (BERT-uncased), or those of Latin, Greek and Cyrillic."""

ALPHABET_MARKS = "[\u0300-\u036f]"
"""Combining Diacritical Marks, which Latin, Greek and Cyrillic letters carry; Indic signs are elsewhere."""


class Rules(NamedTuple):
    """How texts are brought into normal form.

    Args:
        lowercase: fold to lower case, character by character.
        accents: which combining marks are dropped.
        breaks: a `LINE_BREAK` is a space, before all else; BERT reads four words.
        clean: drop control characters; all white space becomes spaces.
        ideographs: each ideograph is a word.
    """

    lowercase: bool = True
    accents: Accents = "strip"
    breaks: bool = False
    clean: bool = True
    ideographs: bool = True

    def normalizer(self) -> normalizers.Normalizer:
        """Return the library's normaliser that keeps to these rules."""
        bert = normalizers.BertNormalizer(
            clean_text=self.clean,
            handle_chinese_chars=self.ideographs,
            strip_accents=self.accents == "strip",
            lowercase=self.lowercase,
        )
        steps: list[normalizers.Normalizer] = [bert]
        if self.breaks:
            steps.insert(0, normalizers.Replace(Regex(LINE_BREAK), " "))
        if self.accents == "strip-alphabets":
            marks = normalizers.Replace(Regex(ALPHABET_MARKS), "")
            steps += [normalizers.NFD(), marks, normalizers.NFC()]
        return bert if len(steps) == 1 else normalizers.Sequence(steps)


def try_out(normalizer: normalizers.Normalizer | None) -> Rules:
    """Find out the rules of any normaliser of the library by what it does to a few letters."""
    if normalizer is None:
        return Rules(lowercase=False, accents="keep", clean=False, ideographs=False)
    probe = normalizer.normalize_str("É कु")
    lowercase = "é" in probe or "e" in probe
    accents: Accents = "keep"
    if "É" not in probe and "é" not in probe:
        accents = "strip-alphabets" if "कु" in probe else "strip"
    return Rules(
        lowercase,
        accents,
        breaks=normalizer.normalize_str("<br />") == " ",
        clean=normalizer.normalize_str("\t") == " ",
        ideographs=normalizer.normalize_str("我") == " 我 ",
    )
