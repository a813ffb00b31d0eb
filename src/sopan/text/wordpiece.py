"""WordPiece: words cut into pieces that are frequent, so that no word is unknown (Schuster & Nakajima 2012).

    texts -> normal form -> words and punctuation -> pieces, the later ones of a word marked `##`

The cutting is Hugging Face's `tokenizers`, so that ids equal those of its `BertTokenizer`. Vocabularies that
we train keep the vowel signs of Indic scripts, which BERT-uncased deletes: accents are stripped from Latin,
Greek and Cyrillic letters only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from sopan.errors import ConfigError, DataError
from sopan.text.arrow import Texts, as_texts
from sopan.text.piece_rules import Accents, PieceSettings, Rules, learn_pieces, try_out
from sopan.types import Encoded, Int32Array, Int64Array

PAD, UNK, CLS, SEP, MASK = SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""Pieces that stand for no text; a vocabulary that we train begins with them."""
MARKS = 2
"""`[CLS]` and `[SEP]`, around what a network reads at once."""
CONTINUES = "##"
"""Begins a piece that is not the first of its word."""

AT_ONCE = 2048
"""Texts are encoded so many at a time: each takes some kilobytes while it is."""


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
class WordPiece:
    """A vocabulary of pieces and the rules that cut a text into them.

    Args:
        tokenizer: of the library, without truncation, padding or a template.
        rules: what it makes of texts before it cuts them.
    """

    tokenizer: Tokenizer
    rules: Rules

    # ---- made --------------------------------------------------------------------------------

    @classmethod
    def of(
        cls,
        pieces: Iterable[str],
        *,
        lowercase: bool = True,
        accents: Accents | None = None,
        breaks: bool = False,
    ) -> Self:
        """Make it of V pieces in id order, as a `vocab.txt` lists them.

        Args:
            pieces: they hold the five of `SPECIALS`.
            lowercase: fold to lower case.
            accents: None: as BERT does, `strip` where it folds, else `keep`.
            breaks: take `<br>` for a space, which BERT does not.

        Raises:
            DataError: a special piece is missing, or a piece stands there twice.
        """
        listed = list(pieces)
        vocabulary = {piece: index for index, piece in enumerate(listed)}
        if len(vocabulary) < len(listed):
            twice = next(piece for index, piece in enumerate(listed) if vocabulary[piece] != index)
            raise DataError(f"the vocabulary holds {twice!r} twice")
        if lacking := [special for special in SPECIALS if special not in vocabulary]:
            raise DataError(f"the vocabulary lacks {', '.join(lacking)}", next_step="is it a WordPiece one?")
        rules = Rules(lowercase, accents or ("strip" if lowercase else "keep"), breaks)
        model = models.WordPiece(vocabulary, unk_token=UNK, max_input_chars_per_word=100)
        return cls(_assembled(model, rules), rules)

    @classmethod
    def train(
        cls, texts: Iterable[str], size: int, *, lowercase: bool = True, accents: Accents | None = None
    ) -> Self:
        """Find the pieces that serve N texts best; `<br>` in them is a space.

        Args:
            texts: read once, one after the other; they need not fit into memory.
            size: V, at most.
            lowercase: fold to lower case.
            accents: None: `strip-alphabets` where it folds, else `keep`.

        Raises:
            ConfigError: `size` has no room for single characters.
            DataError: there is no text.
        """
        if size < 100:
            raise ConfigError(f"a vocabulary of {size} pieces is too small", next_step="give 1,000 or more")
        chosen: Accents = accents or ("strip-alphabets" if lowercase else "keep")
        tokenizer = _assembled(models.WordPiece(unk_token=UNK), Rules(lowercase, chosen, breaks=True))
        pieces = learn_pieces(tokenizer, texts, size, specials=SPECIALS, continues=CONTINUES)
        if len(pieces) == len(SPECIALS):
            raise DataError("there are no words to make a vocabulary of")
        return cls.of(pieces, lowercase=lowercase, accents=chosen, breaks=True)

    @classmethod
    def load(cls, path: str | Path, *, lowercase: bool = True, accents: Accents | None = None) -> Self:
        """Read a `vocab.txt` (the rules are given) or a `tokenizer.json` (it holds them).

        Raises:
            DataError: the file is not there, or holds no WordPiece vocabulary.
        """
        path = Path(path)
        try:
            content = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot be read ({error})", where=str(path)) from error
        try:
            if path.suffix == ".json":
                return cls._of_json(content)
            return cls.of(content.removesuffix("\n").split("\n"), lowercase=lowercase, accents=accents)
        except DataError as error:
            raise DataError(error.what, where=str(path), next_step=error.next_step) from error

    @classmethod
    def _of_json(cls, content: str) -> Self:
        """Take a `tokenizer.json`, dropping what it says of truncation, padding and templates."""
        try:
            tokenizer = Tokenizer.from_str(content)
        except Exception as error:  # the library raises nothing narrower
            raise DataError(f"is no tokenizer.json ({error})") from error
        if not isinstance(tokenizer.model, models.WordPiece):
            raise DataError(
                f"holds a {type(tokenizer.model).__name__} model", next_step="WordPiece models can be read"
            )
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        vocabulary = tokenizer.get_vocab(with_added_tokens=False)
        if lacking := [special for special in SPECIALS if special not in vocabulary]:
            raise DataError(f"the vocabulary lacks {', '.join(lacking)}", next_step="is it BERT's?")
        return cls(tokenizer, try_out(tokenizer.normalizer))

    def with_pieces(self, pieces: Iterable[str]) -> Self:
        """Return the same rules with another vocabulary, in id order."""
        stated = json.loads(self.tokenizer.to_str())
        stated["model"]["vocab"] = {piece: index for index, piece in enumerate(pieces)}
        tokenizer = Tokenizer.from_str(json.dumps(stated))
        tokenizer.encode_special_tokens = True
        return type(self)(tokenizer, self.rules)

    # ---- used --------------------------------------------------------------------------------

    @property
    def settings(self) -> PieceSettings:
        """Its rules as `of` takes them."""
        rules = self.rules
        return PieceSettings(lowercase=rules.lowercase, accents=rules.accents, breaks=rules.breaks)

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size(with_added_tokens=False)

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """The V pieces in id order."""
        vocabulary = self.tokenizer.get_vocab(with_added_tokens=False)
        return tuple(sorted(vocabulary, key=vocabulary.__getitem__))

    @cached_property
    def specials(self) -> dict[str, int]:
        """The ids of `SPECIALS`."""
        return {special: self.id_of(special) for special in SPECIALS}

    @cached_property
    def continues(self) -> np.ndarray:
        """Which pieces go on with a word: (V,) bool."""
        return np.array([piece.startswith(CONTINUES) for piece in self.pieces])

    def id_of(self, piece: str) -> int:
        """Return a piece's id.

        Raises:
            DataError: there is no such piece.
        """
        found = self.tokenizer.model.token_to_id(piece)
        if found is None:
            raise DataError(f"the vocabulary has no piece {piece!r}")
        return int(found)

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
            specials: `[MASK]` and its like are the special pieces they name; else text, as for `encode`.

        Raises:
            DataError: the text holds a lone surrogate.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"the text holds a lone surrogate at character {error.start}") from error
        tokenizer = self._seeing_specials if specials else self.tokenizer
        found = tokenizer.encode(text, add_special_tokens=False)
        words = _numbered(found.word_ids, found.offsets)
        starts, ends = np.array(found.offsets, np.int64).reshape(-1, 2).T
        return Pieces(tuple(found.tokens), np.array(found.ids, np.int32), starts, ends, words)

    @cached_property
    def _seeing_specials(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.tokenizer.to_str())
        tokenizer.encode_special_tokens = False
        tokenizer.add_special_tokens(list(SPECIALS))
        return tokenizer

    def join(self, ids: Iterable[int]) -> str:
        """Return pieces as text: `##` joins, a space parts; punctuation is not drawn to its word."""
        words: list[str] = []
        for piece in (self.pieces[index] for index in ids):
            if piece.startswith(CONTINUES) and words:
                words[-1] += piece.removeprefix(CONTINUES)
            else:
                words.append(piece)
        return " ".join(words)


def _numbered(word_ids: list[int | None], offsets: list[tuple[int, int]]) -> Int64Array:
    """Number words from 0. A special piece has none of its own, and begins a new count behind it."""
    numbers, previous, number = [], (object(), -1), -1
    for word, (start, _) in zip(word_ids, offsets, strict=True):
        same = word is not None and word == previous[0] and start >= previous[1]
        number += not same
        numbers.append(number)
        previous = (word, start)
    return np.array(numbers, np.int64)


def _assembled(model: models.WordPiece, rules: Rules) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = rules.normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUES)
    return tokenizer
