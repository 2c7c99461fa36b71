"""What every test starts from: a home of its own, painted pictures, the sample photos."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from pixseek import ImageSearchEngine

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from tests.browser import Server, Watched
    from tests.postgres import Postgres
    from tests.web_server import Served

SAMPLES = Path(__file__).parent.parent / "samples"
Paint = Callable[..., Path]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that is a coroutine runs in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the user's library or settings, or another test's."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("PIXSEEK_")]:
        if not name.startswith("PIXSEEK_TEST_"):
            monkeypatch.delenv(name)
    # The command line lifts Pillow's limit for its process.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("HF_HOME", str(home / "huggingface"))
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """An empty folder to paint pictures into."""
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def paint(photos: Path) -> Paint:
    """paint("a.png", "red", "white"): vertical stripes of these colours; returns the path."""

    def make(
        name: str, *colours: str | tuple[int, int, int], size: tuple[int, int] = (48, 32)
    ) -> Path:
        image = Image.new("RGB", size)
        for i, colour in enumerate(colours):
            left, right = i * size[0] // len(colours), (i + 1) * size[0] // len(colours)
            image.paste(colour, (left, 0, right, size[1]))
        path = photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        return path

    return make


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ImageSearchEngine]:
    """An empty library on the palette model, beside the folder `photos`."""
    with ImageSearchEngine(tmp_path / "library", model="palette") as made:
        yield made


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server with pgvector."""
    from tests.postgres import Postgres  # its engine is not where only torch is tested

    server = Postgres()
    yield server
    server.remove()


@pytest.fixture
def web(library: Path) -> Iterator[Served]:
    """A server that may write, over a test file's own library."""
    from tests.web_server import serve

    with serve(library, allow_write=True) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright
    from tests.browser import launched

    with sync_playwright() as playwright:
        opened = launched(playwright)
        yield opened
        opened.close()


@pytest.fixture
def page(watched: Watched, server: Server) -> Page:
    """The page of a test file's own server, watched by it, with its first pictures shown."""
    from playwright.sync_api import expect

    watched.page.goto(server.address)
    expect(watched.page.locator(".cell").first).to_be_visible()
    return watched.page
