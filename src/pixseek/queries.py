"""What people give to search by: a picture, a text, or both → one vector."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pixseek.errors import InvalidQuery, PixseekError
from pixseek.library import Opened
from pixseek.records import USUAL, Bounds, Vector

if TYPE_CHECKING:
    from PIL import Image

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image"


def query_vector(
    opened: Opened,
    text: str | None,
    image: ImageSource | None,
    bounds: Bounds = USUAL,
) -> Vector:
    """The text's vector, the image's, or the direction between both; (d,), length 1."""
    # The store reads its codes from disk while the model is loaded: together a cold search
    # is about a quarter faster.
    preloading = threading.Thread(target=_preload, args=(opened,))
    preloading.start()
    if image is not None:
        from pixseek import isolation

        isolation.prepare()
    vectors: list[Vector] = []
    try:
        if text and text.strip():
            vectors.append(opened.encoder.encode_texts([text])[0])
        if image is not None:
            picture = read_picture(image, opened.encoder.input_size, bounds)
            vectors.append(opened.encoder.encode_images([picture])[0])
    finally:
        preloading.join()
    total = vectors[0] if len(vectors) == 1 else vectors[0] + vectors[1]
    length = float((total @ total) ** 0.5)
    if not length > 0:
        raise InvalidQuery("text and image cancel each other out; search for one of them.")
    return total / length


def _preload(opened: Opened) -> None:
    with suppress(PixseekError):  # the search itself meets it again, and raises it
        opened.store.preload()


def read_picture(source: ImageSource, side: int, bounds: Bounds = USUAL) -> Image.Image:
    """A picture upright: a file, a file's bytes, or a Pillow image.

    Files are reduced; their shorter side keeps at least `side` pixels if it has as many. They are
    decoded in a process of its own, whoever they come from.
    Raises MissingPath and UnreadableImage.
    """
    from pixseek import isolation
    from pixseek.reader import content_of, upright

    if isinstance(source, bytes | bytearray | memoryview):
        content, name = bytes(source), "the picture given"
    elif isinstance(source, str | os.PathLike):
        path = Path(os.path.expanduser(source))  # noqa: PTH111  Path raises for unknown users
        content, name = content_of(path, bounds.max_bytes), str(path)
    else:
        return upright(source)
    return isolation.read(content, side, bounds, name=name).image


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
