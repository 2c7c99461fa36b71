"""LangChain's own suites for what integrations must do, inherited whole: nothing is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import chromadb
import pytest
from langchain_core.tools import BaseTool
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    ToolsIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests, ToolsUnitTests
from tests.conftest import Paint

from pixseek import ImageSearchEngine
from pixseek.langchain import (
    Chroma,
    ImageRetriever,
    OpenCLIPEmbeddings,
    PixseekEmbeddings,
    PixseekVectorStore,
    image_search_tool,
)

MODEL: dict[str, Any] = {"model": "pocket"}


class TestVectorStoreInMemory(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> VectorStore:
        return PixseekVectorStore(self.get_embeddings(), store="memory")


class TestVectorStoreOnDisk(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        store = PixseekVectorStore(self.get_embeddings(), store=f"local:{tmp_path / 'documents'}")
        yield store
        store.close()


class TestVectorStoreOfLangChain(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> VectorStore:
        embeddings = self.get_embeddings()
        return PixseekVectorStore(embeddings, store=InMemoryVectorStore(embeddings))


class TestChroma(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorStore]:
        client = chromadb.EphemeralClient()
        name = f"standard-{uuid4()}"
        yield Chroma(name, self.get_embeddings(), client=client)
        client.delete_collection(name)


class TestEmbeddings(EmbeddingsIntegrationTests):
    embeddings_class = PixseekEmbeddings
    embedding_model_params = MODEL


class TestEmbeddingsAlone(EmbeddingsUnitTests):
    embeddings_class = PixseekEmbeddings
    embedding_model_params = MODEL


class TestOpenCLIPEmbeddings(EmbeddingsIntegrationTests):
    embeddings_class = OpenCLIPEmbeddings
    embedding_model_params = MODEL


@pytest.fixture
def colours(engine: ImageSearchEngine, paint: Paint, photos: Path) -> ImageSearchEngine:
    for name in ("red", "green", "blue", "white"):
        paint(f"{name}.png", name)
    engine.index_images(photos)
    return engine


class TestRetriever(RetrieversIntegrationTests):
    retriever_constructor = ImageRetriever
    retriever_query_example = "a red car"

    @pytest.fixture(autouse=True)
    def filled(self, colours: ImageSearchEngine) -> None:
        self.engine = colours

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"engine": self.engine}


class TestTool(ToolsUnitTests):
    tool_constructor_params: ClassVar[dict[str, Any]] = {}
    tool_invoke_params_example: ClassVar[dict[str, Any]] = {"query": "a red car", "k": 2}

    @pytest.fixture(autouse=True)
    def filled(self, colours: ImageSearchEngine) -> None:
        self.engine = colours

    @property
    def tool_constructor(self) -> BaseTool:
        return image_search_tool(self.engine)


class TestToolAtWork(ToolsIntegrationTests):
    tool_constructor_params: ClassVar[dict[str, Any]] = {}
    tool_invoke_params_example: ClassVar[dict[str, Any]] = {
        "query": "a red car",
        "where": {"width": {"$gte": 1}},
    }

    @pytest.fixture(autouse=True)
    def filled(self, colours: ImageSearchEngine) -> None:
        self.engine = colours

    @property
    def tool_constructor(self) -> BaseTool:
        return image_search_tool(self.engine, images=True)
