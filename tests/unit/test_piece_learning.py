"""Vocabularies of pieces that come out the same every time."""

from __future__ import annotations

from quick_steps import TEXTS

from sopan.text.wordpiece import SPECIALS, WordPiece

MIXED = [*TEXTS, "Zażółć gęślą jaźń 🙂 我爱北京 ছবিটা খুব ভালো, it's – «so»\nand so"]


def test_the_same_texts_give_the_same_pieces_whatever_the_hash_tables_do():
    """Both limits are met: of the pieces, and of the alphabet, where characters are equally rare."""
    for size in (120, 300):
        found = {WordPiece.train(iter(MIXED), size).pieces for _ in range(6)}
        assert len(found) == 1
        assert len(found.pop()) <= size


def test_special_pieces_come_first_then_characters_then_what_is_frequent():
    pieces = WordPiece.train(["so so so soso", "so, 我"], 100).pieces
    assert pieces == (*SPECIALS, ",", "o", "s", "我", "##o", "##s", "so", "##so", "soso")


def test_what_stands_alone_never_goes_on_with_a_word():
    pieces = WordPiece.train(MIXED, 400).pieces
    assert not {"##,", "##–", "##«", "##我"} & set(pieces)
    assert {",", "–", "«", "我", "##🙂", "##ি"} <= set(pieces)
