"""`ImageSearchEngine`: files in, hits out. The main path of pixseek, top to bottom."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from pixseek import inventory, lock, settings, sync
from pixseek.encoders import DEFAULT_MODEL, Encoder, load_encoder
from pixseek.encoders.calibration import calibration
from pixseek.encoders.catalog import MODELS
from pixseek.errors import InvalidFilter, PixseekError
from pixseek.files import absolute
from pixseek.formats import EXTENSIONS
from pixseek.given import Given, encoder_of
from pixseek.ignoring import check_patterns
from pixseek.library import Library
from pixseek.manifest import VectorSet
from pixseek.metadata import FIELDS
from pixseek.opening import addressed, bounds, limits, load_model, named, open_items
from pixseek.query import searching
from pixseek.query.tree import ImageSource, Query
from pixseek.query.vectors import encode_sources, read_picture, unit
from pixseek.ranking import Wanted, stands_out
from pixseek.ranking.diversity import by_relevance
from pixseek.records import (
    DescribeReport,
    Hit,
    IndexReport,
    LibraryStatus,
    MoveReport,
    OnFetch,
    OnProgress,
    Skipped,
    SwitchReport,
    Vector,
    Where,
)
from pixseek.stores.filters import from_json, parse
from pixseek.sync import Source
from pixseek.urls import is_url

if TYPE_CHECKING:
    from typing import Self

    from pixseek.collection import LibraryItems
    from pixseek.indexing import Indexer
    from pixseek.overview import Overview
    from pixseek.thumbnails import Thumbnails
    from pixseek.words import Describer

__all__ = ["DEFAULT_MODEL", "EXTENSIONS", "FIELDS", "MODELS", "Encoder", "ImageSearchEngine"]
__all__ += ["ImageSource", "Query", "Source", "calibration", "encode_sources", "encoder_of"]
__all__ += ["by_relevance", "is_url", "load_model", "open_items", "read_picture", "stands_out"]
__all__ += ["from_json", "unit"]


class ImageSearchEngine:
    """A library of pictures, and the ways to fill and search it. Safe to use from threads."""

    def __init__(
        self,
        library: Source | None = None,
        *,
        model: str | None = None,
        store: str | None = None,
        embeddings: object | None = None,
        vectorstore: object | None = None,
        create: bool = True,
        on_fetch: OnFetch = lambda _: None,
        options: settings.Settings | None = None,
    ) -> None:
        """Open a library, or make it.

        library: its folder; None takes the one in the settings, by default the user's own.
        model: a name of `pixseek models`; None takes the library's, or for a new one the one in the
            settings, or else the best that is on this machine. One that is named for a new library
            and is not here is fetched.
        store: where vectors are kept, as a URL; None takes the library's, or `local`.
        on_fetch: called while a model is fetched, on the calling thread.
        embeddings, vectorstore: objects of LangChain in place of model and store, used as they
            are: embeddings with `embed_image`; its Chroma or InMemoryVectorStore.
        options: settings already read; None reads them.
        Raises LibraryNotFound when there is none and `create` is False; ModelMismatch when the
        library was made with another model or store; LibraryTooNew; LibraryDamaged; UnknownModel;
        ModelNotFetched.
        """
        self._settings = options or settings.load()
        folder = os.path.expanduser(library or self._settings.library)  # noqa: PTH111  see _listed
        self._writing = threading.RLock()
        self._options = inventory.options(self._settings)
        self.is_new = False
        """Whether this made the library."""
        given = Given(embeddings, vectorstore)
        model, store = given.names(model, store)
        model = None if model is None else named(model)
        store = None if store is None else addressed(store)
        self._library = Library(
            Path(os.path.abspath(folder)),  # noqa: PTH100  keeps symlinks
            wanted=lambda: self._new_set(given, model, store, on_fetch),
            create=create,
            lock_timeout_s=self._settings.lock_timeout_s,
            load=lambda name: given.load(name, self._options),
            open=given.open,
        )
        try:
            self._library.check(model, store)
        except PixseekError:
            self.close()
            raise

    @property
    def library(self) -> Path:
        """The library's folder."""
        return self._library.folder

    # Filling

    def index_images(
        self,
        images: Source | Iterable[Source] | None = None,
        *,
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
        on_progress: OnProgress = lambda _: None,
        on_wait: Callable[[str], None] | None = None,
    ) -> IndexReport:
        """Bring the library in step with files and folders: what is new, changed, moved or gone.

        images: a file, a folder (everything below it, and kept in step from now on), or a mix;
            None brings everything in the library in step.
        exclude: patterns as in .gitignore for what to pass over in folders, from now on.
        include: patterns for what to take all the same; the last that fits decides.
        on_progress: called as files become durable, on the calling thread.
        on_wait: called with a description of the process that is writing, when there is one.
        Files that cannot be read are named in the report and tried again when they change.
        Raises MissingPath when the one path given is not there, LibraryLocked when another
        process went on writing for longer than the setting `lock_timeout_s`.
        """
        from pixseek.switching import drop_left

        started = time.perf_counter()
        with self._writing:
            report = IndexReport()
            manifest = self._library.manifest
            if patterns := [*exclude, *(f"!{one}" for one in include)]:
                check_patterns([*exclude, *include])
                with self._exclusively():
                    manifest.add_patterns(patterns)
            found = sync.look(manifest, images, report)
            changes = sync.changes(manifest, found)
            if changes or sync.unsettled(manifest, found):
                wait_s = self._settings.lock_timeout_s
                with lock.writing(self.library, wait_s=wait_s, on_wait=on_wait) as waited:
                    if waited:  # what was found is out of date: another process has been writing
                        report = IndexReport()
                        found = sync.look(manifest, images, report)
                    if images is not None:
                        for folder in found.folders:
                            manifest.include(folder)
                        manifest.readmit(found.named)
                    drop_left(self._library)
                    changes = sync.changes(manifest, found)
                    self._indexer().run(changes, report, on_progress)
        if report.encoded:
            self._library.look_at_scores()
        report.unchanged += changes.unchanged
        report.skipped += [Skipped(Path(path), why) for path, why in changes.skipped]
        report.seconds = time.perf_counter() - started
        return report

    def remove(self, paths: Source | Iterable[Source] = (), *, where: Where | None = None) -> int:
        """Take files out of the library, and leave them alone from now on; returns how many.

        paths: files or folders. where: every file whose content passes this filter, too.
        The files themselves are not touched. Indexing one of these paths by name brings it back.
        """
        if where is not None and not where:
            raise InvalidFilter(where, "an empty filter would remove everything; name the folders")
        leaving = [absolute(path) for path in sync.listed(paths)]
        with self._writing, self._exclusively():
            if where is not None:
                opened = self._library.opened()
                node = searching.checked(parse(where), self._library, opened)
                items = opened.store.ids(node)
                for entries in self._library.manifest.files_of(items).values():
                    leaving += [entry.path for entry in entries]
            gone: dict[str, None] = {}
            self._library.manifest.exclude(leaving)
            for path in leaving:
                gone.update(dict.fromkeys([*self._library.manifest.known(path)]))
                gone.update(dict.fromkeys(self._library.manifest.find([path])))
            return self._indexer().forget(list(gone))

    def switch_model(
        self,
        model: str,
        *,
        keep: bool = False,
        leave_out: bool = False,
        on_progress: OnProgress = lambda _: None,
        on_fetch: OnFetch = lambda _: None,
    ) -> SwitchReport:
        """Encode every picture again by another model, and let that one answer once it is done.

        Meanwhile searches are answered by the old one, and others may index. Interrupted, the next
        call goes on. keep: keep the old vectors too, so that switching back is quick.
        leave_out: switch although some pictures cannot be read now; without it the old model stays
        and the report names them.
        on_fetch: called while the model is fetched, which it is when it is not here.
        Raises UnknownModel, ModelUnavailable, ModelNotFetched, LibraryLocked when another process
        is switching.
        """
        from pixseek.switching import Switch

        with lock.writing(self.library, wait_s=0, role="switch"):
            encoder = load_encoder(model, inventory.options(self._settings, on_fetch))
            wait_s = self._settings.lock_timeout_s
            switch = Switch(self._library, named(model), encoder, limits(self._settings), wait_s)
            return switch.run(keep=keep, leave_out=leave_out, on_progress=on_progress)

    def move_to(
        self,
        store: str,
        *,
        keep: bool = True,
        exact: bool = False,
        on_progress: OnProgress = lambda _: None,
    ) -> MoveReport:
        """Copy the library's vectors to another store, and answer from there once it is done.

        Nothing is encoded again. Meanwhile others may search and index. Interrupted, the next call
        goes on. keep: leave the vectors in the store they came from, too.
        exact: delete what the target holds and the library has not.
        Raises ForeignItems when there is such and `exact` is False, ModelMismatch when another
        model made what the target holds, MoveIncomplete, LibraryLocked, and what opening raises.
        """
        from pixseek.moving import LibraryMove

        with lock.writing(self.library, wait_s=0, role="switch"):
            moving = LibraryMove(self._library, addressed(store), self._settings.lock_timeout_s)
            return moving.run(keep=keep, exact=exact, on_progress=on_progress)

    # Describing

    def read_texts(
        self, *, again: bool = False, on_progress: OnProgress = lambda _: None
    ) -> DescribeReport:
        """Read the text in every picture that it was not looked for in (fields `text`, ...).

        again: also where it was. Interrupted, it keeps what is done, and the next call goes on.
        Raises MissingExtra without the extra `ocr`, LibraryLocked as `index_images` does.
        """
        from pixseek.words import describers

        return self._describe(describers("text").load(self._options), again, on_progress)

    def caption_images(
        self,
        *,
        model: str | None = None,
        prompt: str | None = None,
        again: bool = False,
        on_progress: OnProgress = lambda _: None,
    ) -> DescribeReport:
        """Say in a sentence what every picture shows that has no caption yet (field `caption`).

        model: a name of the captioning models or a folder with one; prompt: how captions begin.
        again: also those that were captioned, by this model or another. Interrupted: see
        `read_texts`. Raises MissingExtra without the extra `captions`, ModelUnavailable.
        """
        from pixseek.words import describers

        describer = describers("caption").load(self._options, model=model, prompt=prompt)
        return self._describe(describer, again, on_progress)

    def label_images(
        self,
        labels: Source | Iterable[str] | None = None,
        *,
        top: int = 5,
        threshold: float = 0.1,
        on_progress: OnProgress = lambda _: None,
    ) -> DescribeReport:
        """Give every picture the labels that it fits, in place of those it had (field `labels`).

        labels: a file, one a line, or the labels; None takes the built-in list. top: at most so
        many a picture. threshold: least share of a label, 0 to 1; all labels together have 1.
        No picture is read: the model compares its vectors. Raises InvalidQuery, MissingPath.
        """
        from pixseek.describing import label
        from pixseek.words.labels import Choice

        named = sync.listed(labels)[0] if isinstance(labels, str | os.PathLike) else labels
        return label(self._library, named, Choice(top, threshold), self._exclusively, on_progress)

    # Searching

    def search_by_text(
        self,
        query: str,
        k: int = 10,
        *,
        where: Where | None = None,
        min_score: float | None = None,
        offset: int = 0,
    ) -> list[Hit]:
        """The k pictures that show best what the text says; see `search`."""
        return self.search(query, k=k, where=where, min_score=min_score, offset=offset)

    def search_by_image(
        self,
        image: ImageSource,
        k: int = 10,
        *,
        where: Where | None = None,
        min_score: float | None = None,
        offset: int = 0,
    ) -> list[Hit]:
        """The k pictures most like this one, itself first if it is indexed; see `search`."""
        return self.search(image=image, k=k, where=where, min_score=min_score, offset=offset)

    def search(
        self,
        query: str | Query | None = None,
        *,
        image: ImageSource | None = None,
        vector: Sequence[float] | Vector | None = None,
        k: int = 10,
        where: Where | None = None,
        min_score: float | None = None,
        offset: int = 0,
        words: str | None = None,
        min_match: float | None = None,
        collapse: bool = False,
        diverse: float | None = None,
        explain: bool = False,
        moments: bool = False,
    ) -> list[Hit]:
        """The k nearest pictures to a text, an image, or both together, nearest first.

        query: a text, in which nothing is syntax, or a Query (docs/query.md); one of conditions
            only gives the latest pictures first, with the score 0.
        moments: of a video, an animation or a file of pages every moment that is near; without it
            the best of each, so k hits are k files.
        image: a path, a URL, a file's bytes or a Pillow image; it need not be in the library.
        words: only pictures with all of these words in them or in what is said of them
            (docs/words.md); alone, they are the text as well.
        vector: by the library's model, of any length above 0, in place of text and image.
        where: only pictures whose metadata passes (docs/filters.md). min_score: -1 to 1.
        offset: hits to pass over, for the next page. An empty library gives [].
        min_match, collapse, diverse, explain: docs/ranking.md.
        Raises InvalidQuery, InvalidFilter, UnsupportedFilter, MissingPath, UnreadableImage,
        FetchError for a URL that cannot be fetched;
        ModelMismatch when the installed model is not the one that made the library's vectors.
        """
        return searching.search(
            self._library,
            searching.asked(query, image, words),
            Wanted(k, offset, min_score, min_match, collapse, diverse, explain),
            vector=vector,
            where=where,
            bounds=bounds(self._settings),
            moments=moments,
        )

    # Looking after

    def status(self) -> LibraryStatus:
        """What the library holds now."""
        return self._library.status()

    @property
    def items(self) -> LibraryItems:
        """What is in the library by id: to look up, to describe, to take out."""
        from pixseek.collection import LibraryItems

        index, remove, search = self.index_images, self.remove, self.search
        return LibraryItems(
            self._library, writing=self._exclusively, index=index, remove=remove, search=search
        )

    @property
    def overview(self) -> Overview:
        """What is in the library, counted and in order: facets, months, places, newest first."""
        from pixseek.overview import Overview

        return Overview(self._library)

    @property
    def thumbnails(self) -> Thumbnails:
        """Small pictures of the items."""
        from pixseek.thumbnails import Thumbnails

        return Thumbnails(self.library, bounds(self._settings))

    def close(self) -> None:
        """Let go of the library's files. The engine cannot be used after."""
        self._library.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def encoder(self) -> Encoder:
        """The model, loaded when first needed.

        Raises ModelMismatch when it is not the one that made the library's vectors.
        """
        return self._library.opened().encoder

    # Inside

    def _new_set(
        self, given: Given, model: str | None, store: str | None, on_fetch: OnFetch
    ) -> tuple[VectorSet, Encoder]:
        """What a new library gets."""
        self.is_new = True
        model = model or named(inventory.default_model(self._settings))
        made = VectorSet(model, store or addressed(self._settings.store or "local"))
        return made, given.load(made.model, inventory.options(self._settings, on_fetch))

    def _indexer(self) -> Indexer:
        from pixseek.indexing import Indexer  # a search, which should answer at once, needs none

        opened, manifest = self._library.opened(), self._library.manifest
        thumbs, most = self._settings.thumbnails, limits(self._settings)
        return Indexer(
            lambda: opened.encoder, opened.store, manifest, most, self.thumbnails, thumbs=thumbs
        )

    def _describe(
        self, describer: Describer, again: bool, on_progress: OnProgress
    ) -> DescribeReport:
        from pixseek.describing import Description

        most = limits(self._settings)
        run = Description(self._library, describer, most, self._exclusively).run
        return run(again=again, on_progress=on_progress)

    def _exclusively(self) -> AbstractContextManager[object]:
        return lock.writing(self.library, wait_s=self._settings.lock_timeout_s)
