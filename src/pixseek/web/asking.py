"""What the API can be asked: the parameters of searches, as models from which OpenAPI is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pixseek.engine import from_json
from pixseek.errors import InvalidRequest
from pixseek.web.searching import Question

MAX_TEXT = 500
MAX_WHERE = 4000
"""Together short enough for the one line of an address, of which servers read 64 kB at most."""
MAX_IDS = 20

Line = Annotated[str, Field(max_length=MAX_TEXT)]
Ids = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MAX_IDS)]


class Filtered(BaseModel):
    """Which pictures are meant: all, those that pass a filter, or the best of a search."""

    model_config = ConfigDict(extra="forbid")

    q: Line | None = Field(default=None, description="a query line (docs/query.md)")
    text: Line | None = Field(default=None, description="what the pictures show, in plain words")
    like: Ids = Field(default=[], description="ids of pictures to be like; may be repeated")
    unlike: Ids = Field(default=[], description="ids of pictures to be unlike; may be repeated")
    where: str | None = Field(
        default=None, max_length=MAX_WHERE, description="a filter in JSON (docs/filters.md)"
    )
    min_score: float | None = Field(default=None, ge=-1, le=1, description="least score")
    group: Annotated[str, Field(max_length=100)] | None = Field(
        default=None,
        description="id of a picture: only those of its group (/clusters); with `where` only",
    )

    def question(self, images: tuple[bytes, ...] = ()) -> Question:
        """As the engine takes it. Raises InvalidFilter, InvalidRequest."""
        if self.group and (self.q or self.text or self.like or self.unlike or images):
            raise InvalidRequest("group", "with something else to look for", "where alone with it")
        line, text = (one.strip() if one else "" for one in (self.q, self.text))
        return Question(
            line=line or None,
            text=text or None,
            like=tuple(self.like),
            unlike=tuple(self.unlike),
            images=images,
            where=from_json(self.where) if self.where else None,
            min_score=self.min_score,
            group=self.group or None,
        )


class Search(Filtered):
    """A search: without q, text, like and unlike, all pictures, the newest first."""

    limit: int = Field(default=60, ge=1, le=500, description="pictures of a page")
    cursor: str | None = Field(
        default=None, max_length=1000, description="`next` of the page before"
    )


class Copies(BaseModel):
    """Files that hold the same picture."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["all", "exact", "near"] = Field(
        default="all", description="equal bit by bit, or changed"
    )
    limit: int = Field(default=50, ge=1, le=500, description="groups of a page")
    cursor: str | None = Field(
        default=None, max_length=1000, description="`next` of the page before"
    )


class Naming(BaseModel):
    """Saving a search."""

    model_config = ConfigDict(extra="forbid")

    line: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)] = Field(
        description="what to look for, in the query language"
    )


class Counted(Filtered):
    """Counting pictures."""

    best: int = Field(
        default=1000,
        ge=1,
        le=10_000,
        description="of a search that ranks: so many of its first pictures",
    )


class Faceted(Counted):
    """Counting values of fields."""

    field: Annotated[list[Line], Field(max_length=20)] = Field(
        default=[],
        description="fields to count; may be repeated; none: those of the answer's example",
    )
    top: int = Field(default=50, ge=1, le=500, description="values a field, the most frequent")


class Mapped(Counted):
    """Counting pictures on a map."""

    grid: float = Field(
        default=1.0, ge=0.0001, le=90, description="degrees from one line to the next"
    )
    top: int = Field(default=1000, ge=1, le=5000, description="cells, the fullest")


class Completed(BaseModel):
    """Filling the search box."""

    model_config = ConfigDict(extra="forbid")

    prefix: Line = Field(
        default="", description="what is typed; FIELD: asks for values of that field"
    )
    limit: int = Field(default=20, ge=1, le=100, description="offers at most")


class Tagged(BaseModel):
    """The tags of a picture, in place of those it had."""

    model_config = ConfigDict(extra="forbid")

    tags: list[Annotated[str, Field(max_length=100)]] = Field(max_length=100)


class JobRequest(BaseModel):
    """What to start, and how: an option belongs to the kinds that its description begins with."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["index", "captions", "labels", "text"] = Field(
        description="index: bring all folders in step; captions: say what pictures show; labels:"
        " which of a list they fit; text: read what is written in them"
    )
    again: bool | None = Field(
        default=None, description="captions, text: also pictures that were looked at before"
    )
    prompt: str | None = Field(
        default=None, max_length=200, description="captions: how each begins"
    )
    labels: list[Annotated[str, Field(min_length=1, max_length=100)]] | None = Field(
        default=None,
        min_length=1,
        max_length=2000,
        description="labels: those to choose from; none: the built-in list",
    )
    top: int | None = Field(
        default=None, ge=1, le=50, description="labels: at most so many a picture"
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="labels: least share of one; all have 1 together"
    )

    @model_validator(mode="after")
    def _fits(self) -> JobRequest:
        mine: dict[str, set[str]] = {
            "captions": {"again", "prompt"},
            "text": {"again"},
            "labels": {"labels", "top", "threshold"},
        }
        for option in self.options:
            if option not in mine.get(self.kind, ()):
                raise ValueError(f"{option} is no option of {self.kind}")
        return self

    @property
    def options(self) -> dict[str, object]:
        """Those that were given."""
        return self.model_dump(exclude={"kind"}, exclude_none=True)
