"""The names before a colon: every metadata field, and shorter names for what people ask most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from pixseek.metadata import FIELDS

Kind: TypeAlias = Literal[
    "text", "number", "time", "since", "until", "folder", "ending", "bytes", "near", "is", "has"
]


@dataclass(frozen=True, slots=True)
class Name:
    """One name before a colon; `meaning` and `example` are what docs are made of."""

    kind: Kind
    fields: tuple[str, ...]
    """Metadata fields that it asks; any of them."""
    meaning: str
    example: str


_DATES = ("taken", "modified")

_ALIASES: Mapping[str, Name] = {
    "after": Name("since", _DATES, "taken then or later; without that, changed", "after:2023"),
    "before": Name("until", _DATES, "taken before that; without that, changed", "before:2023-06"),
    "date": Name("time", _DATES, "taken then; without that, changed", "date:yesterday"),
    "camera": Name("text", ("camera_make", "camera_model"), "maker or model", "camera:iphone"),
    "place": Name(
        "text",
        ("place", "city", "town", "region", "country", "country_code"),
        "where it was taken, by name",
        "place:Paris",
    ),
    "near": Name(
        "near",
        ("latitude", "longitude"),
        "taken around a place: latitude, longitude, distance",
        'near:"48.85, 2.35, 5km"',
    ),
    "in": Name("folder", ("folder",), "in a folder or below it", "in:~/2024"),
    "ext": Name("ending", ("extension",), "end of the file name", "ext:jpg"),
    "label": Name("text", ("labels",), "one of its labels", "label:cat"),
    "keyword": Name("text", ("keywords",), "one of its keywords", "keyword:holiday"),
    "tag": Name("text", ("tags",), "one of its tags", "tag:holiday"),
    "person": Name("text", ("people",), "who is in it", "person:Anna"),
    "is": Name(
        "is",
        ("orientation", "width", "height", "name", "format", "duration"),
        "portrait, landscape, square, panorama, screenshot, video or animation",
        "is:portrait",
    ),
    "has": Name("has", (), "the field is known", "has:taken"),
}
_KINDS: Mapping[str, Kind] = {"folder": "folder", "extension": "ending", "size": "bytes"}
_EXAMPLES = {
    "path": "path:trips/",
    "folder": "folder:~/2024",
    "name": "name:IMG_2",
    "extension": "extension:png",
    "size": "size:>5MB",
    "modified": "modified:>=2024-01",
    "taken": "taken:2023-06",
    "year": "year:2019..2021",
    "iso": "iso:>800",
    "aperture": "aperture:<=f/2.8",
    "exposure": "exposure:>=1/30",
    "focal_length": "focal_length:35mm..70mm",
    "text": 'text:"Anna"',
    "rating": "rating:>=4",
    "people": "people:Anna",
    "month": "month:6..8",
    "orientation": "orientation:portrait",
    "format": "format:=PNG",
    "camera_make": "camera_make:canon",
    "camera_model": 'camera_model:="Canon EOS R5"',
    "lens": "lens:50mm",
    "country": "country:France",
    "city": 'city:"New York"',
    "keywords": "keywords:=holiday",
    "labels": 'labels:="a cat"',
    "latitude": "latitude:>66",
    "longitude": "longitude:-10..30",
    "direction": "direction:80..100",
    "described": "described:=caption",
}
_USUAL = {"text": "{}:sea", "number": "{}:>100", "time": "{}:2023"}


def _names() -> dict[str, Name]:
    found: dict[str, Name] = {}
    for name, field in FIELDS.items():
        example = _EXAMPLES.get(name, _USUAL[field.kind].format(name))
        kind = _KINDS.get(name, field.kind)
        found[name] = Name(kind, (name,), field.meaning, example)
    for name, alias in _ALIASES.items():
        asked = tuple(field for field in alias.fields if field in FIELDS)
        if name not in FIELDS and (asked or alias.kind == "has"):
            found[name] = Name(alias.kind, asked, alias.meaning, alias.example)
    return found


FILTERS: Mapping[str, Name] = MappingProxyType(_names())
"""Names of conditions."""
SHOWN: Mapping[str, str] = MappingProxyType(
    {
        "like": "pictures like this one: a path, a URL, or an id of the library",
        "shows": "plain words in which nothing is syntax",
    }
)
"""Names of what pictures show."""
NAMES = frozenset({*FILTERS, *SHOWN})


_REFERENCE = """\
Plain words say what pictures show, and are one phrase. -word pushes away; several words in
parentheses: -(burning candles). word^2 or (two words)^0.5 count more or less. OR is either:
(dog OR cat) snow. "exit", in quotation marks, keeps only pictures with the word in or about them.
like:ID is like a picture of the library. NAME:VALUE keeps only pictures of which it holds,
-NAME:VALUE the others. Values with blanks are in quotation marks. Numbers and dates take > >= < <=
and ranges (2019..2021), dates also words (after:"last summer"). OR does not join conditions with
what is shown. Names, by an example each:"""


def reference() -> str:
    """The language in short, for those who write lines and cannot look it up."""
    examples = " ".join(FILTERS[name].example for name in sorted(FILTERS))
    return f"{_REFERENCE} {examples}".replace("\n", " ")


def nearest(name: str, known: Iterable[str] = NAMES) -> str | None:
    """The name that was meant by a misspelt one, or None."""
    from difflib import get_close_matches  # for few lines only

    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=0.82)), None)
