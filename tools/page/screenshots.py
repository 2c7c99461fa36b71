"""The pictures of the page in README: the sample photos, searched in a real browser.

python -m tools.page.screenshots     writes docs/images/page-*.webp again
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from tests.browser import launched

from pixseek import ImageSearchEngine

ROOT = Path(__file__).parent.parent.parent
IMAGES = ROOT / "docs" / "images"
LABELS = ("an animal", "a building", "a landscape", "a person", "food", "flowers", "the night sky")
WIDE = {"width": 1360, "height": 820}
PHONE = {"width": 390, "height": 844}
QUALITY = 82


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pixseek-page-") as folder:
        home = Path(folder)
        photos = home / "Pictures"
        shutil.copytree(ROOT / "samples", photos, ignore=shutil.ignore_patterns("*.[mst]*"))
        with ImageSearchEngine(photos / ".pixseek", model="pocket") as engine:
            engine.index_images(photos)
            engine.label_images(list(LABELS))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        serve = ["serve", "--library", str(photos / ".pixseek"), "--port", str(port)]
        server = subprocess.Popen([sys.executable, "-m", "pixseek", *serve], env=dict(os.environ))
        try:
            _take(f"http://127.0.0.1:{port}/")
        finally:
            server.terminate()
            server.wait(30)


def _take(address: str) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"{address}readyz", timeout=5):
                break
        except OSError:
            time.sleep(0.1)
    with sync_playwright() as playwright:
        browser = launched(playwright)
        page = browser.new_page(viewport=WIDE, color_scheme="light")  # type: ignore[arg-type]  # as documented
        _open(page, f"{address}?q=mountains+and+water")
        _keep(page, "page-search")
        page = browser.new_page(viewport=WIDE, color_scheme="dark")  # type: ignore[arg-type]  # as documented
        _open(page, f"{address}?q=a+tiger+in+the+snow")
        page.click(".cell a >> nth=0")
        page.wait_for_selector(".pswp__panel dl")
        page.wait_for_timeout(1500)
        _keep(page, "page-viewer")
        context = browser.new_context(
            viewport=PHONE,  # type: ignore[arg-type]  # as documented
            color_scheme="dark",
            device_scale_factor=1.5,
            has_touch=True,
            is_mobile=True,
        )
        page = context.new_page()
        _open(page, f"{address}?q=flowers")
        _keep(page, "page-phone")
        browser.close()


def _open(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".cell img.ready")
    page.wait_for_timeout(3000)  # all small pictures are made, and what is beside them is counted


def _keep(page: Page, name: str) -> None:
    with Image.open(BytesIO(page.screenshot())) as shot:
        path = IMAGES / f"{name}.webp"
        shot.convert("RGB").save(path, "WEBP", quality=QUALITY, method=6)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
