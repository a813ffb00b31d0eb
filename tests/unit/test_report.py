"""The report is whole, self-contained and safe, whatever the results and the label names."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest
from results_sample import LADDER, results_of, sample_json, sample_results

from sopan.comparison.layout import interval, share, signed
from sopan.comparison.report import render_report, top_confusions
from sopan.comparison.terminal import summary_html
from sopan.text.display import escape_for_display

STEPS = tuple(LADDER)
SECTIONS = (
    "Leaderboard",
    "What each step costs",
    "Which differences are real?",
    "Can its confidence be believed?",
    "What is taken for what",
    "How many labels does it take?",
    "Where the steps disagree",
    "Labels that may be wrong",
    "The data",
    "How settings were chosen",
    "How it was run",
    "For newcomers",
)
HOSTILE = (
    "<script>alert(1)</script>",
    '" onload="alert(2)',
    "{{ data.audit }}",
    "</style><img src=x>",
    "right\u202eto left",
    "zero\u200bwidth",
    "ভালো",
    "खराब & co",
    "long " * 60,
)
VOID = {"meta", "br", "img", "link"}


class Page(HTMLParser):
    """Reads a page, checks that its elements nest, and keeps its elements and its text."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def headings(html: str) -> list[str]:
    return [unescape(found) for found in re.findall(r"<h2[^>]*>(.*?)</h2>", html)]


def check_self_contained(html: str, page: Page) -> None:
    """Nothing is loaded, nothing runs, and the policy says so."""
    allowed = {"html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section", "footer"}
    allowed |= {"h1", "h2", "h3", "p", "a", "ul", "ol", "li", "dl", "dt", "dd", "div", "span", "bdi", "code"}
    allowed |= {
        "strong",
        "small",
        "blockquote",
        "table",
        "caption",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "th",
        "td",
    }
    allowed |= {"figure", "figcaption", "details", "summary", "svg", "g", "path", "line", "rect", "text"}
    for tag, attributes in page.elements:
        assert tag in allowed
        assert not any(name.startswith("on") or name in ("src", "style", "srcset") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policies = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    ]


@pytest.mark.parametrize(
    ("n_steps", "classes"),
    [(1, HOSTILE), (2, ("no", "yes")), (8, HOSTILE), (8, tuple(f"class {c}" for c in range(77)))],
    ids=["1 step", "2 classes", "8 steps", "77 classes"],
)
def test_every_shape_of_results_gives_a_whole_safe_page(n_steps: int, classes: tuple[str, ...]):
    results = sample_results(STEPS[:n_steps], classes, n_test=400, seeds=3)
    html = render_report(results)
    page = Page(html)
    assert headings(html) == list(SECTIONS)
    check_self_contained(html, page)
    identities = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identities) == len(set(identities))
    linked = {a["href"][1:] for tag, a in page.elements if tag == "a" and a["href"]}
    assert linked <= set(identities)
    for step in results.steps:
        for figure in (
            step.step,
            share(step.accuracy),
            interval(step.accuracy_ci),
            share(step.ece),
        ):
            assert figure in page.text
    for pair in results.pairs:
        assert signed(pair.difference) in page.text
    for name in classes:
        assert " ".join(escape_for_display(name).split()) in page.text


def test_a_tiny_comparison_without_findings_says_so():
    results = sample_json(("bow",), n_test=2, learning_curve=False)
    results |= {"disagreements": [], "label_errors": []}
    results["data"]["audit"] |= {"findings": [], "scripts": {}}
    results["data"]["audit"]["leak_effect"] = {"leaked": 0, "steps": {}}
    html = render_report(results_of(results))
    page = Page(html)
    assert headings(html) == [section for section in SECTIONS if section != "How many labels does it take?"]
    for sentence in (
        "One step was run, so there is nothing to compare it with.",
        "One step was run, so there is no other to disagree with.",
        "None stood out.",
        "Nothing was found that a reader should worry about.",
    ):
        assert sentence in page.text


def test_steps_that_never_disagree_are_said_to():
    assert "every test text got the same label" in render_report(replace(sample_results(), disagreements=()))


def test_perfect_steps_have_a_page():
    results = sample_json(classes=tuple(f"class {c}" for c in range(30)), n_test=300)
    for step in results["steps"]:
        step["confusion"] = [[10 if i == j else 0 for j in range(30)] for i in range(30)]
        step |= {"accuracy": 1.0, "accuracy_ci": [1.0, 1.0], "ece": 0.0}
    assert "None: every test text was labelled right." in render_report(results_of(results))


def test_untrusted_texts_are_shown_and_not_obeyed():
    results = sample_json()
    text = "<img src=x onerror=alert(1)> \u202ereversed\u202c {{ 7 * 7 }} </bdi>"
    results["disagreements"][0]["text"] = text
    results["label_errors"][0]["text"] = text
    results["data"]["name"] = results["data"]["notes"][0] = results["run"]["command"] = text
    results["recommendation"]["reason"] = text
    results["steps"][0]["trials"][0]["settings"]["vectors"] = text
    html = render_report(results_of(results))
    page = Page(html)
    check_self_contained(html, page)
    assert "\u202e" not in html
    assert page.text.count(" ".join(escape_for_display(text).split())) >= 7
    for tag, attributes in page.elements:
        if tag == "bdi":
            assert attributes["dir"] == "auto"


def test_the_verdict_is_on_top():
    results = sample_results()
    top = Page(render_report(results).split("<nav")[0].split("<body>")[1] + "</header>").text
    for sentence in results.verdict:
        for part in re.split(r"`[^`]+`", sentence):
            assert part.strip() in top


def test_confusion_is_drawn_for_few_classes_and_listed_for_many():
    few = render_report(sample_results(classes=tuple(f"c{i}" for i in range(20)), n_test=400))
    many = render_report(sample_results(classes=tuple(f"c{i}" for i in range(21)), n_test=400))
    assert "c0, taken for c1: " in few
    assert "taken for</th>" not in few
    assert "c0, taken for c1: " not in many
    assert "taken for</th>" in many


def test_top_confusions_by_hand():
    confusion = [[8, 2, 0], [0, 5, 5], [1, 0, 0]]
    assert top_confusions(confusion, ["a", "b", "c"]) == [
        ("b", "c", 5, 0.5),
        ("a", "b", 2, 0.2),
        ("c", "a", 1, 1.0),
    ]


def test_the_chosen_trial_is_marked_and_only_what_differs_is_listed():
    html = render_report(sample_results(("bow",)))
    rows = re.findall(
        r"<tr[^>]*>(?:(?!</tr>).)*<code><bdi[^>]*>(.*?)</bdi></code>(?:(?!</tr>).)*</tr>", html, re.DOTALL
    )
    assert rows == ["C = 1.0", "C = 2.0", "C = 4.0"]
    chosen = re.search(
        r'aria-label="chosen">✓</span></td><td class="words"><code><bdi[^>]*>(.*?)</bdi>', html
    )
    assert chosen
    assert chosen[1] == "C = 4.0"


def test_the_page_is_light():
    labels = tuple(f"label {c}" for c in range(20))
    assert len(render_report(sample_results(STEPS, labels, n_test=2000)).encode()) < 1_500_000
    assert len(render_report(sample_results()).encode()) < 150_000


def test_the_same_results_give_the_same_page():
    assert render_report(sample_results()) == render_report(sample_results())


def test_a_notebook_shows_the_verdict_and_every_step():
    results = sample_json(STEPS[:3])
    results["steps"][0]["step"] = "<b>bow</b>"
    html = summary_html(results_of(results))
    page = Page(html)
    assert {tag for tag, _ in page.elements} <= {
        "div",
        "p",
        "span",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    for step in results["steps"]:
        assert step["step"] in page.text
        assert share(step["accuracy"]) in page.text
    assert page.text.count("★") == 1
    assert "color:" not in html  # so that it takes the notebook's own, light or dark


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_stand_out_from_the_paper(theme: int):
    style = re.search(r"<style>(.*?)</style>", render_report(sample_results()), re.DOTALL)
    assert style
    themes = re.findall(r":root \{([^}]*--step-8[^}]*)\}", style[1])
    assert len(themes) == 2
    colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", themes[theme]))
    for name in ("ink", "soft", "good", "bad"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
    for name in ("heat", *(f"step-{i}" for i in range(1, 9))):
        assert contrast(colours[name], colours["paper"]) >= 3, name
    assert len({colours[f"step-{i}"] for i in range(1, 9)}) == 8
