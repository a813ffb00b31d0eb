"""How a folder of a BERT or its like cuts texts: the tokenizer that its files describe.

tokenizer.json                              of any kind that `PieceTokenizer` knows
vocab.txt, with tokenizer_config.json       WordPiece, as BERT cuts
tokenizer_config.json, special_tokens_map.json   what the special pieces are called
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sopan.errors import DataError, ModelFolderError
from sopan.steps.stored_tensors import KERAS_HUB
from sopan.storage.strict_json import parse_object, read_json
from sopan.text.piece_rules import Accents
from sopan.text.piece_tokenizer import CLS, MASK, PAD, SEP, UNK, PieceTokenizer
from sopan.text.wordpiece import WordPiece
from sopan.types import Json

_CALLED = {"pad_token": PAD, "unk_token": UNK, "cls_token": CLS, "sep_token": SEP, "mask_token": MASK}


def read_tokenizer(folder: Path, specials: Mapping[str, str]) -> PieceTokenizer:
    """Read how a folder cuts texts: from `tokenizer.json`, else from `vocab.txt`.

    Without a `tokenizer_config.json`, a `vocab.txt` that has capital letters is taken to be cased.

    Args:
        folder: of a model.
        specials: what its vocabulary calls the special pieces, where no file says so.

    Raises:
        ModelFolderError: there is neither, or they cannot be read.
    """
    path = folder / "tokenizer.json"
    try:
        if (folder / KERAS_HUB).is_file():
            return _from_keras_hub(folder)
        if path.is_file():
            return _from_library(path, specials)
        if (folder / "vocab.txt").is_file() and set(specials) == set(specials.values()):
            return _from_vocabulary(folder)
    except DataError as error:
        raise ModelFolderError(error.what, where=error.where, next_step=error.next_step) from error
    bert = set(specials) == set(specials.values())
    raise ModelFolderError(
        f"holds {'neither tokenizer.json nor vocab.txt' if bert else 'no tokenizer.json'}",
        where=str(folder),
        next_step="transformers writes one: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
    )


def _from_library(path: Path, specials: Mapping[str, str]) -> PieceTokenizer:
    content = path.read_bytes()
    model = parse_object(content, path).get("model")
    wordpiece = isinstance(model, dict) and model.get("type", "WordPiece") == "WordPiece"
    if wordpiece and set(specials) == set(specials.values()):
        return _without_further(WordPiece.load(path), path)
    try:
        return PieceTokenizer.of_json(content.decode(), {**specials, **_called(path.parent)})
    except (DataError, UnicodeDecodeError) as error:
        what, next_step = (
            (error.what, error.next_step) if isinstance(error, DataError) else (str(error), None)
        )
        raise DataError(what, where=str(path), next_step=next_step) from error


def _without_further(wordpiece: WordPiece, path: Path) -> WordPiece:
    if further := wordpiece.tokenizer.get_vocab_size(with_added_tokens=True) - len(wordpiece):
        raise DataError(
            f"adds {further} tokens to the vocabulary of {len(wordpiece)}",
            where=str(path),
            next_step="a BERT without further tokens can be read",
        )
    return wordpiece


def _called(folder: Path) -> dict[str, str]:
    """Return what the files beside a tokenizer say that the special pieces are called."""
    found: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        said: Mapping[str, Json] = read_json(folder / name) if (folder / name).is_file() else {}
        for key, special in _CALLED.items():
            token = said.get(key)
            content = token.get("content") if isinstance(token, dict) else token
            if isinstance(content, str):
                found[special] = content
    return found


def _from_vocabulary(folder: Path) -> WordPiece:
    path = folder / "tokenizer_config.json"
    rules = read_json(path) if path.is_file() else {}
    if rules.get("tokenize_chinese_chars", True) is not True:
        raise ModelFolderError("tokenize_chinese_chars is off, which cannot be read", where=str(path))
    strip = rules.get("strip_accents")
    accents: Accents | None = None if strip is None else "strip" if strip else "keep"
    lowercase = rules.get("do_lower_case")
    if lowercase is None:
        wordpiece = WordPiece.load(folder / "vocab.txt")
        ordinary = (piece for piece in wordpiece.pieces if not piece.startswith("["))
        lowercase = not any("A" <= letter <= "Z" for piece in ordinary for letter in piece)
    return WordPiece.load(folder / "vocab.txt", lowercase=bool(lowercase), accents=accents)


def _from_keras_hub(folder: Path) -> WordPiece:
    rules = read_json(folder / "tokenizer.json").get("config", {})
    accents: Accents = "strip" if rules.get("strip_accents", False) else "keep"
    return WordPiece.load(
        folder / "assets" / "tokenizer" / "vocabulary.txt",
        lowercase=bool(rules.get("lowercase", False)),
        accents=accents,
    )
