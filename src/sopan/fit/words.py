r"""A vocabulary as `vocab.txt`: one word a line, in id order, for people and programs to read.

A word may hold any character, and a word n-gram holds spaces. Characters that some program takes for
the end of a line, and the backslash, are written as `\\`, `\n`, `\r` or `\u` and four hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sopan.errors import ModelFolderError, damaged
from sopan.storage.manifest import Buffer

_SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_LONG = {escaped: character for character, escaped in _SHORT.items()}
# NUL, what str.splitlines splits at, and the byte order mark, which editors swallow at the start of a file.
_TO_ESCAPE = re.compile("[\\\\\n\r\x00\v\f\x1c\x1d\x1e\x85\u2028\u2029\ufeff]")
_ESCAPED = re.compile(r"\\(?:u[0-9a-f]{4}|.?)")


def encode_words(words: Sequence[str]) -> bytes:
    """Return the content of `vocab.txt`.

    Raises:
        ModelFolderError: a word holds a lone surrogate and is not valid Unicode.
    """
    lines = [_TO_ESCAPE.sub(_escape, word) + "\n" for word in words]
    try:
        return "".join(lines).encode()
    except UnicodeEncodeError as error:
        raise ModelFolderError("a word of the vocabulary holds a lone surrogate") from error


def decode_words(content: Buffer | bytes, where: Path) -> tuple[str, ...]:
    """Return the words that `encode_words` wrote.

    Raises:
        ModelFolderError: invalid UTF-8, an unknown escape, or no newline at the end.
    """
    try:
        text = bytes(content).decode()
    except UnicodeDecodeError as error:
        raise damaged(where, "is not valid UTF-8") from error
    if text and not text.endswith("\n"):
        raise damaged(where, "ends in the middle of a line")
    words = text.split("\n")[:-1]
    if "\\" not in text:
        return tuple(words)
    try:
        return tuple(_ESCAPED.sub(_unescape, word) if "\\" in word else word for word in words)
    except KeyError as error:
        raise damaged(where, f"holds an unknown escape, {error.args[0]}") from error


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def _unescape(match: re.Match[str]) -> str:
    escaped = match[0]
    return chr(int(escaped[2:], 16)) if len(escaped) == 6 else _LONG[escaped]
