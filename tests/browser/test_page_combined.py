"""A cascade that is served alone: the page shows its answer, and who gave it."""

from __future__ import annotations

from combinations import cascade_of, fitted
from playwright.sync_api import expect
from quick_steps import TEXTS

from sopan.fit.artifact import save_model


def test_a_cascade_answers_on_the_page(playing, tmp_path):
    from serving import TOKEN, serving

    cascade = cascade_of(fitted(), 0.5)
    save_model(cascade, tmp_path / "cascade", data={"name": "toy"}, metrics={})
    complaints = []
    with serving(tmp_path / "cascade", "--port", "0", "--token", TOKEN, "--lm", "none") as running:
        running.until_ready()
        page = playing.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(running.address)
        page.locator("#sentence").fill(TEXTS[0])
        page.locator("#sentence").press("Enter")
        answer = page.locator("[data-combined=cascade]")
        expect(answer.locator("h3").first).to_have_text("Cascade")
        expect(answer.locator(".told")).to_contain_text(f"Answered by {cascade.answered_by(TEXTS[:1])[0]}.")
        expect(answer.locator(".probabilities .first .label")).to_have_text(cascade.predict(TEXTS[:1])[0])
        page.close()
    assert complaints == []
