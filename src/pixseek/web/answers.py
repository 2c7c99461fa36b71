"""What the API answers with: every JSON body as a typed model, from which OpenAPI is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from pixseek.records import Hit as Found
from pixseek.records import Media, Metadata, media_of


def shown(text: object) -> object:
    """A text as it can be sent: of names that are not valid Unicode, each bad byte becomes '?';
    what is no text stays."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(shown)]
Scalar = bool | int | float | Text
Value = bool | int | float | Text | list[Text]


class Problem(BaseModel):
    """What went wrong (RFC 9457, application/problem+json)."""

    type: str = Field(description="urn:pixseek:error:NAME, a class of pixseek's errors")
    title: str = Field(description="what kind of failure it is")
    status: int
    detail: Text = Field(description="what happened, what was expected, what to do")
    fields: dict[str, object] = Field(default={}, description="the values in it")


class Hit(BaseModel):
    """A picture that was found."""

    id: Text
    score: float | None = Field(description="cosine similarity, -1 to 1; null when nothing ranks")
    match: float | None = Field(
        description="how likely it is what was asked for, 0 to 1; null where that is not known"
    )
    name: Text
    path: Text
    width: int | None
    height: int | None
    taken: int | None = Field(description="the camera's clock, seconds since 1970 as if UTC")
    moment: float | None = Field(description="seconds into a video; null for pictures")
    page: int | None = Field(description="page of a document, from 1; null for pictures")
    thumbnail: Text = Field(description="address of its small picture")
    caption: Text | None
    camera_model: Text | None
    latitude: float | None
    longitude: float | None
    media: Media
    duration: float | None = Field(description="seconds of a video or animation, where known")


class Hits(BaseModel):
    """One page of pictures."""

    hits: list[Hit]
    next: str | None = Field(description="cursor of the next page; null when there is none")
    total: int | None = Field(
        description="pictures that pass the filter, all of them ranked; null with min_score"
    )
    took_ms: float
    note: Text | None = Field(description="something to tell people, such as that indexing goes on")


class Links(BaseModel):
    """Where the rest of an item is."""

    thumbnail: Text
    original: Text
    similar: Text


class Item(BaseModel):
    """All that is known of a picture."""

    id: Text
    metadata: dict[Text, Value]
    paths: list[Text]
    links: Links
    hit: Hit = Field(description="it as searches give it, without a score")


class FacetCount(BaseModel):
    """A value of a field, and how many pictures have it."""

    value: Scalar
    count: int


class MonthCount(BaseModel):
    """A month, as 2023-06, and how many pictures are of it."""

    month: str
    count: int


class MapCell(BaseModel):
    """Pictures taken near each other: the middle of their places, and one of them."""

    latitude: float
    longitude: float
    count: int
    id: Text


class SkippedFile(BaseModel):
    """A file that could not be read."""

    path: Text
    reason: Text


class DuplicateFile(BaseModel):
    """A file of a picture that others hold, too."""

    id: Text = Field(description="of the picture; files that are equal bit by bit share it")
    path: Text
    name: Text
    width: int | None
    height: int | None
    format: Text
    size_bytes: int
    modified: float = Field(description="seconds since 1970, UTC")
    thumbnail: Text = Field(description="address of its small picture")


class DuplicateCopy(DuplicateFile):
    """A file that holds what the one to keep holds."""

    kind: Literal["exact", "near"] = Field(description="equal bit by bit, or changed")
    likeness: float = Field(description="how far it is the picture to keep, 0 to 1")


class DuplicateGroup(BaseModel):
    """Files of one picture."""

    keep: DuplicateFile
    why: str = Field(description="why that one is to be kept")
    copies: list[DuplicateCopy]


class Duplicates(BaseModel):
    """Files that hold the same picture: one page of the groups, and figures of all."""

    counting: bool = Field(description="whether it is still looked for; ask again")
    done: int = Field(description="pictures that have been looked at")
    total: int = Field(description="pictures to look at; 0 while that is not known")
    groups: list[DuplicateGroup]
    next: str | None = Field(description="cursor of the next page; null when there is none")
    groups_total: int
    copies_total: int = Field(description="files to spare")
    copies_bytes: int
    skipped: list[SkippedFile] = Field(description="pictures that could not be compared")


class Cluster(BaseModel):
    """Pictures that show much the same."""

    id: Text = Field(description="of the picture nearest the middle; /search?group= takes it")
    name: Text
    labels: list[Text] = Field(description="what they show more than others do, best first")
    size: int
    tightness: float = Field(description="mean cosine with the middle, -1 to 1")
    hits: list[Hit] = Field(description="some of them, those nearest the middle first")


class Clusters(BaseModel):
    """All pictures, in groups."""

    counting: bool = Field(description="whether they are still being grouped; ask again")
    groups: list[Cluster]


class SavedSearch(BaseModel):
    """A search that has a name."""

    name: Text
    line: Text = Field(description="in the query language (docs/query.md)")


class SavedSearches(BaseModel):
    """The searches that were saved in the library, in order of their names."""

    searches: list[SavedSearch]


class Completion(BaseModel):
    """Something the search box may be filled with."""

    kind: Literal["field", "value"]
    field: str
    value: Text | None = Field(description="null for a field")
    count: int | None = Field(description="pictures that have the value; null for a field")
    meaning: str | None = Field(description="what a field holds; null for a value")


class ModelStatus(BaseModel):
    """The model that answers."""

    name: Text
    dimensions: int
    summary: str | None
    languages: str | None
    ready: bool = Field(description="whether it is loaded")


class FolderStatus(BaseModel):
    """A folder that is kept in step."""

    path: Text
    files: int
    present: bool


class Status(BaseModel):
    """What the library holds, and who writes to it."""

    version: str
    library: Text
    store: Text
    model: ModelStatus
    items: int
    files: int
    size_bytes: int
    folders: list[FolderStatus]
    skipped: list[SkippedFile]
    skipped_total: int = Field(description="all of them; `skipped` has the first thousand")
    writer: Text | None = Field(description="the process that is writing now")
    writable: bool = Field(description="whether jobs may be started here (--allow-write)")


class Job(BaseModel):
    """A run that changes the library, and how far it is. Counts are of files."""

    id: str
    kind: Literal["index", "captions", "labels", "text"]
    state: Literal["waiting", "running", "done", "failed", "stopped"]
    started: float = Field(description="seconds since 1970")
    finished: float | None
    total: int
    done: int = Field(description="files that are safely stored")
    encoded: int
    skipped: int
    waiting_for: Text | None = Field(description="the other process that is writing, if one is")
    error: Text | None
    report: dict[str, int] | None = Field(description="what was done, once it is")


class Jobs(BaseModel):
    """The latest runs, newest first, and who is writing."""

    jobs: list[Job]
    writer: Text | None


class Health(BaseModel):
    """Whether the server runs, or is ready."""

    status: Literal["ok", "loading", "failed"]
    detail: Text | None = None


def hit(found: Found, prefix: str, *, scored: bool) -> Hit:
    """A hit of the engine as it is sent. prefix: where the API is.

    scored: whether its score says anything.
    """
    id, metadata = found.id, found.metadata

    def number(field: str) -> float | None:
        value = metadata.get(field)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def whole(field: str) -> int | None:
        value = number(field)
        return None if value is None else int(value)

    def text(field: str) -> str | None:
        value = metadata.get(field)
        first = value[0] if isinstance(value, list) and value else value
        return first if isinstance(first, str) else None

    return Hit(
        id=id,
        score=found.score if scored else None,
        match=found.match if scored else None,
        name=text("name") or id,
        path=text("path") or "",
        width=whole("width"),
        height=whole("height"),
        taken=whole("taken"),
        moment=number("moment"),
        page=whole("page"),
        thumbnail=links(id, prefix).thumbnail,
        caption=text("caption"),
        camera_model=text("camera_model"),
        latitude=number("latitude"),
        longitude=number("longitude"),
        media=media_of(metadata),
        duration=number("duration"),
    )


def links(id: str, prefix: str) -> Links:
    """Where the rest of an item is."""
    from urllib.parse import quote

    item = f"{prefix}/items/{quote(id, safe='', errors='replace')}"
    return Links(
        thumbnail=f"{item}/thumbnail", original=f"{item}/original", similar=f"{item}/similar"
    )


def metadata_shown(metadata: Metadata) -> Metadata:
    """Metadata without what only searches need."""
    return {name: value for name, value in metadata.items() if name != "words"}
