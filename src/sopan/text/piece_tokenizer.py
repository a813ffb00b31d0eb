"""Texts cut into pieces that a vocabulary lists, by whatever rules: WordPiece, byte-level BPE, Unigram.

    texts -> normal form -> words -> pieces; some mark says which piece begins a word, or goes on with it

    WordPiece   movie ##s     ## goes on          Schuster & Nakajima (2012)
    BPE         movie s Ġgood   Ġ begins          Radford et al. (2019), over bytes
    Unigram     ▁movie s ▁good  ▁ begins          Kudo (2018), as SentencePiece writes it

The cutting is Hugging Face's `tokenizers`. The special pieces go by the names that BERT gave them, whatever a
vocabulary calls its own: `[MASK]` in a text is a blank, and so is RoBERTa's `<mask>`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
from tokenizers import AddedToken, Tokenizer, models

from sopan.errors import DataError
from sopan.text.arrow import Texts, as_texts
from sopan.text.piece_rules import Rules, byte_of_letter, try_out
from sopan.types import BoolArray, Encoded, Int32Array, Int64Array, Json

PAD, UNK, CLS, SEP, MASK = SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""Pieces that stand for no text; a vocabulary that we train begins with them."""
MARKS = 2
"""`[CLS]` and `[SEP]`, around what a network reads at once."""
CONTINUES = "##"
"""Begins a piece that is not the first of its word, in WordPiece."""
BYTE_SPACE, SPACE = "Ġ", "▁"
"""Begin a piece that stands behind a space: in byte-level BPE, and in what SentencePiece made."""

AT_ONCE = 2048
"""Texts are encoded so many at a time: each takes some kilobytes while it is."""
_UNREACHED = "\0"
"""Put before special pieces of a Unigram model, which would else be found in a text that spells them."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """One text's pieces with their places in it.

    Args:
        pieces: P of them, in order, without `[CLS]` and `[SEP]`.
        ids: (P,) int32.
        starts, ends: (P,) int64, in characters of the text as given.
        words: (P,) int64, rising from 0: pieces of one word have the same number.
    """

    pieces: tuple[str, ...]
    ids: Int32Array
    starts: Int64Array
    ends: Int64Array
    words: Int64Array


@dataclass(frozen=True, eq=False)
class PieceTokenizer:
    """A vocabulary of pieces and the rules that cut a text into them.

    Args:
        tokenizer: of the library, without truncation, padding or a template.
        rules: what it makes of texts before it cuts them, as far as a few letters tell.
        names: what the vocabulary calls each of `SPECIALS`.
    """

    tokenizer: Tokenizer
    rules: Rules
    names: Mapping[str, str] = field(default_factory=lambda: {special: special for special in SPECIALS})

    # ---- made --------------------------------------------------------------------------------

    @classmethod
    def of_json(cls, content: str, names: Mapping[str, str]) -> Self:
        """Take a `tokenizer.json`, dropping what it says of truncation, padding and templates.

        Args:
            content: of the file.
            names: what the vocabulary calls each of `SPECIALS`.

        Raises:
            DataError: it is none, its model is of another kind, or a special piece is missing.
        """
        stated = json.loads(parsed_tokenizer(content).to_str())
        model = stated["model"]
        if model["type"] not in ("BPE", "Unigram", "WordPiece"):
            raise DataError(
                f"holds a {model['type']} model", next_step="BPE, Unigram and WordPiece models can be read"
            )
        added = sorted(stated["added_tokens"], key=lambda token: token["id"])
        vocabulary = _spelt(model)
        for token in added:
            if token["special"] and token["content"] not in vocabulary and token["id"] == len(vocabulary):
                vocabulary[token["content"]] = token["id"]
                if model["type"] == "Unigram":
                    model["vocab"].append([token["content"], 0.0])
        if further := sum(token["content"] not in vocabulary for token in added):
            raise DataError(
                f"adds {further} tokens to the vocabulary of {len(vocabulary)}",
                next_step="a tokenizer without further tokens can be read",
            )
        stated["added_tokens"] = [token for token in added if not token["special"]]
        return cls._assembled(stated, list(vocabulary), names)

    @classmethod
    def kept(
        cls, pieces: Iterable[str], *, tokenizer: Mapping[str, Json], specials: Mapping[str, str]
    ) -> Self:
        """Make it of V pieces in id order and of what `settings` gave.

        Raises:
            DataError: they do not go together.
        """
        stated = json.loads(json.dumps(tokenizer))
        listed = list(pieces)
        try:
            if stated["model"]["type"] == "Unigram":
                scores = stated["model"].pop("scores")
                stated["model"]["vocab"] = [list(pair) for pair in zip(listed, scores, strict=True)]
            return cls._assembled(stated, listed, specials)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the tokenizer does not go with its {len(listed)} pieces ({error})") from error

    @classmethod
    def _assembled(cls, stated: dict[str, Any], pieces: list[str], names: Mapping[str, str]) -> Self:
        """Put together what `tokenizer.json` says, apart from its vocabulary, and the V pieces."""
        lacking = [
            f"{names.get(special)} for {special}" for special in SPECIALS if names.get(special) not in pieces
        ]
        if lacking:
            raise DataError(f"the vocabulary lacks {', '.join(lacking)}")
        if stated["model"]["type"] == "Unigram":
            special = set(names.values())
            for entry in stated["model"]["vocab"]:
                entry[0] = (_UNREACHED if entry[0] in special else "") + entry[0]
        else:
            stated["model"]["vocab"] = {piece: index for index, piece in enumerate(pieces)}
        tokenizer = parsed_tokenizer(
            json.dumps({**stated, "truncation": None, "padding": None, "post_processor": None})
        )
        made = cls(tokenizer, try_out(tokenizer.normalizer), dict(names))
        if not made.mark:
            raise DataError(
                f"this {stated['model']['type']} model does not mark where words begin",
                next_step="byte-level BPE, SentencePiece's Unigram and WordPiece can be read",
            )
        return made

    # ---- used --------------------------------------------------------------------------------

    @property
    def settings(self) -> Mapping[str, Json]:
        """What a model folder keeps beside its pieces, as `kept` takes it."""
        stated = json.loads(self.tokenizer.to_str())
        vocabulary = stated["model"].pop("vocab")
        if stated["model"]["type"] == "Unigram":
            stated["model"]["scores"] = [score for _, score in vocabulary]
        return {"tokenizer": stated, "specials": dict(self.names)}

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size(with_added_tokens=False)

    @cached_property
    def mark(self) -> str:
        """What begins a piece inside a word (`##`), or behind a space (`Ġ`, `▁`); empty: neither is known."""
        if isinstance(self.tokenizer.model, models.WordPiece):
            return CONTINUES
        before = str(self.tokenizer.pre_tokenizer)
        return BYTE_SPACE if "ByteLevel" in before else SPACE if "Metaspace" in before else ""

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """The V pieces in id order."""
        vocabulary = self.tokenizer.get_vocab(with_added_tokens=False)
        return tuple(
            piece.removeprefix(_UNREACHED) for piece in sorted(vocabulary, key=vocabulary.__getitem__)
        )

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each piece."""
        return {piece: index for index, piece in enumerate(self.pieces)}

    @cached_property
    def specials(self) -> dict[str, int]:
        """The ids of `SPECIALS`."""
        return {special: self.id_of(name) for special, name in self.names.items()}

    @cached_property
    def continues(self) -> BoolArray:
        """Which pieces go on with a word: (V,) bool. Where a space is marked, punctuation begins one."""
        if self.mark == CONTINUES:
            return np.array([piece.startswith(CONTINUES) for piece in self.pieces])
        return np.array([not piece.startswith(self.mark) for piece in self.pieces]) & self.in_words

    @cached_property
    def in_words(self) -> BoolArray:
        """Which pieces have a letter or a digit, or a part of one: (V,) bool; special pieces have none."""
        found = np.array([any(c.isalnum() or c == "\ufffd" for c in self.text_of(p)) for p in self.pieces])
        found[list(self.specials.values())] = False
        return found

    def text_of(self, piece: str) -> str:
        """Return what a piece spells, without a mark; `\\ufffd` stands for a part of a character."""
        if self.mark == CONTINUES:
            return piece.removeprefix(CONTINUES)
        if self.mark == SPACE:
            return piece.replace(SPACE, "")
        known = byte_of_letter()
        if not all(letter in known for letter in piece):  # a special one, or a word that was added
            return piece
        return bytes(known[letter] for letter in piece).decode(errors="replace").strip()

    def id_of(self, piece: str) -> int:
        """Return a piece's id.

        Raises:
            DataError: there is no such piece.
        """
        if piece not in self.ids:
            raise DataError(f"the vocabulary has no piece {piece!r}")
        return self.ids[piece]

    def encode(self, texts: Texts) -> Encoded:
        """Turn N texts into piece ids, without `[CLS]` and `[SEP]`; `[UNK]` stands for what cannot be cut.

        What a text says of special pieces counts as text: `[MASK]` written in it is cut like any word.

        Raises:
            DataError: a text is missing or is not valid Unicode.
        """
        parts = list(self._encoded(as_texts(texts)))
        lengths = np.array([len(part) for part in parts], np.int64)
        ids = np.concatenate([np.empty(0, np.int32), *parts])
        return Encoded(ids, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))

    def _encoded(self, texts: pa.LargeStringArray) -> Iterator[Int32Array]:
        for start in range(0, len(texts), AT_ONCE):
            try:
                batch = texts.slice(start, AT_ONCE).to_pylist()
            except UnicodeDecodeError as error:
                raise DataError("a text is not valid UTF-8") from error
            for found in self.tokenizer.encode_batch_fast(batch, add_special_tokens=False):
                yield np.array(found.ids, np.int32)

    def cut(self, text: str, *, specials: bool = True) -> Pieces:
        """Cut one text, keeping the places.

        Args:
            text: one text.
            specials: `[MASK]` and its like, by BERT's names and the vocabulary's own, are the special pieces
                they name; else text, as for `encode`.

        Raises:
            DataError: the text holds a lone surrogate.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"the text holds a lone surrogate at character {error.start}") from error
        tokenizer, written = self._seeing_specials if specials else (self.tokenizer, {})
        found = tokenizer.encode(text, add_special_tokens=False)
        ids = [written.get(index, index) for index in found.ids]
        offsets = [_trimmed(text, *place) for place in found.offsets]
        words = _numbered(found.word_ids, found.offsets)
        if self.mark != CONTINUES:
            words, offsets = _without_spaces(words, offsets)
        starts, ends = np.array(offsets, np.int64).reshape(-1, 2).T
        return Pieces(tuple(self.pieces[i] for i in ids), np.array(ids, np.int32), starts, ends, words)

    @cached_property
    def _seeing_specials(self) -> tuple[Tokenizer, dict[int, int]]:
        """The tokenizer that finds special pieces in a text, and which piece each id that it adds means."""
        tokenizer = Tokenizer.from_str(self.tokenizer.to_str())
        tokenizer.encode_special_tokens = False
        own = self.mark == CONTINUES and self.names[MASK] == MASK
        wanted = {
            **{special: special for special in SPECIALS},
            **{name: of for of, name in self.names.items()},
        }
        wanted = {
            name: of for name, of in wanted.items() if name in self.names.values() or name not in self.ids
        }
        tokenizer.add_special_tokens(
            [AddedToken(name, lstrip=of == MASK and not own, normalized=False) for name, of in wanted.items()]
        )
        ids = tokenizer.get_vocab(with_added_tokens=True)
        return tokenizer, {ids[name]: self.specials[of] for name, of in wanted.items()}

    def join(self, ids: Iterable[int]) -> str:
        """Return pieces as text: what goes on with a word joins; punctuation is not drawn to its word."""
        pieces = [self.pieces[index] for index in ids]
        if self.mark == BYTE_SPACE:
            return self.text_of("".join(pieces))
        if self.mark == SPACE:
            return "".join(pieces).replace(SPACE, " ").strip()
        words: list[str] = []
        for piece in pieces:
            if piece.startswith(CONTINUES) and words:
                words[-1] += piece.removeprefix(CONTINUES)
            else:
                words.append(piece)
        return " ".join(words)


def parsed_tokenizer(content: str) -> Tokenizer:
    """Return the tokenizer of a `tokenizer.json`; what a text says of special pieces counts as text.

    Raises:
        DataError: it is none.
    """
    try:
        tokenizer = Tokenizer.from_str(content)
    except Exception as error:  # the library raises nothing narrower
        raise DataError(f"is no tokenizer.json ({error})") from error
    tokenizer.encode_special_tokens = True
    return tokenizer


def _spelt(model: Mapping[str, Any]) -> dict[str, int]:
    """Return the vocabulary of a model as `tokenizer.json` states it, in id order."""
    if model["type"] == "Unigram":
        return {piece: index for index, (piece, _) in enumerate(model["vocab"])}
    return dict(sorted(model["vocab"].items(), key=lambda pair: pair[1]))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out the space that a library counts to a piece; of a piece of space alone its end remains."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _numbered(word_ids: list[int | None], offsets: list[tuple[int, int]]) -> Int64Array:
    """Number words from 0. A special piece has none of its own, and begins a new count behind it."""
    numbers, previous, number = [], (object(), -1), -1
    for word, (start, _) in zip(word_ids, offsets, strict=True):
        same = word is not None and word == previous[0] and start >= previous[1]
        number += not same
        numbers.append(number)
        previous = (word, start)
    return np.array(numbers, np.int64)


def _without_spaces(
    words: Int64Array, offsets: list[tuple[int, int]]
) -> tuple[Int64Array, list[tuple[int, int]]]:
    """Count words that are nothing but space to the word before them, or to the first one, and show none."""
    if not len(words):
        return words, offsets
    shown = np.bincount(words, weights=[end > start for start, end in offsets]) > 0
    places, last = [], min((start for start, end in offsets if end > start), default=offsets[0][0])
    for word, (start, end) in zip(words.tolist(), offsets, strict=True):
        place = (start, end) if shown[word] else (last, last)
        places.append(place)
        last = place[1]
    return np.asarray(np.maximum(np.cumsum(shown) - 1, 0)[words]), places
