"""A library opened: its manifest, its vectors and the model that made them, always of one set."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pixseek import lock
from pixseek.encoders import Encoder
from pixseek.errors import LibraryNotFound, ModelMismatch, StoreMismatch
from pixseek.manifest import Manifest
from pixseek.stores import Store, check_space, open_store

CREATION_S = 30.0
"""How long even a search waits while another process makes the library."""


@dataclass(frozen=True, slots=True)
class Current:
    """The set of vectors that answers: by which model it was made, and where it is kept."""

    model: str
    store: str
    """A store's URL."""


class Library:
    """Safe to use from threads. Another process may switch the library to another model: what was
    opened stays whole, and `refresh` follows."""

    def __init__(
        self,
        folder: Path,
        *,
        wanted: Current,
        create: bool,
        lock_timeout_s: float,
        load: Callable[[str], Encoder],
    ) -> None:
        """Open the library in the folder, or make it.

        wanted: what a new library gets. load: gives the encoder of a model's name.
        Raises LibraryNotFound when there is none and `create` is False; LibraryTooNew;
        LibraryDamaged; UnknownModel.
        """
        self.folder = folder
        self._load = load
        self._loading = threading.RLock()
        self._encoder: Encoder | None = None
        self._left: list[Store] = []
        self.manifest = Manifest(folder, create=create)
        self.base = self.manifest.base
        try:
            self.current = self._stamped() or wanted
            self.store = self._open_store(create, lock_timeout_s)
        except BaseException:
            self.manifest.close()
            raise

    def check(self, model: str | None, store: str | None) -> None:
        """Raise ModelMismatch or StoreMismatch unless the library is of these, where they are
        named."""
        if model not in (None, self.current.model):
            raise ModelMismatch(self.current.model, str(model))
        if store not in (None, self.current.store):
            raise StoreMismatch(self.current.store, str(store))

    @property
    def encoder(self) -> Encoder:
        """The model, loaded when first needed.

        Raises ModelMismatch when it is not the one that made the library's vectors.
        """
        with self._loading:
            if self._encoder is None:
                encoder = self._load(self.current.model)
                check_space(self.store.space, encoder.space)
                self._encoder = encoder
            return self._encoder

    def close(self) -> None:
        for store in (self.store, *self._left):
            store.close()
        self.manifest.close()

    def _stamped(self) -> Current | None:
        model, store = self.manifest.get("model"), self.manifest.get("store")
        return None if model is None or store is None else Current(model, store)

    def _open_store(self, create: bool, lock_timeout_s: float) -> Store:
        with suppress(LibraryNotFound):
            return open_store(self.current.store, self.folder, None)
        if not create:
            raise LibraryNotFound(self.folder)
        with lock.writing(self.folder, wait_s=max(lock_timeout_s, CREATION_S)):
            self.current = self._stamped() or self.current
            with suppress(LibraryNotFound):  # another process may have been faster
                return open_store(self.current.store, self.folder, None)
            self._encoder = self._load(self.current.model)
            self.manifest.stamp({"model": self.current.model, "store": self.current.store})
            # A new store has none of what the manifest may remember of one that was lost.
            self.manifest.forget_items()
            return open_store(self.current.store, self.folder, self._encoder.space)
