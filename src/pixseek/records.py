"""The nouns that cross rooms. Plain data: no room's behaviour lives here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Vector: TypeAlias = "NDArray[np.float32]"
"""(d,) float32, length 1."""
Vectors: TypeAlias = "NDArray[np.float32]"
"""(n, d) float32, rows of length 1."""

Scalar: TypeAlias = str | int | float | bool
Value: TypeAlias = Scalar | list[str]
Metadata: TypeAlias = dict[str, Value]
"""Field name → value. A field that is not known is absent, never None."""
TIME_FIELDS = frozenset({"modified", "taken", "taken_utc"})
"""Fields that hold a time, as seconds since 1970; `taken` by the camera's wall clock."""
TEXT_FIELD = "page_content"
"""The field that holds the text of an item that is a text, not a picture."""
VIDEO_FORMATS = ("AVI", "FLV", "MATROSKA", "MOV", "MP4", "MPEG", "OGG", "VIDEO", "WMV")
"""What the field `format` says of videos. Animations have the format of their pictures (GIF, WEBP),
and a duration."""
Media: TypeAlias = Literal["image", "animation", "video", "document"]
Where: TypeAlias = Mapping[str, object]
"""A filter as people write it, e.g. {"year": {"$gte": 2019}}; see docs/filters.md."""


class ImageFile(NamedTuple):
    """A file on disk that may hold a picture. (A tuple: a folder may hold a hundred thousand.)"""

    path: str
    """Absolute, '/' separated."""
    size: int
    """Bytes."""
    modified_ns: int
    """Nanoseconds since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """Which pictures may be fetched from a URL."""

    refusal: str = ""
    """Why none may; '' where they may."""
    hosts: frozenset[str] = frozenset()
    """Hosts, in lower case, that may be asked although they are not public."""
    max_bytes: int = 50_000_000
    max_pixels: int = 100_000_000
    within_s: float = 30.0
    """For all of it: redirects, and the last byte."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a file may ask of its decoder; one that asks more is refused with the reason."""

    max_bytes: int = 2_000_000_000
    max_pixels: int = 300_000_000
    max_seconds: float = 60.0
    """Of decoding; waiting for memory does not count."""
    fetching: Fetching | None = None
    """Of pictures that are named by a URL; None: nothing is fetched."""


USUAL = Bounds()
"""Where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Space:
    """What a set of vectors was made by; vectors of two spaces are never compared."""

    model: str
    fingerprint: str
    """Hash of weights and preprocessing: the same name with other weights is another space."""
    dimensions: int

    def __str__(self) -> str:
        return f"{self.model} ({self.dimensions} dimensions, fingerprint {self.fingerprint[:12]})"


@dataclass(frozen=True, slots=True)
class Item:
    """One content: what a store keeps."""

    id: str
    vector: Vector
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Region:
    """A part of an upright picture, in shares of its width and height, and its own score."""

    left: float
    top: float
    width: float
    height: float
    score: float


@dataclass(frozen=True, slots=True)
class Why:
    """What made a hit one."""

    parts: dict[str, float]
    """What each thing that was asked for adds to the score; together they are the score."""
    words: list[str]
    """Words of the query that the picture has in or about it."""
    covered: float
    """The share of the query that these words cover, rare ones counting more; 0 to 1."""
    conditions: dict[str, Value]
    """The picture's values in the fields that the filter asks for."""
    region: Region | None = None
    """Where in the picture the query fits best; None when no part fits better than the whole, or
    the file cannot be read now."""
    whole_words: list[str] = field(default_factory=list)
    """Fields that were asked for whole words, as the store cannot look inside a text."""

    def __str__(self) -> str:
        """One line: what adds to the score, words, values that were asked for, where it fits."""
        return "; ".join(self._told())

    def _told(self) -> Iterator[str]:
        yield from (f"{name!r} {part:+.3f}" for name, part in self.parts.items())
        if self.words:
            yield f"has {', '.join(self.words)} ({self.covered:.0%} of the query)"
        for name, value in self.conditions.items():
            said = ", ".join(value) if isinstance(value, list) else value
            how = " (by whole words)" if name in self.whole_words else ""
            yield f"{name} is {said}{how}" if name != "words" else f"has the words {said}"
        if self.region is not None:
            box = self.region
            yield (
                f"best at left {box.left:.2f}, top {box.top:.2f}, {box.width:.2f} by "
                f"{box.height:.2f} ({box.score:.3f})"
            )


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer of a search. `score` is cosine similarity, -1 to 1, higher is nearer."""

    id: str
    score: float
    metadata: Metadata
    match: float | None = None
    """How likely it is what was asked for, 0 to 1, whatever the query and the model; None where
    that is not known."""
    worth: float | None = None
    """What hits are ordered by: the score, and what words add to it; None where it is the score."""
    similar: int = 0
    """Pictures much like it that stand behind it and are not shown."""
    why: Why | None = None

    @property
    def paths(self) -> list[Path]:
        """Every file with this content; empty for items that came without a file."""
        value = self.metadata.get("path", [])
        return [Path(p) for p in (value if isinstance(value, list) else [str(value)])]

    @property
    def path(self) -> Path:
        """The file; the first of them when several hold the same content, Path() when none."""
        paths = self.paths
        return paths[0] if paths else Path()

    @property
    def moment(self) -> float | None:
        """Seconds into the video or animation; None for what is one picture, or a page."""
        found = self.metadata.get("moment")
        return float(found) if isinstance(found, int | float) else None

    @property
    def page(self) -> int | None:
        """Page of the file, counted from 1; None for what has no pages."""
        found = self.metadata.get("page")
        return int(found) if isinstance(found, int | float) else None


def text_of(id: str, metadata: Metadata) -> str:
    """What stands for an item in words: its text, a picture's caption or file name, or its id."""
    for name in (TEXT_FIELD, "caption", "name"):
        value = metadata.get(name)
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, str) and (first or name == TEXT_FIELD):
            return first
    return id


def media_of(metadata: Metadata) -> Media:
    """What kind of file an item is of, by what is known of it."""
    if metadata.get("format") in VIDEO_FORMATS:
        return "video"
    if "page" in metadata:
        return "document"
    return "animation" if "duration" in metadata else "image"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that could not be indexed, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a field, and how many items have it."""

    value: Scalar
    count: int


@dataclass(frozen=True, slots=True)
class Month:
    """A month, and how many items are of it."""

    month: str
    """Year and month, as 2023-06."""
    count: int


@dataclass(frozen=True, slots=True)
class Place:
    """Items that were taken near each other."""

    latitude: float
    """Degrees; the middle of where they were taken."""
    longitude: float
    count: int
    id: str
    """One of them."""


@dataclass(slots=True)
class Progress:
    """How far an indexing run is. Counts are of files; `done` only counts what is safely stored."""

    total: int = 0
    done: int = 0
    encoded: int = 0
    skipped: int = 0


OnProgress: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Fetch:
    """How far a model is that is being fetched. In bytes; what was there already is done too."""

    model: str
    repository: str
    server: str
    done: int
    total: int
    """0 while another process is fetching it, which is waited for."""


OnFetch: TypeAlias = Callable[[Fetch], None]


@dataclass(slots=True)
class IndexReport:
    """What an indexing run did; every file it looked at is counted once."""

    added: int = 0
    """Files whose content was new and has been encoded."""
    changed: int = 0
    """Files whose content differs from last time and has been encoded again."""
    moved: int = 0
    """Files found under a new path with content already known (moved, renamed or copied)."""
    unchanged: int = 0
    """Files as they were, content known."""
    updated: int = 0
    """Files as they were, whose sidecar came, changed or went; nothing was encoded."""
    removed: int = 0
    """Files that are gone from disk and now from the library."""
    skipped: list[Skipped] = field(default_factory=list["Skipped"])
    """Files that cannot be read: this run's, and those known from earlier and not changed since."""
    missing: list[Path] = field(default_factory=list[Path])
    """Folders that are not there, or empty, and what cannot be read now (files that are named by
    themselves, too); their entries are kept."""
    encoded: int = 0
    """Pictures that went through the model."""
    seconds: float = 0.0

    @property
    def indexed(self) -> int:
        """Files that the library can find now."""
        return self.added + self.changed + self.moved + self.unchanged + self.updated


@dataclass(slots=True)
class SwitchReport:
    """What a switch to another model did."""

    before: str
    """The model that answered before."""
    after: str
    encoded: int = 0
    """Pictures that went through the new model."""
    unreadable: list[Skipped] = field(default_factory=list["Skipped"])
    """Pictures that could not be read now, by one of their files each."""
    switched: bool = False
    """Whether the new model answers now. If not, pictures could not be read: the old one does."""
    seconds: float = 0.0


@dataclass(slots=True)
class MoveReport:
    """What a move from one store to another did."""

    before: str
    """The store's URL, without secrets."""
    after: str
    copied: int = 0
    """Items that the target had not, or not alike."""
    unchanged: int = 0
    """Items that the target had already."""
    deleted: int = 0
    """Items that only the target had, and has no more."""
    extra: int = 0
    """Items that only the target has."""
    verified: int = 0
    """Items that were read back and compared."""
    answers: bool = False
    """Whether a library answers from the target since."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a library that cannot be right."""

    what: str
    cure: str
    repaired: bool = False


@dataclass(slots=True)
class CareReport:
    """What looking through a library found."""

    items: int = 0
    """Pictures that were looked at."""
    problems: list[Problem] = field(default_factory=list["Problem"])

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong now."""
        return all(problem.repaired for problem in self.problems)


@dataclass(slots=True)
class DescribeReport:
    """What a run that looked for words did; every picture it looked at is counted once."""

    described: int = 0
    """Pictures that were looked at now."""
    found: int = 0
    """Those of them that there was something to say of."""
    known: int = 0
    """Pictures that had been looked at before."""
    skipped: list[Skipped] = field(default_factory=list["Skipped"])
    """Pictures that cannot be read now, by one of their files each."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """One folder of a library."""

    path: Path
    files: int
    present: bool


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """What a library holds."""

    path: Path
    store: str
    space: Space
    items: int
    files: int
    folders: list[FolderStatus]
    skipped: list[Skipped]
    size_bytes: int
    writer: str | None
    """The process that is writing now, or None."""
    patterns: list[str]
    """Rules for what is passed over in folders, in the language of .gitignore."""
    kept: list[str]
    """Models whose vectors are kept beside those that answer."""
    elsewhere: list[str]
    """Other stores with vectors by the model that answers: left by a move, or half filled."""
    building: list[str]
    """Models whose vectors are being made; a switch that was interrupted goes on with them."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A model that was written as ONNX, and how near it is to the original. Each distance is
    1 - cosine, the worst of the samples."""

    folder: Path
    size_bytes: int
    images_apart: float
    texts_apart: float
    quantised: tuple[str, ...] = ()
    """The halves (vision, text) whose weights have 8 bits."""
    int8_images_apart: float | None = None
    int8_texts_apart: float | None = None
    """The same after the weights were made 8 bits; None when they were not."""
