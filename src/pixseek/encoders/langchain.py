"""`langchain`: LangChain embeddings that know pictures, used as they are and made correct.

Nothing of LangChain is imported: what counts is that an object has `embed_query` and `embed_image`
or `embed_images`. What such classes get wrong is put right on this side: pictures are handed over
upright, in small lists, as files they can open; a torch model is put into evaluation mode; vectors
are divided by their length.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from pixseek.errors import InvalidVectors, ModelUnavailable
from pixseek.records import Space, Vectors

if TYPE_CHECKING:
    from PIL import Image

    from pixseek.encoders import Options
    from pixseek.encoders.catalog import Model

_TELLING = (
    *("model", "model_name", "model_id", "checkpoint", "pretrained", "revision", "dimensions"),
    *("size", "seed"),
)
"""Attributes that tell embeddings of one class apart, where they hold a text or a number."""


def load(model: Model, options: Options) -> NoReturn:  # noqa: ARG001  as every runtime's
    raise ModelUnavailable(
        model.name, "it is an object of LangChain; give it again, as embeddings=..."
    )


class LangChainEncoder:
    """Embeddings as an encoder. They are called from one thread at a time."""

    input_size = 384
    """No embeddings say theirs; pictures are reduced to no less than twice this."""
    runs_on = "whatever the embeddings run on"

    def __init__(self, embeddings: Any) -> None:
        """embeddings: with `embed_query(text)`, and for pictures `embed_images(files)` or
        `embed_image(files)`. A vector is made now, to see how wide it is."""
        self._embeddings = embeddings
        self._working = threading.Lock()
        evaluate = getattr(getattr(embeddings, "model", None), "eval", None)
        if callable(evaluate):
            evaluate()
        told = [type(embeddings).__name__]
        for name in _TELLING:
            value = getattr(embeddings, name, None)
            if isinstance(value, str | int | float):
                told.append(f"{name}={value}")
        (probe,) = _rows([embeddings.embed_query("a photo")], 1)
        name = "langchain:" + " ".join(told)
        whole = f"{type(embeddings).__module__} {name} {len(probe)}"
        self.space = Space(name, sha256(whole.encode()).hexdigest(), len(probe))

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """See Encoder.encode_images. Raises ModelUnavailable when the embeddings know no pictures,
        InvalidVectors when they do not give a vector a picture."""
        if not images:
            return np.empty((0, self.space.dimensions), np.float32)
        embed = _image_method(self._embeddings)
        with TemporaryDirectory(prefix="pixseek-") as folder, self._working:
            files = [str(Path(folder) / f"{i}.png") for i in range(len(images))]
            for image, file in zip(images, files, strict=True):
                # Pixels only: what EXIF there is has been applied already.
                image.convert("RGB").save(file, compress_level=1, exif=b"")
            return _rows(embed(files), len(files))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """See Encoder.encode_texts; every text is embedded as a query is."""
        if not texts:
            return np.empty((0, self.space.dimensions), np.float32)
        with self._working:
            return _rows([self._embeddings.embed_query(text) for text in texts], len(texts))


def _image_method(embeddings: Any) -> Callable[[list[str]], Any]:
    for name in ("embed_images", "embed_image"):
        method: Callable[[list[str]], Any] | None = getattr(embeddings, name, None)
        if callable(method):
            return method
    raise ModelUnavailable(
        type(embeddings).__name__, "it cannot embed pictures: it has no embed_image"
    )


def _rows(vectors: Any, n: int) -> Vectors:
    """What embeddings gave → (n, d) float32, rows of length 1."""
    try:
        rows: Vectors = np.asarray(vectors, np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidVectors(f"the embeddings gave no vectors ({error}); expected {n}.") from error
    if rows.ndim != 2 or len(rows) != n or not rows.shape[1]:
        raise InvalidVectors(
            f"the embeddings gave an array of shape {rows.shape}; expected {n} vectors. "
            "embed_image takes a list of files and gives a list of vectors."
        )
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise InvalidVectors("the embeddings gave a vector of length 0 or without end; expected 1.")
    unit: Vectors = rows / lengths
    return unit
