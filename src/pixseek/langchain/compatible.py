"""Names and parameters that code written for LangChain's own classes uses.

They are pixseek's classes: code that imported `OpenCLIPEmbeddings` from langchain_experimental and
`Chroma` from langchain_chroma, and stores documents that name pictures, runs with these in their
place and finds the pictures. What is stored is a real collection of Chroma that LangChain's class
can open.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from langchain_core.embeddings import Embeddings

from pixseek import settings
from pixseek.engine import MODELS, ImageSource
from pixseek.errors import MissingExtra
from pixseek.langchain.embeddings import PixseekEmbeddings
from pixseek.langchain.searches import Scored
from pixseek.langchain.vectorstore import PixseekVectorStore


class OpenCLIPEmbeddings(PixseekEmbeddings):
    """`PixseekEmbeddings` by the parameters of langchain_experimental's OpenCLIPEmbeddings."""

    def __init__(
        self,
        model_name: str | None = None,
        checkpoint: str = "laion2b_s32b_b79k",
        *,
        model: str | None = None,
        options: settings.Settings | None = None,
    ) -> None:
        """model_name, checkpoint: as OpenCLIP names weights; without, the default model is used
            (there it is one of 986 million parameters).
        model: a name of `pixseek models`, in place of both. So does the setting `model`, with
            which a program runs where the weights that it names cannot be had.
        """
        chosen = options or settings.load()
        named = None if model_name is None else model_called(model_name, checkpoint)
        super().__init__(model or chosen.model or named, options=chosen)


def model_called(model_name: str, checkpoint: str) -> str:
    """The model with these weights: its name in the catalog, or else where OpenCLIP has them."""
    wanted = _spelt(f"{model_name}--{checkpoint}")
    for model in MODELS.values():
        if _spelt(model.source.partition("/")[2].replace("/", "--")) == wanted:
            return model.name
    weights = f"{model_name}/{checkpoint}"
    return _ELSEWHERE.get(weights, f"open_clip:{weights}")


_ELSEWHERE = {
    "ViT-B-32-256/datacomp_s34b_b86k": "openclip-vit-b-32-256",
    "MobileCLIP2-S0/dfndr2b": "mobileclip2-s0",
    "MobileCLIP2-S2/dfndr2b": "mobileclip2-s2",
}
"""Weights whose repository on the hub is not called as OpenCLIP calls them."""


def _spelt(name: str) -> str:
    return name.lower().replace("_", "-")


class Chroma(PixseekVectorStore):
    """`PixseekVectorStore` in a collection of Chroma, by the parameters of langchain_chroma's."""

    def __init__(
        self,
        collection_name: str = "langchain",
        embedding_function: Embeddings | None = None,
        persist_directory: str | None = None,
        host: str | None = None,
        port: int | None = None,
        headers: Mapping[str, str] | None = None,
        client: Any = None,
        *,
        ssl: bool = False,
        embedding: Embeddings | None = None,
    ) -> None:
        """persist_directory: a folder; or host, of a server; or client, made by chromadb. With none
            of them it lives as long as the process.
        A collection that is new measures by cosine; what scores say is the same with any.
        Raises MissingExtra when chromadb is not installed; ModelMismatch.
        """
        if client is None:
            client = _client(persist_directory, host, port, headers, ssl=ssl)
        cosine = {"hnsw": {"space": "cosine"}}
        collection = client.get_or_create_collection(
            collection_name, embedding_function=None, configuration=cosine
        )
        super().__init__(embedding_function or embedding, store=collection)

    def similarity_search_by_image_with_relevance_score(
        self, uri: ImageSource, k: int = 4, **kwargs: Any
    ) -> Scored:
        """As `similarity_search_by_image_with_relevance_scores`, by the name it has there."""
        return self.similarity_search_by_image_with_relevance_scores(uri, k, **kwargs)


def _client(
    folder: str | None,
    host: str | None,
    port: int | None,
    headers: Mapping[str, str] | None,
    *,
    ssl: bool,
) -> Any:
    try:
        import chromadb
    except ModuleNotFoundError as error:
        raise MissingExtra("Chroma", "chroma") from error
    # With its own default settings: chromadb refuses to serve one place with two kinds of them, and
    # the program may use it by itself. (From 1.5.9 on, none of them sends anything anywhere.)
    if folder is not None:
        # Whole, as chromadb takes two folders of one relative name for the same.
        return chromadb.PersistentClient(os.path.abspath(folder))  # noqa: PTH100  keeps links
    if host is not None:
        sent = None if headers is None else dict(headers)
        return chromadb.HttpClient(host, port or 8000, ssl, sent)
    return chromadb.EphemeralClient()
