"""`PixseekEmbeddings`: every model of pixseek as LangChain embeddings, for texts and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast, overload

from langchain_core.embeddings import Embeddings
from langchain_core.runnables.config import run_in_executor

from pixseek import settings
from pixseek.engine import Encoder, ImageSource, encode_sources, load_model

if TYPE_CHECKING:
    from pixseek.records import Vectors

TEXTS_AT_ONCE = 64
PICTURES_AT_ONCE = 8
"""Opened, encoded and let go together, so that no number of files is too many."""


class PixseekEmbeddings(Embeddings):
    """Texts and pictures as vectors of one space: 1.0 long, floats, compared by cosine."""

    def __init__(
        self, model: str | None = None, *, options: settings.Settings | None = None
    ) -> None:
        """model: any that `pixseek models` knows; None takes the one of the settings, or `pocket`.

        Raises UnknownModel, MissingExtra, ModelUnavailable.
        """
        self._settings = options or settings.load()
        self.encoder = load_model(model, self._settings)
        """The model itself; an engine or a vector store that is given these embeddings uses it."""

    @classmethod
    def of(cls, encoder: Encoder) -> PixseekEmbeddings:
        """Embeddings by a model that is there already, such as an engine's."""
        made = cls.__new__(cls)
        made._settings = settings.load()
        made.encoder = encoder
        return made

    @property
    def model(self) -> str:
        """The model's name."""
        return self.encoder.space.model

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text, in their order; what is past a model's limit of length is cut off."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            vectors += _lists(self.encoder.encode_texts(texts[start : start + TEXTS_AT_ONCE]))
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """As `embed_documents`, for one."""
        return self.embed_documents([text])[0]

    @overload
    def embed_image(self, uris: ImageSource) -> list[float]: ...  # type: ignore[overload-overlap]  # a text is one path

    @overload
    def embed_image(self, uris: Sequence[ImageSource]) -> list[list[float]]: ...

    def embed_image(
        self, uris: ImageSource | Sequence[ImageSource]
    ) -> list[float] | list[list[float]]:
        """One picture gives one vector; a list gives a list.

        uris: a path, a file's bytes or a Pillow image. (The name is OpenCLIPEmbeddings'.)
        Raises MissingPath and UnreadableImage, naming the file; a list is then lost as a whole,
        where `PixseekVectorStore.add_images` goes on.
        """
        if isinstance(uris, list | tuple):
            return self.embed_images(uris)
        return self.embed_images([cast("ImageSource", uris)])[0]

    def embed_images(self, uris: Sequence[ImageSource]) -> list[list[float]]:
        """One vector a picture, in their order; see `embed_image`."""
        batches = [
            uris[start : start + PICTURES_AT_ONCE]
            for start in range(0, len(uris), PICTURES_AT_ONCE)
        ]
        with ThreadPoolExecutor(self._settings.worker_count(), "pixseek-embed") as pool:
            return [vector for vectors in pool.map(self._embed, batches) for vector in vectors]

    async def aembed_image(
        self, uris: ImageSource | Sequence[ImageSource]
    ) -> list[float] | list[list[float]]:
        """See `embed_image`."""
        return await run_in_executor(None, self.embed_image, uris)

    async def aembed_images(self, uris: Sequence[ImageSource]) -> list[list[float]]:
        """See `embed_images`."""
        return await run_in_executor(None, self.embed_images, uris)

    def _embed(self, uris: Sequence[ImageSource]) -> list[list[float]]:
        return _lists(encode_sources(self.encoder, uris))


def _lists(vectors: Vectors) -> list[list[float]]:
    lists: list[list[float]] = vectors.tolist()
    return lists
