"""Explanations: by hand where a hand can, and honest about how far they go."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time

import numpy as np
import pytest
from small_network import random_network
from small_step import LABELS, TEXTS, trained

from sopan.errors import DataError
from sopan.fit.explain import (
    DRAWS,
    ERASED_SHARES,
    FEWEST_OCCLUDED,
    MOST_READ_AGAIN,
    erase_words,
    explain_text,
    keep_words,
    margin_contributions,
    measure_faithfulness,
    occlude,
    top_words,
)
from sopan.fit.rollout import attention_rollout
from sopan.steps import make_step
from sopan.text.tokenize import tokenize
from sopan.usecases import explain
from sopan.usecases.explanation_page import explanation_page, shade_of, stretches

TEXT = "A warm film,\nbut lost: warm!"


@pytest.fixture(scope="module")
def bow():
    return make_step("bow").fit(TEXTS, LABELS)


def explained(estimator, text):
    return explain_text(estimator, text, rng=np.random.default_rng(0))


# ---- support -----------------------------------------------------------------------------------------


def test_of_two_classes_the_lead_is_the_log_odds():
    contributions = np.array([[1.0, -1.0], [0.5, 2.0]])
    np.testing.assert_allclose(margin_contributions(contributions, np.array([2.0, 1.0]), 1.0), [2.0, -1.5])
    np.testing.assert_allclose(margin_contributions(contributions, np.array([2.0, 1.0]), 2.0), [1.0, -0.75])


def test_of_several_classes_likelier_rivals_weigh_more():
    logits = np.log([0.5, 0.4, 0.1])
    found = margin_contributions(np.array([[1.0, 0.5, -1.0]]), logits, 1.0)
    np.testing.assert_allclose(found, [1 - (0.8 * 0.5 - 0.2 * 1.0)])


def test_the_lead_is_the_slope_of_the_log_odds():
    rng = np.random.default_rng(0)
    contributions, logits = rng.normal(size=(1, 4)), rng.normal(size=4)
    best = logits.argmax()

    def log_odds(z):
        p = np.exp(z) / np.exp(z).sum()
        return np.log(p[best] / (1 - p[best]))

    slope = (log_odds(logits + 1e-6 * contributions[0]) - log_odds(logits - 1e-6 * contributions[0])) / 2e-6
    np.testing.assert_allclose(margin_contributions(contributions, logits, 1.0), slope, rtol=1e-6)


def test_top_words_add_up_their_places():
    tokens = tokenize("warm cold warm wet dry")
    found = top_words(tokens, np.array([1.0, -3.0, 0.5, 0.0, 0.1]), most=3)
    assert found == [("cold", -3.0, 1), ("warm", 1.5, 2), ("dry", 0.1, 1)]
    assert top_words(tokenize(""), np.zeros(0)) == []


# ---- words taken away ----------------------------------------------------------------------------------


def test_words_are_erased_where_they_stand():
    tokens = tokenize(TEXT)
    assert erase_words(TEXT, tokens, np.array([1, 5])) == "A   film,\nbut lost:  !"
    assert keep_words(TEXT, tokens, np.array([1])) == "  warm  ,\n   :  !"
    assert erase_words(TEXT, tokens, np.array([], np.int64)) == TEXT


def test_neighbours_of_an_erased_word_do_not_join():
    text = "abc我们def 🙂x🙂"
    tokens = tokenize(text)
    assert tokens.words == ("abc", "我们", "def", "🙂", "x", "🙂")
    assert erase_words(text, tokens, np.array([1, 4])) == "abc def 🙂 🙂"


def test_pairs_of_characters_overlap_and_only_keeps_what_one_of_them_holds():
    text = "我爱北京"
    tokens = tokenize(text)
    assert erase_words(text, tokens, np.array([0])) == " 北京"
    assert keep_words(text, tokens, np.array([0])) == "我爱 "


def test_occlusion_is_what_a_new_prediction_says():
    estimator = trained()
    text = "a warm and dull film"
    found = explained(estimator, text)
    for word, fall in zip(["a", "warm", "and", "dull", "film"], found.occlusion, strict=True):
        left = estimator.predict_proba([text.replace(word, " ", 1)])[0, found.predicted]
        np.testing.assert_allclose(fall, found.probabilities[found.predicted] - left, atol=1e-12)


def test_only_the_heaviest_words_of_a_very_long_text_are_occluded():
    estimator = trained()
    text = "warm film " * 10_000
    evidence = estimator.evidence(text)
    support = np.arange(20_000.0)
    falls = occlude(estimator, text, evidence.tokens, support, 0)
    tried = np.flatnonzero(np.isfinite(falls))
    assert len(tried) == max(FEWEST_OCCLUDED, MOST_READ_AGAIN // 20_000)
    assert tried.min() == 20_000 - len(tried)


def test_erasing_agrees_with_new_predictions():
    estimator = trained()
    text = "warm fine dull film scene"
    evidence = estimator.evidence(text)
    support = np.array([3.0, 2.0, -1.0, 0.5, 0.0])
    found = measure_faithfulness(estimator, text, evidence, support, np.random.default_rng(0))
    whole, best = estimator.predict_proba([text])[0].max(), estimator.predict_proba([text])[0].argmax()
    assert found.words.tolist() == [1, 1, 1, 1, 3]

    def fall(left):
        return whole - estimator.predict_proba([left])[0, best]

    assert found.comprehensiveness[0] == pytest.approx(fall("fine dull film scene"))
    assert found.comprehensiveness[4] == pytest.approx(fall("dull scene"))
    assert found.sufficiency[0] == pytest.approx(fall("warm"))
    assert found.sufficiency[4] == pytest.approx(fall("warm fine film"))


def test_words_that_are_known_to_matter_beat_random_words(bow):
    found = explained(bow, "warm funny fine gentle light first scene film story cast from the a and")
    assert found.faithfulness.holds
    assert (found.faithfulness.comprehensiveness >= found.faithfulness.random_comprehensiveness).all()
    rng = np.random.default_rng(0)
    backwards = measure_faithfulness(bow, found.text, found.evidence, -found.support, rng)
    assert not backwards.holds
    assert len(found.faithfulness.words) == len(ERASED_SHARES)
    assert DRAWS >= 5


def test_the_same_seed_draws_the_same_words(bow):
    one, other = (explained(bow, TEXT).faithfulness for _ in range(2))
    np.testing.assert_array_equal(np.array(one), np.array(other))


# ---- attention -------------------------------------------------------------------------------------------


def test_rollout_by_hand():
    one = np.array(
        [[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]], np.float32
    )  # heads: mean is 0.5 each
    np.testing.assert_allclose(attention_rollout([one]), [0.5, 0.5])
    low = np.array([[[0.2, 0.8], [0.6, 0.4]]], np.float32)
    high = np.array([[[1.0, 0.0], [1.0, 0.0]]], np.float32)
    product = (0.5 * high[0] + 0.5 * np.eye(2)) @ (0.5 * low[0] + 0.5 * np.eye(2))
    np.testing.assert_allclose(attention_rollout([low, high]), product.mean(axis=0), rtol=1e-6)


def test_rollout_of_one_reading_is_its_weights_and_of_words_not_read_nothing():
    reading = np.array([[[0.1, 0.0, 0.9]], [[0.3, 0.0, 0.7]]], np.float32)
    np.testing.assert_allclose(attention_rollout([reading]), [0.2, 0, 0.8], rtol=1e-6)
    partly = np.zeros((1, 3, 3), np.float32)
    partly[0, [0, 2]] = [0.5, 0, 0.5]
    np.testing.assert_allclose(attention_rollout([partly]), [0.5, 0, 0.5])
    np.testing.assert_allclose(attention_rollout([partly, reading]), [0.35, 0, 0.65], rtol=1e-6)
    np.testing.assert_array_equal(attention_rollout([np.zeros((2, 3, 3), np.float32)]), 0)


# ---- the whole ---------------------------------------------------------------------------------------------

ODD = {
    "empty": "",
    "blank": " \n\t",
    "punctuation": "?!… —",
    "unknown": "qwrtz xyzzy",
    "emoji": "🙂🙂 👩\u200d💻",
    "Bengali": "ছবিটা খুব ভালো",
    "Chinese": "我爱北京",
    "one word": "warm",
    "control": "warm \x1b[31m film \u202e dull\0",
    "long": "warm dull film scene zzz " * 1000,
}


@pytest.fixture(scope="module", params=["bow", "characters", "cbow", "network"])
def estimator(request):
    if request.param == "network":
        return random_network(TEXTS, LABELS, max_length=16)
    if request.param == "cbow":
        return make_step("cbow", dimension=8, epochs=3).fit(TEXTS, LABELS)
    return make_step("bow", characters=(2, 4) if request.param == "characters" else None).fit(TEXTS, LABELS)


@pytest.mark.parametrize("name", ODD)
def test_any_text_is_explained_in_finite_numbers_and_soon(estimator, name):
    started = time.perf_counter()
    found = explain(estimator, ODD[name])
    json.dumps(found, allow_nan=False)
    page = explanation_page(found)
    assert time.perf_counter() - started < 30
    n = len(found["words"])
    assert found["probabilities"][found["predicted"]] == max(found["probabilities"].values())
    assert all(ODD[name][word["start"] : word["end"]] for word in found["words"])
    assert (found["sanity"] is None) == (not any(word["read"] for word in found["words"]))
    assert (found["attention"] is None) == (n == 0 or estimator.name != "small_network")
    assert page.count("data-word=") == n


def test_a_fitted_step_and_its_folder_are_explained_alike(bow, tmp_path):
    from sopan.fit.artifact import save_model

    save_model(bow, tmp_path / "model", data={"name": "texts"}, metrics={})
    ours, theirs = explain(bow, TEXT), explain(tmp_path / "model", TEXT)
    assert ours.pop("model") == "bow"
    assert theirs.pop("model") == str(tmp_path / "model")
    assert ours == theirs


def test_what_is_not_a_text_is_refused(bow):
    with pytest.raises(DataError):
        explain(bow, "\ud800")


def test_the_base_and_the_words_of_the_report_make_the_logits(bow):
    found = explain(bow, TEXT)
    total = np.array(found["evidence"]["base"]) + np.sum(
        [word["contributions"] for word in found["words"]], axis=0
    )
    np.testing.assert_allclose(total, found["evidence"]["logits"], atol=1e-4)
    assert [word["word"] for word in found["words"]] == list(tokenize(TEXT).words)
    assert found["words"][2]["occlusion"] is not None


def test_the_sentence_says_what_the_numbers_say(bow):
    found = explain(bow, "warm funny fine gentle dull film scene cast from the")
    whole = found["probabilities"][found["predicted"]]
    assert (
        f"goes from {whole:.2f} to {whole - found['sanity']['comprehensiveness'][2]:.2f};"
        in found["sanity"]["sentence"]
    )


def test_doubt_is_said_aloud():
    estimator = trained()
    unknown = explain(estimator, "zzz")
    assert any("knows no word" in caution for caution in unknown["cautions"])
    assert unknown["sanity"] is None
    network = random_network(TEXTS, LABELS, max_length=4)
    found = explain(network, "warm fine dull film scene")
    assert any("middle was left out" in caution for caution in found["cautions"])
    assert "not why" in found["attention"]["caution"]
    long = explain(estimator, "warm film " * 5000)
    assert any("only the" in note for note in long["notes"])


# ---- the page ------------------------------------------------------------------------------------------

NASTY = "warm </script><script>alert(1)</script> <b>film</b> &amp; \u202e dull ' \" ]]>"


def test_the_page_holds_every_character_of_the_text_and_no_markup_of_its():
    estimator = trained(labels=["<i>good</i>"] * 4 + ["poor"] * 4)
    page = explanation_page(explain(estimator, NASTY))
    assert len(re.findall("<script", page)) == 2
    assert page.count("</script>") == 2
    assert "<b>" not in page
    assert "<i>" not in page
    assert "\u202e" not in page
    assert "⟨U+202E⟩" in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert data["words"][1] == "</script><script>alert(1)</script>"
    for kind, pattern in (("script", r"<script>(.*?)</script>"), ("style", r"<style>(.*?)</style>")):
        digest = base64.b64encode(
            hashlib.sha256(re.search(pattern, page, re.S)[1].encode()).digest()
        ).decode()
        assert f"{kind}-src 'sha256-{digest}'" in page
    assert "http://" not in page
    assert "https://" not in page
    assert " style=" not in page


@pytest.mark.parametrize("text", [TEXT, "我爱北京 and 北京", "", "zzz", NASTY])
def test_the_pieces_make_the_text(bow, text):
    cut = stretches(text, explain(bow, text)["words"])
    assert "".join(piece.text for piece in cut).replace("⟨U+202E⟩", "\u202e") == text


def test_shades():
    assert shade_of(1.0, read=True) == "for6"
    assert shade_of(-0.5, read=True) == "against3"
    assert shade_of(0.01, read=True) == ""
    assert shade_of(0.9, read=False) == "unread"


def test_attention_survives_the_packing():
    network = random_network(TEXTS, LABELS)
    text = "a warm and dull film"
    page = explanation_page(explain(network, text))
    packed = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])["attention"]
    weights = network.evidence(text).attention[0]
    for head, data in enumerate(packed["layers"][0]["heads"]):
        unpacked = (np.frombuffer(base64.b64decode(data), np.uint8) / 255) ** 2
        np.testing.assert_allclose(unpacked.reshape(5, 5), weights[head], atol=0.005)


def test_a_page_is_written_whole(bow, tmp_path):
    explain(bow, TEXT, html=tmp_path / "new" / "why.html")
    assert (tmp_path / "new" / "why.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["why.html"]
