"""A face for LangChain: embeddings, a vector store, a retriever and a tool that know pictures.

    from pixseek.langchain import PixseekVectorStore

    photos = PixseekVectorStore(store="local:./image_index")
    photos.add_images(["beach.jpg", "dog.jpg"])
    photos.similarity_search("a day at the sea", k=1)

docs/langchain.md teaches it. Nothing else of pixseek imports LangChain.
"""

from __future__ import annotations

from importlib.util import find_spec

from pixseek.errors import MissingExtra

if find_spec("langchain_core") is None:
    raise MissingExtra("pixseek.langchain", "langchain")

from pixseek.langchain.compatible import Chroma, OpenCLIPEmbeddings
from pixseek.langchain.content import image_content_blocks
from pixseek.langchain.embeddings import PixseekEmbeddings
from pixseek.langchain.retriever import ImageRetriever, image_search_tool
from pixseek.langchain.vectorstore import PixseekVectorStore

__all__ = [
    "Chroma",
    "ImageRetriever",
    "OpenCLIPEmbeddings",
    "PixseekEmbeddings",
    "PixseekVectorStore",
    "image_content_blocks",
    "image_search_tool",
]
