"""A browser for the page, a server of its own, and what both are asked again and again.

The browser is the system's Chromium, driven by Playwright; PIXSEEK_TEST_CHROMIUM names another.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import datetime
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, Request, expect

import pixseek

SOURCE = Path(pixseek.__file__).parent.parent
expect.set_options(timeout=45_000)  # for machines that have other things to do
PLACES = ((48.85, 2.35), (52.52, 13.4), (-33.87, 151.2))
CHROMIUM = os.environ.get("PIXSEEK_TEST_CHROMIUM") or shutil.which("chromium") or "chromium"
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)


def launched(playwright: Playwright) -> Browser:
    """A headless Chromium."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))


class Server:
    """`pixseek serve` as a process of its own, on one port for good."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.library = home / "library"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **os.environ,
            "HOME": str(home),
            "PYTHONPATH": str(SOURCE),
            **{f"XDG_{name}_HOME": str(home / name) for name in ("DATA", "CONFIG", "CACHE")},
        }

    def pixseek(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pixseek", *arguments, "--library", str(self.library)]
        return subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)

    def start(self, *, allow_write: bool = True) -> None:
        more = ("--allow-write",) if allow_write else ()
        self._process = self.pixseek("serve", "--port", str(self.port), *more)
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{self.address}readyz", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server was not ready within 30 s")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)


def paint(path: Path, number: int) -> None:
    """A small picture of its own colour, with a day and every third time a place."""
    image = Image.new("RGB", (64, 48), (number * 53 % 256, number * 97 % 256, number * 31 % 256))
    image.paste((number % 256, 255 - number % 256, 128), (8, 8, 24 + number % 24, 30))
    exif = Image.Exif()
    exif[0x0110] = f"Model {number % 3}"
    taken = datetime(2018 + number % 5, 1 + number % 12, 1 + number % 28, 12)
    exif.get_ifd(0x8769)[0x9003] = taken.strftime("%Y:%m:%d %H:%M:%S")
    if number % 3 == 0:
        latitude, longitude = PLACES[number // 3 % 3]
        exif.get_ifd(0x8825).update(
            {
                1: "NS"[latitude < 0],
                2: (abs(latitude), 0.0, 0.0),
                3: "EW"[longitude < 0],
                4: (abs(longitude), 0.0, 0.0),
            }
        )
    image.save(path, exif=exif)


class Watched:
    """A page, and all that went wrong in it."""

    def __init__(self, browser: Browser, server: Server, **options: object) -> None:
        given = {"viewport": {"width": 1440, "height": 900}, "accept_downloads": True, **options}
        self.context = browser.new_context(**given)  # type: ignore[arg-type]  # as documented
        self.context.set_default_timeout(45_000)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.strangers: list[str] = []
        self._address = server.address
        self.page.on("console", lambda said: self._said(said.type, said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.wrong.append(text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self._address, "data:", "blob:")):
            self.strangers.append(request.url)


def first(page: Page, count: int = 1) -> list[str]:
    """The names of the first pictures in the grid."""
    page.wait_for_selector("#grid[aria-busy=false]")
    cells = [page.locator(f'.cell[aria-posinset="{n}"] .under') for n in range(1, count + 1)]
    return [cell.inner_text() for cell in cells]


def search(page: Page, text: str, expected: str) -> None:
    page.fill("#q", text)
    expect(page.locator('.cell[aria-posinset="1"] .under')).to_have_text(expected)


def scroll_to_the_end(page: Page, total: int) -> None:
    page.wait_for_function(
        """(total) => {
          scrollBy(0, 900);
          return document.querySelector(`.cell[aria-posinset="${total}"]`);
        }""",
        arg=total,
        timeout=60_000,
    )


def axe(page: Page) -> None:
    """No violation of what axe-core can check, of any severity."""
    page.wait_for_timeout(250)  # colours fade in
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
