"""What LangChain's `VectorStore` has no asynchronous form of: each runs on a thread.

Decoding and encoding let go of the interpreter's lock, so an event loop goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables.config import run_in_executor

from pixseek.engine import ImageSource, Source


class Asynchronous:
    """The asynchronous half of `PixseekVectorStore`, which says what each of these does."""

    async def aadd_images(
        self: Any,
        uris: Iterable[Source],
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        return await run_in_executor(None, self.add_images, uris, metadatas, ids)

    async def aupdate_documents(
        self: Any, ids: Sequence[str], documents: Sequence[Document]
    ) -> None:
        await run_in_executor(None, self.update_documents, ids, documents)

    async def aupdate_document(self: Any, document_id: str, document: Document) -> None:
        await run_in_executor(None, self.update_document, document_id, document)

    async def aupdate_metadata(
        self: Any, ids: Sequence[str], metadatas: Sequence[Mapping[str, Any]]
    ) -> int:
        return await run_in_executor(None, self.update_metadata, ids, metadatas)

    async def asimilarity_search_by_image(
        self: Any, uri: ImageSource, k: int = 4, **kwargs: Any
    ) -> list[Document]:
        return await run_in_executor(None, self.similarity_search_by_image, uri, k, **kwargs)

    async def asimilarity_search_by_image_with_score(
        self: Any, uri: ImageSource, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        search = self.similarity_search_by_image_with_score
        return await run_in_executor(None, search, uri, k, **kwargs)

    async def asimilarity_search_by_image_with_relevance_scores(
        self: Any, uri: ImageSource, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        search = self.similarity_search_by_image_with_relevance_scores
        return await run_in_executor(None, search, uri, k, **kwargs)

    async def amax_marginal_relevance_search_by_image(
        self: Any,
        uri: ImageSource,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        search = self.max_marginal_relevance_search_by_image
        return await run_in_executor(None, search, uri, k, fetch_k, lambda_mult, **kwargs)

    @classmethod
    async def afrom_images(
        cls: Any,
        uris: Iterable[Source],
        embedding: Embeddings | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> Any:
        make = cls.from_images
        return await run_in_executor(None, make, uris, embedding, metadatas, **kwargs)
