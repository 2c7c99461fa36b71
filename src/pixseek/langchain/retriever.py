"""A library as a retriever for chains, and as a tool for agents."""

from __future__ import annotations

import os
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import run_in_executor
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, ConfigDict, Field

from pixseek.engine import ImageSearchEngine, ImageSource, Query, is_url
from pixseek.errors import FetchNotAllowed, PixseekError, UnknownItem
from pixseek.langchain.content import MAX_PIXELS, image_content_blocks
from pixseek.langchain.documents import document
from pixseek.records import Hit, Where


class ImageRetriever(BaseRetriever):
    """The pictures of a library that show what is asked for, as documents.

    Their page_content is the caption or the file name; the metadata has `path`, `score` and what
    the file says of itself; never the picture. `invoke("a dog")` asks by words,
    `invoke("", image="dog.jpg")` by a picture, `invoke("in the snow", image="dog.jpg")` by both. A
    Query (docs/query.md) can be given in place of the words.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    engine: ImageSearchEngine
    k: int = 4
    """At most so many."""
    where: dict[str, Any] | None = None
    """Only pictures whose metadata passes (docs/filters.md)."""
    min_score: float | None = None
    """-1 to 1."""
    syntax: bool = False
    """Whether words are a line of the query language, and not plain words."""

    def _get_relevant_documents(
        self,
        query: str | Query,
        *,
        run_manager: CallbackManagerForRetrieverRun | None = None,  # noqa: ARG002  LangChain's
        image: ImageSource | None = None,
        k: int | None = None,
        where: Where | None = None,
        min_score: float | None = None,
    ) -> list[Document]:
        if self.syntax and isinstance(query, str) and query.strip():
            query = Query.parse(query)
        hits = self.engine.search(
            query,
            image=image,
            k=self.k if k is None else k,
            where=self.where if where is None else where,
            min_score=self.min_score if min_score is None else min_score,
        )
        return [_scored(hit) for hit in hits]

    async def _aget_relevant_documents(
        self,
        query: str | Query,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002  LangChain's
        **kwargs: Any,
    ) -> list[Document]:
        return await run_in_executor(None, self._get_relevant_documents, query, **kwargs)


REFERENCE = Query.reference()


class ImageSearchInput(BaseModel):
    """What an agent says to search for pictures."""

    query: str = Field(description="What the pictures should show, in plain words.", min_length=1)
    syntax: bool = Field(
        default=False,
        description=(
            f"Whether `query` is a line of the query language, and not plain words. {REFERENCE}"
        ),
    )
    k: int = Field(default=4, description="How many pictures to find.", ge=1, le=50)
    where: dict[str, Any] | None = Field(
        default=None,
        description=(
            "Only pictures whose metadata passes this filter, in MongoDB's language, such as "
            '{"year": {"$gte": 2019}} or {"camera_make": "Canon"}. Fields: year, month, taken, '
            "camera_make, camera_model, width, height, orientation, folder, name, latitude, "
            "longitude."
        ),
    )


def image_search_tool(
    engine: ImageSearchEngine,
    *,
    name: str = "image_search",
    description: str = "Find pictures in the user's own library by what they show.",
    images: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> BaseTool:
    """A tool with which an agent searches a library.

    It answers with a list of paths and scores, and has the documents as its artifact. images: the
    answer has the pictures too, reduced to max_pixels, for models that can look at them.
    It takes plain words, or a line of the query language (docs/query.md), in which `like:` names
    pictures of the library: agents have no other file opened, and nothing fetched.
    A search that pixseek refuses is told to the agent in words, so that it can ask better.
    """

    def search(
        query: str, syntax: bool = False, k: int = 4, where: dict[str, Any] | None = None
    ) -> tuple[str | list[dict[str, Any]], list[Document]]:
        try:
            asked = _own(engine, Query.parse(query)) if syntax else query
            hits = engine.search(asked, k=k, where=where)
            blocks = image_content_blocks(hits, max_pixels=max_pixels) if images else []
        except PixseekError as error:
            raise ToolException(str(error)) from error
        text = "\n".join(f"{i}. {_line(hit)}" for i, hit in enumerate(hits, 1))
        told = text or "No picture was found."
        documents = [_scored(hit) for hit in hits]
        if not images:
            return told, documents
        return [{"type": "text", "text": told}, *map(dict, blocks)], documents

    return StructuredTool.from_function(
        search,
        name=name,
        description=description,
        args_schema=ImageSearchInput,
        response_format="content_and_artifact",
        handle_tool_error=True,
    )


def _own(engine: ImageSearchEngine, query: Query) -> Query:
    """The query, if the pictures that it names are the library's, by their id or path.

    Raises FetchNotAllowed, UnknownItem.
    """
    for name in map(str, query.pictures):
        if is_url(name):
            raise FetchNotAllowed(name, "agents search by pictures of the library only")
        path = os.path.abspath(name)  # noqa: PTH100  Path raises for names that are no path
        if not engine.items.fetch([name]) and not engine.items.of_files([path]):
            raise UnknownItem(name)
    return query


def _scored(hit: Hit) -> Document:
    found = document(hit)
    found.metadata["score"] = hit.score
    return found


def _line(hit: Hit) -> str:
    said = [f"score {hit.score:.2f}"]
    said += [f"{name} {hit.metadata[name]}" for name in ("year", "caption") if name in hit.metadata]
    return f"{hit.path} ({', '.join(said)})"
