"""Why a stack or a cascade says what it says: its members' words together, and who was asked."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from combinations import ODD, cascade_of, fitted, stack_of
from quick_steps import LABELS, TEXTS, brief, eagerly

from sopan.errors import InputError
from sopan.fit.artifact import save_model
from sopan.steps.evidence import weigh_together
from sopan.steps.stages import asked_sentence
from sopan.types import Asked, Evidence, Tokens
from sopan.usecases import explain, predict
from sopan.usecases.served.explanations import explanations, read_words
from sopan.usecases.served.service import ServedRun


def evidence_of(words, spans, added, read=None, base=(0.0, 0.0), method="exact"):
    starts, ends = np.array(spans, np.int64).reshape(-1, 2).T
    added = np.array(added, float).reshape(-1, 2)
    read = np.ones(len(words), bool) if read is None else np.array(read)
    return Evidence(
        Tokens(tuple(words), starts, ends), read, added, np.array(base), np.array(base) + added.sum(0), method
    )


def test_pieces_and_smileys_come_to_the_words_by_hand():
    """`unfunny :-)`: one word here, two pieces and a smiley there; weights 2 and 10."""
    words = evidence_of(["unfunny"], [(0, 7)], [[1, -1]], base=(0.5, 0))
    pieces = evidence_of(
        ["un", "##funny", ":-)"], [(0, 2), (2, 7), (8, 11)], [[1, 0], [0, 2], [3, 4]], base=(0, 0.25)
    )
    found = weigh_together([(2.0, words), (10.0, pieces)])
    assert found.tokens.words == ("unfunny", ":-)")
    assert found.contributions.tolist() == [[2 + 10, -2 + 20], [30, 40]]
    assert found.base.tolist() == [1.0, 2.5]
    np.testing.assert_allclose(found.logits, found.base + found.contributions.sum(0))
    other_way = weigh_together([(10.0, pieces), (2.0, words)])
    assert other_way.tokens.words == ("un", "##funny", ":-)")
    assert other_way.contributions.tolist() == [[11, -1], [1, 19], [30, 40]]


def test_a_word_is_read_where_any_member_reads_it():
    one = evidence_of(["a", "b"], [(0, 1), (2, 3)], [[0, 0], [1, 1]], read=[False, True])
    two = evidence_of(
        ["a", "?", "b"], [(0, 1), (1, 2), (2, 3)], [[1, 0], [0, 0], [0, 0]], read=[True, False, False]
    )
    found = weigh_together([(1.0, one), (1.0, dataclasses.replace(two, method="integrated gradients"))])
    assert (found.tokens.words, found.read.tolist()) == (("a", "b"), [True, True])
    assert found.method == "integrated gradients"


def test_an_empty_text_has_evidence_without_words():
    empty = evidence_of([], [], [])
    assert weigh_together([(1.0, empty), (2.0, empty)]).contributions.shape == (0, 2)


@pytest.fixture(scope="module")
def members():
    with eagerly():
        return {**fitted(), "self_attention": brief("self_attention", min_steps=1).fit(TEXTS, LABELS)}


@pytest.fixture(scope="module", params=["stack", "cascade"])
def made(request, members):
    return stack_of(members) if request.param == "stack" else cascade_of(members, 0.5, 0.99999)


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained") / made.name
    save_model(made, folder, data={}, metrics={})
    return folder


@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[-1], "soup and gulls", *ODD[:5]])
def test_the_evidence_adds_up_to_the_logits_and_says_who_was_asked(made, text):
    found, read = made.evidence(text), made.read_in_stages([text])
    np.testing.assert_allclose(found.logits, made.logits([text])[0], rtol=1e-5, atol=1e-5)
    change = np.abs(found.logits - found.base).max()
    assert np.abs(found.base + found.contributions.sum(axis=0) - found.logits).max() <= 0.03 * max(1, change)
    assert not found.contributions[~found.read].any()
    assert found.read.any() != read.output.no_known_words[0]
    assert len(found.asked) == read.answered[0] + 1
    assert [stage.threshold for stage in found.asked[:-1]] == [
        s.threshold for s in made.stages_[: read.answered[0]]
    ]
    assert found.asked[-1].confidence == pytest.approx(read.confidence[0, read.answered[0]])


def test_both_ends_of_the_cascade_are_reached(members):
    cascade = cascade_of(members, 0.5, 0.99999)
    answered = cascade.read_in_stages(TEXTS + ODD).answered
    assert set(answered) == {0, 2}
    assert set(cascade.answered_by(TEXTS + ODD)) == {"bow:counts", "self_attention"}


def test_the_sentence_says_why_by_hand():
    first = Asked(("bow",), {"bow": 1.0}, 0.62, 0.8)
    last = Asked(("bert@minilm",), {"bow": 0.7, "bert@minilm": 1.1}, 0.93, None)
    assert asked_sentence([first, last]) == (
        "bow is 0.62 sure, less than the 0.80 that it takes; so the next is asked: "
        "bow and bert@minilm are 0.93 sure, and there is nobody else to ask."
    )
    assert asked_sentence([first._replace(confidence=0.9)]) == (
        "bow is 0.90 sure, and 0.80 is enough: nothing else was asked."
    )
    assert asked_sentence([last]) == "bow and bert@minilm are 0.93 sure."
    assert asked_sentence([]) == ""


def test_explain_tells_it_to_python_and_on_a_page(made, folder, tmp_path):
    text, page = TEXTS[0], tmp_path / "why.html"
    told = explain(folder, text, html=page)
    assert told["step"] == made.name
    assert told["predicted"] == made.predict([text])[0]
    assert told["asked"]["sentence"] == asked_sentence(made.evidence(text).asked)
    assert told["asked"]["stages"][0]["members"][0] == "bow:counts"
    assert json.dumps(told, allow_nan=False)
    assert "sure" in page.read_text(encoding="utf-8")
    assert explain(made.members_["bow:chars"], text)["asked"] is None


def test_predicting_one_text_names_who_answered(made, folder, sopan):
    last = made.evidence(TEXTS[0]).asked[-1].members
    assert predict(folder, TEXTS[0])["answered_by"] == " + ".join(last)
    assert f"Answered by {' + '.join(last)}." in sopan("predict", folder, TEXTS[0])[1]
    assert "sure" in sopan("explain", folder, TEXTS[0])[1]


# ---- served ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(folder):
    return ServedRun(folder, None)


def test_it_is_served(made, run):
    about = run.describe()["steps"][0]
    assert (about["step"], about["has"], about["labels"]) == (made.name, [], sorted(set(LABELS)))
    assert about["adds"]
    answer = run.predict([{"texts": TEXTS[:3] + ODD, "steps": None}])[0]
    for row, result in enumerate(answer["results"]):
        said = result["steps"][0]
        expected = made.predict_proba([(TEXTS[:3] + ODD)[row]])[0]
        np.testing.assert_allclose(list(said["probabilities"].values()), expected, atol=1e-5)
        assert said["answered_by"]
    list(run.settle())


def test_it_is_explained_where_it_is_served_by_taking_words_away(made, run):
    text = TEXTS[0]
    step = run.models[0]
    told = run.explain([{"text": text, "steps": None}])[0]["steps"][0]
    assert told["method"] == "occlusion"
    assert told["answered_by"] == " + ".join(made.evidence(text).asked[-1].members)
    assert told["note"].endswith(asked_sentence(made.evidence(text).asked))
    assert [word["word"] for word in told["words"]] == list(read_words(step, text).tokens.words)
    assert any(word["support"] for word in told["words"])
    assert all(explanations(step, [odd])[0]["label"] == made.predict([odd])[0] for odd in ODD[:5])


def test_its_words_are_shown_and_what_it_lacks_is_refused(run):
    shown = run.tokens(TEXTS[0], None, attention=True)["steps"][0]
    assert (shown["kind"], shown["features"], shown["attention"]) == ("words", None, None)
    assert all(token["known"] for token in shown["tokens"])
    assert run.neighbors("soup", 3, None)["steps"] == []
    with pytest.raises(InputError, match="has"):
        run.embed(["soup"], [run.models[0].step])
