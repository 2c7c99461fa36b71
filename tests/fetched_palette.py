"""A runtime for tests of fetching: it needs its model's files, and then is the palette."""

from __future__ import annotations

from pixseek.encoders import Options
from pixseek.encoders.catalog import Model
from pixseek.encoders.hub import fingerprint, folder_of
from pixseek.encoders.palette import COLOURS, PaletteEncoder
from pixseek.records import Space


class FetchedPalette(PaletteEncoder):
    def __init__(self, model: Model, options: Options) -> None:
        super().__init__()
        folder = folder_of(model, options)
        self.space = Space(model.name, fingerprint(folder), len(COLOURS))


def load(model: Model, options: Options) -> FetchedPalette:
    return FetchedPalette(model, options)
