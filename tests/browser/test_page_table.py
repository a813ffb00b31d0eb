"""A table of one's own on the page: dropped or chosen, told as the server tells it, and harmless."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from page_run import ATTACKS, SENTENCE, STEPS
from playwright.sync_api import Page, expect
from quick_steps import LABELS, TEXTS
from serving import Server
from test_page import BENGALI, at, settled
from test_page_room import ATTACKED, serious

import sopan

CATALOGUES = Path(sopan.__file__).parent / "serve" / "static" / "i18n"
ENGLISH = json.loads((CATALOGUES / "en.json").read_text("utf-8"))
DROP = """([name, content]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([content], name));
  const fire = (kind) => document.getElementById("content").dispatchEvent(
    new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
  fire("dragover");
  const framed = !document.getElementById("drop").hidden;
  fire("drop");
  return framed;
}"""


def table(rows, header=("text", "label")) -> str:
    place = io.StringIO(newline="")
    csv.writer(place).writerows([header, *rows])
    return place.getvalue()


ROWS = [(f"{text} {'Yes' * (i % 2)}", LABELS[(i + i % 5) % 60]) for i, text in enumerate(TEXTS)] + [
    (TEXTS[0], LABELS[0]),
    (TEXTS[0], LABELS[0]),
    ("", "garden"),
]


def choose(page: Page, content: str, name: str = "reviews.csv") -> None:
    file = {"name": name, "mimeType": "text/csv", "buffer": content.encode()}
    page.locator("#own-file").set_input_files(file)
    settled(page)


def asked(server: Server, content: str) -> dict:
    answer = server.client.post("/table", content=content.encode(), headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def cells(page: Page, name: str) -> list[list[str]]:
    rows = page.get_by_role("region", name=name).locator("tbody tr").all()
    return [[cell.strip() for cell in row.locator("th, td").all_inner_texts()] for row in rows]


def test_a_dropped_table_is_audited_and_every_step_scored(opened, page_server):
    page = opened(at("bow"))
    settled(page)
    assert page.evaluate(DROP, ["reviews.csv", table(ROWS)]) is True
    settled(page)
    expect(page.locator("#drop")).to_be_hidden()
    expect(page.locator("#own h3.name")).to_have_text(f"reviews.csv: {len(ROWS)} texts")
    expect(page.locator("#own h3.name")).to_be_focused()
    told = asked(page_server, table(ROWS))
    board = told["leaderboard"]
    shown = cells(page, "Every step on these texts")
    assert len(shown) == len(STEPS)
    for row, step in zip(shown, board["steps"], strict=True):
        low, high = step["accuracy_ci"]
        assert row[1:3] == [f"{step['accuracy']:.3f}", f"{low:.3f} – {high:.3f}"]
        assert row[4] == f"{step['macro_f1']:.3f}"
    classes = {row[0]: row[1] for row in cells(page, "Classes of the table")}
    assert classes == {one["class"]: str(one["texts"]) for one in told["audit"]["classes"]}
    findings = page.locator("#own .findings li")
    expect(findings).to_have_count(len(told["audit"]["findings"]))
    for shown, finding in zip(findings.all(), told["audit"]["findings"], strict=True):
        sentence = ENGLISH[f"finding.{finding['code']}"].replace("{n}", str(finding["count"]))
        expect(shown.locator("span span").first).to_have_text(sentence)
    expect(page.locator("#own dl")).to_contain_text("texts that repeat an earlier one")
    count = board["disagreements"]["count"]
    expect(page.locator("#own")).to_contain_text(f"Steps disagree on {count} of {len(ROWS)} texts")
    texts = page.locator("#own blockquote")
    first, second, *rest = [one["text"] for one in board["disagreements"]["texts"][:6]]
    assert first == ""
    expect(texts).to_have_text(["(an empty text)", second, *rest])
    page.locator("#own .texts").get_by_role("button", name="Let it climb").nth(1).click()
    expect(page.locator("#sentence")).to_have_value(second)


def test_a_table_is_chosen_without_a_pointer_and_told_in_bengali(opened, page_server):
    page = opened(at("bow"))
    page.on("filechooser", lambda _: None)  # the browser must know in time that no window is to be shown
    settled(page)
    page.get_by_role("button", name="or a table of your own").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Choose a table…")).to_be_focused()
    with page.expect_file_chooser() as choosing:
        page.keyboard.press("Enter")
    choosing.value.set_files({"name": "r.csv", "mimeType": "text/csv", "buffer": table(ROWS).encode()})
    expect(page.locator("#own h3.name")).to_be_focused()
    page.get_by_role("button", name="বাংলা").click()
    told = asked(page_server, table(ROWS))["leaderboard"]["steps"][0]
    expect(page.locator("#own h2")).to_have_text("আপনার নিজের সারণি")
    shown = cells(page, "এই লেখাগুলিতে প্রতিটি ধাপ")[0]
    assert shown[1] == f"{told['accuracy']:.3f}".translate(BENGALI)
    expect(page.locator("#own .findings")).to_contain_text("আগের কোনো লেখার পুনরাবৃত্তি")
    expect(page.locator("#own .findings [lang=en]")).to_have_count(0)


def test_other_labels_and_none_get_one_line_and_the_audit(opened):
    page = opened(at("bow"))
    settled(page)
    choose(page, table([(text, "ab"[i % 2]) for i, text in enumerate(TEXTS)]))
    expect(page.locator("#own .caution")).to_contain_text("garden, harbour, kitchen")
    expect(page.locator("#own table")).to_have_count(1)
    choose(page, table([(text,) for text in TEXTS], header=("text",)))
    expect(page.locator("#own .caution")).to_contain_text("the table has no labels that can be used")
    expect(page.locator("#own table")).to_have_count(0)
    expect(page.locator("#own dl")).to_be_visible()


def test_what_cannot_be_taken_is_one_clear_line(opened):
    page = opened(at("bow"))
    settled(page)
    alert = page.locator("#own").get_by_role("alert")
    choose(page, table(ROWS), "reviews.csv.gz")
    expect(alert).to_contain_text("reviews.csv.gz is none of the tables that are read here")
    choose(page, "text,label\n" + "a,b\n" * 600_000)
    expect(alert).to_have_text("reviews.csv has 2.3 MB, and 2.0 MB are taken at most.")
    choose(page, 'text,label\n"a,garden\nb,harbour\n')
    expect(alert).to_contain_text("(line 2)")
    choose(page, table(ROWS))
    expect(alert).to_have_count(0)
    page.get_by_role("link", name="Words").click()
    assert page.evaluate(DROP, ["reviews.csv", table(ROWS)]) is False
    assert "#words" in page.url, "a file that falls elsewhere is not opened in place of the page"


def test_what_stands_in_a_table_is_never_run(opened):
    page = opened(at("bow"))
    settled(page)
    attacks = [attack for attack in ATTACKS for _ in range(2)]
    choose(page, table([(f"{attack} {i}", attack) for i, attack in enumerate(attacks)]), f"{ATTACKS[1]}.csv")
    expect(page.locator("#own h3.name")).to_contain_text("<img src=x onerror=")
    expect(page.get_by_role("region", name="Classes of the table").locator("tbody tr")).to_have_count(9)
    labels = [LABELS[i % 60] for i in range(0, 60, 60 // len(attacks))][: len(attacks)]
    choose(page, table([*zip(attacks, labels, strict=True), *ROWS]))
    expect(page.locator("#own blockquote").filter(has_text=re.compile("attacked")).first).to_be_visible()
    assert page.evaluate(ATTACKED)
    assert page.locator("main iframe, main img, main script").count() == 0


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["laptop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_read_by_everyone(opened, axe, kept, size, scheme):
    page = opened(at("bow", SENTENCE), script=axe, size=size, color_scheme=scheme, reduced_motion="reduce")
    settled(page)
    page.get_by_role("button", name="or a table of your own").click()
    kept(page, f"table-empty-{size[0]}-{scheme}")
    choose(page, table(ROWS))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert serious(page) == []
    kept(page, f"table-{size[0]}-{scheme}")
    page.get_by_role("region", name="Every step on these texts").scroll_into_view_if_needed()
    kept(page, f"table-scores-{size[0]}-{scheme}")
