"""What is done with vectors, words and scores once a query is known: how likely a hit is right
(`matching`, by `statistics` of the library), words beside what pictures show (`fulltext`,
`fusion`), sentences around short queries (`sentences`), alike pictures as one (`diversity`), and
why a hit was found (`explaining`). `answering` is the way through all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from pixseek.records import Hit, Vector
    from pixseek.stores.filters import Filter

Kind: TypeAlias = Literal["text", "image"]
NOTHING_BELOW: dict[Kind, float] = {"text": 0.26, "image": 0.1}
"""Best match below which nothing stands out: 95 % of the queries for what is there are above it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is asked for, and how much it counts; below 0 it is pushed away."""

    kind: Kind
    vector: Vector
    """(d,), length 1."""
    weight: float = 1.0
    name: str = ""
    """The text, or where the picture is from."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer a query."""

    parts: tuple[Part, ...]
    """What it asks for; none where only the vector is known."""
    vector: Vector
    """(d,) of length 1: all parts together."""
    where: Filter | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which hits, and how."""

    k: int
    offset: int = 0
    min_score: float | None = None
    min_match: float | None = None
    collapse: bool = False
    """Whether pictures that are alike become one hit."""
    diverse: float | None = None
    """0 to 1: how much hits should differ from those before them; None: not at all."""
    explain: bool = False
    one_a_file: bool = False
    """Whether of a file with several pictures only the best is wanted."""


def stands_out(hits: Sequence[Hit], *, image: bool) -> bool:
    """Whether the best of the hits speaks for the library having what was asked for.

    image: whether it was asked by a picture. Hits without a match stand out.
    """
    least = NOTHING_BELOW["image" if image else "text"]
    return any(hit.match is None or hit.match >= least for hit in hits)
