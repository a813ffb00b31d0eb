"""The audit finds what would spoil a comparison, says it plainly, and takes leaks out of training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from corpora import corpus, named_split, sentences

from sopan.comparison.evidence import leak_effect
from sopan.comparison.results import TrainedWithLeaks
from sopan.errors import DataError
from sopan.options.data import ReadOptions
from sopan.text.audit import Audit, audit_corpus, remove_leaks
from sopan.text.read import read_corpus
from sopan.text.text_quality import TROUBLES, character_counts, find_trouble, script_shares
from sopan.types import Corpus, Split


def audit(texts: list[str], labels: list[str] | None = None, split: list[str] | None = None) -> Audit:
    labels = labels or ["a", "b"] * (len(texts) // 2) + ["a"] * (len(texts) % 2)
    return audit_corpus(corpus(texts, labels), named_split(split or ["train"] * len(texts)))


def found(audited: Audit, code: str) -> Any:
    """Return the finding with that code."""
    findings = {finding.code: finding for finding in audited.report.findings}
    assert code in findings, f"{code} is not among {sorted(findings)}"
    return findings[code]


def codes(audited: Audit) -> set[str]:
    return {finding.code for finding in audited.report.findings}


@pytest.fixture(scope="module")
def leaky() -> tuple[Corpus, Split, Audit]:
    """20 texts: 6 leaks of three kinds, a near-duplicate, and the rest clean; rows count from 100."""
    clean = sentences(12, words=60)
    texts = [
        *clean[:4], clean[8], clean[9], clean[6], "short one",           # 0-7 train
        *clean[4:7], clean[10], "short one",                             # 8-12 val
        clean[7], clean[8], f"  {clean[9]}\n", clean[8], clean[10],      # 13-17 test
        clean[0].replace("Review 0:", "review 0 —").upper(),             # 18 test: same words as 0
        clean[11],                                                       # 19 test
    ]  # fmt: skip
    parts = ["train"] * 8 + ["val"] * 5 + ["test"] * 7
    made = corpus(texts, ["a", "b"] * 10, rows=range(100, 120))
    split = named_split(parts)
    return made, split, audit_corpus(made, split)


# ---- copies ----------------------------------------------------------------------------------


def test_leaks_are_counted_by_pair_of_parts(leaky: tuple[Corpus, Split, Audit]) -> None:
    leaks = leaky[2].report.as_json()["leaks"]
    assert leaks == {
        "test_in_train": 3,  # 14, 15, 16
        "test_in_val": 1,  # 17
        "val_in_train": 2,  # 10 as 6, 12 as 7
        "test_in_train_or_val": 4,
        "removed_from_train": 5,  # 0 (near), 4, 5, 6, 7
        "removed_from_val": 1,  # 11
        "removed_as_near": 1,
    }


def test_a_leak_is_a_warning_with_its_rows(leaky: tuple[Corpus, Split, Audit]) -> None:
    leak = found(leaky[2], "leak")
    assert leak.level == "warning"
    assert leak.message == (
        "4 of the 7 test texts also stand in train or validation, and 2 of the validation texts in train."
    )
    assert leak.rows == (110, 112, 114, 115, 116)
    assert leak.count == 6
    assert "5 from train, 1 from validation" in found(leaky[2], "removed").message


def test_removing_leaks_leaves_none_and_never_touches_the_test_part(
    leaky: tuple[Corpus, Split, Audit],
) -> None:
    made, split, audited = leaky
    clean = remove_leaks(split, audited)
    assert clean.train.tolist() == [1, 2, 3]
    assert clean.val.tolist() == [8, 9, 10, 12]
    assert clean.test.tolist() == split.test.tolist()
    again = audit_corpus(made, clean)
    assert not {"leak", "near_leak", "removed"} & codes(again)
    assert remove_leaks(clean, again).train.tolist() == clean.train.tolist()


def test_leaked_test_texts_are_marked_in_test_order(leaky: tuple[Corpus, Split, Audit]) -> None:
    assert leaky[2].leaked_test.tolist() == [False, True, True, True, True, False, False]


def test_examples_name_both_rows(leaky: tuple[Corpus, Split, Audit]) -> None:
    report = leaky[2].report.as_json()
    assert report["duplicates"]["examples"][0] == {
        "rows": [106, 110],
        "parts": ["train", "val"],
        "jaccard": 1.0,
    }
    assert report["near_duplicates"]["examples"] == [
        {"rows": [100, 118], "parts": ["train", "test"], "jaccard": 1.0}
    ]


def test_copies_within_parts_are_counted(leaky: tuple[Corpus, Split, Audit]) -> None:
    duplicates = leaky[2].report.as_json()["duplicates"]
    assert duplicates["within"] == {"train": 0, "val": 0, "test": 1}
    assert duplicates["copies"] == 6


def test_near_duplicates_are_counted_as_pairs_of_different_texts() -> None:
    stem = sentences(6, words=100)
    texts = [stem[0], stem[1], stem[0] + " Yes.", stem[1] + " No.", stem[0] + " Yes!", stem[0] + " Well."]
    parts = ["train", "train", "val", "test", "test", "test"]
    near = audit(texts, split=parts).report.as_json()["near_duplicates"]
    assert near["pairs"] == {
        "train_train": 0,
        "train_val": 1,  # 0-2
        "train_test": 3,  # 0-4, 0-5, 1-3
        "val_val": 0,
        "val_test": 2,  # 2-4 (same words), 2-5
        "test_test": 1,  # 4-5
    }
    assert near["across"] == {"test_in_train": 3, "test_in_val": 2, "val_in_train": 1}
    assert near["comparisons_skipped"] == 0


def test_a_text_that_shares_less_than_nearly_everything_is_reported_and_kept() -> None:
    stem = " ".join(f"word{i}" for i in range(100))
    texts = [stem, "other words here", stem.replace("word20", "x").replace("word60", "y"), "one", "two"]
    made, split = (
        corpus(texts, ["a", "b"] * 2 + ["a"]),
        named_split(["train", "train", "test", "val", "test"]),
    )
    audited = audit_corpus(made, split)
    assert found(audited, "near_leak").count == 1  # Jaccard 92 / 104 = 0.885
    assert remove_leaks(split, audited).train.tolist() == [0, 1]


def test_no_copies_no_findings_about_them() -> None:
    audited = audit(sentences(30), split=["train", "val", "test"] * 10)
    assert codes(audited) == {"few_test_texts"}
    message = "10 test texts tell an accuracy to within some 31 points at best."
    assert found(audited, "few_test_texts").message == message
    assert audited.leaked_test.sum() == 0


def test_texts_outside_the_split_are_not_looked_at() -> None:
    made = corpus(["one text", "one text", "other", "more", "less"], ["a", "b", "a", "b", "a"])
    audited = audit_corpus(made, Split(np.array([1, 2]), np.array([3]), np.array([4])))
    assert "leak" not in codes(audited)
    assert audited.report.as_json()["texts"] == 4


# ---- labels ----------------------------------------------------------------------------------


def test_the_same_text_with_two_labels_is_a_conflict() -> None:
    texts = ["Fine film.", "dull", "Fine  film.", "fine film.", "dull", "a", "b"]
    audited = audit(texts, ["good", "bad", "bad", "bad", "bad", "good", "bad"])
    conflict = found(audited, "conflicting_labels")
    assert (conflict.level, conflict.count, conflict.rows) == ("warning", 3, (0, 2, 3))
    assert audited.report.as_json()["conflicts"] == {
        "texts": 3,
        "groups": 1,
        "examples": [{"rows": [0, 2, 3], "labels": ["good", "bad", "bad"]}],
    }


def test_labels_conflict_by_equal_words_as_removal_goes() -> None:
    audited = audit(
        ["So good!", "so good", "so bad", "?!", "?!", "!?"], labels=["a", "b", "a", "a", "b", "a"]
    )
    assert (audited.report.conflicts.texts, audited.report.conflicts.groups) == (4, 2)


def test_class_balance_is_counted_and_imbalance_warned_of() -> None:
    labels = ["usual"] * 45 + ["rare"] * 4 + ["single"]
    audited = audit(sentences(50), labels, ["train"] * 30 + ["val"] * 10 + ["test"] * 10)
    report = audited.report.as_json()
    assert report["parts"] == {"train": 30, "val": 10, "test": 10}
    assert report["classes"][2] == {"class": "usual", "train": 30, "val": 10, "test": 5, "share": 0.9}
    assert report["imbalance"] == 45.0
    assert found(audited, "imbalance").level == "warning"
    assert found(audited, "class_not_in_train").message == "Labels with no training text: 'rare', 'single'."
    assert found(audited, "class_not_in_train").level == "error"
    assert "'single'" in found(audited, "class_of_one").message


def test_findings_come_worst_first() -> None:
    labels = ["usual"] * 46 + ["rare"] * 4
    texts = ["<p>again</p>"] * 2 + sentences(48)
    levels = [
        finding.level for finding in audit(texts, labels, ["train"] * 30 + ["test"] * 20).report.findings
    ]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)
    assert set(levels) == {"error", "warning", "note"}


def test_a_balanced_corpus_is_not_warned_of() -> None:
    assert "imbalance" not in codes(audit(sentences(60), ["a"] * 45 + ["b"] * 15, ["train", "test"] * 30))


def test_from_three_to_one_a_note_says_that_tuning_changes() -> None:
    audited = audit(sentences(60), ["a"] * 50 + ["b"] * 10, ["train", "test"] * 30)
    assert found(audited, "imbalance").level == "note"
    assert "tuned" in found(audited, "imbalance").message


# ---- empties, lengths --------------------------------------------------------------------------


def test_empty_blank_and_wordless_texts_are_told_apart() -> None:
    audited = audit(["", " \n\u3000", "?!", "…™", "🙂🙂", "more words"])
    assert audited.report.as_json()["empty"] == {"empty": 1, "blank": 1, "no_words": 2}
    assert found(audited, "empty").rows == (0, 1)
    assert found(audited, "no_words").rows == (2, 3)


def test_a_corpus_without_any_word_is_audited_all_the_same() -> None:
    report = audit(["?", "!", ""]).report.as_json()
    assert report["empty"]["no_words"] == 2
    assert report["lengths"]["words"]["max"] == 0


def test_lengths_in_words_and_in_characters() -> None:
    lengths = audit(["a b", "a b c d", "é", "a b c d e f"]).report.as_json()["lengths"]
    assert lengths["words"] == {"mean": 3.25, "median": 3.0, "p95": pytest.approx(5.7), "max": 6}
    assert lengths["characters"]["max"] == 11
    assert lengths["characters"]["median"] == 5.0


def test_an_empty_split_is_refused() -> None:
    none = np.empty(0, np.int64)
    with pytest.raises(DataError, match="no text to audit"):
        audit_corpus(corpus(["a", "b"], ["x", "y"]), Split(none, none, none))


# ---- encoding and scripts ----------------------------------------------------------------------

BROKEN = {
    "replacement_character": ["gone\ufffd", "\ufffd"],
    "mojibake": [
        *(
            good.encode().decode("latin-1")
            for good in ("café", "naïve", "über", "Привет", "ভালো", "很好", "🙂")
        ),
        *(
            good.encode().decode("cp1252")
            for good in ("it’s", "€5", "Größe", "“so”".replace("”", "“"), "ছবি")
        ),
    ],
    "nul": ["cut\x00here"],
    "control_characters": ["bell\x07", "delete\x7f", "dash\x96dash", "\x1b[31mred"],
    "html_tags": ["one<br />two", "<P>para", "<a href='x'>y</a>", "</div>", "<h2>"],
    "html_entities": ["R&amp;D", "it&#39;s", "&#x2019;", "a&nbsp;b"],
}
SOUND = [
    "café…”", "“café”–", "MANHÃ”", "CAFÉ»", "Spaß«", "voilà\u00a0»", "NÃO, ÂNGULO 20°", "it’s €5", "áššá",
    "Привет…", "tab\tand\nline\r\n", "a < b and c > d", "<3", "<not a tag>", "AT&T", "salt & pepper;", "বাংলায়",
    "क्षत्रिय", "Ärger", "很好", "🙂", "\u0085", "Ñandú", "¿Qué?", "ÀÉÎ", "naïve Æsop’s “Fables”",
]  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.code)
def test_trouble_is_found_where_it_is_and_only_there(trouble: Any) -> None:
    others = [code for code in BROKEN if (trouble.code, code) != ("control_characters", "mojibake")]
    texts = [(code, text) for code in others for text in BROKEN[code]]  # mojibake may hold control characters
    hits = find_trouble(pa.array([text for _, text in texts], pa.large_string()), trouble).to_pylist()
    assert [text for (code, text), hit in zip(texts, hits, strict=True) if hit] == BROKEN[trouble.code]
    sound = find_trouble(pa.array(SOUND, pa.large_string()), trouble).to_pylist()
    assert [text for text, hit in zip(SOUND, sound, strict=True) if hit] == []


def test_trouble_becomes_a_finding_with_rows() -> None:
    audited = audit(["fine", "cafÃ©", "also fine", "dÃ©jÃ  vu", "a\x00b", "more"])
    assert found(audited, "mojibake").rows == (1, 3)
    assert found(audited, "mojibake").level == "warning"
    assert found(audited, "nul").message.startswith("1 text with NUL")
    assert audited.report.as_json()["encoding"]["mojibake"] == 2


def test_scripts_are_shares_of_letters() -> None:
    texts = pa.array(["ab cd 12!", "ভালো", "где"], pa.large_string())
    characters = character_counts(texts, at_once=2)
    assert characters["a"] == 1
    assert sum(characters.values()) == pc.sum(pc.utf8_length(texts)).as_py()
    assert script_shares(characters) == pytest.approx({"Latin": 4 / 9, "Cyrillic": 3 / 9, "Bengali": 2 / 9})
    assert list(script_shares(characters)) == ["Latin", "Cyrillic", "Bengali"]
    assert script_shares(character_counts(pa.array(["123 ?"], pa.large_string()))) == {}
    assert script_shares({"𐎀": 2}) == {"other": 1.0}


def test_unspaced_scripts_are_noted() -> None:
    audited = audit(["ภาพยนตร์เรื่องนี้สนุกมาก", "หนังไม่ดีเลย", "这部电影很好看", "不好看"])
    notes = " ".join(finding.message for finding in audited.report.findings if finding.code == "script")
    assert "Thai" in notes


# ---- effect on scores, and the whole -----------------------------------------------------------


def test_the_effect_of_leaks_on_scores() -> None:
    correct = {
        "bow": np.array([True, True, True, False, False]),
        "cbow": np.array([False, True] * 2 + [True]),
    }
    put_back = {"bow": np.array([True, True, True, True, False])}
    effect = leak_effect(correct, np.array([True, True, False, False, False]), put_back)
    assert effect.leaked == 2
    assert effect.steps["bow"].as_json() == pytest.approx(
        {"accuracy": 0.6, "accuracy_leaked": 1.0, "accuracy_rest": 1 / 3, "difference": 0.6 - 1 / 3}
    )
    assert effect.steps["cbow"].accuracy_leaked == 0.5
    assert effect.trained_with_leaks == TrainedWithLeaks(step="bow", accuracy=0.8, accuracy_without=0.6)


def test_the_effect_of_no_leaks_is_none() -> None:
    effect = leak_effect({"bow": np.array([True, False])}, np.array([False, False]), {})
    step = effect.steps["bow"]
    assert (step.accuracy_leaked, step.accuracy_rest, step.difference) == (None, 0.5, 0.0)
    everything = leak_effect({"bow": np.array([True])}, np.array([True]), {}).steps["bow"]
    assert (everything.accuracy_rest, everything.difference) == (None, None)


def test_an_audit_is_plain_json(leaky: tuple[Corpus, Split, Audit]) -> None:
    report = leaky[2].report.as_json()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert set(report["findings"][0]) == {"level", "code", "message", "count", "rows"}


@pytest.fixture(scope="module")
def talk(imdb_file: Path) -> tuple[Corpus, Split, Audit]:
    """The 50,000 IMDB reviews in the talk's split, and their audit."""
    made = read_corpus(imdb_file, ReadOptions(split_column="talk"))
    assert made.split is not None
    split = named_split(made.split.tolist())
    return made, split, audit_corpus(made, split)


def test_121_of_the_talks_test_texts_also_stand_in_train_or_validation(
    talk: tuple[Corpus, Split, Audit],
) -> None:
    made, split, audited = talk
    leaks = audited.report.as_json()["leaks"]
    texts = np.array(made.texts.to_pylist(), object)
    seen = set(texts[split.train]) | set(texts[split.val])
    by_hand = sum(text in seen for text in texts[split.test])
    assert leaks["test_in_train_or_val"] == audited.leaked_test.sum() == by_hand == 121
    assert "121 of the 40,000 test texts" in found(audited, "leak").message


def test_the_talks_split_is_clean_once_leaks_are_removed(talk: tuple[Corpus, Split, Audit]) -> None:
    made, split, audited = talk
    clean = remove_leaks(split, audited)
    texts = np.array(made.texts.to_pylist(), object)
    train, val, test = (set(texts[rows]) for rows in (clean.train, clean.val, clean.test))
    assert not train & val | train & test | val & test
    leaks = audited.report.as_json()["leaks"]
    assert len(clean.train) == 5000 - leaks["removed_from_train"]
    assert len(clean.val) == 5000 - leaks["removed_from_val"]
    assert len(clean.test) == 40_000
