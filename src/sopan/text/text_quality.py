"""The condition that texts are in: encoding trouble, left-over markup, scripts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex

from sopan.text.audit_report import Level


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sign in a text that something went wrong before it came here.

    Args:
        code: short name, stable across versions.
        level: how much it matters.
        pattern: RE2 regular expression that finds it.
        means: what a text with it shows, to be read after "17 texts".
    """

    code: str
    level: Level
    pattern: str
    means: str


# UTF-8 read as Latin-1 or Windows-1252 leaves a lead byte's character followed by those of continuation
# bytes. Such pairs also occur in good text ("café…”", "Spaß«", "áššá", a no-break space after "voilà"), so
# letters, quotes, dashes and dots prove nothing right after most leads, and two-byte leads other than Â and
# Ã must come twice.
_SIGNS, _LETTERS, _PUNCTUATION = "€‚„†‡ˆ‰‹•˜™›", "ƒŠŒŽšœžŸ", "…‘’“”–—"
_ANY = f"[\u0080-\u00bf{_SIGNS}{_LETTERS}{_PUNCTUATION}]"
_MOJIBAKE = "|".join(
    [
        f"[ÂÃ][\u0080-\u00bf{_SIGNS}{_LETTERS}]",
        f"(?:[\u00c4-\u00df]{_ANY}){{2}}",
        f"[\u00e0-\u00ef][\u0080-\u009f¡-©¬-¯±-´¶-¹¼-¿{_SIGNS}]{_ANY}",
        f"ð(?:{_ANY}){{3}}",
    ]
)
_TAGS = "a|b|i|u|p|br|hr|li|ul|ol|td|tr|th|em|div|img|pre|span|font|table|strong|script|style|h[1-6]"

TROUBLES = (
    Trouble(
        "replacement_character",
        "warning",
        "\ufffd",
        "with the replacement character U+FFFD: bytes were decoded wrongly and are lost",
    ),
    Trouble("mojibake", "warning", _MOJIBAKE, "with signs such as 'Ã©': UTF-8 was read in another encoding"),
    Trouble("nul", "warning", r"\x00", "with NUL characters"),
    Trouble(
        "control_characters",
        "note",
        r"[\x01-\x08\x0e-\x1f\x7f\x{80}-\x{84}\x{86}-\x{9f}]",
        "with control characters, often the quotes and dashes of Windows-1252 read as Latin-1",
    ),
    Trouble(
        "html_tags",
        "note",
        rf"(?i)</?(?:{_TAGS})(?:\s[^<>]*)?/?>",
        "with HTML tags (line breaks count as spaces)",
    ),
    Trouble(
        "html_entities",
        "note",
        r"&(?:[a-zA-Z]{2,8}|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});",
        "with HTML entities such as '&amp;'",
    ),
)

# fmt: off
SCRIPTS = (
    "Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Bengali", "Gurmukhi",
    "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala", "Thai", "Lao",
    "Tibetan", "Myanmar", "Khmer", "Han", "Hiragana", "Katakana", "Bopomofo", "Hangul", "Georgian",
    "Armenian", "Ethiopic", "Cherokee", "Mongolian", "Thaana", "Syriac", "Canadian_Aboriginal",
    "Javanese", "Tifinagh", "Nko", "Meetei_Mayek", "Ol_Chiki",
)
# fmt: on
"""Scripts that are told apart; letters of others are counted as 'other'."""


def find_trouble(texts: pa.LargeStringArray, trouble: Trouble) -> pa.BooleanArray:
    """Say of each of N texts whether it shows that trouble."""
    return pc.match_substring_regex(texts, trouble.pattern)


def character_counts(texts: pa.LargeStringArray, at_once: int = 4096) -> dict[str, int]:
    """Count every character of N texts, decoding `at_once` texts at a time."""
    counts = np.zeros(0x110000, np.int64)
    for start in range(0, len(texts), at_once):
        joined = "".join(texts.slice(start, at_once).to_pylist()).encode("utf-32-le")
        counts += np.bincount(np.frombuffer(joined, np.uint32), minlength=len(counts))
    return {chr(point): int(counts[point]) for point in np.flatnonzero(counts)}


def script_shares(characters: dict[str, int]) -> dict[str, float]:
    """Return each script's share of the letters, largest first; nothing where there is no letter.

    Args:
        characters: how often each character occurs.
    """
    scripts = [(script, regex.compile(rf"\p{{Script={script}}}")) for script in SCRIPTS]
    letters: dict[str, int] = {}
    for character, count in characters.items():
        if character.isalpha():
            name = next((script for script, member in scripts if member.match(character)), "other")
            letters[name] = letters.get(name, 0) + count
    total = sum(letters.values())
    return {
        name: count / total for name, count in sorted(letters.items(), key=lambda item: (-item[1], item[0]))
    }
