"""WordPiece: words cut into pieces that are frequent, so that no word is unknown (Schuster & Nakajima 2012).

    texts -> normal form -> words and punctuation -> pieces, the later ones of a word marked `##`

The cutting is Hugging Face's `tokenizers`, so that ids equal those of its `BertTokenizer`. Vocabularies that
we train keep the vowel signs of Indic scripts, which BERT-uncased deletes: accents are stripped from Latin,
Greek and Cyrillic letters only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from sopan.errors import ConfigError, DataError
from sopan.text.piece_rules import Accents, PieceSettings, Rules, learn_pieces, try_out
from sopan.text.piece_tokenizer import CONTINUES, SPECIALS, UNK, PieceTokenizer, parsed_tokenizer
from sopan.types import Json


class WordPiece(PieceTokenizer):
    """A WordPiece vocabulary with BERT's special pieces, and rules like BERT's; see `PieceTokenizer`."""

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
            content = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot be read ({error})", where=str(path)) from error
        try:
            if path.suffix == ".json":
                return cls._of_json(content)
            return cls.of(_listed(content), lowercase=lowercase, accents=accents)
        except DataError as error:
            raise DataError(error.what, where=str(path), next_step=error.next_step) from error

    @classmethod
    def _of_json(cls, content: str) -> Self:
        """Take a `tokenizer.json`, dropping what it says of truncation, padding and templates."""
        tokenizer = parsed_tokenizer(content)
        if not isinstance(tokenizer.model, models.WordPiece):
            raise DataError(
                f"holds a {type(tokenizer.model).__name__} model", next_step="WordPiece models can be read"
            )
        tokenizer.no_truncation()
        tokenizer.no_padding()
        vocabulary = tokenizer.get_vocab(with_added_tokens=False)
        if lacking := [special for special in SPECIALS if special not in vocabulary]:
            raise DataError(f"the vocabulary lacks {', '.join(lacking)}", next_step="is it BERT's?")
        return cls(tokenizer, try_out(tokenizer.normalizer))

    def with_pieces(self, pieces: Iterable[str]) -> Self:
        """Return the same rules with another vocabulary, in id order."""
        stated = json.loads(self.tokenizer.to_str())
        stated["model"]["vocab"] = {piece: index for index, piece in enumerate(pieces)}
        return type(self)(parsed_tokenizer(json.dumps(stated)), self.rules)

    # ---- used --------------------------------------------------------------------------------

    @property
    def settings(self) -> Mapping[str, Json]:
        """Its rules as `of` takes them."""
        rules = self.rules
        return dict(PieceSettings(lowercase=rules.lowercase, accents=rules.accents, breaks=rules.breaks))


def kept_tokenizer(pieces: Iterable[str], settings: Mapping[str, Json]) -> PieceTokenizer:
    """Return what cuts texts, of V pieces in id order and of its `settings`, among others.

    Raises:
        DataError: they do not go together.
    """
    if "tokenizer" in settings:
        return PieceTokenizer.kept(pieces, tokenizer=settings["tokenizer"], specials=settings["specials"])
    return WordPiece.of(pieces, **{name: settings[name] for name in PieceSettings.__annotations__})


def _assembled(model: models.WordPiece, rules: Rules) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = rules.normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUES)
    return tokenizer


def _listed(content: str) -> list[str]:
    """Return the pieces of a `vocab.txt`, a line each; a blank line keeps its number, and no text gets it."""
    return [line or f"[line {number}]" for number, line in enumerate(content.rstrip("\n").split("\n"))]
