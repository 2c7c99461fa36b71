"""Films in the page: a moment that was found plays from there, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser import Server, Watched
from tests.films import BLUE, GREEN, RED, film

SCENES = ((RED, 4.0), (GREEN, 4.0), (BLUE, 4.0))
BEGINS_S = 3.5
"""The green scene, or a little before: a moment is a frame of its scene."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("films")
    (home / "films").mkdir()
    film(home / "films" / "plays.webm", SCENES, codec="libvpx-vp9", size=(320, 240))
    film(home / "films" / "odd.avi", SCENES[:1], codec="mpeg4", size=(320, 240))
    made = Server(home)
    assert made.pixseek("index", str(home / "films")).wait(600) == 0
    made.start()
    yield made
    made.stop()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    made = Watched(browser, server)
    yield made.page
    made.context.close()
    assert made.wrong == []
    assert made.strangers == []


def test_a_moment_of_a_film_plays_from_there(page: Page, server: Server) -> None:
    page.goto(f"{server.address}?where=%7B%22moment%22:%7B%22$gt%22:{BEGINS_S}%7D%7D")
    tile = page.locator(".cell").last
    expect(tile.locator(".film")).to_contain_text("0:0")
    tile.locator("a").click()
    video = page.locator(".pswp__item[aria-hidden=false] video")
    expect(video).to_be_visible()
    page.wait_for_function(
        "() => { const v = document.querySelector('.pswp__item[aria-hidden=false] video');"
        " return v && v.readyState >= 2 && !v.seeking && v.played.length; }"
    )
    began = page.evaluate(
        "document.querySelector('.pswp__item[aria-hidden=false] video').played.start(0)"
    )
    wanted = page.evaluate(
        "fetch('/api/v1/items/' + encodeURIComponent(decodeURIComponent(location.hash.slice(1))))"
        ".then((one) => one.json()).then((one) => one.hit.moment)"
    )
    assert wanted > BEGINS_S
    assert abs(began - wanted) < 0.2
    page.wait_for_function(
        "(from) => document.querySelector('.pswp__item[aria-hidden=false] video')"
        ".currentTime > from + 0.2",
        arg=wanted,
    )
    shared = page.url
    page.goto("about:blank")
    page.goto(shared)  # the address alone says which moment
    page.wait_for_function(
        "(from) => document.querySelector('.pswp__item[aria-hidden=false] video')"
        "?.currentTime >= from - 0.2",
        arg=wanted,
    )


def test_a_film_that_the_browser_cannot_play_is_said_so_and_saved(
    page: Page, server: Server
) -> None:
    page.goto(f"{server.address}?where=%7B%22extension%22:%22avi%22%7D")
    page.locator(".cell a").first.click()
    shown = page.locator(".film-refused").first
    expect(shown).to_contain_text("cannot play this film")
    with page.expect_download() as saved:
        shown.locator("a").click()
    assert saved.value.suggested_filename == "odd.avi"
