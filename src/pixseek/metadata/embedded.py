"""What people wrote into a file of its picture: XMP, IPTC and EXIF → title, keywords, people, ...

Where several say it, XMP goes before IPTC and that before EXIF, as the Metadata Working Group's
guidelines have it. Everything is read as hints by strangers: what is damaged or hostile is absent.
Sources: IPTC-NAA Information Interchange Model 4.2; Exif 2.32, 4.6.5 (UserComment).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pixseek.metadata import tags
from pixseek.metadata.tags import Tags
from pixseek.metadata.times import Taken, from_iptc
from pixseek.metadata.values import Notes
from pixseek.metadata.xmp import Texts
from pixseek.records import Metadata, Value

MAX_DESCRIPTION = 2000
MAX_LINE = 256
MAX_KEYWORDS = 200

_IPTC = {
    **{120: "description", 5: "title", 105: "headline", 25: "keywords"},
    **{90: "city", 95: "region", 101: "country", 55: "date", 60: "time"},
}
"""Data sets of record 2: caption/abstract, object name, headline, keywords, and so on."""

_FACTORY = re.compile(r".*\bdigital camera|sony dsc", re.IGNORECASE)
"""What cameras write where people's descriptions belong."""


def fields(main: Tags, said: Texts, sets: Texts) -> Metadata:
    """Those that are known: description, title, keywords, people, and names of places.

    main: tags of EXIF. said, sets: properties of XMP and data sets of IPTC.
    """
    sources = [said, sets, _exif(main)]

    def first(*names: str, limit: int = MAX_LINE) -> str | None:
        texts = (text for source in sources for name in names for text in source.get(name, ()))
        return next(_clean(texts, limit), None)

    def all_of(name: str) -> list[str]:
        texts = _clean((text for one in sources for text in one.get(name, ())), MAX_LINE)
        return list(dict.fromkeys(texts))

    keywords = dict.fromkeys([*all_of("keywords"), *_clean(_levels(said), MAX_LINE)])
    found: dict[str, Value | None] = {
        "description": first("description", limit=MAX_DESCRIPTION),
        "title": first("title", "headline"),
        "keywords": list(keywords)[:MAX_KEYWORDS] or None,
        "people": all_of("people")[:MAX_KEYWORDS] or None,
        "country": first("country"),
        "region": first("region"),
        "city": first("city"),
    }
    return {name: value for name, value in found.items() if value is not None}


def taken(sets: Texts, notes: Notes) -> Taken | None:
    """IPTC's day and time of creation."""
    date, time = (sets.get(name, [""])[0] for name in ("date", "time"))
    return notes.checked("taken", date, from_iptc(date, time) or from_iptc(date, ""))


def _levels(said: Texts) -> Iterator[str]:
    """Keywords that lie in others, "Places|Europe|Paris": every level, and the whole of it."""
    for name, between in (("levels", "|"), ("tags", "/")):
        for path in said.get(name, ()):
            levels = [level.strip() for level in path.split(between) if level.strip()]
            yield from levels
            if len(levels) > 1:
                yield "|".join(levels)


def _clean(texts: Iterable[str], limit: int) -> Iterator[str]:
    """Each text that people wrote, with a letter or digit in it: on one line, cut to `limit`."""
    for text in texts:
        printable = "".join(c if c.isprintable() else " " for c in text.partition("\0")[0])
        line = " ".join(printable.split())[:limit].rstrip()
        if any(map(str.isalnum, line)) and not _FACTORY.fullmatch(line):
            yield line


def _decoded(raw: bytes) -> str:
    """UTF-8 (what is cut off in the middle of its last character, too), or else Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        cut = error.start > len(raw) - 4 and error.reason == "unexpected end of data"
        return raw[: error.start].decode("utf-8") if cut else raw.decode("latin-1")


def _exif(main: Tags) -> Texts:
    description, comment = main.get(tags.DESCRIPTION), main.get(tags.COMMENT)
    windows = {tag: _utf_16(main.get(tag), "little") for tag in tags.WINDOWS}
    written = _decoded(description) if isinstance(description, bytes) else description
    return {
        "description": [
            *([written] if isinstance(written, str) else []),
            *([_comment(comment)] if isinstance(comment, bytes) else []),
            windows[tags.XP_COMMENT],
            windows[tags.XP_SUBJECT],
        ],
        "title": [windows[tags.XP_TITLE]],
        "keywords": windows[tags.XP_KEYWORDS].split(";"),
    }


def _comment(raw: bytes) -> str:
    """A UserComment: eight bytes name its code."""
    code, raw = raw[:8].rstrip(b"\0 "), raw[8:]
    if code == b"UNICODE":  # in the file's byte order, or in Windows' whatever the file's
        big = raw[::2].count(0) > raw[1::2].count(0)
        return _utf_16(raw, "big" if big else "little")
    return _decoded(raw) if code in (b"ASCII", b"") else ""


def _utf_16(raw: object, order: str) -> str:
    return raw.decode(f"utf-16-{order[0]}e", "replace") if isinstance(raw, bytes) else ""


def data_sets(data: bytes) -> Texts:
    """Data sets: a 0x1C, record and number, two bytes of length, and that many bytes."""
    found: Texts = {}
    at = 0
    while data[at : at + 1] == b"\x1c" and at + 5 <= len(data):
        record, number = data[at + 1], data[at + 2]
        start, length = at + 5, int.from_bytes(data[at + 3 : at + 5], "big")
        if record == 2 and number in _IPTC and start + length <= len(data):
            text = _decoded(data[start : start + length])
            found.setdefault(_IPTC[number], []).append(text)
        at = start + length
    return found
