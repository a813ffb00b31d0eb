"""Word vectors as files and as neighbours: word2vec text and binary, GloVe, fastText `.vec`, TensorBoard.

The formats, all of them one word after the other with D numbers each:

    word2vec text, fastText .vec   a line `V D`, then lines `word number … number`
    GloVe                          the same lines, without the first
    word2vec binary                a line `V D`, then `word`, a space and D little-endian float32, V times
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sopan.errors import DataError, InputError, did_you_mean
from sopan.options.data import TokenRule
from sopan.storage.atomic import replacing_file
from sopan.text.display import printable
from sopan.text.files import plain_file
from sopan.text.vocab import Vocabulary
from sopan.types import Float32Array

MAX_WORD_BYTES = 4096
"""In a binary file, what does not end within so many bytes is no word, and the file not what it seems."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
"""Bytes that no text holds and that numbers in binary cannot do without."""


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words and their vectors.

    Args:
        words: V distinct words.
        vectors: (V, D) float32, finite.
    """

    words: tuple[str, ...]
    vectors: Float32Array

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._places

    def __getitem__(self, word: str) -> Float32Array:
        """Return a word's vector (D,)."""
        return np.asarray(self.vectors[self.place(word)])

    def place(self, word: str) -> int:
        """Return where a word stands among `words`.

        Raises:
            InputError: the word has no vector; words spelt alike are offered.
        """
        if word not in self._places:
            near = did_you_mean(word, self.words, most=3, cutoff=0.75)
            raise InputError(
                f"{printable(word)!r} has no vector", next_step=f"{near}{len(self):,} other words have one"
            )
        return self._places[word]

    def cosines(self, vector: Float32Array) -> Float32Array:
        """Return the cosine of every word's vector with another (D,): (V,) float32, 0 for zero vectors."""
        return np.asarray(self._directions @ (vector / (np.linalg.norm(vector) or 1)), np.float32)

    def nearest(self, word: str, top: int = 10) -> list[tuple[str, float]]:
        """Return the `top` other words whose vectors point most nearly the same way, with their cosines.

        Raises:
            InputError: the word has no vector; words spelt alike are offered.
        """
        place = self.place(word)
        cosines = self._directions @ self._directions[place]
        order = np.argsort(-cosines, kind="stable")
        return [(self.words[i], float(cosines[i])) for i in order[: top + 1] if i != place][:top]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}

    @cached_property
    def _directions(self) -> Float32Array:
        """Vectors of length 1; the zero vector stays as it is."""
        lengths = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        return np.asarray(self.vectors / np.where(lengths > 0, lengths, 1), np.float32)


# ---- reading -----------------------------------------------------------------------------


def load_word_vectors(path: str | Path) -> WordVectors:
    """Read a file of word vectors, plain or `.gz`, `.zst`, `.zip`; its format is inferred from its start.

    A word that comes twice keeps its first vector, as published files do hold a few such.

    Raises:
        DataError: not such a file; a line with too few, too many or other than finite numbers; a file that
            ends early or goes on for longer than it says; invalid UTF-8.
    """
    with plain_file(Path(path), binary=True) as file:
        with file.path.open("rb") as stream:
            header = _header(stream.readline(MAX_WORD_BYTES))
            is_binary = header is not None and _CONTROL.search(stream.read(MAX_WORD_BYTES)) is not None
        rows = _binary_rows(file.path, file.name) if is_binary else _text_rows(file.path, file.name)
        vectors = _first_of_each(rows)
    if not vectors:
        raise DataError("the file holds no word vectors", where=str(path))
    return WordVectors(tuple(vectors), np.stack(list(vectors.values())))


def _header(line: bytes) -> tuple[int, int] | None:
    """Read `V D`, or find that the file has no such line."""
    fields = line.split()
    if len(fields) == 2 and all(field.isdigit() and len(field) < 10 for field in fields):
        return int(fields[0]), int(fields[1])
    return None


def _first_of_each(rows: Iterable[tuple[str, Float32Array, str]]) -> dict[str, Float32Array]:
    """Collect words and vectors, refusing vectors that are not finite."""
    vectors: dict[str, Float32Array] = {}
    for word, row, where in rows:
        if not np.isfinite(row).all():
            raise DataError(f"the vector of {printable(word)!r} is not finite", where=where)
        vectors.setdefault(word, row)
    return vectors


def _text_rows(path: Path, name: str) -> Iterator[tuple[str, Float32Array, str]]:
    """Yield word, vector and place of each line; the first line's width is the width of all."""
    promised = width = None
    seen = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{name}:{number}"
            if number == 1 and (header := _header(line)):
                promised, width = header
                continue
            word, row = _text_row(line, width, where)
            width = len(row)
            seen += 1
            yield word, row, where
    if promised is not None and seen != promised:
        more = "ends early" if seen < promised else "goes on"
        raise DataError(f"the file {more}: {promised:,} words are promised, {seen:,} are there", where=name)


def _text_row(line: bytes, width: int | None, where: str) -> tuple[str, Float32Array]:
    """Split a line into its word, which may hold spaces (GloVe has such), and its D numbers."""
    try:
        fields = line.decode().rstrip().split(" ")
    except UnicodeDecodeError as error:
        raise DataError("this is not valid UTF-8", where=where) from error
    width = len(fields) - 1 if width is None else width
    if width < 1 or len(fields) <= width:
        needed = "a word and its numbers" if width < 1 else f"a word and {width} numbers"
        raise DataError(f"{needed} are needed here, not {printable(' '.join(fields))!r}", where=where)
    try:
        numbers = np.fromiter(map(float, fields[-width:]), np.float32, width)
    except ValueError as error:
        raise DataError(
            f"a number is expected in every field but the first ({error})", where=where
        ) from error
    return " ".join(fields[:-width]), numbers


def _binary_rows(path: Path, name: str) -> Iterator[tuple[str, Float32Array, str]]:
    """Yield word, vector and place of each entry."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        header = _header(data.readline())
        assert header is not None, "checked by the caller"
        (n_words, width), at = header, data.tell()
        for i in range(n_words):
            where = f"{name}: word {i + 1:,} of {n_words:,}"
            space = data.find(b" ", at, at + MAX_WORD_BYTES)
            end = space + 1 + 4 * width
            if space < 0 or end > len(data):
                raise DataError("the file ends early, or is no word2vec file", where=where)
            try:
                word = data[at:space].lstrip(b"\n").decode()  # the C program ends each vector with a newline
            except UnicodeDecodeError as error:
                raise DataError("this word is not valid UTF-8", where=where) from error
            yield word, np.frombuffer(data[space + 1 : end], "<f4").astype(np.float32), where
            at = end
        if data[at:].strip():
            raise DataError(f"the file goes on after the {n_words:,} words promised", where=name)


# ---- writing -----------------------------------------------------------------------------


def usable_vectors(loaded: WordVectors, tokens: TokenRule, *, lowercase: bool) -> WordVectors:
    """Keep the words that a text can be cut into; phrases such as `New_York` or capitals would never be met.

    Raises:
        DataError: none is left.
    """
    encoded = Vocabulary(loaded.words, None, tokens, lowercase).encode(loaded.words)
    alone = np.flatnonzero(np.diff(encoded.offsets) == 1)
    kept = alone[encoded.ids[encoded.offsets[alone]] == alone]
    if not len(kept):
        raise DataError(
            "no word of the vectors' file can come up in a text",
            next_step="if they are capitalised, use lowercase=False",
        )
    return WordVectors(tuple(loaded.words[i] for i in kept), np.ascontiguousarray(loaded.vectors[kept]))


def save_word2vec(vectors: WordVectors, path: str | Path) -> None:
    """Write word2vec text: every number so that it reads back as the same float32.

    Raises:
        DataError: a word holds white space, which the format cannot express.
    """
    for word in vectors.words:
        if not word or re.search(r"\s", word):
            raise DataError(f"the word {printable(word)!r} cannot stand in a word2vec file")
    rows = _numbers(vectors.vectors, " ")
    lines = (f"{word} {row}" for word, row in zip(vectors.words, rows, strict=True))
    size, width = vectors.vectors.shape
    _write_lines(Path(path), f"{size} {width}", lines)


def save_projector(vectors: WordVectors, folder: str | Path) -> tuple[Path, Path]:
    """Write `vectors.tsv` and `metadata.tsv` for TensorBoard's embedding projector; return their paths.

    A single column of metadata has no header there, so that line i of one file is line i of the other.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    numbers, names = place / "vectors.tsv", place / "metadata.tsv"
    _write_lines(numbers, None, _numbers(vectors.vectors, "\t"))
    _write_lines(names, None, (re.sub(r"\s", " ", word) for word in vectors.words))
    return numbers, names


def _numbers(vectors: Float32Array, separator: str) -> Iterator[str]:
    pattern = separator.join(["%.9g"] * vectors.shape[1])  # nine digits tell any two float32 apart
    return (pattern % tuple(row.tolist()) for row in vectors)


def _write_lines(path: Path, header: str | None, lines: Iterable[str]) -> None:
    with replacing_file(path) as new, new.open("w", encoding="utf-8", newline="\n") as out:
        if header is not None:
            out.write(header + "\n")
        out.writelines(line + "\n" for line in lines)
