"""`PixseekVectorStore`: a LangChain vector store in which documents may be pictures."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from pixseek.collection import Wanted
from pixseek.engine import ImageSearchEngine, Source, open_items, unit
from pixseek.errors import InvalidFilter, InvalidMetadata, InvalidQuery
from pixseek.langchain.asynchronous import Asynchronous
from pixseek.langchain.documents import document, kept, picture_of, text_id
from pixseek.langchain.embeddings import PixseekEmbeddings
from pixseek.langchain.searches import Searches, none_left
from pixseek.records import TEXT_FIELD, Item, Metadata, Skipped, Where, text_of

logger = logging.getLogger("pixseek.langchain")

_T = TypeVar("_T")


class PixseekVectorStore(Asynchronous, Searches):
    """Documents and their vectors, in any store of pixseek or in a library.

    A document whose metadata names a picture file stands for what the picture shows; any other for
    its text. Scores are cosine similarity, -1 to 1, higher is nearer. Those of a text with pictures
    are much lower than those of a text with texts: keep pictures and texts in stores of their own,
    or choose by a filter.
    """

    def __init__(
        self,
        embedding: Embeddings | None = None,
        *,
        store: str | object = "memory",
        library: Source | None = None,
        relevance_score_fn: Callable[[float], float] | None = None,
    ) -> None:
        """Open a store or a library, or make it.

        embedding: None takes the library's model, or `PixseekEmbeddings()`. Others than pixseek's
            own can store texts, and pictures if they have `embed_image`.
        store: its URL, or LangChain's Chroma or InMemoryVectorStore, whose vectors are then
            written by this class.
        library: the folder of a library, in place of a store; it holds pictures only.
        relevance_score_fn: score of a text and a picture → relevance, 0 to 1; None takes what is
            known of the model.
        Raises ModelMismatch when it holds vectors of another model; what opening a store raises.
        """
        if library is not None:
            engine = ImageSearchEngine(library, embeddings=embedding)
            embedding = embedding or PixseekEmbeddings.of(engine.encoder)
            self._items, self.close = engine.items, engine.close
        else:
            embedding = embedding or PixseekEmbeddings()
            opened = open_items(store, embeddings=embedding)
            self._items, self.close = opened, opened.close
        self._embedding = embedding
        self._relevance = relevance_score_fn
        self.skipped: list[Skipped] = []
        """Files that this object was given to add and could not read, and why."""

    @property
    def embeddings(self) -> Embeddings:
        """What turns texts into vectors."""
        return self._embedding

    # Adding

    def add_images(
        self,
        uris: Iterable[Source],
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """Encode picture files, upright, and keep them with what they say of themselves.

        metadatas: one a file; goes before what the file says. ids: one a file; None takes the
            identity of the content, so that adding a file twice is adding it once. Of one that
            is there already, fields that are not named stay.
        Returns the ids of what was stored, in order. A file that cannot be read is passed over,
        and named in `skipped` and in a warning of the log.
        """
        files = [Wanted(os.fspath(uri), {}) for uri in uris]
        said = _as_many(metadatas, "metadatas", len(files)) or [{}] * len(files)
        own = _as_many(ids, "ids", len(files)) or [None] * len(files)
        for file, metadata, id in zip(files, said, own, strict=True):
            file.metadata, file.id = kept(file.path, metadata), id
        return self._keep(files, {})

    def add_documents(
        self,
        documents: list[Document],
        ids: Sequence[str | None] | None = None,
        *,
        batch_size: int | None = None,  # noqa: ARG002  LangChain's index() says one
        **kwargs: Any,
    ) -> list[str]:
        """Keep documents: those that name a picture file by what it shows, others by their text.

        A picture is named in the metadata, in `path`, `image_path`, `source` or `uri`; the text
        of such a document is kept as its caption. ids go before the documents' own; without,
        an id is the identity of the content. Returns as `add_images` does.
        """
        none_left(kwargs)
        own = _as_many(ids, "ids", len(documents)) or [one.id for one in documents]
        files: list[Wanted | None] = []
        texts: dict[int, tuple[str, Metadata]] = {}
        for i, (one, id) in enumerate(zip(documents, own, strict=True)):
            metadata = kept(id or f"number {i}", one.metadata)
            path = picture_of(one.metadata, one.page_content)
            if path is not None:
                if one.page_content:
                    metadata.setdefault("caption", one.page_content)
                files.append(Wanted(path, metadata, id))
                continue
            if not one.page_content.strip():
                expected = "a text, or a picture file that the metadata names, such as in 'path'"
                raise InvalidMetadata(id or f"number {i}", TEXT_FIELD, one.page_content, expected)
            files.append(None)
            texts[i] = id or text_id(one.page_content, metadata), metadata
        vectors = self._embedding.embed_documents([documents[i].page_content for i in texts])
        items = {
            i: Item(id, unit(vector), {**metadata, TEXT_FIELD: documents[i].page_content})
            for (i, (id, metadata)), vector in zip(texts.items(), vectors, strict=True)
        }
        return self._keep(files, items)

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """As `add_documents`, with texts and metadata apart."""
        given = list(texts)
        said = _as_many(metadatas, "metadatas", len(given)) or [{}] * len(given)
        documents = [
            Document(page_content=text, metadata=dict(metadata))
            for text, metadata in zip(given, said, strict=True)
        ]
        return self.add_documents(documents, ids, **kwargs)

    def _keep(self, files: Sequence[Wanted | None], items: Mapping[int, Item]) -> list[str]:
        """Store files, and items in the places where there is no file; the ids, in order."""
        wanted = [file for file in files if file is not None]
        self._items.add(list(items.values()))
        self._items.add_files(wanted)
        lost = [Skipped(Path(one.path), one.skipped) for one in wanted if one.skipped is not None]
        for one in lost:
            logger.warning("not added: %s: %s", one.path, one.reason)
        self.skipped += lost
        found = [items[i].id if file is None else file.id for i, file in enumerate(files)]
        gone = [file is not None and file.skipped is not None for file in files]
        return [id for id, left in zip(found, gone, strict=True) if id is not None and not left]

    # Changing

    def update_documents(self, ids: Sequence[str], documents: Sequence[Document]) -> None:
        """Change documents. A vector is made again only where the text or the picture is another.

        Fields of the metadata that are not named stay; None takes one out.
        """
        _as_many(ids, "ids", len(documents))
        known = {item.id: item.metadata for item in self._items.fetch(ids)}
        again: dict[str, Document] = {}
        changes: dict[str, dict[str, Any]] = {}
        for id, one in zip(ids, documents, strict=True):
            if id not in known or _is_another(known[id], one):
                again[id] = one
                continue
            kept(id, one.metadata)
            changes[id] = dict(one.metadata)
            if one.page_content not in ("", text_of(id, known[id])):
                changes[id].setdefault("caption", one.page_content)
        if again:
            self.add_documents(list(again.values()), list(again))
        self._items.update_metadata(changes)

    def update_document(self, document_id: str, document: Document) -> None:
        """As `update_documents`, for one."""
        self.update_documents([document_id], [document])

    def update_metadata(self, ids: Sequence[str], metadatas: Sequence[Mapping[str, Any]]) -> int:
        """Set fields of documents and keep their vectors; None takes a field out.

        Returns how many of the ids are there.
        """
        _as_many(metadatas, "metadatas", len(ids))
        for id, metadata in zip(ids, metadatas, strict=True):
            kept(id, metadata)
        return self._items.update_metadata(dict(zip(ids, metadatas, strict=True)))

    def delete(
        self,
        ids: Sequence[str] | None = None,
        *,
        filter: Where | None = None,
        **kwargs: Any,
    ) -> bool:
        """Take out documents by id, by filter, or both. Ids that are not there are passed over.

        Raises InvalidFilter when neither is given: it would take out everything.
        """
        none_left(kwargs)
        if ids is None and not filter:
            raise InvalidFilter(filter, "an empty filter would remove everything; name the ids")
        self._items.delete(ids or [], filter)
        return True

    # Looking up

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids that are there, in the order asked for."""
        return [document(item) for item in self._items.fetch(ids)]

    # Making

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A vector store with these texts in it. kwargs: as for the class itself."""
        made = cls(embedding=embedding, **kwargs)
        made.add_texts(texts, metadatas, ids=ids)
        return made

    @classmethod
    def from_documents(
        cls,
        documents: list[Document],
        embedding: Embeddings | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A vector store with these documents in it. kwargs: as for the class itself."""
        made = cls(embedding=embedding, **kwargs)
        made.add_documents(documents, ids)
        return made

    @classmethod
    def from_images(
        cls,
        uris: Iterable[Source],
        embedding: Embeddings | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A vector store with these pictures in it. kwargs: as for the class itself."""
        made = cls(embedding=embedding, **kwargs)
        made.add_images(uris, metadatas, ids)
        return made


def _as_many(given: Sequence[_T] | None, name: str, n: int) -> list[_T] | None:
    """Raises InvalidQuery unless there is one for each of n, or none at all."""
    if given is None:
        return None
    if len(given) != n:
        raise InvalidQuery(f"there are {len(given)} {name} for {n} documents; expected one each.")
    return list(given)


def _is_another(known: Metadata, new: Document) -> bool:
    """Whether a document's vector has to be made again."""
    if TEXT_FIELD in known:
        return new.page_content != known[TEXT_FIELD]
    before, after = picture_of(known), picture_of(new.metadata)
    return after is not None and (
        before is None or Path(before).absolute() != Path(after).absolute()
    )
