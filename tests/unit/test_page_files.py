"""The files of the page: whole catalogues, nothing from elsewhere, no markup made from data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import sopan
from sopan.text import findings
from sopan.text.text_quality import TROUBLES

STATIC = Path(sopan.__file__).parent / "serve" / "static"
SCRIPTS = sorted(STATIC.rglob("*.js"))
PAGES = sorted([*STATIC.rglob("*.html"), *STATIC.rglob("*.css"), *SCRIPTS])
CATALOGUES = {path.stem: json.loads(path.read_text("utf-8")) for path in (STATIC / "i18n").glob("*.json")}
PLACES = re.compile(r"\{(\w+)\}")


def test_english_and_bengali_say_the_same_things():
    english, bengali = CATALOGUES["en"], CATALOGUES["bn"]
    assert list(english) == list(bengali)
    for key, sentence in english.items():
        assert sorted(PLACES.findall(sentence)) == sorted(PLACES.findall(bengali[key])), key


def test_bengali_is_in_bengali():
    """But for the examples, names that have no other, and what is typed into a terminal."""
    latin = {"idea.cbow", "idea.bert", "words.tsne", "words.pca"}
    for key, sentence in CATALOGUES["bn"].items():
        if key not in latin and not key.startswith("example."):
            assert re.search("[\u0980-\u09ff]", sentence), key


def test_every_key_that_is_asked_for_is_there_and_every_one_there_is_asked_for():
    texts = "".join(path.read_text("utf-8") for path in PAGES)
    families = set(re.findall(r"`([\w.]+\.)\$\{", texts))
    named = set(re.findall(r"""["']([a-z_]+(?:\.[\w.]+)?)["']""", texts))
    keys = set(CATALOGUES["en"])
    asked = set(re.findall(r"""\bt\(\s*["']([\w.]+)["']""", texts)) | set(
        re.findall(r'data-t(?:-\w+)?="([\w.]+)"', texts)
    )
    assert asked <= keys
    unasked = {key for key in keys if key not in named | asked and not key.startswith(tuple(families))}
    assert unasked == set()


def test_the_page_has_words_for_all_that_an_audit_of_a_table_can_find():
    """But for what is found between parts, of which a table of one's own has one."""
    between = {"class_not_in_train", "class_not_in_test", "leak", "near_leak", "removed", "few_test_texts"}
    given = set(re.findall(r'"(?:error|warning|note)", "(\w+)"', Path(findings.__file__).read_text("utf-8")))
    assert between < given
    told = {key.removeprefix("finding.") for key in CATALOGUES["en"] if key.startswith("finding.")}
    assert told == given - between | {trouble.code for trouble in TROUBLES} | {"imbalance"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_a_file_is_short_and_makes_no_markup_from_data(path: Path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) < 300
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function",
        text.replace("no innerHTML", ""),
    )
    assert not re.search(r"""\sstyle=["']|\son\w+=["']""", text)
    addresses = set(re.findall(r"https?://[^\s\"'`)<]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_what_modules_import_is_there():
    for path in SCRIPTS:
        for name in re.findall(r'from "([^"]+)"', path.read_text("utf-8")):
            assert (path.parent / name).is_file(), f"{path.name}: {name}"
