"""The page in a real browser, over a real server and real models: used as a person uses it."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from page_run import ABSENT, SENTENCE, STEPS
from playwright.sync_api import Locator, Page, expect
from serving import Server

IDEAS = ("bow", "cbow", "attention", "self_attention", "transformer", "bert")
BENGALI = str.maketrans("0123456789", "০১২৩৪৫৬৭৮৯")


def at(step: str, sentence: str = SENTENCE, more: str = "") -> str:
    return f"#climb?s={quote(sentence)}&step={step}{more}"


def told(server: Server, path: str, **question) -> dict:
    answer = server.client.post(path, json=question)
    assert answer.status_code == 200, answer.text
    return answer.json()


def settled(page: Page) -> None:
    """Wait until all is drawn but for maps, which the server may still be making."""
    expect(page.locator("#foot code")).to_be_visible()
    expect(page.locator("[aria-busy]:not(.map-place)")).to_have_count(0)


def rows(place: Locator) -> list[tuple[str, str]]:
    """Read a list of candidates: their words and numbers."""
    words, numbers = place.locator(".what").all_inner_texts(), place.locator(".sure").all_inner_texts()
    return list(zip(words, numbers, strict=True))


# ---- climbing -----------------------------------------------------------------------------------------


def test_a_sentence_climbs_every_step(opened, page_server):
    page = opened()
    page.get_by_label("Your sentence").fill(SENTENCE)
    page.get_by_role("button", name="Climb", exact=True).click()
    settled(page)
    said = told(page_server, "/predict", text=SENTENCE)["results"][0]["steps"]
    expect(page.locator(".stairs .label")).to_have_text([one["label"] for one in said])
    expect(page.locator(".stairs .sure")).to_have_text([f"{one['confidence']:.2f}" for one in said])
    for idea in IDEAS:
        page.locator(f"[data-idea={idea}].tread").click()
        settled(page)
        expect(page.locator("#step h2")).to_have_count(1)
        assert page.locator("#step .adds").inner_text().startswith("Adds ")
        ours = [step for step in STEPS if step.partition(":")[0] == idea]
        expect(page.locator("#step .verdict")).to_have_count(len(ours))
        assert parse_qs(urlsplit(page.url).fragment.partition("?")[2])["step"] == [idea]


def test_words_are_coloured_and_told_as_the_model_says(opened, page_server):
    page = opened(at("bow"))
    settled(page)
    said = told(page_server, "/explain", text=SENTENCE, steps=["bow"])["steps"][0]
    best = max(range(len(said["words"])), key=lambda i: said["words"][i]["support"])
    word = page.locator(f".verdict [data-word='{best}']")
    assert "for5" in word.get_attribute("class")
    word.hover()
    expect(page.locator(".verdict .readout")).to_contain_text(f"+{said['words'][best]['support']:.2f}")
    labels = page.locator(".verdict .probabilities .label").all_inner_texts()
    assert labels == sorted(said["probabilities"], key=said["probabilities"].get, reverse=True)


def test_the_sparse_vector_is_the_models(opened, page_server):
    page = opened(at("bow"))
    settled(page)
    features = told(page_server, "/tokens", text=SENTENCE, steps=["bow"])["steps"][0]["features"]
    assert page.locator(".vector .big").all_inner_texts() == [
        f"{features['vocabulary']:,}",
        str(features["total"]),
    ]
    shown = dict(
        zip(*(page.locator(f".feature .{kind}").all_inner_texts() for kind in ("what", "value")), strict=True)
    )
    assert shown == {item["feature"]: f"{item['value']:.2f}" for item in features["items"]}


def test_neighbours_and_the_guess_from_context(opened, page_server):
    page = opened(at("cbow"))
    settled(page)
    page.locator(".choices.words").first.get_by_role("button", name="captain", exact=True).click()
    found = told(page_server, "/neighbors", word="captain", top=8, steps=["cbow"])["steps"][0]["neighbors"]
    near = page.locator(".mapped .candidates")
    expect(near.locator(".what").first).to_have_text(found[0]["word"])
    assert rows(near) == [(one["word"], f"{one['cosine']:.2f}".replace("-", "−")) for one in found]
    page.get_by_role("group", name="The word to take away").get_by_role(
        "button", name="soup", exact=True
    ).click()
    expect(page.locator(".scene .own .what")).to_have_text("soup")
    around = page.locator(".scene .chip").all_inner_texts()
    assert around == ["the", "baker", "stirs", "the"]
    guessed = told(page_server, "/guess", context=around, word="soup", top=8, steps=["cbow"])["steps"][0]
    best = [(one["word"], f"{one['cosine']:.2f}".replace("-", "−")) for one in guessed["guesses"]]
    assert rows(page.locator(".scene .candidates"))[:8] == best
    rank, of = guessed["asked"]["rank"], guessed["of"]
    expect(page.locator(".scene + .readout")).to_have_text(
        f"The missing word was “soup”: it comes {rank} of {of}."
    )


def test_global_stands_beside_local_and_heads_look_where_the_model_looks(opened, page_server):
    page = opened(at("attention"))
    settled(page)
    assert page.locator(".side h4").all_inner_texts() == ["global", "local"]
    page.locator("[data-idea=self_attention].tread").click()
    settled(page)
    attention = told(page_server, "/tokens", text=SENTENCE, steps=["self_attention"], attention=True)[
        "steps"
    ][0]["attention"]
    page.get_by_role("button", name="Head 2", exact=True).click()
    page.locator(".skyline .column").nth(2).hover()
    row = attention["layers"][0][1][2]
    best = max(range(len(row)), key=row.__getitem__)
    expect(page.locator(".attending .readout")).to_have_text(
        re.compile(
            rf"“{attention['words'][2]['text']}” looks at {attention['words'][best]['text']} {row[best]:.2f}",
            re.I,
        )
    )


def test_a_word_is_blanked_and_filled_from_both_sides_and_from_one(opened, page_server):
    page = opened(at("bert"))
    settled(page)
    line = page.locator(".figure .sentence").first
    blank = line.locator(".blank")
    expect(blank).to_have_count(1)
    blank.click()
    expect(page.locator(".figure .candidates")).to_have_count(0)
    line.get_by_role("button", name="sail: blank").click()
    settled(page)
    masked = SENTENCE.replace("sail", "[MASK]")
    for side, left in zip(page.locator(".figure .side").all(), (False, True), strict=True):
        found = told(page_server, "/fill", text=masked, top=6, left_only=left)["blanks"][0]
        assert rows(side) == [(one["text"], f"{100 * one['probability']:.1f}%") for one in found]
    scored = told(page_server, "/score", text=SENTENCE)["results"][0]
    total = f"{scored['total']:.1f}".replace("-", "−")
    expect(page.locator(".figure")).to_contain_text(f"Pseudo-log-likelihood {total};")


def test_a_step_that_is_not_in_the_run_says_how_to_have_it(opened):
    page = opened(at(ABSENT))
    settled(page)
    expect(page.locator("#step .missing code")).to_have_text(
        re.compile(r"sopan compare toy --steps bow,cbow,.*transformer")
    )
    expect(page.locator(f"[data-idea={ABSENT}].tread")).to_have_class(re.compile("missing"))


def test_a_link_shows_another_person_the_same(opened):
    first = opened(at("bow"))
    settled(first)
    first.locator("[data-idea=cbow].tread").click()
    first.locator("#language").click()
    expect(first.locator("html")).to_have_attribute("lang", "bn")
    second = opened(f"#{urlsplit(first.url).fragment}")
    settled(second)
    settled(first)
    expect(second.locator("#sentence")).to_have_value(SENTENCE)
    assert second.locator(".verdict").inner_text() == first.locator(".verdict").inner_text()


def test_bengali_has_its_words_and_its_digits(opened, kept):
    page = opened(at("bow"))
    settled(page)
    sure = page.locator(".stairs .sure").first.inner_text()
    page.get_by_role("button", name="বাংলা").click()
    expect(page.locator("#climb-title")).to_have_text("একটি বাক্য সব ক’টি ধাপ ওঠে")
    settled(page)
    expect(page.locator(".stairs .sure").first).to_have_text(sure.translate(BENGALI))
    kept(page, "bengali")


def test_dark_follows_the_system_and_the_button(opened):
    def paper(page: Page) -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) // 3

    dark = opened(color_scheme="dark")
    assert paper(dark) < 60
    light = opened(color_scheme="light")
    assert paper(light) > 200
    settled(light)
    light.get_by_role("button", name="Dark colours").click()
    assert paper(light) < 60
    assert "theme=dark" in light.url


def test_everything_is_reached_without_a_pointer(opened):
    page = opened()
    settled(page)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    while not page.evaluate("document.activeElement.id === 'sentence'"):
        page.keyboard.press("Tab")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("the baker stirs the soup")
    page.keyboard.press("Enter")
    settled(page)
    while not page.evaluate("document.activeElement.classList.contains('tread')"):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#step h2")).to_have_text("CBOW")
    settled(page)
    expect(page.locator("[data-idea=cbow].tread")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".verdict [data-word='1']")).to_be_focused()
    expect(page.locator(".verdict .readout")).to_contain_text("“baker”")


# ---- comparing, words ---------------------------------------------------------------------------------


def test_dots_lead_to_texts_on_which_steps_disagree(opened, page_server):
    page = opened("#compare")
    settled(page)
    expect(page.locator("table tbody tr")).to_have_count(len(STEPS))
    page.get_by_role("button", name=re.compile("^Bag of words: accuracy")).click()
    dot = page.get_by_role("button", name=re.compile("^BERT: accuracy"))
    dot.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#compare section h2")).to_have_text("Bag of words or BERT?")
    settled(page)
    found = page_server.client.get("/disagreements", params={"a": "bow", "b": "bert"}).json()
    if found["texts"]:
        expect(page.locator("#compare blockquote").first).to_have_text(found["texts"][0]["text"])
        page.get_by_role("button", name="Let it climb").first.click()
        expect(page.locator("#sentence")).to_have_value(found["texts"][0]["text"])


def test_a_word_is_searched_on_the_map(opened, page_server, kept):
    page = opened("#words")
    page.get_by_label("Find a word").fill("soup")
    page.keyboard.press("Enter")
    settled(page)
    found = told(page_server, "/neighbors", word="soup", top=12, steps=["cbow"])["steps"][0]["neighbors"]
    first = page.locator("#near .candidates").first
    assert rows(first)[0] == (found[0]["word"], f"{found[0]['cosine']:.2f}")
    expect(page.locator(".map text.main")).to_have_text("soup", timeout=60_000)
    first.locator("button").first.click()
    expect(page.locator("#near h2")).to_contain_text(found[0]["word"])
    kept(page, "words")


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["laptop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_paint_is_read_without_scrolling(opened, kept, size, scheme):
    page = opened(size=size, color_scheme=scheme)
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for what in ("#sentence", "#stairs", "#step h2", ".verdict .sentence", ".verdict .probabilities .first"):
        box = page.locator(what).first.bounding_box()
        assert box["y"] >= 0, what
        assert box["y"] + box["height"] <= size[1], what
    kept(page, f"first-{size[0]}-{scheme}")
