"""WordPiece's rules: what becomes of a text before it is cut into words, and how its pieces are found."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from tempfile import TemporaryFile
from typing import Literal, NamedTuple, TypedDict

from tokenizers import Regex, Tokenizer, normalizers, trainers

from sopan.text.unicode import LINE_BREAK

Accents = Literal["keep", "strip", "strip-alphabets"]
"""Which combining marks are dropped: none, all (BERT-uncased), or those of Latin, Greek and Cyrillic."""

ALPHABET_MARKS = "[\u0300-\u036f]"
"""Combining Diacritical Marks, which Latin, Greek and Cyrillic letters carry; Indic signs are elsewhere."""


class PieceSettings(TypedDict):
    """The rules that a model folder keeps beside its pieces; see `Rules`."""

    lowercase: bool
    accents: Accents
    breaks: bool


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


def learn_pieces(
    tokenizer: Tokenizer, texts: Iterable[str], size: int, *, specials: Sequence[str], continues: str
) -> tuple[str, ...]:
    """Find the pieces that serve N texts best.

    Args:
        tokenizer: brings texts into their normal form and cuts them into words; its model is trained.
        texts: read once, one after the other; they need not fit into memory: a temporary file keeps them.
        size: V, at most.
        specials: pieces that stand for no text; they come first.
        continues: begins a piece that is not the first of its word.

    Returns:
        In id order: the special pieces, single characters, then the others as they were found.
    """
    counts: Counter[str] = Counter()
    with TemporaryFile("w+", encoding="utf-8", newline="\n") as kept:
        for text in texts:
            form = tokenizer.normalizer.normalize_str(text).replace("\n", " ")
            counts.update(form)
            kept.write(f"{form}\n")
        kept.seek(0)
        letters = sorted(filter(str.strip, counts), key=lambda letter: (-counts[letter], letter))
        alphabet = sorted(letters[: min(1000, size // 4)])
        inner = [f"{continues}{letter}" for letter in alphabet if not _stands_alone(letter)]
        trainer = trainers.WordPieceTrainer(
            vocab_size=size,
            special_tokens=[*specials, *alphabet, *inner],
            continuing_subword_prefix=continues,
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),  # no character but these
            show_progress=False,
        )
        tokenizer.train_from_iterator(kept, trainer)
    pieces = tokenizer.get_vocab(with_added_tokens=False)
    return tuple(sorted(pieces, key=pieces.__getitem__))


def _stands_alone(letter: str) -> bool:
    """Say that BERT's rule makes a character a word of its own: punctuation and Chinese ones."""
    if letter.isascii():
        return not letter.isalnum()
    chinese = "\u3400" <= letter <= "\u9fff" or "\uf900" <= letter <= "\ufaff" or letter >= "\U00020000"
    return chinese or unicodedata.category(letter).startswith("P")


@cache
def byte_of_letter() -> dict[str, int]:
    """Return which byte each letter stands for in byte-level BPE, as GPT-2 and RoBERTa have it."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + n): byte for n, byte in enumerate(hidden)}
