"""Finding the pieces of a WordPiece vocabulary, the same ones every time.

The library's trainer breaks ties between equally frequent pieces by their ids, and numbers single characters
in the order of a hash table that differs from run to run. So they are counted and numbered here first.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from tempfile import TemporaryFile

from tokenizers import Tokenizer, trainers


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
