"""The searches of `PixseekVectorStore`: by text, vector and picture, as LangChain names them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables.config import run_in_executor
from langchain_core.vectorstores import VectorStore

from pixseek.collection import Items
from pixseek.engine import (
    ImageSource,
    Query,
    by_relevance,
    calibration,
    encode_sources,
    unit,
)
from pixseek.errors import InvalidQuery
from pixseek.langchain.documents import document
from pixseek.records import TEXT_FIELD, Hit, Vector, Where

Scored: TypeAlias = list[tuple[Document, float]]


class Searches(VectorStore):
    """The half of `PixseekVectorStore` that only reads."""

    _items: Items
    _embedding: Embeddings
    _relevance: Callable[[float], float] | None

    def similarity_search(self, query: str | Query, k: int = 4, **kwargs: Any) -> list[Document]:
        """The k documents nearest to a text; see `similarity_search_with_score`."""
        return [one for one, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str | Query, k: int = 4, *, syntax: bool = False, **kwargs: Any
    ) -> Scored:
        """The k documents nearest to a text, with their scores (cosine), nearest first.

        query: a text, in which nothing is syntax, or a Query (docs/query.md), whose best come
            first: words that a picture has count beside its score.
        syntax: whether a text is a line of the query language; raises QueryNotUnderstood.
        filter: only those whose metadata passes, in the language of docs/filters.md.
        min_score: -1 to 1.
        """
        return _scored(self._search(self._read(query, syntax=syntax), k, **kwargs))

    def similarity_search_by_vector(
        self, embedding: Sequence[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """The k documents nearest to a vector of any length above 0."""
        return [document(hit) for hit in self._search(unit(embedding), k, **kwargs)]

    def similarity_search_by_image(
        self, uri: ImageSource, k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """The k documents most like a picture: a path, a file's bytes or a Pillow image."""
        return [one for one, _ in self.similarity_search_by_image_with_score(uri, k, **kwargs)]

    def similarity_search_by_image_with_score(
        self, uri: ImageSource, k: int = 4, **kwargs: Any
    ) -> Scored:
        """As `similarity_search_by_image`, with scores (cosine)."""
        return _scored(self._search(self._of_image(uri), k, **kwargs))

    def similarity_search_by_image_with_relevance_scores(
        self, uri: ImageSource, k: int = 4, **kwargs: Any
    ) -> Scored:
        """As `similarity_search_by_image`, with scores below 0 given as 0."""
        found = self.similarity_search_by_image_with_score(uri, k, **kwargs)
        return [(one, _share(score)) for one, score in found]

    def _similarity_search_with_relevance_scores(
        self, query: str | Query, k: int = 4, *, syntax: bool = False, **kwargs: Any
    ) -> Scored:
        """How likely a picture shows what the text says, 0 to 1: its match (docs/ranking.md).

        Of documents that are texts, the score, below 0 as 0. What a Query of conditions only
        chooses is what was asked for: 1.
        """
        asked = self._read(query, syntax=syntax)
        hits = self._search(asked, k, **kwargs)
        if isinstance(asked, Query) and all(hit.match is None for hit in hits):
            return [(document(hit), 1.0) for hit in hits]
        if self._relevance is not None:
            relevant = [self._relevance(hit.score) for hit in hits]
        elif isinstance(asked, Query):
            relevant = [hit.match or 0.0 for hit in hits]
        else:
            relevant = self._items.matches(asked, hits)
        found = [
            (document(hit), _share(hit.score if TEXT_FIELD in hit.metadata else one))
            for hit, one in zip(hits, relevant, strict=True)
        ]
        return sorted(found, key=lambda one: -one[1])

    async def _asimilarity_search_with_relevance_scores(
        self, query: str | Query, k: int = 4, **kwargs: Any
    ) -> Scored:
        search = self._similarity_search_with_relevance_scores
        return await run_in_executor(None, search, query, k, **kwargs)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        if self._relevance is not None:
            return self._relevance
        return calibration(self._items.encoder.space.model).relevance

    def max_marginal_relevance_search(
        self,
        query: str | Query,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        syntax: bool = False,
        **kwargs: Any,
    ) -> list[Document]:
        """Of the fetch_k nearest to a text, k that differ, in the order in which they are chosen.

        lambda_mult: 1 asks for nearness only, 0 for diversity. query, syntax: see
        `similarity_search_with_score`.
        """
        asked = self._read(query, syntax=syntax)
        return self._diverse(asked, k, fetch_k, lambda_mult, **kwargs)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """As `max_marginal_relevance_search`, by a vector."""
        return self._diverse(unit(embedding), k, fetch_k, lambda_mult, **kwargs)

    def max_marginal_relevance_search_by_image(
        self,
        uri: ImageSource,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """As `max_marginal_relevance_search`, by a picture."""
        return self._diverse(self._of_image(uri), k, fetch_k, lambda_mult, **kwargs)

    def _diverse(
        self, asked: Vector | Query, k: int, fetch_k: int, lambda_mult: float, **kwargs: Any
    ) -> list[Document]:
        hits = self._search(asked, max(k, fetch_k), **kwargs)
        items = {item.id: item for item in self._items.fetch([hit.id for hit in hits])}
        hits = [hit for hit in hits if hit.id in items]
        if not hits:
            return []
        vectors = np.stack([items[hit.id].vector for hit in hits])
        worth = np.array(
            [hit.score if hit.worth is None else hit.worth for hit in hits], np.float32
        )
        return [document(hits[i]) for i in by_relevance(worth, vectors, k, lambda_mult)]

    def _search(
        self,
        asked: Vector | Query,
        k: int,
        *,
        filter: Where | None = None,
        min_score: float | None = None,
        **kwargs: Any,
    ) -> list[Hit]:
        none_left(kwargs)
        if k < 1:
            raise InvalidQuery(f"k is {k}; expected at least 1.")
        if isinstance(asked, Query):
            return self._items.ask(asked, k, where=filter, min_score=min_score)
        return self._items.search(asked, k, where=filter, min_score=min_score)

    def _read(self, query: str | Query, *, syntax: bool) -> Vector | Query:
        """What is to be searched for. Raises QueryNotUnderstood, InvalidQuery."""
        if isinstance(query, Query):
            return query
        return Query.parse(query) if syntax else self._of_text(query)

    def _of_text(self, query: str) -> Vector:
        if not query.strip():
            raise InvalidQuery("the query is empty; expected words.")
        return unit(self._embedding.embed_query(query))

    def _of_image(self, uri: ImageSource) -> Vector:
        vector: Vector = encode_sources(self._items.encoder, [uri])[0]
        return vector


def none_left(kwargs: Mapping[str, Any]) -> None:
    """Raise TypeError for arguments that nothing here knows: a misspelt filter is none."""
    if kwargs:
        raise TypeError(
            f"unknown arguments: {', '.join(kwargs)}; expected filter, min_score or syntax"
        )


def _scored(hits: Iterable[Hit]) -> Scored:
    return [(document(hit), hit.score) for hit in hits]


def _share(score: float) -> float:
    return min(1.0, max(0.0, score))
