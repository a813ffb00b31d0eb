"""How a folder of a BERT or its like cuts texts: the tokenizer that its files describe.

tokenizer.json                              of any kind that `PieceTokenizer` knows
vocab.txt, with tokenizer_config.json       WordPiece, as BERT cuts
tokenizer_config.json, special_tokens_map.json   what the special pieces are called

Where the `tokenizer_config.json` of a WordPiece tokenizer says how case and accents are folded, that holds,
and `tokenizer.json` gives the vocabulary alone: so transformers reads such a folder from version 5 on. One
that contradicts itself is warned of. Where it says nothing of them, `tokenizer.json` holds, though
transformers 5 then folds case whatever that says: nothing contradicts it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sopan.errors import ContradictionWarning, DataError, ModelFolderError
from sopan.steps.stored_tensors import KERAS_HUB
from sopan.storage.strict_json import parse_object, read_json
from sopan.text.piece_rules import Accents, Rules
from sopan.text.piece_tokenizer import CLS, MASK, PAD, SEP, UNK, PieceTokenizer
from sopan.text.wordpiece import WordPiece
from sopan.types import Json

_CALLED = {"pad_token": PAD, "unk_token": UNK, "cls_token": CLS, "sep_token": SEP, "mask_token": MASK}
_GENERIC = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes of transformers that take a `tokenizer.json` as it is; the others put BERT's rules in its place."""
_RULES = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")


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
    told = path.with_name("tokenizer_config.json")
    if wordpiece and set(specials) == set(specials.values()):
        found = _without_further(WordPiece.load(path), path)
        rules = _rules_told(told, found.rules)
        if rules == found.rules:
            return found
        return WordPiece.of(found.pieces, lowercase=rules.lowercase, accents=rules.accents)
    try:
        made = PieceTokenizer.of_json(content.decode(), {**specials, **_called(path.parent)})
    except (DataError, UnicodeDecodeError) as error:
        what, next_step = (
            (error.what, error.next_step) if isinstance(error, DataError) else (str(error), None)
        )
        raise DataError(what, where=str(path), next_step=next_step) from error
    rules = _rules_told(told, made.rules) if wordpiece else made.rules
    if rules != made.rules:
        made.tokenizer.normalizer = rules.normalizer()
    return replace(made, rules=rules)


def _without_further(wordpiece: WordPiece, path: Path) -> WordPiece:
    if further := wordpiece.tokenizer.get_vocab_size(with_added_tokens=True) - len(wordpiece):
        raise DataError(
            f"adds {further} tokens to the vocabulary of {len(wordpiece)}",
            where=str(path),
            next_step="a BERT without further tokens can be read",
        )
    return wordpiece


def _rules_told(path: Path, held: Rules) -> Rules:
    """Return the rules of a `tokenizer_config.json` where it tells some, or else those of `tokenizer.json`.

    Args:
        path: of `tokenizer_config.json`.
        held: the rules of the `tokenizer.json` beside it.
    """
    told = read_json(path) if path.is_file() else {}
    if told.get("tokenizer_class") in _GENERIC or all(told.get(name) is None for name in _RULES):
        return held
    lowercase = told.get("do_lower_case") is not False
    meant = Rules(lowercase, _accents(told, path) or ("strip" if lowercase else "keep"))
    said = [
        f"{name}={ours!r} instead of {theirs!r}"
        for name, ours, theirs in zip(Rules._fields, meant, held, strict=True)
        if ours != theirs
    ]
    if said:
        warnings.warn(
            f"{path}: contradicts tokenizer.json, and holds, as in transformers 5: {', '.join(said)}",
            ContradictionWarning,
            stacklevel=2,
        )
    return meant


def _accents(rules: Mapping[str, Json], path: Path) -> Accents | None:
    """Return what a `tokenizer_config.json` says of accents; None: as case goes, so do they."""
    if rules.get("tokenize_chinese_chars", True) is not True:
        raise ModelFolderError("tokenize_chinese_chars is off, which cannot be read", where=str(path))
    strip = rules.get("strip_accents")
    return None if strip is None else "strip" if strip else "keep"


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
    accents = _accents(rules, path)
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
