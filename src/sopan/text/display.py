"""Make any text safe to look at: nothing hidden, nothing turned around, nothing climbing over lines."""

from __future__ import annotations

import re
import unicodedata

MOST_MARKS = 8
"""Combining marks on one letter that are shown; scripts in use need up to six (Tibetan)."""

_JOINERS = "\u200c\u200d"
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
"""Characters that show as nothing though Unicode files them under letters and marks."""
_PLAIN = re.compile(r"[\t\n\x20-\x7e]*")


def escape_for_display(text: str) -> str:
    """Return the text with what cannot be seen made visible.

    Control characters (but tab and line feed), direction overrides, zero-width characters, line separators
    and lone surrogates become their code point: `⟨U+202E⟩`. A ZWJ or ZWNJ between two non-ASCII characters
    stays, for Indic and Persian words and emoji are spelt with them. Of more than 8 combining marks on one
    letter the rest become their number: `⟨+92 marks⟩`.
    """
    if _PLAIN.fullmatch(text):
        return text
    shown: list[str] = []
    marks = 0
    for i, character in enumerate(text):
        category = unicodedata.category(character)
        if category in ("Mn", "Me"):
            marks += 1
        elif marks:
            shown.append(_rest_of(marks))
            marks = 0
        if marks > MOST_MARKS:
            continue
        hidden = category in ("Cc", "Cf", "Cs", "Zl", "Zp") or character in _INVISIBLE
        joins = character in _JOINERS and _is_visible(text[i - 1 : i]) and _is_visible(text[i + 1 : i + 2])
        escape = hidden and not joins and character not in "\t\n"
        shown.append(f"⟨U+{ord(character):04X}⟩" if escape else character)
    shown.append(_rest_of(marks))
    return "".join(shown)


def _rest_of(marks: int) -> str:
    """Return a note on the marks that are not shown."""
    return f"⟨+{marks - MOST_MARKS} marks⟩" if marks > MOST_MARKS else ""


def _is_visible(character: str) -> bool:
    """Say whether a joiner next to this has something to join."""
    return character > "\x7f" and unicodedata.category(character)[0] in "LMSN"


def printable(text: str, width: int = 60) -> str:
    """Return the start of a text on one line, with what cannot be seen made visible."""
    return escape_for_display(re.sub(r"\s+", " ", text[:width].strip())) + ("…" if len(text) > width else "")
