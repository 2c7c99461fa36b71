"""A library opened: its manifest, and the set of vectors that answers, with the model behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pixseek import lock
from pixseek.encoders import Encoder
from pixseek.errors import LibraryNotFound, ModelMismatch, PixseekError, StoreMismatch
from pixseek.files import is_within
from pixseek.manifest import Manifest, VectorSet
from pixseek.records import FolderStatus, LibraryStatus, Skipped, Space, Vector
from pixseek.stores import Store, check_space, open_store
from pixseek.stores.address import Address

if TYPE_CHECKING:
    from pixseek.ranking.statistics import Statistics

TEXTS_KEPT = 256
"""Vectors of the latest queries."""
CREATION_S = 30.0
"""How long even a search waits while another process makes the library."""


class Opened:
    """One set of vectors, opened: its store, and its model, loaded when first needed."""

    def __init__(
        self,
        stamp: VectorSet,
        store: Store,
        load: Callable[[str], Encoder],
        encoder: Encoder | None = None,
    ) -> None:
        self.stamp = stamp
        self.store = store
        self._load = load
        self._loading = threading.Lock()
        self._encoder = encoder
        self.usual: Statistics | None = None
        """What scores are usual, as far as it was looked at."""
        self._texts: dict[str, Vector] = {}

    @property
    def encoder(self) -> Encoder:
        """Raises ModelMismatch when it is not the one that made the vectors."""
        with self._loading:
            if self._encoder is None:
                encoder = self._load(self.stamp.model)
                check_space(self.store.space, encoder.space)
                self._encoder = encoder
            return self._encoder

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._encoder is not None

    def text_vector(self, text: str) -> Vector:
        """(d,) of a query; of the latest texts it is kept, as pages and counts ask for the same."""
        from pixseek.ranking.sentences import text_vector

        vector = self._texts.get(text)
        if vector is None:
            vector = text_vector(self.encoder, text)
            vector.flags.writeable = False
            with self._loading:
                self._texts[text] = vector
                while len(self._texts) > TEXTS_KEPT:
                    del self._texts[next(iter(self._texts))]
        return vector


class Library:
    """Safe to use from threads. Another process may switch it to another set of vectors: what was
    opened stays whole, and `opened` follows."""

    def __init__(
        self,
        folder: Path,
        *,
        wanted: Callable[[], tuple[VectorSet, Encoder]],
        create: bool,
        lock_timeout_s: float,
        load: Callable[[str], Encoder],
        open: Callable[[str, Path, Space | None], Store] = open_store,
    ) -> None:
        """Open the library in the folder, or make it.

        wanted: what a new library gets. load: gives the encoder of a model's name.
        open: opens a store by its URL.
        Raises LibraryNotFound when there is none and `create` is False; LibraryTooNew;
        LibraryDamaged; UnknownModel.
        """
        self.folder = folder
        self._load = load
        self._open_store = open
        self._opening = threading.Lock()
        self._left: list[Opened] = []
        self.manifest = Manifest(folder, create=create)
        self.base = self.manifest.base
        try:
            self._opened = self._open() or self._make(wanted, create, lock_timeout_s)
        except BaseException:
            self.manifest.close()
            raise

    def check(self, model: str | None, store: str | None) -> None:
        """Raise ModelMismatch or StoreMismatch unless the library is of these, where named."""
        stamp = self.opened().stamp
        if model not in (None, stamp.model):
            raise ModelMismatch(stamp.model, str(model))
        if store is not None and store != stamp.store:
            shown = [Address.parse(url).without_secrets for url in (stamp.store, store)]
            raise StoreMismatch(*shown)

    def opened(self) -> Opened:
        """The set that answers now, opened."""
        with self._opening:
            if not self.answers(self._opened) and (new := self._open()) is not None:
                self._left.append(self._opened)  # others may be searching in it
                self._opened = new
            return self._opened

    def answers(self, one: Opened) -> bool:
        """Whether a set is still the one that answers: another process may have switched."""
        return self.manifest.current() in (None, one.stamp)

    def usual(self, one: Opened) -> Statistics:
        """What scores are usual in a set of vectors: as it was kept, or taken now.

        It is kept if that can be done at once: a search never waits for who is writing.
        """
        from pixseek.ranking.statistics import Statistics, taken

        items, fingerprint = one.store.count(), one.store.space.fingerprint
        if one.usual is None and (kept := self.manifest.statistics(fingerprint)) is not None:
            with suppress(ValueError, OSError, KeyError, EOFError):  # another version's, perhaps
                one.usual = Statistics.from_bytes(kept)
        if one.usual is None or not one.usual.fits(items):
            one.usual = taken(one.store, one.encoder, one.usual)
            with suppress(PixseekError, OSError), lock.writing(self.folder, wait_s=0):
                self.manifest.keep_statistics(fingerprint, one.usual.to_bytes())
        return one.usual

    def look_at_scores(self) -> None:
        """Have `usual` at hand before a search needs it; what fails now is met again there."""
        with suppress(PixseekError):
            self.usual(self.opened())

    def adopt(self, new: Opened, *, keep: bool) -> None:
        """Let a set answer from now on, and keep the other or not. The writer lock must be held."""
        with self._opening:
            self.manifest.make_current(new.stamp, "kept" if keep else "leaving")
            if new is not self._opened:
                self._left.append(self._opened)
                self._opened = new

    def status(self) -> LibraryStatus:
        """What the library holds now."""
        opened = self.opened()
        model = opened.stamp.model
        kept, building = self.manifest.sets("kept"), self.manifest.sets("building")
        known = self.manifest.known()
        indexed = [path for path, one in known.items() if one.item is not None]
        folders = [
            FolderStatus(
                path=Path(folder),
                files=sum(is_within(path, folder) for path in indexed),
                present=Path(folder).is_dir(),
            )
            for folder in self.manifest.folders("included")
        ]
        return LibraryStatus(
            path=self.folder,
            store=Address.parse(opened.stamp.store).without_secrets,
            space=opened.store.space,
            items=opened.store.count(),
            files=len(indexed),
            folders=folders,
            skipped=[
                Skipped(Path(path), one.skipped)
                for path, one in sorted(known.items())
                if one.skipped is not None
            ],
            size_bytes=_size(self.folder),
            writer=lock.holder(self.folder),
            patterns=self.manifest.patterns(),
            kept=[one.model for one in kept if one.model != model],
            elsewhere=[
                Address.parse(one.store).without_secrets
                for one in [*kept, *building]
                if one.model == model
            ],
            building=[one.model for one in building if one.model != model],
        )

    def close(self) -> None:
        for one in (self._opened, *self._left):
            one.store.close()
        self.manifest.close()

    def _open(self) -> Opened | None:
        """What the library says it has, or None when it is not there."""
        stamp = self.manifest.current()
        if stamp is None:
            return None
        with suppress(LibraryNotFound):
            return Opened(stamp, self._open_store(stamp.store, self.folder, None), self._load)
        return None

    def _make(
        self,
        wanted: Callable[[], tuple[VectorSet, Encoder]],
        create: bool,
        lock_timeout_s: float,
    ) -> Opened:
        if not create:
            raise LibraryNotFound(self.folder)
        with lock.writing(self.folder, wait_s=max(lock_timeout_s, CREATION_S)):
            made = self._open()  # another process may have been faster
            if made is not None:
                return made
            lost = self.manifest.current()  # its store is gone
            stamp, encoder = (lost, self._load(lost.model)) if lost else wanted()
            # A new store has none of what the manifest may remember of one that was lost.
            self.manifest.forget_items()
            store = self._open_store(stamp.store, self.folder, encoder.space)
            # Only now: a URL with which nothing can be opened is not kept.
            self.manifest.make_current(stamp, "leaving")
            return Opened(stamp, store, self._load, encoder)


def _size(folder: Path) -> int:
    """Bytes of the files in a folder; they may come and go while it is looked at."""
    total = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total
