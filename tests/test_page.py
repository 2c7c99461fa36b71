"""The page of `pixseek serve`, as a person uses it: in a real browser, over a real server.

PIXSEEK_TEST_CAPTIONED may name a folder with thousands of photographs to try it on.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser import Server, Watched, axe, first, paint, scroll_to_the_end, search
from tests.conftest import SAMPLES

import pixseek

STATIC = Path(pixseek.__file__).parent / "web" / "static"
PAINTED = 200
MOST_PHOTOGRAPHS = 3000
COFFEE, TIGER, OTTER = "photo-02.jpg", "photo-06.jpg", "photo-22.jpg"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("page")
    photos, painted = home / "photos", home / "photos" / "painted"
    painted.mkdir(parents=True)
    for sample in SAMPLES.glob("*.jpg"):
        shutil.copy(sample, photos)
    for number in range(PAINTED):
        paint(painted / f"painted-{number:03}.jpg", number)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 not much of a picture")
    made = Server(home)
    assert made.pixseek("index", str(photos)).wait(600) == 0
    made.start()
    yield made
    made.stop()


@pytest.fixture
def photographs(tmp_path: Path) -> Iterator[Server]:
    """Photographs only: as many as are at hand."""
    folder = Path(os.environ.get("PIXSEEK_TEST_CAPTIONED", SAMPLES))
    photos = tmp_path / "photos"
    photos.mkdir()
    for photo in islice(sorted(folder.rglob("*.jpg")), MOST_PHOTOGRAPHS):
        shutil.copy(photo, photos)
    made = Server(tmp_path)
    assert made.pixseek("index", str(photos)).wait(900) == 0
    made.start()
    yield made
    made.stop()


@pytest.fixture
def watched(browser: Browser, server: Server) -> Iterator[Watched]:
    made = Watched(browser, server)
    yield made
    made.context.close()
    assert made.wrong == []
    assert made.strangers == []


# searching


def test_words_find_what_pictures_show_as_they_are_typed(page: Page) -> None:
    page.click("#q")
    page.keyboard.type("a cup of coffee", delay=5)
    expect(page.locator('.cell[aria-posinset="1"] .under')).to_have_text(COFFEE)
    assert "q=a+cup+of+coffee" in page.url
    assert "a cup of coffee" in page.title()
    expect(page.locator("#summary")).to_contain_text("nearest first")


def test_an_uploaded_picture_is_searched_by_and_kept_by_the_browser(
    page: Page, browser: Browser, server: Server
) -> None:
    page.set_input_files("#file", SAMPLES / TIGER)
    expect(page.locator("#chips .picture")).to_have_count(1)
    expect(page.locator('.cell[aria-posinset="1"] .under')).to_have_text(TIGER)
    page.reload()  # the browser keeps it
    expect(page.locator("#chips .picture img")).to_be_visible()
    expect(page.locator('.cell[aria-posinset="1"] .under')).to_have_text(TIGER)
    shared = page.url
    page.goto("about:blank")
    page.go_back()
    expect(page.locator('.cell[aria-posinset="1"] .under')).to_have_text(TIGER)
    other = Watched(browser, server)  # another person's browser has no such picture
    other.page.goto(shared)
    expect(other.page.locator("#blank")).to_contain_text("Drop it here again")
    other.context.close()


@pytest.mark.parametrize("event", ["paste", "drop"])
def test_a_pasted_or_dropped_picture_is_searched_by(page: Page, event: str) -> None:
    content = base64.b64encode((SAMPLES / OTTER).read_bytes()).decode()
    page.evaluate(
        """([kind, content]) => {
          const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], 'otter.jpg', { type: 'image/jpeg' }));
          const options = { bubbles: true, cancelable: true };
          dispatchEvent(kind === 'paste'
            ? new ClipboardEvent('paste', { ...options, clipboardData: data })
            : new DragEvent('drop', { ...options, dataTransfer: data }));
        }""",
        [event, content],
    )
    expect(page.locator('.cell[aria-posinset="1"] .under')).to_have_text(OTTER)


def test_pictures_and_words_are_chips_that_can_be_pushed_away(page: Page) -> None:
    search(page, "a tiger in the snow", TIGER)
    page.hover('.cell[aria-posinset="1"]')
    page.click('.cell[aria-posinset="1"] .similar')
    expect(page.locator("#chips .picture")).to_have_count(1)
    assert re.search(r"\?like=[0-9a-f]+$", page.url)
    assert TIGER not in first(page, 5)  # a picture is not among those like it
    near = first(page, 3)
    page.click("#chips .sign")
    expect(page.locator("#chips .away-from")).to_have_count(1)
    assert "unlike=" in page.url
    assert first(page, 3) != near
    page.fill("#q", "flowers")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#chips .chip")).to_have_count(2)
    assert "word=flowers" in page.url
    page.click("#clear")
    expect(page.locator("#chips")).to_be_hidden()
    expect(page.locator("#summary")).to_contain_text("newest first")


def test_words_are_pushed_away(page: Page) -> None:
    search(page, "a wild animal in the snow", OTTER)
    page.keyboard.press("Control+Enter")
    page.keyboard.type("an otter by the water")
    page.keyboard.press("Control+Shift+Enter")
    expect(page.locator("#chips .away-from")).to_have_text("an otter by the water")
    expect(page.locator('.cell[aria-posinset="1"] .under')).not_to_have_text(OTTER)
    assert OTTER not in first(page, 3)
    page.keyboard.press("Backspace")  # the last chip is text again
    expect(page.locator("#q")).to_have_value("-(an otter by the water)")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#chips .away-from")).to_have_text("an otter by the water")


def test_a_line_that_is_not_whole_yet_keeps_what_was_found(page: Page, watched: Watched) -> None:
    search(page, "a cup of coffee", COFFEE)
    page.fill("#q", "a cup of coffee year:soon")
    expect(page.locator("#note")).to_contain_text("year")
    expect(page.locator('.cell[aria-posinset="1"] .under')).to_have_text(COFFEE)
    page.fill("#q", "a cup of coffee year:2019")
    expect(page.locator("#note")).to_be_hidden()
    expect(page.locator("#summary")).to_contain_text(f"{PAINTED // 5} pictures")
    assert all("400 (Bad Request)" in one for one in watched.wrong)  # as browsers note refusals
    watched.wrong.clear()


def test_what_is_typed_is_completed_to_a_filter(page: Page) -> None:
    page.click("#q")
    page.keyboard.type("Mod", delay=20)
    option = page.locator("#completions [role=option]").first
    expect(option).to_contain_text("Model")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).to_contain_text("Camera")
    assert page.input_value("#q") == ""
    assert "camera_model=Model" in page.url


def test_filters_have_counts_and_can_be_taken_back(page: Page) -> None:
    year = page.locator('.facet-value[data-key="year=2019"]')
    expect(year.locator(".count")).to_have_text(str(PAINTED // 5))
    year.click()
    expect(page.locator("#summary")).to_contain_text(f"{PAINTED // 5} pictures")
    expect(page.locator('.facet-value[data-key="year=2020"]')).to_be_visible()  # may be added
    page.click('.facet-value[data-key="year=2020"]')
    expect(page.locator("#summary")).to_contain_text(f"{2 * PAINTED // 5} pictures")
    page.click("#chosen >> text=Clear all")
    expect(page.locator("#chosen")).to_be_hidden()


def test_months_and_parts_of_the_map_are_chosen(page: Page) -> None:
    page.locator('.month[aria-label^="June 2020"]').click()
    expect(page.locator("#chosen")).to_contain_text("June 2020")
    assert "months=2020-06..2020-06" in page.url
    page.go_back()
    expect(page.locator("#chosen")).to_be_hidden()
    page.locator(".spots circle").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).to_contain_text("part of the map")
    expect(page.locator("#summary")).not_to_contain_text(f"{PAINTED} pictures")


def test_nothing_matches_is_said_plainly(page: Page, server: Server) -> None:
    page.goto(f"{server.address}?year=2019&camera_model=no+such+camera")
    expect(page.locator("#blank")).to_contain_text("Nothing matches")
    page.click("#blank button")
    expect(page.locator("#blank")).to_be_hidden()


# the address


def test_the_address_is_the_state_and_back_goes_back(page: Page) -> None:
    search(page, "a cup of coffee", COFFEE)
    page.keyboard.press("Escape")
    page.click('.facet-value[data-key="orientation=landscape"]')
    expect(page.locator("#chosen")).to_contain_text("landscape")
    page.wait_for_selector("#grid[aria-busy=false]")
    page.evaluate("scrollTo(0, 900)")
    page.wait_for_timeout(100)
    page.fill("#q", "a tiger in the snow")
    expect(page.locator('.cell[aria-posinset="1"] .under')).to_have_text(TIGER)
    shared = page.url
    page.go_back()
    expect(page.locator("#q")).to_have_value("a cup of coffee")
    page.wait_for_function("() => scrollY > 800")
    page.go_back()
    expect(page.locator("#chosen")).to_be_hidden()
    page.goto(shared)
    expect(page.locator("#q")).to_have_value("a tiger in the snow")
    assert first(page) == [TIGER]


def test_a_search_is_saved_in_the_browser(page: Page) -> None:
    search(page, "a cup of coffee", COFFEE)
    page.click("#save")
    page.click("text=Only in this browser")
    page.click("#brand")
    page.click("#saved-list a")
    assert first(page) == [COFFEE]
    page.click("#save")
    expect(page.locator("#saved")).to_be_hidden()


# the grid


def test_scrolling_goes_through_every_picture_with_few_elements(page: Page) -> None:
    total = int(re.sub(r"\D", "", page.inner_text("#summary").split("picture")[0]))
    assert total >= PAINTED + 30
    scroll_to_the_end(page, total)
    assert page.locator(".cell").count() < 150
    numbers = page.evaluate(
        "[...document.querySelectorAll('.cell')].map((one) => Number(one.ariaPosInSet))"
    )
    assert sorted(numbers)[-20:] == list(range(total - 19, total + 1))


def test_photographs_are_scrolled_through_and_found_by_themselves(
    browser: Browser, photographs: Server
) -> None:
    made = Watched(browser, photographs)
    page = made.page
    page.goto(photographs.address)
    expect(page.locator(".cell").first).to_be_visible()
    photos = sorted((photographs.home / "photos").iterdir())
    scroll_to_the_end(page, len(photos))
    page.wait_for_function(
        "() => [...document.querySelectorAll('.cell img')].every((one) => one.complete)",
        timeout=60_000,
    )
    assert page.locator(".tile.broken").count() == 0
    for photo in photos[:: max(1, len(photos) // 3)]:
        page.click("#brand")
        page.set_input_files("#file", photo)
        expect(page.locator('.cell[aria-posinset="1"] .under')).to_have_text(photo.name)
    made.context.close()
    assert made.wrong == []
    assert made.strangers == []


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator('.cell[aria-posinset="1"] a')).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    below = page.evaluate("document.activeElement.closest('.cell').ariaPosInSet")
    assert int(below) > 3
    page.keyboard.press("x")
    expect(page.locator("#picks-count")).to_have_text("1 picture selected")
    page.keyboard.press("Home")
    page.keyboard.press("Shift+X")
    expect(page.locator("#picks-count")).to_have_text("1 picture selected")  # x, not X
    page.keyboard.press("Escape")
    expect(page.locator("#picks")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator(".pswp__counter")).to_contain_text("1 of")


def test_a_selection_is_exported(page: Page) -> None:
    search(page, "a cup of coffee", COFFEE)
    for number in (1, 2):
        page.hover(f'.cell[aria-posinset="{number}"]')
        page.click(f'.cell[aria-posinset="{number}"] .choose')
    with page.expect_download() as saved:
        page.click("#picks-csv")
    rows = list(csv.DictReader(saved.value.path().read_text().splitlines()))
    assert [row["name"] for row in rows] == first(page, 2)
    assert rows[0]["path"].endswith(f"/photos/{COFFEE}")
    with page.expect_download() as saved:
        page.click("#picks-json")
    assert [one["id"] for one in json.loads(saved.value.path().read_text())] == [
        row["id"] for row in rows
    ]


# the viewer


def test_a_picture_opens_moves_zooms_and_closes(page: Page) -> None:
    search(page, "a tiger in the snow", TIGER)
    page.click('.cell[aria-posinset="1"] a')
    panel = page.locator(".pswp__panel")
    expect(panel).to_contain_text(TIGER)
    expect(panel).to_contain_text("JPEG")
    assert re.search(r"#[0-9a-f]{32}$", page.url)
    page.keyboard.press("ArrowRight")
    expect(page.locator(".pswp__counter")).to_contain_text("2 of")
    expect(panel).not_to_contain_text(TIGER)
    page.keyboard.press("ArrowLeft")
    level = (
        "document.querySelector('.pswp__item[aria-hidden=false] .pswp__zoom-wrap').style.transform"
    )
    before = page.evaluate(level)
    page.keyboard.press("+")
    page.wait_for_function(f"(before) => {level} !== before", arg=before)
    page.keyboard.press("0")
    page.keyboard.press("i")
    expect(panel).to_be_hidden()
    page.keyboard.press("i")
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    assert "#" not in page.url
    expect(page.locator('.cell[aria-posinset="1"] a')).to_be_focused()


def test_the_viewer_is_in_the_address_and_searches_on(page: Page) -> None:
    search(page, "a tiger in the snow", TIGER)
    page.click('.cell[aria-posinset="1"] a')
    expect(page.locator(".pswp__panel")).to_contain_text(TIGER)
    shared = page.url
    page.go_back()
    expect(page.locator(".pswp")).to_have_count(0)
    page.goto("about:blank")
    page.goto(shared)
    expect(page.locator(".pswp__panel")).to_contain_text(TIGER)
    page.keyboard.press("l")
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page.locator("#chips .away-from")).to_have_count(1)
    page.click('.cell[aria-posinset="2"] a')
    with page.expect_download() as saved:
        page.click(".pswp__button--save")
    assert saved.value.suggested_filename.endswith(".jpg")
    page.click(".pswp__panel >> text=More like this")
    expect(page.locator("#chips .picture")).to_have_count(1)


def test_places_are_links_for_programs_of_this_machine(page: Page, server: Server) -> None:
    page.goto(f"{server.address}?camera_model=Model+0")
    page.click(".cell a >> nth=0")
    expect(page.locator('.pswp__panel a[href^="geo:"]')).to_be_visible()


# the library behind it


def test_indexing_goes_on_while_searching(page: Page, server: Server) -> None:
    for number in range(40):
        paint(server.home / "photos" / f"later-{number}.jpg", 1000 + number)
    before = int(page.inner_text("#library-count").replace(",", ""))
    page.click("#library-open")
    expect(page.locator(".skipped")).to_contain_text("broken.jpg")
    page.click("text=Bring in step now")
    page.click("#library-close")
    search(page, "a cup of coffee", COFFEE)
    expect(page.locator("#toast")).to_contain_text("40 added", timeout=60_000)
    expect(page.locator("#library-count")).to_have_text(f"{before + 40:,}")
    page.click("#library-open")
    expect(page.locator("#library-body")).to_contain_text("pocket")


def test_a_restarted_server_is_found_again(browser: Browser, server: Server) -> None:
    made = Watched(browser, server)
    page = made.page
    page.goto(server.address)
    expect(page.locator(".cell").first).to_be_visible()
    server.stop()
    page.fill("#q", "a cup of coffee")
    expect(page.locator("#lost")).to_be_visible()
    assert page.locator(".cell").count() > 0  # what was there stays
    server.start()
    expect(page.locator("#lost")).to_be_hidden(timeout=30_000)
    assert first(page) == [COFFEE]
    made.context.close()
    assert [one for one in made.wrong if "ERR_CONNECTION" not in one] == []


# how it looks, and to whom


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing_and_colours_follow_the_system(
    browser: Browser, server: Server, scheme: str
) -> None:
    made = Watched(browser, server, color_scheme=scheme, reduced_motion="reduce")
    page = made.page
    page.goto(f"{server.address}?q=a+tiger&orientation=landscape&word=-people")
    expect(page.locator(".facet").first).to_be_visible()
    luminance = page.evaluate(
        "getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert (sum(luminance) < 200) == (scheme == "dark")
    axe(page)
    page.hover('.cell[aria-posinset="1"]')
    page.click('.cell[aria-posinset="1"] .choose')
    axe(page)
    page.keyboard.press("Escape")
    page.click('.cell[aria-posinset="1"] a')
    expect(page.locator(".pswp__panel")).to_contain_text("JPEG")
    axe(page)
    page.keyboard.press("Escape")
    page.click("#library-open")
    expect(page.locator("#library-body")).to_contain_text("Skipped")
    axe(page)
    page.click("#library-close")
    page.click("#theme")
    other = page.evaluate("document.documentElement.dataset.theme")
    assert other == ("light" if scheme == "dark" else "dark")
    made.context.close()
    assert made.wrong == []


def test_it_fits_a_telephone(browser: Browser, server: Server) -> None:
    size = {"width": 390, "height": 844}
    made = Watched(browser, server, viewport=size, has_touch=True, is_mobile=True)
    page = made.page
    page.goto(f"{server.address}?q=a+tiger+in+the+snow")
    expect(page.locator(".cell").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.tap("#filters")
    page.tap('.facet-value[data-key="orientation=landscape"]')
    axe(page)
    page.tap("#side-close")
    page.tap('.cell[aria-posinset="1"] a')
    expect(page.locator(".pswp__img").first).to_be_visible()
    page.tap(".pswp__button--info")
    expect(page.locator(".pswp__panel")).to_contain_text(TIGER)
    axe(page)
    page.tap(".pswp__button--close")
    expect(page.locator(".pswp")).to_have_count(0)
    made.context.close()
    assert made.wrong == []


def test_files_of_the_page_are_kept_until_they_change(page: Page, server: Server) -> None:
    address = page.evaluate("document.querySelector('script[type=module]').src")
    assert re.search(r"/static/[0-9a-f]{16}/app\.js$", address)
    other = re.sub(r"[0-9a-f]{16}", "0" * 16, address)  # of a page from before an upgrade
    for asked, kept in ((address, "immutable"), (other, "no-cache")):
        with urllib.request.urlopen(asked) as answer:
            assert kept in answer.headers["Cache-Control"]
            assert answer.read() == (STATIC / "app.js").read_bytes()
    again = urllib.request.Request(server.address, headers={"If-None-Match": "*"})
    with pytest.raises(urllib.error.HTTPError, match="304"):
        urllib.request.urlopen(again)


def test_the_page_is_light() -> None:
    files = [path for path in STATIC.rglob("*") if path.is_file() and path.suffix != ".ts"]
    assert sum(path.stat().st_size for path in files) < 300_000
