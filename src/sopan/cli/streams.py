"""Output for any console: what its encoding lacks is written in signs that it has, and never an error."""

from __future__ import annotations

import codecs
import io
import sys

HANDLER = "sopan"
_PLAIN = {
    "█": "#", "✓": "v", "\N{MINUS SIGN}": "-", "–": "-", "—": "-", "…": "...", "·": ".", "→": "->",
    "“": '"', "”": '"', "‘": "'", "’": "'", "⟨": "<", "⟩": ">", "×": "x",
}  # fmt: skip
"""What our own words and charts are drawn with, in ASCII; box-drawing is rich's, which knows ASCII itself."""
_SPINNER = range(0x2800, 0x2900)


def open_streams() -> None:
    """Let standard output and standard error take every text."""
    codecs.register_error(HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def takes_unicode() -> bool:
    """Tell whether standard output has every character."""
    return (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf")


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Return what is written for characters that an encoding lacks, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_in_ascii, lacking)), error.end


def _in_ascii(character: str) -> str:
    if ord(character) in _SPINNER:
        return "*"
    return _PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode()
