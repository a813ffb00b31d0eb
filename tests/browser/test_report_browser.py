"""A real browser opens the report: it is drawn, complains of nothing, and asks nobody for anything."""

from __future__ import annotations

import http.server
import re
import struct
import subprocess
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from results_sample import LADDER, sample_results

from sopan.comparison.report import render_report

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--hide-scrollbars",
)
CLASSES = ("calm", "<script>document.title='run'</script>", "ভালো", "अच्छा")


class Browser:
    """Runs Chromium once per question, each time with a fresh profile."""

    def __init__(self, executable: str, folder: Path):
        self.executable, self.folder = executable, folder
        self.runs = 0

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.runs += 1
        profile = self.folder / f"profile-{self.runs}"
        return subprocess.run(
            [self.executable, *FLAGS, f"--user-data-dir={profile}", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )

    def screenshot(self, url: str, *arguments: str, size: str) -> list[bytes]:
        """Return the rows of pixels, 3 or 4 bytes each, of the page as it is drawn."""
        picture = self.folder / f"picture-{self.runs}.png"
        self.run(f"--screenshot={picture}", f"--window-size={size}", *arguments, url)
        return png_rows(picture.read_bytes())


@pytest.fixture(scope="module")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return Browser(chromium, tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(sample_results(tuple(LADDER)[:3], CLASSES, n_test=600)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def served(report: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the report's folder; give its address and the list of paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments, **keywords):
            super().__init__(*arguments, directory=str(report.parent), **keywords)

        def log_message(self, *arguments) -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/report.html", asked
        server.shutdown()
        thread.join()


def png_rows(png: bytes) -> list[bytes]:
    """Decode an 8-bit RGB or RGBA picture into its rows (PNG, ISO/IEC 15948)."""
    width, _, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert depth == 8
    size = {2: 3, 6: 4}[kind]
    packed, at = b"", 8
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        if name == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += length + 12
    raw, stride = zlib.decompress(packed), width * size
    rows, above = [], bytearray(stride)
    for start in range(0, len(raw), stride + 1):
        row = bytearray(raw[start + 1 : start + 1 + stride])
        unfilter(raw[start], row, above, size)
        rows.append(bytes(row))
        above = row
    return rows


def unfilter(method: int, row: bytearray, above: bytearray, size: int) -> None:
    for i in range(len(row)):
        left = row[i - size] if i >= size else 0
        corner = above[i - size] if i >= size else 0
        if method == 1:
            guess = left
        elif method == 2:
            guess = above[i]
        elif method == 3:
            guess = (left + above[i]) // 2
        elif method == 4:
            both = left + above[i] - corner
            guess = min((left, above[i], corner), key=lambda value: abs(both - value))
        else:
            guess = 0
        row[i] = (row[i] + guess) & 255


def test_every_section_is_in_the_document_and_no_script_ran(browser: Browser, report: Path):
    document = browser.run("--dump-dom", report.as_uri()).stdout
    assert "<title>sopan: letters.csv</title>" in document
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", document)
    assert len(headings) == 12
    assert len(re.findall(r"<svg role=\"img\"", document)) == 2 + 3 + 3 + 1
    assert "<script" not in document


def test_the_console_is_silent(browser: Browser, report: Path):
    messages = browser.run("--enable-logging=stderr", "--v=0", "--dump-dom", report.as_uri()).stderr
    assert ":CONSOLE" not in messages


def test_a_page_with_a_fault_is_not_silent(browser: Browser, tmp_path: Path):
    """The test above can fail: a style that the policy forbids is heard of."""
    faulty = tmp_path / "faulty.html"
    faulty.write_text(
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\"><style>p{}</style>"
    )
    messages = browser.run("--enable-logging=stderr", "--v=0", "--dump-dom", faulty.as_uri()).stderr
    assert ":CONSOLE" in messages


def test_only_the_page_itself_is_asked_for(browser: Browser, served: tuple[str, list[str]]):
    address, asked = served
    browser.run("--dump-dom", address)
    assert set(asked) <= {"/report.html", "/favicon.ico"}  # the icon is the browser's own wish


@pytest.mark.parametrize(("scheme", "is_dark"), [(1, False), (0, True)], ids=["light", "dark"])
def test_it_is_drawn_in_light_and_in_dark(browser: Browser, report: Path, scheme: int, is_dark: bool):
    rows = browser.screenshot(
        report.as_uri(), f"--blink-settings=preferredColorScheme={scheme}", size="900,1000"
    )
    corner = sum(rows[0][:3]) / 3
    assert (corner < 60) == is_dark
    blank = len(set(rows[0]))  # the values of the paper's channels
    assert sum(len(set(row)) > blank for row in rows) / len(rows) > 0.4


def test_it_prints(browser: Browser, report: Path, tmp_path: Path):
    printed = tmp_path / "report.pdf"
    browser.run("--no-pdf-header-footer", f"--print-to-pdf={printed}", report.as_uri())
    pdf = printed.read_bytes()
    assert pdf.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert 4 <= pages <= 14
