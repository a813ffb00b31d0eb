"""Texts that break tokenisers: every rule's own characters, and any others."""

from __future__ import annotations

from hypothesis import strategies as st

TELLING = [
    *"abzAZ019_ .,:;'\"-<>/\t\n\r\0\x0b\x1c\x85\xa0",
    "<br>",
    "<BR />",
    "<br",
    "br",
    *"éÉßẞİıΣσςǅŉǰ\u0130K\u212bﬁº²½Ⅷ",
    *"\u0301\u0307\u030c\u0323\u0338\u0344\u0345",  # combining marks
    *"\xad\u200b\u200c\u200d\u200e\u200f\u202e\u202f\u2028\u2060\u2066\ufeff\ufe0f\U000e0001",  # unseen
    *"’‘·…—",
    *"আমিাংলযহ়্ো\u09be\u09c7क्षत्ििगेதமிழ்",  # Bengali, Hindi, Tamil
    *"אבצל״׳\u05b0\u05bcعَرَبِيّ٣٫،",  # Hebrew, Arabic
    *"ไทยน้ำເລາខ្មែរမြန်",  # Thai, Lao, Khmer, Burmese
    *"我爱北京ひらカタナーｶﾞ〇々\uf900",  # Chinese, Japanese
    *"한글\u1112\u1161\u11ab",  # Korean, whole and in parts
    *"𝒜𝟘𐐀𐐨𞤀𠀀\U00016d67",  # beyond the first plane
    *"😀👍🏽\U0001f1e7\U0001f1e9Ⓜ❤↔™♂",
    "👩\u200d🚀",
    "\U0001f1e7\U0001f1e9",
    "\u200d",
    "\ufe0f",
]


def texts(max_size: int = 40) -> st.SearchStrategy[str]:
    """Return mixtures of the telling pieces and of any characters but surrogates."""
    anything = st.characters(exclude_categories=["Cs"])
    pieces = st.one_of(st.sampled_from(TELLING), st.sampled_from(TELLING), anything)
    return st.lists(pieces, max_size=max_size).map("".join)


def corpora(max_texts: int = 6) -> st.SearchStrategy[list[str]]:
    """Return lists of texts whose words often recur."""
    words = st.sampled_from(
        ["the", "The", "cat", "a", "sat", "গান", "ভালো", "我爱", "ΟΔΟΣ", "İ", "don't", "1,000"]
    )
    recurring = st.lists(words, max_size=12).map(" ".join)
    return st.lists(st.one_of(recurring, recurring, texts()), min_size=1, max_size=max_texts)
