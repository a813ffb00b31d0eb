"""A real browser opens the page of an explanation: it is drawn, its script runs, and nothing else does."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from small_network import random_network
from small_step import LABELS, TEXTS, trained
from test_report_browser import Browser

from sopan.usecases import explain
from sopan.usecases.explanation_page import explanation_page

TEXT = "a warm and funny film, </script><script>document.title='run'</script> dull ছবিটা \u202e zzz"


@pytest.fixture(scope="module")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return Browser(chromium, tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "why.html"
    network = random_network(TEXTS, LABELS, max_length=16)
    path.write_text(explanation_page(explain(network, TEXT)), encoding="utf-8")
    return path


def dom(browser: Browser, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return browser.run(
        "--enable-logging=stderr",
        "--v=0",
        "--virtual-time-budget=3000",
        "--dump-dom",
        *arguments,
        path.as_uri(),
    )


def playing(page: Path, play: str) -> Path:
    """Return a copy of the page that plays a user, and writes what it finds into its title."""
    source = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    played = page.with_name(f"play-{abs(hash(play))}.html")
    played.write_text(source.replace("</body>", f"<script>{play}</script></body>"), encoding="utf-8")
    return played


def title(document: str) -> str:
    return re.search("<title>(.*?)</title>", document, re.S)[1]


def test_it_is_drawn_by_its_script_and_the_console_is_silent(browser: Browser, page: Path):
    found = dom(browser, page)
    assert ":CONSOLE" not in found.stderr
    assert len(re.findall("<canvas", found.stdout)) == 2  # one layer of two heads
    assert found.stdout.count("<option") == 3  # the lead, occlusion and rollout
    assert title(found.stdout).startswith("sopan: why")


def test_no_other_script_may_run(browser: Browser, page: Path):
    """The policy is in force: a script that is not the page's own is refused, and heard of."""
    tampered = page.with_name("tampered.html")
    source = page.read_text(encoding="utf-8")
    tampered.write_text(
        source.replace("</body>", "<script>document.title='x'</script></body>"), encoding="utf-8"
    )
    found = dom(browser, tampered)
    assert ":CONSOLE" in found.stderr
    assert title(found.stdout) != "x"


def test_words_answer_to_the_pointer_the_keyboard_and_the_choice(browser: Browser, page: Path):
    play = """
        const at = (id) => document.getElementById(id), told = {};
        const words = at('words').querySelectorAll('[data-word]');
        words[1].dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));
        told.pointed = at('readout').textContent;
        at('words').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
        told.walked = at('readout').textContent;
        at('measure').value = '2';
        at('measure').dispatchEvent(new Event('change'));
        told.shades = [...words].map((word) => word.className);
        document.title = JSON.stringify(told).replaceAll('<', '');
    """
    told = json.loads(title(dom(browser, playing(page, play)).stdout).replace("&amp;", "&"))
    assert re.match(r"warm adds [+−]\d\.\d{3} to the lead of (good|poor)\.", told["pointed"])
    assert "of the attention reached it" in told["pointed"]
    assert told["walked"].startswith("and adds ")
    assert any(shade.startswith("for") for shade in told["shades"])
    assert not any(shade.startswith("against") for shade in told["shades"])  # attention is never negative
    assert told["shades"][-1] == "unread"


def test_a_head_is_chosen_and_its_weights_are_the_models(browser: Browser, page: Path):
    play = """
        const at = (id) => document.getElementById(id);
        document.querySelectorAll('#heads button')[0].click();
        const warm = at('looked').querySelectorAll('[data-word]')[1];
        warm.dispatchEvent(new MouseEvent('click', {bubbles: true}));
        document.title = at('head-name').textContent + '|' + at('weight').textContent;
    """
    name, told = title(dom(browser, playing(page, play)).stdout).split("|")
    assert name == "Layer 1, head 1"
    attention = random_network(TEXTS, LABELS, max_length=16).evidence(TEXT).attention[0]
    best = attention[0, 1].max()
    shown = float(re.match(r"warm looks at .*? (\d\.\d{3})", told)[1])
    assert shown == pytest.approx(best, abs=0.005)


@pytest.mark.parametrize(("scheme", "is_dark"), [(1, False), (0, True)], ids=["light", "dark"])
def test_it_is_drawn_in_light_and_in_dark(browser: Browser, page: Path, scheme: int, is_dark: bool):
    rows = browser.screenshot(
        page.as_uri(), f"--blink-settings=preferredColorScheme={scheme}", size="900,1000"
    )
    assert (sum(rows[0][:3]) / 3 < 60) == is_dark


def test_nothing_is_wider_than_a_phone(browser: Browser, page: Path):
    play = "document.title = document.documentElement.scrollWidth + ' ' + innerWidth;"
    wide, screen = title(dom(browser, playing(page, play), "--window-size=390,800").stdout).split()
    assert int(wide) <= int(screen)


def test_a_text_of_ten_thousand_characters_is_drawn(browser: Browser, tmp_path: Path):
    path = tmp_path / "long.html"
    text = ("warm and dull film, " * 500)[:10_000]
    path.write_text(explanation_page(explain(trained(), text)), encoding="utf-8")
    found = dom(browser, path)
    assert ":CONSOLE" not in found.stderr
    assert found.stdout.count("data-word=") == 2000
