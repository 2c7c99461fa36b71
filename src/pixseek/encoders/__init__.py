"""Encoders: pictures and texts → unit vectors of one space.

`Encoder` is the seam, `ENCODERS` its one table; strangers add theirs under the entry point group
`pixseek.encoders`, each naming a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from pixseek.errors import MissingExtra, UnknownModel
from pixseek.records import Space, Vectors

if TYPE_CHECKING:
    from PIL import Image


class Encoder(Protocol):
    """Turns pictures and texts into vectors that can be compared. Safe to call from threads."""

    @property
    def space(self) -> Space: ...

    @property
    def input_size(self) -> int:
        """Pixels on the side of the model's input: the reader keeps at least twice as many."""
        ...

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """images: upright RGB, any size (reader.read gives these).

        Returns (n, d) float32, rows of length 1, in the order given; no images gives (0, d).
        """
        ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """texts: any language the model knows, any length (what is past its limit is cut off).

        Returns (m, d) float32, rows of length 1, in the order given; no texts gives (0, d).
        """
        ...


class Entry(NamedTuple):
    """Where a model is found, what people should know of it, and which extra brings its needs."""

    module: str
    attribute: str
    summary: str
    licence: str
    languages: str
    extra: str | None = None


DEFAULT_MODEL = "pocket"

ENCODERS: dict[str, Entry] = {
    "pocket": Entry(
        "pixseek.encoders.pocket",
        "PocketEncoder",
        "built in, works without a network; good at everyday scenes and things",
        "Apache-2.0",
        "English",
    ),
    "palette": Entry(
        "pixseek.encoders.palette",
        "PaletteEncoder",
        "no weights: shares of the basic colours; for tests and examples",
        "Apache-2.0",
        "English colour words",
    ),
}


def load_encoder(name: str) -> Encoder:
    """The encoder of that name; it may load weights only when it first encodes.

    Raises UnknownModel, MissingExtra when what it needs is not installed, and, now or when first
    used, ModelUnavailable when its files are missing or damaged.
    """
    entry = ENCODERS.get(name)
    if entry is None:
        from importlib.metadata import entry_points  # slow to import

        for point in entry_points(group="pixseek.encoders", name=name):
            return cast("type[Encoder]", point.load())()
        raise UnknownModel(name, list(ENCODERS))
    try:
        module = import_module(entry.module)
    except ModuleNotFoundError as error:
        if entry.extra is None:
            raise
        raise MissingExtra(f"the model {name!r}", entry.extra) from error
    return cast("type[Encoder]", getattr(module, entry.attribute))()
