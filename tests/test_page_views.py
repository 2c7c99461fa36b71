"""Groups, copies and saved searches in the page, in a real browser, over a real server."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from tests.browser import Server, Watched, axe, first, search
from tests.conftest import SAMPLES

from pixseek.saved import SavedSearches

COFFEE, KEPT, CHANGED = "photo-02.jpg", "photo-01.jpg", "photo-03.jpg"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Thirty photographs; one of them twice, another smaller."""
    home = tmp_path_factory.mktemp("views")
    photos = home / "photos"
    photos.mkdir()
    for sample in SAMPLES.glob("*.jpg"):
        shutil.copy(sample, photos)
    shutil.copyfile(photos / KEPT, photos / "a longer name of it.jpg")
    with Image.open(photos / CHANGED) as image:
        image.resize((image.width // 2, image.height // 2)).save(photos / "smaller.jpg")
    made = Server(home)
    assert made.pixseek("index", str(photos)).wait(600) == 0
    made.start()
    yield made
    made.stop()


@pytest.fixture
def watched(browser: Browser, server: Server) -> Iterator[Watched]:
    made = Watched(browser, server)
    made.context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield made
    made.context.close()
    assert made.wrong == []
    assert made.strangers == []


def clipboard(page: Page) -> str:
    expect(page.locator("#toast")).to_contain_text("copied")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


# copies


def test_copies_are_side_by_side_with_the_one_to_keep_and_why(page: Page, server: Server) -> None:
    page.click("#views >> text=Copies")
    assert page.url.endswith("?view=copies")
    expect(page.locator(".view-told")).to_contain_text("2 pictures with 2 copies to spare")
    expect(page.locator(".view-told")).to_contain_text("Nothing is deleted here")
    near = page.locator('.copy-group[aria-label="Copies of photo-03.jpg"]')
    expect(near.locator(".copy-file.keep")).to_contain_text(CHANGED)
    expect(near.locator(".copy-file.near")).to_contain_text("smaller.jpg")
    expect(near.locator(".why")).to_contain_text("it has the most pixels")
    near.locator(".why button").click()
    assert clipboard(page) == str(server.home / "photos" / "smaller.jpg")
    page.click(".kinds >> text=Equal files")
    expect(page.locator(".copy-group")).to_have_count(1)
    expect(page.locator(".copy-file.exact")).to_contain_text("a longer name of it.jpg")
    page.click(".kinds >> text=All")
    expect(page.locator(".copy-group")).to_have_count(2)


def test_a_copy_is_looked_at_and_the_way_back_is_the_same(page: Page) -> None:
    search(page, "a cup of coffee", COFFEE)
    page.click("#views >> text=Copies")
    page.locator('.copy-group[aria-label="Copies of photo-03.jpg"] .copy-picture').first.click()
    expect(page.locator(".pswp__panel")).to_contain_text(CHANGED)
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page.locator(".copy-group")).to_have_count(2)
    page.go_back()
    expect(page.locator("#view")).to_be_hidden()
    expect(page.locator('.cell[aria-posinset="1"] .under')).to_have_text(COFFEE)
    page.go_forward()
    expect(page.locator(".copy-group")).to_have_count(2)
    page.fill("#q", "a cup of coffee in a cafe")  # who searches sees pictures
    expect(page.locator("#grid")).to_be_visible()


def test_copies_are_exported(page: Page, server: Server) -> None:
    page.goto(f"{server.address}?view=copies")
    with page.expect_download() as saved:
        page.click(".kinds >> text=CSV")
    rows = list(csv.DictReader(saved.value.path().read_text().splitlines()))
    assert rows[0]["part"] == "keep"
    assert {row["part"] for row in rows} == {"keep", "exact", "near"}
    assert all(Path(row["path"]).is_file() for row in rows)
    with page.expect_download() as saved:
        page.click(".kinds >> text=JSON")
    assert len(json.loads(saved.value.path().read_text())) == 2
    page.click("text=Copy paths of all copies")
    assert len(clipboard(page).split("\n")) == 2


# groups


def test_a_group_opens_as_a_search_with_its_own_address(page: Page) -> None:
    page.click("#views >> text=Groups")
    card = page.locator(".group-card").first
    name = card.locator(".group-name").inner_text()
    size = int(card.locator(".count").inner_text().split()[0])
    card.click()
    expect(page.locator("#chosen")).to_contain_text(name)
    expect(page.locator("#summary")).to_contain_text(f"{size} picture")
    assert "?group=" in page.url
    pictures = first(page, size)
    shared = page.url
    page.go_back()
    expect(page.locator(".group-card").first).to_be_visible()
    page.goto("about:blank")
    page.goto(shared)
    assert first(page, size) == pictures
    expect(page.locator("#chosen")).to_contain_text(name)
    page.click("#chosen .icon-button")
    expect(page.locator("#summary")).to_contain_text("31 pictures")


def test_a_group_is_left_by_searching(page: Page) -> None:
    page.click("#views >> text=Groups")
    page.locator(".group-card").first.click()
    expect(page.locator("#chosen")).to_be_visible()
    search(page, "a cup of coffee", COFFEE)
    expect(page.locator("#chosen")).to_be_hidden()
    assert "group=" not in page.url


# saved searches


def test_a_search_is_saved_in_the_library_for_everybody(
    page: Page, browser: Browser, server: Server
) -> None:
    search(page, "a cup of coffee", COFFEE)
    page.click("#save")
    axe(page)
    page.fill("#naming-name", "coffee")
    page.click("#naming >> text=In the library >> nth=-1")
    expect(page.locator("#saved-library")).to_contain_text("@coffee")
    expect(page.locator("#save")).to_have_attribute("aria-pressed", "true")
    with SavedSearches(server.library) as searches:
        assert searches.all() == {"coffee": "a cup of coffee"}
    other = Watched(browser, server)
    other.page.goto(server.address)
    other.page.click("#saved-library a")
    assert first(other.page) == [COFFEE]
    other.page.hover("#saved-library li")
    other.page.click("#saved-library .icon-button")
    expect(other.page.locator("#saved")).to_be_hidden()
    with SavedSearches(server.library) as searches:
        assert searches.all() == {}
    other.context.close()
    assert other.wrong == []


def test_filters_are_saved_as_a_line_that_finds_the_same(page: Page, server: Server) -> None:
    page.goto(f"{server.address}?q=a+cat&orientation=landscape&months=2001-01..2031-12")
    expected = first(page, 4)
    total = page.inner_text("#summary").split(" picture")[0]
    page.click("#save")
    page.fill("#naming-name", "cats")
    page.keyboard.press("Enter")
    page.click("#saved-library a")
    expect(page.locator("#chosen")).to_be_hidden()
    assert first(page, 4) == expected
    expect(page.locator("#summary")).to_contain_text(f"{total} picture")
    page.click("#save")
    expect(page.locator("#saved")).to_be_hidden()


def test_a_server_that_only_reads_shows_them_and_saves_in_the_browser(
    browser: Browser, server: Server
) -> None:
    server.stop()
    server.start(allow_write=False)
    with SavedSearches(server.library) as searches:
        searches.put("coffee", "a cup of coffee")
    made = Watched(browser, server)
    page = made.page
    page.goto(server.address)
    page.click("#saved-library a")
    assert first(page) == [COFFEE]
    expect(page.locator("#saved-library .icon-button")).to_have_count(0)
    search(page, "a cup of coffee in a cafe", COFFEE)
    page.click("#save")
    expect(page.locator("#naming")).to_be_hidden()
    expect(page.locator("#saved-list a")).to_have_count(1)
    made.context.close()
    with SavedSearches(server.library) as searches:
        searches.remove("coffee")
    server.stop()
    server.start()
    assert made.wrong == []


# how it looks, and to whom


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("view", ["copies", "groups"])
def test_axe_finds_nothing_in_the_views(
    browser: Browser, server: Server, view: str, scheme: str
) -> None:
    made = Watched(browser, server, color_scheme=scheme, reduced_motion="reduce")
    made.page.goto(f"{server.address}?view={view}")
    expect(made.page.locator(".copy-group, .group-card").first).to_be_visible()
    axe(made.page)
    made.context.close()
    assert made.wrong == []


@pytest.mark.parametrize("view", ["copies", "groups"])
def test_the_views_fit_a_telephone(browser: Browser, server: Server, view: str) -> None:
    size = {"width": 390, "height": 844}
    made = Watched(browser, server, viewport=size, has_touch=True, is_mobile=True)
    page = made.page
    page.goto(f"{server.address}?view={view}")
    expect(page.locator(".copy-group, .group-card").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    axe(page)
    made.context.close()
    assert made.wrong == []
