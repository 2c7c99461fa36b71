"""How soon the page of `pixseek serve` shows the first picture of a search, and how it scrolls.

Data: a library of 100,000 made items in the space of the built-in model (bench/library.py), each
with a file: a sample photo of 480 pixels, so that each has a small picture of its own to be made.
The server is a process of its own; Chromium (Debian's, headless, without a GPU) is on the same
cores. A query is typed at once; times are in the page, from sending the request: until the answer
has been laid out, until the first picture is decoded, until every picture in the window is. Between
queries there are two seconds, in which what stands beside the pictures is counted.
First: no small picture had ever been made. Made: they had, the browser had never seen them.
Again: the same queries typed once more in that browser.
Scrolling: through 10,000 hits, 400 pixels a frame; how long frames took.
Weight: bytes of everything that the page fetches before pictures, as they are on the wire.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import cycle
from pathlib import Path

from blake3 import blake3
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser import launched

from bench import library, report
from pixseek.encoders import load_encoder
from pixseek.manifest import Entry

SEED = 11
BOUND_MS = 150
LOOKED_MS = 2000
QUERIES = tuple(
    """
    sunset|a dog on the beach|snowy mountains|a red car|birthday cake|city at night|cup of coffee
    |old door|green forest|people dancing|a boat on a lake|yellow flowers|a bridge|cat on a sofa
    |football match|a narrow street|fireworks|autumn leaves|a train station|clouds over the sea
    """.replace("\n", " ").split("|")
)
SEARCHED = """async (text) => {
  performance.clearMarks();
  performance.clearMeasures();
  const input = document.getElementById('q');
  input.value = text;
  input.dispatchEvent(new Event('input', { bubbles: true }));
  const frame = () => new Promise(requestAnimationFrame);
  while (!performance.getEntriesByName('pixseek:answered').length) await frame();
  const asked = performance.getEntriesByName('pixseek:asked').at(-1).startTime;
  const answered = performance.now() - asked;
  const shown = (image) => image?.complete && image.naturalWidth;
  while (!shown(document.querySelector('.cell[aria-posinset="1"] img'))) await frame();
  const first = performance.now() - asked;
  const seen = [...document.querySelectorAll('.cell img')].filter(
    (one) => one.getBoundingClientRect().top < innerHeight);
  while (!seen.every(shown)) await frame();
  return [answered, first, performance.now() - asked];
}"""
SCROLLED = """async (hits) => {
  const frame = () => new Promise(requestAnimationFrame);
  const end = () => Number([...document.querySelectorAll('.cell')].at(-1).ariaPosInSet);
  const frames = [];
  let last = await frame();
  while (end() < hits) {
    scrollBy(0, 400);
    const now = await frame();
    frames.push(now - last);
    last = now;
  }
  return [frames, document.querySelectorAll('.cell').length];
}"""
FETCHED = """() => performance.getEntriesByType('resource')
  .concat(performance.getEntriesByType('navigation'))
  .filter((one) => !one.name.includes('/api/'))
  .map((one) => [new URL(one.name).pathname, one.encodedBodySize, one.decodedBodySize])"""


def main() -> None:
    options = report.options("page", __doc__ or "")
    n, hits = (2_000, 500) if options.quick else (100_000, 10_000)
    space = load_encoder("pocket").space
    vectors = library.random_vectors(n, space.dimensions, SEED)
    figures: report.Figures = {
        "machine": report.machine(),
        "n": n,
        "d": space.dimensions,
        "seed": SEED,
        "data_sha256": library.hash_of(vectors),
        "queries": len(QUERIES),
        "bound_ms": BOUND_MS,
    }
    with tempfile.TemporaryDirectory(prefix="pixseek-bench-") as folder:
        root = Path(folder)
        library.make(root / "library", space, "pocket", vectors, entries=_photos(root, n))
        with _server(root / "library") as address, sync_playwright() as playwright:
            browser = launched(playwright)
            figures["chromium"] = browser.version
            figures["search_ms"] = _searches(browser, address)
            figures["scrolling"] = _scrolling(browser, address, hits)
            figures["weight_bytes"] = _weight(browser, address)
            browser.close()
    report.write(options, __doc__ or "", figures)


def _photos(root: Path, n: int) -> list[Entry]:
    """A file for each item: a small sample photo, and bytes at its end that no other has."""
    pictures = []
    for sample in sorted((Path(__file__).parent.parent / "samples").glob("*.jpg")):
        with Image.open(sample) as image:
            image.thumbnail((480, 480))
            made = BytesIO()
            image.convert("RGB").save(made, "JPEG", quality=70)
        pictures.append(made.getvalue())
    entries = []
    for row, picture in zip(range(n), cycle(pictures), strict=False):
        content = picture + row.to_bytes(4, "little")
        path = root / library.path_of(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        id = blake3(content).hexdigest(length=16)
        status = path.stat()
        entries.append(Entry(library.path_of(row), status.st_size, status.st_mtime_ns, id))
    return entries


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["-m", "pixseek", "serve", "--library", str(folder), "--port", str(port)]
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"{address}/readyz", timeout=5):
                    break
            except OSError:
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _searches(browser: Browser, address: str) -> report.Figures:
    print("search, ms from sending")
    figures: report.Figures = {}
    page = _opened(browser, address)
    _measured(page, "first", figures)
    page.context.close()
    page = _opened(browser, address)
    _measured(page, "made", figures)
    _measured(page, "again", figures)
    page.context.close()
    return figures


def _opened(browser: Browser, address: str) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(address)
    page.wait_for_selector(".cell img.ready")
    return page


def _measured(page: Page, name: str, figures: report.Figures) -> None:
    rows: list[tuple[float, float, float]] = []
    for query in QUERIES:
        rows.append(tuple(page.evaluate(SEARCHED, query.strip())))
        page.wait_for_timeout(LOOKED_MS)
    for column, part in enumerate(("answered", "first_picture", "window")):
        spread = report.Spread(tuple(row[column] for row in rows))
        figures.setdefault(name, {})[part] = spread.figures(1)
        print(f"  {name:6} {part:14} {spread}")


def _scrolling(browser: Browser, address: str, hits: int) -> report.Figures:
    page = _opened(browser, f"{address}/?q=sunset")
    frames, cells = page.evaluate(SCROLLED, hits)
    page.context.close()
    spread = report.Spread(tuple(frames))
    slow = sum(time > 50 for time in frames) / len(frames)
    print(f"scrolling {hits:,} hits, ms a frame {spread}, {slow:.1%} over 50; {cells} cells")
    return {
        "hits": hits,
        "frame_ms": spread.figures(1),
        "share_over_50_ms": round(slow, 4),
        "cells_at_end": cells,
    }


def _weight(browser: Browser, address: str) -> report.Figures:
    page = _opened(browser, address)
    start = page.evaluate(FETCHED)
    page.click(".cell a")
    page.wait_for_selector(".pswp__img")
    all_of_it = {path: sent for path, sent, _ in page.evaluate(FETCHED)}
    page.context.close()
    found = {"start": sum(sent for _, sent, _ in start), "with_viewer": sum(all_of_it.values())}
    print(f"weight, bytes: {found}")
    return found


if __name__ == "__main__":
    main()
