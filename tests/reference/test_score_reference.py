"""Scores held to numbers by hand, to a loop that hides one piece at a time, and to `transformers`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conftest import need
from small_language import untrained

from sopan.lm.hugging_face import save_hugging_face
from sopan.lm.score import score_text
from sopan.text.packing import Rows

TEXTS = ["the nightowl hoots .", "a unbelievable film is fine . the nightowl hoots", "cat", "the zebra !"]


class Table:
    """Stands where a network would: its logits are a table, so that scores can be worked out by hand."""

    def __init__(self, model, table):
        self.config, self.wordpiece, self.objective, self.missing_heads = (
            model.config,
            model.wordpiece,
            model.objective,
            (),
        )
        self.table = table
        self.asked: list[tuple[str, ...]] = []

    def logits(self, rows, at):
        flat = rows.ids.reshape(-1)
        for line, blocks in zip(rows.ids, rows.blocks, strict=True):
            if blocks.any():
                self.asked.append(tuple(self.wordpiece.pieces[i] for i in line[blocks > 0]))
        return np.stack([self.table[flat[place - 1]] for place in at])  # what follows the piece before


def log_softmax(values):
    return values - np.log(np.exp(values).sum())


def ask(model, ids, place):
    """Return log-probabilities (V,) at one place of one text, float64."""
    ids = np.array(ids, np.int32)[None]
    rows = Rows(ids, np.ones_like(ids), np.arange(ids.size, dtype=np.int32)[None], np.zeros_like(ids))
    return log_softmax(model.logits(rows, np.array([place], np.int32))[0].astype(np.float64))


def slowly(model, text, method):
    """Score piece by piece, one at a time, in the window around each (masked) or before each (causal)."""
    pieces = model.wordpiece.cut(text)
    ids, words = pieces.ids.tolist(), pieces.words.tolist()
    cls, sep, mask = (model.wordpiece.specials[name] for name in ("[CLS]", "[SEP]", "[MASK]"))
    logs = []
    for t, piece in enumerate(ids):
        if method == "causal":
            assert len(ids) < model.config.max_length
            logs.append(ask(model, [cls, *ids[:t]], t)[piece])
            continue
        hidden = ids.copy()
        hidden[t] = mask
        for later in range(t + 1, len(ids)):
            if method == "word-l2r" and words[later] == words[t]:
                hidden[later] = mask
        room = model.config.max_length - 2
        start = 0
        while start + room < len(ids) and t - start > room // 2:
            start += 1
        part = hidden[start : start + room]
        logs.append(ask(model, [cls, *part, sep], 1 + t - start)[piece])
    return logs


def test_three_pieces_by_hand():
    """Behind `[CLS]` comes night with 3/4, behind that ##owl with 1/2, behind that the dot with 1/5."""
    model = untrained()
    wordpiece = model.wordpiece
    table = np.full((len(wordpiece), len(wordpiece)), -1e9)
    for before, odds in {
        "[CLS]": {"night": 3, "cat": 1},
        "night": {"##owl": 1, "[MASK]": 1},
        "##owl": {".": 1, "cat": 4},
        "[MASK]": {"##owl": 1, "cat": 7},
    }.items():
        for piece, odd in odds.items():
            table[wordpiece.id_of(before), wordpiece.id_of(piece)] = np.log(odd)
    known = Table(model, table.astype(np.float32))
    found = score_text(known, "nightowl.")
    assert sorted(set(known.asked)) == [
        ("[CLS]", "[MASK]", "[MASK]", ".", "[SEP]"),  # night, the rest of its word hidden
        ("[CLS]", "night", "##owl", "[MASK]", "[SEP]"),
        ("[CLS]", "night", "[MASK]", ".", "[SEP]"),
    ]
    np.testing.assert_allclose(found.words[0].of_pieces, np.log([3 / 4, 1 / 2]), atol=1e-6)
    assert found.total == pytest.approx(np.log(3 / 4 * 1 / 2 * 1 / 5), abs=1e-6)
    known.asked.clear()
    assert score_text(known, "nightowl.", method="original").total == pytest.approx(found.total, abs=1e-6)
    assert ("[CLS]", "[MASK]", "##owl", ".", "[SEP]") in known.asked


@pytest.mark.parametrize("method", ["word-l2r", "original", "causal"])
def test_scores_equal_the_loop_over_single_pieces(method):
    model = untrained(causal=method == "causal")
    for text in TEXTS:
        found = score_text(model, text, method=method)
        expected = slowly(model, text, method)
        np.testing.assert_allclose([x for w in found.words for x in w.of_pieces], expected, atol=2e-5)
        assert found.total == pytest.approx(sum(expected), abs=1e-4)


@pytest.mark.parametrize("method", ["word-l2r", "original"])
def test_long_texts_equal_the_loop_over_windows(method):
    text = "the nightowl hoots . a unbelievable film is fine . " * 4
    found = score_text(untrained(), text, method=method)
    assert found.windowed
    expected = slowly(untrained(), text, method)
    np.testing.assert_allclose([x for w in found.words for x in w.of_pieces], expected, atol=2e-5)


def test_a_long_text_of_a_causal_model_is_read_with_half_a_window_before_each_piece():
    """Each piece is foretold from the 11 to 22 pieces before it, or from all of them."""
    model = untrained(causal=True)
    ids = model.wordpiece.cut("the nightowl hoots . a unbelievable film is fine . " * 4).ids.tolist()
    found = score_text(model, "the nightowl hoots . a unbelievable film is fine . " * 4)
    logs = [x for w in found.words for x in w.of_pieces]
    assert len(logs) == len(ids)
    cls = model.wordpiece.specials["[CLS]"]
    for t, (piece, log) in enumerate(zip(ids, logs, strict=True)):
        starts = [0] if t < 22 else range(t - 22, t - 10)
        given = [ask(model, [cls, *ids[start:t]], t - start)[piece] for start in starts]
        assert min(abs(log - one) for one in given) < 2e-5


@pytest.mark.parametrize("method", ["word-l2r", "original"])
def test_scores_equal_those_of_transformers(tmp_path, method):
    """The same weights in `BertForMaskedLM`, one piece hidden at a time."""
    need("transformers")
    need("torch")
    import torch
    from transformers import BertForMaskedLM

    model = untrained()
    save_hugging_face(model, tmp_path / "bert", card="Random weights.\n")
    theirs = BertForMaskedLM.from_pretrained(tmp_path / "bert").eval()
    cls, sep, mask = (model.wordpiece.specials[name] for name in ("[CLS]", "[SEP]", "[MASK]"))
    for text in TEXTS:
        pieces = model.wordpiece.cut(text)
        expected = []
        for t, piece in enumerate(pieces.ids.tolist()):
            ids = pieces.ids.copy()
            same = np.flatnonzero(pieces.words == pieces.words[t])
            ids[same[same >= t] if method == "word-l2r" else t] = mask
            with torch.no_grad():
                logits = theirs(torch.tensor([[cls, *ids.tolist(), sep]])).logits[0, t + 1]
            expected.append(float(torch.log_softmax(logits.double(), -1)[piece]))
        found = score_text(model, text, method=method)
        values = list(itertools.chain.from_iterable(word.of_pieces for word in found.words))
        np.testing.assert_allclose(values, expected, atol=1e-4)
