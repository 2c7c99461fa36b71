"""The error tree: every failure that pixseek names, with its values as fields.

A message says what happened, what was expected and what to do. Rooms raise; only faces print.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath

from pixseek.errors.fetching import FetchError as FetchError
from pixseek.errors.fetching import FetchNotAllowed as FetchNotAllowed
from pixseek.errors.fetching import FetchRefused as FetchRefused
from pixseek.errors.fetching import FetchTooLarge as FetchTooLarge
from pixseek.errors.fetching import FetchTooSlow as FetchTooSlow
from pixseek.errors.fetching import HostNotPublic as HostNotPublic
from pixseek.errors.fetching import HostUnreachable as HostUnreachable
from pixseek.errors.fetching import InvalidPictureURL as InvalidPictureURL
from pixseek.errors.fetching import NoPictureThere as NoPictureThere
from pixseek.errors.fetching import TooManyRedirects as TooManyRedirects
from pixseek.errors.root import PixseekError as PixseekError
from pixseek.errors.service import InvalidRequest as InvalidRequest
from pixseek.errors.service import NotPermitted as NotPermitted
from pixseek.errors.service import RequestTooLarge as RequestTooLarge
from pixseek.errors.service import ServiceBusy as ServiceBusy
from pixseek.errors.service import ServiceError as ServiceError
from pixseek.errors.service import ServiceUnavailable as ServiceUnavailable
from pixseek.errors.service import TokenNeeded as TokenNeeded


class InvalidQuery(PixseekError):
    """A search that cannot be answered as asked: empty text, k below 1, no query at all."""


class QueryNotUnderstood(InvalidQuery):
    """A line of the query language that cannot be read; `position` is a character of it, from 1."""

    def __init__(self, line: str, position: int, reason: str) -> None:
        first = max(0, position - 41) if len(line) > 80 else 0
        shown = "".join(c if c.isprintable() else " " for c in line[first : first + 80])
        said = reason if reason.endswith("?") else f"{reason}."
        super().__init__(
            f"query not understood at character {position}: {said} Correct it (docs/query.md), "
            "or search for the words as they are (--plain; in Python, Query.text).\n"
            f"    {shown}\n    {' ' * (position - 1 - first)}^"
        )
        self.line = line
        self.position = position
        self.reason = reason


class InvalidFilter(PixseekError):
    """A `where` that is not in the filter language; `part` is the piece at fault."""

    def __init__(self, part: object, reason: str) -> None:
        super().__init__(
            f"filter not understood at {part!r}: {reason}. See docs/filters.md for the language."
        )
        self.part = part
        self.reason = reason


class InvalidSetting(PixseekError):
    """A setting with a value it cannot have, from whichever source."""

    def __init__(self, name: str, value: object, expected: str, source: str) -> None:
        super().__init__(
            f"setting {name!r} is {value!r} (from {source}); expected {expected}. Correct it there."
        )
        self.name = name
        self.value = value
        self.expected = expected
        self.source = source


class MissingPath(PixseekError):
    """A file or folder that was named and is not there."""

    def __init__(
        self, path: str | PathLike[str], expected: str = "a file or folder that exists"
    ) -> None:
        super().__init__(
            f"no such path: {fspath(path)!r}; expected {expected}. "
            "Check the spelling, or whether its drive is connected."
        )
        self.path = fspath(path)


class UnreadableImage(PixseekError):
    """One picture that cannot be decoded. While indexing this is a value, not the end of a run."""

    def __init__(self, path: str | PathLike[str], reason: str) -> None:
        super().__init__(
            f"cannot read {fspath(path)!r} as a picture: {reason}. "
            "Open it in an image viewer to see whether it is whole, or leave it out."
        )
        self.path = fspath(path)
        self.reason = reason


class FormatNeedsExtra(UnreadableImage):
    """A picture or video of a format that an optional part reads, which is not installed."""

    def __init__(self, path: str | PathLike[str], reason: str) -> None:
        PixseekError.__init__(
            self,
            f"cannot read {fspath(path)!r} yet: {reason}. Install that, or leave the file out.",
        )
        self.path = fspath(path)
        self.reason = reason


class LibraryError(PixseekError):
    """Something about a library as a whole."""


class LibraryNotFound(LibraryError):
    """A library was asked for something before anything was indexed into it."""

    def __init__(self, path: str | PathLike[str]) -> None:
        super().__init__(
            f"there is no library at {fspath(path)!r} yet. "
            "Index a folder first (pixseek index FOLDER), or name another with --library."
        )
        self.path = fspath(path)


class LibraryTooNew(LibraryError):
    """The library was written by a newer pixseek."""

    def __init__(self, path: str | PathLike[str], found: int, supported: int) -> None:
        super().__init__(
            f"library {fspath(path)!r} has format {found}; this pixseek reads formats up to "
            f"{supported}. Upgrade pixseek (pip install -U pixseek), or name another library."
        )
        self.path = fspath(path)
        self.found = found
        self.supported = supported


class LibraryLocked(LibraryError):
    """Another process is writing to the library; `holder` says which."""

    def __init__(self, path: str | PathLike[str], holder: str) -> None:
        super().__init__(
            f"library {fspath(path)!r} is being written to by {holder}. "
            "Searching goes on; wait for it to finish before indexing or removing."
        )
        self.path = fspath(path)
        self.holder = holder


class LibraryDamaged(LibraryError):
    """The library's file is not what pixseek wrote."""

    def __init__(self, path: str | PathLike[str], reason: str) -> None:
        super().__init__(
            f"library file {fspath(path)!r} cannot be used: {reason}. Check that the disk is not "
            "full and the file may be read and written; restore a backup, or delete the file and "
            "index again (your pictures are not touched)."
        )
        self.path = fspath(path)
        self.reason = reason


class BackupDamaged(LibraryError):
    """A file that is no backup of a library, or not a whole one."""

    def __init__(self, path: str | PathLike[str], reason: str) -> None:
        super().__init__(
            f"backup {fspath(path)!r} cannot be restored: {reason}. Expected a file that "
            "'pixseek backup' wrote; choose another one."
        )
        self.path = fspath(path)
        self.reason = reason


class LibraryInTheWay(LibraryError):
    """A backup was to be restored where there is a library."""

    def __init__(self, path: str | PathLike[str]) -> None:
        super().__init__(
            f"there is a library in {fspath(path)!r} already; expected none there. Name another "
            "place, or put it aside (--replace)."
        )
        self.path = fspath(path)


class StoreMismatch(LibraryError):
    """A library that keeps its vectors in one store was opened with another."""

    def __init__(self, stored: str, asked: str) -> None:
        super().__init__(
            f"the library keeps its vectors in the store {stored!r}, but {asked!r} was asked for. "
            "Leave the store out to use the library's own, or name another library."
        )
        self.stored = stored
        self.asked = asked


class ModelError(PixseekError):
    """Something about a model."""


class UnknownModel(ModelError):
    """A model name that no table holds."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(
            f"no model is called {name!r}; known are {', '.join(known)}. See: pixseek models"
        )
        self.name = name
        self.known = tuple(known)


class ModelMismatch(ModelError):
    """Vectors of two models were about to be compared; they live in different spaces."""

    def __init__(self, stored: str, asked: str) -> None:
        super().__init__(
            f"the library's vectors were made by model {stored}, but model {asked} was asked for; "
            "vectors of two models cannot be compared. Leave the model out to use the library's "
            "own, switch the library (pixseek switch MODEL), or name another library."
        )
        self.stored = stored
        self.asked = asked


class ModelUnavailable(ModelError):
    """A model whose files are missing or damaged."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"model {name!r} cannot be loaded: {reason}. Reinstall pixseek, or choose another "
            "model (pixseek models)."
        )
        self.name = name
        self.reason = reason


class ExportFailed(ModelError):
    """A model that could not be turned into files that pixseek runs."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"{source!r} cannot be exported: {reason}. Nothing was written. See docs/models.md for "
            "what can be exported, and how."
        )
        self.source = source
        self.reason = reason


class DeviceUnavailable(ModelError):
    """What was asked to compute the vectors is not there."""

    def __init__(self, device: str, reason: str, known: Sequence[str]) -> None:
        super().__init__(
            f"the device {device!r} cannot be used: {reason}. Choose one of {', '.join(known)}, or "
            "leave it out (setting 'device')."
        )
        self.device = device
        self.reason = reason
        self.known = tuple(known)


class ModelNotFetched(ModelUnavailable):
    """A model whose files are not on this machine, and were not or could not be fetched."""

    def __init__(self, name: str, repository: str, reason: str) -> None:
        ModelError.__init__(
            self,
            f"model {name!r} of {repository} is not on this machine: {reason}. Three ways out: "
            f"fetch it (pixseek models pull {name}; what has arrived is kept); copy the model's "
            "folder from another machine and name it as the model (--model FOLDER); or use the "
            "built-in model (--model pocket).",
        )
        self.name = name
        self.repository = repository
        self.reason = reason


class StoreError(PixseekError):
    """Something about a vector store."""


class UnknownStore(StoreError):
    """A store name that no table holds."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(
            f"no store is called {name!r}; expected one of {', '.join(known)}. Choose one of them, "
            "or install the package that brings it."
        )
        self.name = name
        self.known = tuple(known)


class InvalidStoreAddress(StoreError):
    """A store's URL that cannot be understood."""

    def __init__(self, url: str, found: str, expected: str) -> None:
        super().__init__(
            f"store {url!r} has {found}; expected {expected}. See docs/stores.md for the form, and "
            "correct it."
        )
        self.url = url
        self.found = found
        self.expected = expected


class StoreUnavailable(StoreError):
    """A store that does not answer or refuses us: it is down, full, too old, or bars us."""

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(
            f"store {store} cannot be used: {reason}. Check that its server runs, that the address "
            "and credentials are right, and that it has space; what was reported as indexed is "
            "kept, and the next run completes the rest."
        )
        self.store = store
        self.reason = reason


class ForeignItems(StoreError):
    """A library was to be moved into a store that holds items of others."""

    def __init__(self, store: str, items: int) -> None:
        super().__init__(
            f"store {store} holds items that are not the library's: {items}; expected none, as "
            "they would be found with it. Name another collection, or have them deleted (--exact)."
        )
        self.store = store
        self.items = items


class MoveIncomplete(StoreError):
    """After a move the target does not hold what the source does."""

    def __init__(self, store: str, found: str) -> None:
        super().__init__(
            f"store {store} holds {found} after the move; expected what the source holds. Check "
            "that nothing else writes to the two, and move again: what is alike is not copied anew."
        )
        self.store = store
        self.found = found


class UnsupportedFilter(StoreError):
    """A condition that a store's engine cannot express; nothing was done."""

    def __init__(self, store: str, part: str, instead: str | None = None) -> None:
        """instead: what can be asked of this store."""
        cure = "Leave that condition out" if instead is None else f"Ask {instead}"
        super().__init__(
            f"the store {store} cannot filter by {part}. {cure}, or choose a store that can "
            "(the table in docs/stores.md)."
        )
        self.store = store
        self.part = part


class InvalidVectors(StoreError):
    """Vectors of the wrong shape or length were given to a store."""


class InvalidMetadata(StoreError):
    """Metadata that no store can keep, or that is not for the caller to say."""

    def __init__(
        self,
        item: str,
        field: str,
        value: object,
        expected: str = "a text, a finite number, true, false, or a list of texts",
    ) -> None:
        super().__init__(
            f"item {item!r} has {value!r} in the field {field!r}; expected {expected}. "
            "Correct it, or leave the field out."
        )
        self.item = item
        self.field = field
        self.value = value
        self.expected = expected


class UnknownItem(PixseekError):
    """An id that no item has."""

    def __init__(self, id: str) -> None:
        super().__init__(
            f"there is no item {id!r} in the library; expected an id of a hit. It may have been "
            "removed since: search again."
        )
        self.id = id


class MissingExtra(PixseekError):
    """An optional part that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the extra {extra!r}. Install it with: pip install 'pixseek[{extra}]'"
        )
        self.feature = feature
        self.extra = extra
