"""Text that is shown hides nothing, and stays readable in every script."""

from __future__ import annotations

import pytest

from sopan.text.display import escape_for_display

SHOWN = {
    "plain text\n\twith a line": "plain text\n\twith a line",
    "abc\u202edef\u202c": "abc⟨U+202E⟩def⟨U+202C⟩",
    "zero\u200bwidth\ufeff": "zero⟨U+200B⟩width⟨U+FEFF⟩",
    "a\u200db": "a⟨U+200D⟩b",
    "\u200d\u200dx": "⟨U+200D⟩⟨U+200D⟩x",
    "bell\x07 escape\x1b[31m nul\0 cr\r": "bell⟨U+0007⟩ escape⟨U+001B⟩[31m nul⟨U+0000⟩ cr⟨U+000D⟩",
    "line\u2028paragraph\u2029": "line⟨U+2028⟩paragraph⟨U+2029⟩",
    "filler\u3164": "filler⟨U+3164⟩",
    "soft\u00adhyphen": "soft⟨U+00AD⟩hyphen",
    "র\u200d্যাম می\u200cخواهم 👩\u200d💻 শব্দ": "র\u200d্যাম می\u200cخواهم 👩\u200d💻 শব্দ",
    "lone \ud800": "lone ⟨U+D800⟩",
    "שָׁלוֹם كَتَبَ nối": "שָׁלוֹם كَتَبَ nối",
    "z" + "\u0301" * 100 + "x": "z" + "\u0301" * 8 + "⟨+92 marks⟩x",
    "": "",
}


@pytest.mark.parametrize("text", SHOWN, ids=ascii)
def test_shown(text):
    assert escape_for_display(text) == SHOWN[text]
