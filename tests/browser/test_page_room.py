"""The page before a room, before people who mean ill, and before those who cannot see it."""

from __future__ import annotations

import json

import pytest
from page_run import ATTACKS, SENTENCE
from playwright.sync_api import Page, expect
from serving import BEARER, TOKEN
from test_page import at, settled

ATTACKED = "window.attacked === undefined"


@pytest.fixture
def stage(page_server):
    """Leave no presenter and no poll behind."""
    yield
    page_server.client.post("/room/show", json={"presenting": False, "poll": None}, headers=BEARER)


def take_the_stage(page: Page) -> None:
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Take the stage").click()
    expect(page.get_by_role("button", name="Leave the stage")).to_be_visible()


# ---- the room -----------------------------------------------------------------------------------------


def test_the_room_follows_wanders_off_and_comes_back(opened, stage, kept):
    listener, presenter = opened(size=(390, 844)), opened("#present")
    settled(listener)
    take_the_stage(presenter)
    expect(listener.locator("#following")).to_contain_text("You follow the presenter")
    presenter.get_by_role("link", name="Climb").click()
    presenter.get_by_label("Your sentence").fill("the gardener prunes the roses")
    presenter.keyboard.press("Enter")
    expect(listener.locator("#sentence")).to_have_value("the gardener prunes the roses")
    presenter.locator("[data-idea=cbow].tread").click()
    expect(listener.locator("#step h2")).to_have_text("CBOW")
    kept(listener, "following")

    listener.locator("[data-idea=bow].tread").click()
    expect(listener.locator("#following")).to_contain_text("The presenter is at: CBOW")
    presenter.locator("[data-idea=attention].tread").click()
    expect(listener.locator("#following")).to_contain_text("The presenter is at: Attention")
    expect(listener.locator("#step h2")).to_have_text("Bag of words")
    listener.get_by_role("button", name="Follow again").click()
    expect(listener.locator("#step h2")).to_have_text("Attention")

    presenter.get_by_role("link", name="Present").click()
    presenter.get_by_role("button", name="Leave the stage").click()
    expect(listener.locator("#following")).to_be_hidden()


def test_a_token_that_is_being_typed_outlasts_a_stir_in_the_room(opened, stage, page_server):
    page = opened("#present")
    token = page.get_by_label("Token")
    token.press_sequentially(TOKEN[:-1])
    shown = {"presenting": True, "text": SENTENCE, "step": "bow", "slide": 1}
    assert page_server.client.post("/room/show", json=shown, headers=BEARER).status_code == 200
    expect(page.locator("#content")).not_to_contain_text("Nobody is presenting")
    expect(token).to_be_focused()
    expect(token).to_have_value(TOKEN[:-1])
    page.keyboard.type(TOKEN[-1])
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Leave the stage")).to_be_visible()


def test_the_deck_is_moved_by_keys_and_the_room_answers_a_poll(opened, stage, kept):
    listener = opened(f"#climb?s={SENTENCE}")
    presenter = opened(f"#present?s={SENTENCE}", size=(1920, 1080))
    settled(listener)
    take_the_stage(presenter)
    presenter.get_by_role("button", name="Open the deck").click()
    controls = presenter.locator("#deck")
    expect(controls).to_contain_text("1 of 8")
    kept(presenter, "deck-title")
    for _ in range(2):
        presenter.keyboard.press("ArrowRight")
    expect(controls).to_contain_text("3 of 8")
    expect(listener.locator("#step h2")).to_have_text("CBOW")
    presenter.keyboard.press("PageUp")
    expect(listener.locator("#step h2")).to_have_text("Bag of words")

    controls.get_by_role("button", name="Ask the room").click()
    poll = listener.locator("#poll")
    expect(poll.locator(".ballot")).to_have_text(["garden", "harbour", "kitchen"])
    expect(poll.locator(".tally")).to_have_count(0)  # nobody is told what others say before answering
    poll.get_by_role("button", name="kitchen").click()
    expect(poll.locator(".tally.crowd .slices")).to_have_attribute(
        "aria-label", "garden 0%, harbour 0%, kitchen 100%"
    )
    expect(presenter.locator("#poll .tally.model")).to_have_count(6)
    poll.get_by_role("button", name="harbour").click()
    expect(presenter.locator("#poll .tally.crowd .slices")).to_have_attribute(
        "aria-label", "garden 0%, harbour 100%, kitchen 0%"
    )
    kept(presenter, "deck-poll")
    controls.get_by_role("button", name="Take the poll away").click()
    expect(poll).to_be_hidden()
    presenter.keyboard.press("Escape")
    expect(presenter.get_by_role("button", name="Leave the stage")).to_be_visible()


def test_without_the_token_nobody_presents(opened):
    page = opened("#present")
    page.get_by_label("Token").fill("not it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(
        "That is not the token. It was printed when the server started."
    )
    expect(page.locator("#following")).to_be_hidden()


# ---- people who mean ill ------------------------------------------------------------------------------


def test_what_is_typed_is_never_run(opened):
    page = opened()
    settled(page)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for attack in ATTACKS:
        page.get_by_label("Your sentence").fill(attack)
        page.keyboard.press("Enter")
        settled(page)
        expect(page.locator("#sentence")).to_have_value(attack)
    assert page.evaluate(ATTACKED)
    page.get_by_role("link", name="Words").click()
    for attack in ATTACKS:
        page.get_by_label("Find a word").fill(attack[:100])
        page.keyboard.press("Enter")
        expect(page.locator("#near [aria-busy]")).to_have_count(0)
    page.get_by_role("link", name="Present").click()
    for attack in ATTACKS[:3]:
        page.get_by_label("Token").fill(attack)
        page.keyboard.press("Enter")
    assert page.evaluate(ATTACKED)
    assert dialogs == []
    assert page.locator("iframe, main img, main script").count() == 0


def test_what_is_in_a_link_or_shown_to_a_room_is_never_run(opened, page_server, stage):
    attack = "".join(ATTACKS)
    page = opened(at("bow", attack, f"&word={ATTACKS[1]}&lang={ATTACKS[1]}&theme={ATTACKS[0]}"))
    settled(page)
    page.goto(f"{page_server.address}/#{ATTACKS[0]}?step={ATTACKS[1]}")
    settled(page)
    poll = {"question": ATTACKS[1], "options": [ATTACKS[0][:60], "kitchen"], "open": True}
    shown = {"presenting": True, "text": attack, "step": "bow", "poll": poll}
    answer = page_server.client.post("/room/show", json=shown, headers=BEARER)
    assert answer.status_code == 200, answer.text
    expect(page.locator("#poll h2")).to_have_text(ATTACKS[1])
    page.locator(".ballot").first.click()
    expect(page.locator("#poll .tally.crowd")).to_be_visible()
    settled(page)
    assert page.evaluate(ATTACKED)
    assert page.locator("iframe, main img, main script, #poll img").count() == 0


# ---- a server that is busy, or away -------------------------------------------------------------------


def test_a_busy_server_is_asked_again_with_a_quiet_notice(opened):
    page = opened(at("bow"))
    settled(page)
    asked = []

    def busy(route) -> None:
        asked.append(route.request.url)
        if len(asked) > 2:
            return route.continue_()
        body = json.dumps({"error": "too busy", "error_type": "busy"})
        return route.fulfill(
            status=429, headers={"Retry-After": "0.6"}, content_type="application/json", body=body
        )

    page.route("**/predict", busy)
    page.get_by_label("Your sentence").fill("two eggs and an onion")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("Many are asking at once.")
    expect(page.locator("#notice")).to_be_empty()
    settled(page)
    expect(page.locator(".stairs .answer")).to_have_count(6)
    assert len(asked) == 3
    assert page.get_by_role("alert").count() == 0


def test_an_error_is_one_clear_line(opened):
    page = opened(at("bow"))
    settled(page)
    page.route("**/predict", lambda route: route.abort())
    page.get_by_label("Your sentence").fill("two eggs")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(
        "The server cannot be reached. Is sopan serve still running?"
    )


# ---- those who cannot see it --------------------------------------------------------------------------


def serious(page: Page) -> list[str]:
    """Ask axe-core for what is serious or worse, with where it stands."""
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{one['id']}: {node['target']}: {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_axe_would_find_something(opened, axe):
    """The tests below can fail: grey on grey, and a field without a name, are heard of."""
    page = opened(at("bow"), script=axe)
    settled(page)
    page.evaluate("document.querySelector('main').append(document.createElement('input'))")
    page.evaluate("document.querySelector('h2').style.color = '#ddd'")
    assert {found.partition(":")[0] for found in serious(page)} == {"label", "color-contrast"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened, axe, scheme):
    page = opened(at("bow"), script=axe, color_scheme=scheme, reduced_motion="reduce")
    for idea in ("bow", "cbow", "attention", "self_attention", "transformer", "bert"):
        page.locator(f"[data-idea={idea}].tread").click()
        settled(page)
        assert serious(page) == [], idea
    for view in ("Compare", "Words", "Present"):
        page.get_by_role("link", name=view, exact=True).click()
        settled(page)
        assert serious(page) == [], view


def test_axe_finds_nothing_serious_on_a_phone_in_bengali_with_a_poll(opened, axe, page_server, stage):
    page = opened(at("bert", more="&lang=bn"), script=axe, size=(390, 844), reduced_motion="reduce")
    settled(page)
    poll = {"question": "", "options": ["garden", "harbour", "kitchen"], "open": True}
    shown = {"presenting": True, "text": SENTENCE, "step": "bow", "poll": poll}
    assert page_server.client.post("/room/show", json=shown, headers=BEARER).status_code == 200
    page.locator(".ballot").first.click()
    expect(page.locator("#poll .tally.model")).to_have_count(6)
    settled(page)
    assert serious(page) == []
