"""What people give to search by: texts and pictures → one vector."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pixseek.encoders import Encoder
from pixseek.encoders.calibration import text_beside_pictures
from pixseek.errors import InvalidQuery, PixseekError
from pixseek.formats import is_named_video
from pixseek.library import Opened
from pixseek.moments import key_of
from pixseek.query.plan import Term
from pixseek.query.tree import ImageSource, Like, Text
from pixseek.ranking import Part, Way
from pixseek.records import USUAL, Bounds, Vector, Vectors
from pixseek.urls import fetched, is_url

if TYPE_CHECKING:
    from PIL import Image

AWAY = 0.5
"""How much counts what is pushed away. At 1, what is asked for is lost as well (bench/query)."""
_ID = re.compile("[0-9a-f]{32}(@p?[0-9]+)?")


def ways(
    opened: Opened,
    alternatives: Sequence[Sequence[Term]],
    bounds: Bounds = USUAL,
    meanwhile: Callable[[], object] = lambda: None,
) -> list[Way]:
    """One for each: its terms' vectors, and the direction of their sum, as they are counted.

    meanwhile: read from disk while the model is loaded; errors of the library are passed over.

    Raises InvalidQuery when the terms of one cancel each other out, MissingPath, UnreadableImage.
    """
    # The store reads its codes from disk while the model is loaded: together a cold search
    # is about a quarter faster.
    preloading = threading.Thread(target=_preload, args=(opened, meanwhile))
    if not opened.is_loaded:
        preloading.start()
    if any(isinstance(term.shown, Like) for terms in alternatives for term in terms):
        from pixseek import isolation

        isolation.prepare()
    try:
        known: dict[int, Vector] = {}
        for term in (term for terms in alternatives for term in terms):
            if id(term.shown) not in known:
                known[id(term.shown)] = _encoded(opened, term, bounds)
        beside = text_beside_pictures(opened.encoder.space.model)
        return [_way(terms, known, beside) for terms in alternatives]
    finally:
        if preloading.ident is not None:
            preloading.join()


def _way(terms: Sequence[Term], known: Mapping[int, Vector], beside: float) -> Way:
    """known: the vectors of what is shown, by its identity."""
    parts = tuple(
        Part(
            "text" if isinstance(term.shown, Text) else "image",
            known[id(term.shown)],
            weight,
            _name(term.shown),
        )
        for term, weight in zip(terms, counted(terms, beside), strict=True)
    )
    total: Vector = sum(
        (part.vector * part.weight for part in parts[1:]),
        start=parts[0].vector * parts[0].weight,
    )
    length = float((total @ total) ** 0.5)
    if not length > 1e-6:
        raise InvalidQuery("the parts of the query cancel each other out; search for one of them.")
    return Way(parts, total / length)


def _name(shown: Text | Like) -> str:
    """What a person calls it."""
    if isinstance(shown, Text):
        return shown.text
    source = shown.source
    return str(source) if isinstance(source, str | os.PathLike) else "the picture given"


def counted(terms: Sequence[Term], beside: float) -> list[float]:
    """What vectors are multiplied with before they are added up, one a term.

    beside: how much a text counts that is added to a picture.
    """
    has_picture = any(isinstance(term.shown, Like) for term in terms)
    return [
        term.weight
        * (1.0 if term.weight > 0 else AWAY)
        * (beside if has_picture and isinstance(term.shown, Text) else 1.0)
        for term in terms
    ]


def _encoded(opened: Opened, term: Term, bounds: Bounds) -> Vector:
    if isinstance(term.shown, Text):
        return opened.text_vector(term.shown.text)
    source = term.shown.source
    if isinstance(source, str) and _ID.fullmatch(source) and not Path(source).exists():
        for item in opened.store.fetch([source]):
            return item.vector
    vector: Vector = encode_sources(opened.encoder, [source], bounds)[0]
    return vector


def _preload(opened: Opened, meanwhile: Callable[[], object]) -> None:
    with suppress(PixseekError):  # the search itself meets it again, and raises it
        opened.store.preload()
        meanwhile()


def encode_sources(
    encoder: Encoder, sources: Sequence[ImageSource], bounds: Bounds = USUAL
) -> Vectors:
    """Pictures as read_picture takes them → (n, d), as they are encoded while indexing."""
    from pixseek.encoders.tiles import encode_pictures

    pictures = [read_picture(one, encoder.input_size, bounds) for one in sources]
    return encode_pictures(encoder, pictures)


def read_picture(
    source: ImageSource, side: int, bounds: Bounds = USUAL, *, of: str = ""
) -> Image.Image:
    """A picture upright: a file, a file's bytes, a URL, or a Pillow image.

    of: the id of the item, where a file has several pictures; without it its first is read.
    Files are reduced; their shorter side keeps at least `side` pixels if it has as many. They are
    decoded in a process of its own, whoever they come from.
    Raises MissingPath, UnreadableImage, and FetchError for what cannot be fetched.
    """
    from pixseek import isolation
    from pixseek.reader import content_of, upright

    if isinstance(source, bytes | bytearray | memoryview):
        content: bytes | Path = bytes(source)
        name = "the picture given"
    elif isinstance(source, str) and is_url(source):
        content, name = fetched(source, bounds.fetching), source
        if bounds.fetching is not None:
            fewest = min(bounds.max_pixels, bounds.fetching.max_pixels)
            bounds = replace(bounds, max_pixels=fewest)
    elif isinstance(source, str | os.PathLike):
        path = Path(os.path.expanduser(source))  # noqa: PTH111  Path raises for unknown users
        name = str(path)
        is_film = is_named_video(name) and os.path.isfile(path)  # noqa: PTH113  Path raises
        content = path if is_film else content_of(path, bounds.max_bytes)
    else:
        return upright(source)
    return isolation.read(content, side, bounds, name=name, key=key_of(of)).image


def unit(vector: Sequence[float] | Vector) -> Vector:
    """(d,) numbers → float32 of length 1. Raises InvalidQuery when that cannot be."""
    import numpy as np

    values: Vector = np.asarray(vector, np.float32)
    length = float(np.linalg.norm(values))
    if values.ndim != 1 or not np.isfinite(length) or not length > 0:
        raise InvalidQuery(
            f"the query vector has shape {values.shape} and length {length}; expected one row of "
            "numbers that are finite and not all 0."
        )
    return values / np.float32(length)
