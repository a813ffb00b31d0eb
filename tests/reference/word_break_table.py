"""Write `src/sopan/text/word_break.txt` from the `regex` module's Unicode data.

python tests/reference/word_break_table.py > src/sopan/text/word_break.txt
"""

from __future__ import annotations

from collections.abc import Iterator

import regex

PROPERTIES = {
    "Letter": r"[\p{WB=ALetter}]",
    "Hebrew_Letter": r"[\p{WB=Hebrew_Letter}]",
    "Numeric": r"[\p{WB=Numeric}]",
    "ExtendNumLet": r"[\p{WB=ExtendNumLet}--[\u202f]]",
    "Unspaced": r"[\p{WB=Katakana}||[\p{WB=Other}&&[\p{Alphabetic}||\p{L}]]]",
    "Extend": r"[\p{WB=Extend}||\p{WB=Format}||\p{WB=ZWJ}]",
    "MidLetter": r"[\p{WB=MidLetter}]",
    "MidNum": r"[\p{WB=MidNum}]",
    "MidNumLet": r"[\p{WB=MidNumLet}]",
    "Single_Quote": r"[\p{WB=Single_Quote}]",
    "Double_Quote": r"[\p{WB=Double_Quote}]",
    "Emoji": r"[\p{Extended_Pictographic}&&\p{WB=Other}--[\x00-\u2193]]",
    "Flag": r"[\p{WB=Regional_Indicator}]",
}
HEADER = """\
# Word_Break classes, Unicode 17.0 (UAX #29 table 3), with the tailorings told in tokenize.py.
# Made by tests/reference/word_break_table.py. Columns: first and last code point, class.
"""


def ranges() -> Iterator[tuple[int, int, str]]:
    """Yield (first, last, class), by code point."""
    everything = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    found = [
        (ord(run[0][0]), ord(run[0][-1]), name)
        for name, pattern in PROPERTIES.items()
        for run in regex.finditer(f"{pattern}+", everything, regex.V1)
    ]
    yield from sorted(found)


if __name__ == "__main__":
    print(HEADER + "\n".join(f"{first:04X} {last:04X} {name}" for first, last, name in ranges()))
