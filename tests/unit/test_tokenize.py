"""Words of every script by hand, and their place in the text."""

from __future__ import annotations

import time
import unicodedata
from importlib.resources import files

import numpy as np
import pytest
import regex
from reference.word_break_table import HEADER, ranges

from sopan.errors import DataError
from sopan.text.tokenize import regex_word_classes, script_notes, space_classes, tokenize, word_classes
from sopan.text.unicode import FORMAT_CHARACTERS

BENGALI = "আমি বাংলায় গান গাই। ছবিটা খুব ভালো লেগেছে"

WORDS = {
    "bengali": (BENGALI, ["আমি", "বাংলায়", "গান", "গাই", "ছবিটা", "খুব", "ভালো", "লেগেছে"]),
    "bengali joiner": ("র\u200d্যাম হ্যাঁ।", ["র\u200d্যাম", "হ্যাঁ"]),
    "hindi": ("यह क्षत्रिय की ज़िंदगी है।", ["यह", "क्षत्रिय", "की", "ज़िंदगी", "है"]),
    "tamil": ("படம் மிகவும் நன்றாக இருந்தது", ["படம்", "மிகவும்", "நன்றாக", "இருந்தது"]),
    "arabic": ("كَتَبَ الوَلَدُ، ٣٫١٤!", ["كَتَبَ", "الوَلَدُ", "٣٫١٤"]),
    "persian": ("می\u200cخواهم بروم", ["می\u200cخواهم", "بروم"]),
    "hebrew": ("שָׁלוֹם צה\"ל ג'ירפה ג'", ["שָׁלוֹם", 'צה"ל', "ג'ירפה", "ג'"]),
    "thai": ("น้ำดี มาก", ["น้ำ", "ำดี", "มา", "าก"]),
    "khmer": ("ខ្មែរ", ["ខ្មែ", "មែរ"]),
    "chinese": ("我爱北京，好", ["我爱", "爱北", "北京", "好"]),
    "japanese": ("ラーメンを食べた", ["ラー", "ーメ", "メン", "ンを", "を食", "食べ", "べた"]),
    "korean": ("영화가 정말 좋아요.", ["영화가", "정말", "좋아요"]),
    "greek": ("Ο ΟΔΟΣ. ΟΔΟΣΑ", ["ο", "οδος", "οδοσα"]),
    "german": ("Die STRASSE, die Straße", ["die", "strasse", "die", "straße"]),
    "turkish": ("İstanbul ışık", ["i̇stanbul", "ışık"]),
    "french": ("L’amour d'été, «\u202foui\u202f»", ["l’amour", "d'été", "oui"]),
    "english": ("Don't; a rock'n'roll I'm 'quoted'", ["don't", "a", "rock'n'roll", "i'm", "quoted"]),
    "numbers": ("3.14 1,000 v2.0 50% 10:30", ["3.14", "1,000", "v2.0", "50", "10", "30"]),
    "web": ("http://a.org/x?y=1 @me #tag", ["http", "a.org", "x", "y", "1", "me", "tag"]),
    "line breaks": ("one<br />two<BR>three<br\t/>4 <br> br < br>", ["one", "two", "three", "4", "br", "br"]),
    "not a tag": ("<brr> <br <b>r</b>", ["brr", "br", "b", "r", "b"]),
    "underscores": ("snake_case __init__ ___ _x", ["snake_case", "__init__", "_x"]),
    "emoji": (
        "so good 😀👍🏽 🇧🇩 ❤\ufe0f ok😀ok",
        ["so", "good", "😀", "👍🏽", "🇧🇩", "❤\ufe0f", "ok", "😀", "ok"],
    ),
    "emoji joined": (
        "👩\u200d🚀👩\u200d❤\ufe0f\u200d👩 🙂\u200d↔\ufe0f👩 \u200d🚀",
        ["👩\u200d🚀", "👩\u200d❤\ufe0f\u200d👩", "🙂\u200d↔\ufe0f", "👩", "🚀"],
    ),
    "joiner of a letter": ("അവന്\u200d😀", ["അവന്\u200d", "😀"]),
    "flags": (
        "🇧🇩🇮🇳🇫 🏴\U000e0067\U000e0062\U000e007f",
        ["🇧🇩", "🇮🇳", "🇫", "🏴\U000e0067\U000e0062\U000e007f"],
    ),
    "keycaps and signs": ("1\ufe0f\u20e3 ©2020 Sopan™ ‼ → ☺", ["1\ufe0f\u20e3", "2020", "sopan", "☺"]),
    "mixed scripts": ("iPhone的价格 3月", ["iphone", "的价", "价格", "3", "月"]),
    "nul": ("nul\0nul", ["nul", "nul"]),
    "unseen": ("\ufeffsoft\u00adhyphen \u202eleft\u202c no\u200bgap", ["softhyphen", "left", "no", "gap"]),
    "mathematical": ("𝒜𝒷 𐐀𐐁 𝟘𝟙", ["𝒜𝒷", "𐐨𐐩", "𝟘𝟙"]),
    "no letters": ("… — ?! ** \u0301", []),
    "empty": ("", []),
    "blank": (" \t\r\n\u3000", []),
}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
def test_words(name):
    text, words = WORDS[name]
    assert list(tokenize(text).words) == words


def test_words_of_models_that_were_saved_before_emoji_were_words():
    for text, words in WORDS.values():
        pictures = [
            word
            for word in words
            if regex.match(r"[\p{Extended_Pictographic}\p{WB=Regional_Indicator}]", word)
        ]
        assert list(tokenize(text, "words-1").words) == [word for word in words if word not in pictures]


def test_scikit_learn_s_rule_breaks_bengali_as_it_does_there():
    assert tokenize(BENGALI, "sklearn").words == ("আম", "ছব")


def test_offsets_are_in_characters_of_the_original():
    text = "Cafe\u0301 😀 İSTANBUL<br/>soft\u00adhyphen \u212bngström"
    tokens = tokenize(text)
    assert tokens.words == ("caf\u00e9", "😀", "i̇stanbul", "softhyphen", "ångström")
    found = [text[a:b] for a, b in zip(tokens.starts, tokens.ends, strict=True)]
    assert found == ["Cafe\u0301", "😀", "İSTANBUL", "soft\u00adhyphen", "\u212bngström"]
    assert tokens.starts.dtype == tokens.ends.dtype == np.int64


def test_offsets_of_a_kelvin_sign_keep_out_the_space_before_it():
    tokens = tokenize("5 \u212a")
    assert tokens.words == ("5", "k")
    assert tokens.starts.tolist() == [0, 2]


def test_pairs_of_characters_overlap_in_the_text_too():
    tokens = tokenize("我爱 ไทย")
    assert tokens.words == ("我爱", "ไท", "ทย")
    assert (tokens.starts.tolist(), tokens.ends.tolist()) == ([0, 3, 4], [2, 5, 6])


def test_composed_and_decomposed_texts_have_the_same_words():
    text = "Élève হয় ড় Å 각 ǰ"
    words = {tokenize(unicodedata.normalize(form, text)).words for form in ("NFC", "NFD")}
    assert len(words) == 1
    assert tokenize("J\u030c").words == tokenize("ǰ").words


def test_case_is_kept_where_asked():
    assert tokenize("The STRASSE <BR/>", lowercase=False).words == ("The", "STRASSE")
    assert tokenize("The I", "sklearn", lowercase=False).words == ("The",)


def test_no_mark_is_lost_in_lower_casing():
    text = "ÉCOLE BYŁ KṚṢṆA ΆΈΉ Й"
    for form in ("NFC", "NFD"):
        words = " ".join(tokenize(unicodedata.normalize(form, text)).words)
        assert words == unicodedata.normalize("NFC", text.lower())


def test_a_lone_surrogate_is_refused():
    with pytest.raises(DataError, match="surrogate"):
        tokenize("bad \ud800 text")


def test_a_tower_of_marks_is_one_word():
    text = "z" + "\u0301" * 5000 + "algo"
    tokens = tokenize(text)
    assert len(tokens.words) == 1
    assert (tokens.starts[0], tokens.ends[0]) == (0, len(text))


@pytest.mark.parametrize("unit", ["word ", "x", "আমি ", "\u0301", "我", "<br>"])
def test_a_line_of_ten_megabytes(unit):
    text = unit * (10_000_000 // len(unit.encode()))
    began = time.perf_counter()
    tokens = tokenize(text)
    assert time.perf_counter() - began < 30
    expected = {"word ": 2_000_000, "x": 1, "আমি ": 1_000_000, "\u0301": 0, "我": 3_333_332, "<br>": 0}
    assert len(tokens.words) == expected[unit]


def test_notes_name_the_unspaced_scripts():
    notes = script_notes(["ภาษาไทย", "我爱北京", "ひらがな", "plain", "বাংলা 한국어"])
    assert [note.split(" has no spaces")[0] for note in notes] == ["Chinese or Japanese", "Thai"]
    assert "2 of 5 texts" in notes[0]


def test_no_note_for_a_stray_character():
    assert script_notes(["plain"] * 200 + ["我"]) == []
    assert script_notes([]) == []


def test_the_shipped_table_is_unicode_s():
    path = files("sopan.text").joinpath("word_break.txt")
    table = "\n".join(f"{first:04X} {last:04X} {name}" for first, last, name in ranges())
    assert path.read_text("ascii") == HEADER + table + "\n"


def test_format_characters_are_word_break_format():
    listed = {c for c in map(chr, range(0x10000)) if FORMAT_CHARACTERS.match(c)}
    assert listed == set(regex.findall(r"\p{WB=Format}", "".join(map(chr, range(0xD800))) + "".join(
        map(chr, range(0xE000, 0x10000)))))  # fmt: skip


def test_white_space_is_in_no_word_class():
    spaces = np.flatnonzero(space_classes() == 0)
    assert not word_classes()[spaces].any()
    assert not regex_word_classes()[spaces].any()
