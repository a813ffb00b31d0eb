"""One run of small models, one server of it and one browser, for all tests of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

if TYPE_CHECKING:
    from serving import Server

PATIENCE = 20_000
"""Milliseconds that a page may take to show something."""

Opener = Callable[..., Page]


@pytest.fixture(scope="session")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from page_run import make_page_run
    from serving import TOKEN, serving

    folder = make_page_run(tmp_path_factory.mktemp("page") / "toy")
    with serving(folder, "--port", "0", "--token", TOKEN) as running:
        running.until_ready()
        yield running


@pytest.fixture(scope="session")
def playing(chromium: str) -> Iterator[Browser]:
    """A browser that Playwright drives."""
    from test_report_browser import FLAGS

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def opened(playing: Browser, page_server: Server) -> Iterator[Opener]:
    """Open the page at an address like `#climb?s=…`, each time as another person.

    At the end no page may have complained in its console, or have asked anyone but the server.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    strangers: list[str] = []

    def listen(message) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def note(request) -> None:
        if not request.url.startswith(page_server.address):
            strangers.append(request.url)

    def open_page(where: str = "", *, size=(1280, 800), **settings) -> Page:
        script = settings.pop("script", None)
        context = playing.new_context(
            viewport={"width": size[0], "height": size[1]}, **{"locale": "en-GB", **settings}
        )
        context.set_default_timeout(PATIENCE)
        if script is not None:
            context.add_init_script(script)
        contexts.append(context)
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", note)
        page.goto(f"{page_server.address}/{where}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert strangers == []


@pytest.fixture
def kept() -> Callable[[Page, str], None]:
    """Keep a screenshot in a folder that git ignores."""

    from page_run import SCREENSHOTS

    def keep(page: Page, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png")

    return keep
