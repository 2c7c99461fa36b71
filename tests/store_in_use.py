"""A library whose vectors are in some store, from its making to another model: any store's URL."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from tests.conftest import Paint

from pixseek import ImageSearchEngine, Query
from pixseek.encoders import RUNTIMES, Runtime
from pixseek.encoders.catalog import MODELS, Model
from pixseek.encoders.palette import PaletteEncoder
from pixseek.errors import UnsupportedFilter
from pixseek.records import Hit, Space, Vectors

MAKE, MODEL = 0x10F, 0x110
"""Tags of EXIF."""


class WideEncoder(PaletteEncoder):
    """The palette with one more dimension that is always zero: the same hits, another width."""

    space = Space("wide", "wide-1", 12)

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        return np.pad(super().encode_images(images), ((0, 0), (0, 1)))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return np.pad(super().encode_texts(texts), ((0, 0), (0, 1)))


def make_wide_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine know `wide`, a second fast model."""
    module = ModuleType("encoders_of_store_in_use")
    vars(module)["load"] = lambda model, options: WideEncoder()  # noqa: ARG005
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(RUNTIMES, "wide", Runtime(module.__name__))
    model = Model("wide", "pixseek", "wide", "MIT", "none", "for these tests")
    monkeypatch.setitem(MODELS, "wide", model)


def names(hits: Sequence[Hit]) -> list[str]:
    return [hit.path.name for hit in hits]


def assert_a_library_works(url: str, library: Path, photos: Path, paint: Paint) -> None:
    """Index, search with filters, rename, delete, index again, reopen.

    Leaves photos/new.png (red) and photos/sub/blue.png indexed, by the model palette.
    """
    red = paint("red.png", "red")
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = "Apple", "iPhone 14"
    Image.open(red).save(red, exif=exif)
    blue = paint("sub/blue.png", "blue", size=(64, 32))
    green = paint("green.png", "green", "white")
    with ImageSearchEngine(library, model="palette", store=url) as engine:
        report = engine.index_images(photos)
        assert (report.added, report.skipped) == (3, [])
        assert engine.status().items == 3
        assert names(engine.search_by_text("red"))[0] == "red.png"
        assert names(engine.search_by_image(blue, k=1)) == ["blue.png"]
        assert names(engine.search_by_text("red", where={"width": 64})) == ["blue.png"]
        assert names(engine.search_by_text("red", where={"width": {"$gte": 50}})) == ["blue.png"]
        assert set(names(engine.search_by_text("red", where={"name": {"$ne": "red.png"}}))) == {
            "green.png",
            "blue.png",
        }
        for line, found in (
            ("camera:iphone", ["red.png"]),
            ("-camera:APPLE", ["blue.png", "green.png"]),
            ("red camera:canon", []),
        ):
            assert sorted(names(engine.search(Query.parse(line)))) == found, line
        _assert_parts_of_names_are_found_or_refused(engine)
        red.rename(photos / "new.png")
        green.unlink()
        report = engine.index_images(photos)
        assert (report.moved, report.removed, report.encoded) == (1, 1, 0)
        assert names(engine.search_by_text("red")) == ["new.png", "blue.png"]
        assert engine.index_images(photos).unchanged == 2
    with ImageSearchEngine(library) as engine:
        assert names(engine.search_by_text("red", where={"name": "new.png"})) == ["new.png"]
        assert engine.status().items == 2


def _assert_parts_of_names_are_found_or_refused(engine: ImageSearchEngine) -> None:
    for line, instead in (("name:LU", "name:= with the whole name"), ("path:SUB", "in:FOLDER")):
        try:
            found = names(engine.search(Query.parse(line)))
        except UnsupportedFilter:
            with pytest.raises(UnsupportedFilter, match=f"Ask {instead}"):
                engine.search(Query.parse(line))
        else:
            assert found == ["blue.png"]


def assert_a_switch_works(library: Path) -> None:
    """Go over from palette to wide and back, with what `assert_a_library_works` left."""
    with ImageSearchEngine(library) as engine:
        assert engine.switch_model("wide", keep=True).switched
        assert names(engine.search_by_text("red")) == ["new.png", "blue.png"]
        assert engine.switch_model("palette", keep=False).encoded == 0
        assert names(engine.search_by_text("blue"))[0] == "blue.png"
        assert engine.status().kept == []
    with ImageSearchEngine(library) as engine:
        assert engine.status().space.model == "palette"
        assert names(engine.search_by_text("red"))[0] == "new.png"
