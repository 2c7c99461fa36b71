"""Words from pictures: what is written in them, what they show → text that can be searched.

`Describer` is the seam, `DESCRIBERS` its one table. `labels` needs no describer: it compares the
vectors that the store has already.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pixseek.errors import MissingExtra
from pixseek.records import Metadata

if TYPE_CHECKING:
    from types import ModuleType

    from PIL import Image


class Describer(Protocol):
    """Says in words what pictures show, or what is written in them. Safe to call from threads."""

    @property
    def field(self) -> str:
        """The metadata field it fills ("caption", "text"); also the name under which the field
        `described` remembers that a picture has been looked at."""
        ...

    @property
    def input_size(self) -> int:
        """Pixels the shorter side of pictures should keep, as Encoder.input_size."""
        ...

    def describe(self, images: Sequence[Image.Image]) -> list[Metadata]:
        """images: upright RGB, any size (reader.read gives these).

        Returns what metadata to add to each, in the order given; {} when there is nothing to say.
        The names of the fields are `field`, or begin with it and a "_".
        Raises UnreadableImage when one of them cannot be described; it is then asked one by one.
        """
        ...


class Entry(NamedTuple):
    """Where a kind of describer is found: its module has `load(options) -> Describer`.

    That of captions also takes `model` and `prompt` by keyword, each a text, or None for its own.
    """

    module: str
    feature: str
    """What it does, for people."""
    extra: str


DESCRIBERS: dict[str, Entry] = {
    "text": Entry("pixseek.words.ocr", "reading text in pictures", "ocr"),
    "caption": Entry("pixseek.words.captions", "captioning pictures", "captions"),
}


def describers(name: str) -> ModuleType:
    """The module of a kind of describer, imported now.

    Raises MissingExtra when what it needs is not installed.
    """
    entry = DESCRIBERS[name]
    try:
        return import_module(entry.module)
    except ModuleNotFoundError as error:
        raise MissingExtra(entry.feature, entry.extra) from error
