"""What people wrote into a file of its picture: XMP, IPTC and EXIF → description, title, keywords.

Where several say it, XMP goes before IPTC and that before EXIF, as the Metadata Working Group's
guidelines have it. Everything is read as hints by strangers: what is damaged or hostile is absent.
Sources: XMP specification part 1, 7 (serialization); IPTC-NAA Information Interchange Model 4.2;
Exif 2.32, 4.6.5 (UserComment).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.parsers import expat

from pixseek.metadata import tags
from pixseek.metadata.tags import Tags
from pixseek.records import Metadata, Value

MAX_DESCRIPTION = 2000
MAX_LINE = 256
MAX_KEYWORDS = 200
_MAX_XMP_BYTES = 1 << 20  # those seen have 0.5 to 35 kB

_DC = "http://purl.org/dc/elements/1.1/ "
_LI = "http://www.w3.org/1999/02/22-rdf-syntax-ns# li"
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"
_XMP = {
    f"{_DC}description": "description",
    f"{_DC}title": "title",
    f"{_DC}subject": "keywords",
    "http://ns.adobe.com/photoshop/1.0/ Headline": "headline",
}
_IPTC = {120: "description", 5: "title", 105: "headline", 25: "keywords"}
"""Data sets of record 2: caption/abstract, object name, headline, keywords."""

_FACTORY = re.compile(r".*\bdigital camera|sony dsc", re.IGNORECASE)
"""What cameras write where people's descriptions belong."""

Texts = dict[str, list[str]]


def fields(main: Tags, xmp: bytes, iptc: bytes) -> Metadata:
    """Those of the three fields that are known.

    main: tags of EXIF. xmp, iptc: as the file has them; empty where it has none.
    """
    sources = [_xmp(xmp), _iptc(iptc), _exif(main)]

    def first(*names: str, limit: int) -> str | None:
        texts = (text for source in sources for name in names for text in source.get(name, ()))
        return next(_clean(texts, limit), None)

    keywords = _clean((text for one in sources for text in one.get("keywords", ())), MAX_LINE)
    found: dict[str, Value | None] = {
        "description": first("description", limit=MAX_DESCRIPTION),
        "title": first("title", "headline", limit=MAX_LINE),
        "keywords": list(dict.fromkeys(keywords))[:MAX_KEYWORDS] or None,
    }
    return {name: value for name, value in found.items() if value is not None}


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


def _iptc(data: bytes) -> Texts:
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


def _xmp(packet: bytes) -> Texts:
    """{} for a packet that is not XML, or has a document type: only that can define entities,
    which a few bytes can make expand to gigabytes or read other files."""
    reader = _XmpReader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    try:
        if packet and len(packet) <= _MAX_XMP_BYTES:
            parser.Parse(packet.strip(b"\0 \r\n\t"), True)
    except (expat.ExpatError, ValueError, LookupError):
        return {}
    return reader.texts()


def _refuse(*_: object) -> None:
    raise ValueError("a document type; expected none")


class _XmpReader:
    """Collects the texts of a few properties while a packet is parsed.

    A property is a plain text, an attribute, or a list whose items are texts: of a description or
    title, the same text in several languages.
    """

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[bool, str]]] = {}
        """name → (whether it is for readers of any language, text)"""
        self._property: str | None = None
        self._default = False
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._text.clear()
        if name in _XMP:
            self._property = name
        elif name == _LI:
            self._default = attributes.get(_LANGUAGE) == "x-default"
        for key in _XMP.keys() & attributes.keys():
            self._keep(key, attributes[key])

    def characters(self, text: str) -> None:
        if self._property is not None:
            self._text.append(text)

    def end(self, name: str) -> None:
        if self._property is not None and name in (_LI, self._property):
            self._keep(self._property, "".join(self._text))
            self._default = False
        if name == self._property:
            self._property = None
        self._text.clear()

    def texts(self) -> Texts:
        """Those for readers of any language first."""
        return {
            name: [text for _, text in sorted(found, key=lambda one: not one[0])]
            for name, found in self._found.items()
        }

    def _keep(self, key: str, text: str) -> None:
        if text.strip():
            self._found.setdefault(_XMP[key], []).append((self._default, text))
