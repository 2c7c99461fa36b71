"""Objects handed over in place of names: a model as LangChain embeddings, a store as its own."""

from __future__ import annotations

from pathlib import Path

from pixseek.encoders import Encoder, Options, load_encoder
from pixseek.errors import InvalidSetting
from pixseek.records import Space
from pixseek.stores import Store, open_store


class Given:
    """What a caller handed over, and the names that a library remembers it by."""

    def __init__(self, embeddings: object | None, vectorstore: object | None) -> None:
        """embeddings: with `embed_image`. vectorstore: LangChain's Chroma, InMemoryVectorStore."""
        self._encoder = None if embeddings is None else encoder_of(embeddings)
        self._vectorstore = vectorstore
        self.model = None if self._encoder is None else self._encoder.space.model
        self.store = None if vectorstore is None else _called(vectorstore)

    def names(self, model: str | None, store: str | None) -> tuple[str | None, str | None]:
        """Model and store by their names, of objects or as named.

        Raises InvalidSetting when something is both named and handed over.
        """
        for setting, named, given in (("model", model, self.model), ("store", store, self.store)):
            if named is not None and given is not None:
                expected = f"none beside the object that was given ({given})"
                raise InvalidSetting(setting, named, expected, "argument")
        return self.model or model, self.store or store

    def load(self, name: str, options: Options) -> Encoder:
        """The model of that name."""
        if self._encoder is not None and name == self.model:
            return self._encoder
        return load_encoder(name, options)

    def open(self, url: str, library: Path, space: Space | None) -> Store:
        """The store of that URL. Raises what `open_store` and `LangChainStore.over` raise."""
        if self._vectorstore is not None and url == self.store:
            from pixseek.stores.langchain import LangChainStore

            return LangChainStore.over(self._vectorstore, space)
        return open_store(url, library, space)


def encoder_of(embeddings: object) -> Encoder:
    """The model behind embeddings: pixseek's own have it; others are wrapped."""
    own = getattr(embeddings, "encoder", None)
    if own is not None and isinstance(getattr(own, "space", None), Space):
        encoder: Encoder = own
        return encoder
    from pixseek.encoders.langchain import LangChainEncoder

    return LangChainEncoder(embeddings)


def _called(vectorstore: object) -> str:
    from pixseek.stores.langchain import called

    return called(vectorstore)
