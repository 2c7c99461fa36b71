"""XMP: the properties of a packet that fields are made of, as texts.

Sources: XMP specification part 1, 7 (serialization) and part 2 (the schemas of Adobe, EXIF and
TIFF); MWG guidelines 2.0, 5.5 (regions); Microsoft's People Tagging schema; IPTC Extension 1.6.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from xml.parsers import expat

MAX_BYTES = 1 << 20  # those seen have 0.5 to 35 kB
MAX_VALUES = 1000
"""Of one property."""

Texts = dict[str, list[str]]

_LI = "http://www.w3.org/1999/02/22-rdf-syntax-ns# li"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns# RDF"
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"


def _names(schema: str, **properties: str) -> Iterator[tuple[str, str]]:
    return ((f"{schema} {name}", called) for called, name in properties.items())


_PROPERTIES = dict(
    [
        *_names(
            "http://purl.org/dc/elements/1.1/",
            description="description",
            title="title",
            keywords="subject",
        ),
        *_names(
            "http://ns.adobe.com/photoshop/1.0/",
            headline="Headline",
            created="DateCreated",
            city="City",
            region="State",
            country="Country",
        ),
        *_names("http://ns.adobe.com/xap/1.0/", made="CreateDate", rating="Rating"),
        *_names(
            "http://ns.adobe.com/exif/1.0/",
            original="DateTimeOriginal",
            digitized="DateTimeDigitized",
            offset="OffsetTimeOriginal",
            exposure="ExposureTime",
            aperture="FNumber",
            iso="ISOSpeedRatings",
            sensitivity="PhotographicSensitivity",
            focal_length="FocalLength",
            latitude="GPSLatitude",
            longitude="GPSLongitude",
            altitude="GPSAltitude",
            altitude_ref="GPSAltitudeRef",
            direction="GPSImgDirection",
            satellites="GPSTimeStamp",
        ),
        *_names("http://ns.adobe.com/tiff/1.0/", make="Make", model="Model"),
        *_names("http://ns.adobe.com/exif/1.0/aux/", lens="Lens"),
        *_names(
            "http://cipa.jp/exif/1.0/",
            lens_model="LensModel",
            sensitivity="PhotographicSensitivity",
        ),
        *_names("http://ns.adobe.com/lightroom/1.0/", levels="hierarchicalSubject"),
        *_names("http://www.digikam.org/ns/1.0/", tags="TagsList"),
        *_names("http://ns.microsoft.com/photo/1.0", percent="Rating"),
        *_names("http://ns.microsoft.com/photo/1.0/", percent="Rating"),
        *_names("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", people="PersonInImage"),
    ]
)
"""What is read of the picture itself; where a picture is about others, theirs lie deeper."""

_REGION = "http://www.metadataworkinggroup.com/schemas/regions/"
_REGION_NAME, _REGION_TYPE = f"{_REGION} Name", f"{_REGION} Type"
_ANYWHERE = {
    _REGION_NAME: "face",
    _REGION_TYPE: "kind",
    "http://ns.microsoft.com/photo/1.2/t/Region# PersonDisplayName": "people",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/ PersonName": "people",
}
"""What is read however deep it lies: parts of lists of structures."""


class Damaged(ValueError):
    """A packet that is not read, and why."""


def read(packet: bytes) -> Texts:
    """The properties that are known, each with its values in order; {} for an empty packet.

    Raises Damaged for what is too long, is not XML, or has a document type: only that can define
    entities, which a few bytes can make expand to gigabytes or read other files.
    """
    if len(packet) > MAX_BYTES:
        raise Damaged(f"{len(packet)} bytes are more than the limit of {MAX_BYTES}")
    code = None
    if packet[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):  # Lightroom for Windows
        packet, code = packet.decode("utf-16", "replace").encode("utf-8", "replace"), "utf-8"
    stripped = packet.strip(b"\0 \r\n\t")
    if not stripped:
        return {}
    reader = _Reader()
    parser = expat.ParserCreate(code, " ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(stripped, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise Damaged(str(error)) from error
    return reader.texts()


def _refuse(*_: object) -> None:
    raise Damaged("it has a document type, which could make it expand without end")


class _Reader:
    """Collects texts while a packet is parsed.

    A property is a plain text, an attribute, or a list whose items are texts: of a description or
    title, the same text in several languages.
    """

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[bool, str]]] = {}
        """name → (whether it is for readers of any language, text)"""
        self._depth = 0
        self._top = 2
        """How deep the descriptions lie whose properties are the picture's own."""
        self._property: str | None = None
        self._default = False
        self._text: list[str] = []
        self._region: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._text.clear()
        if name == _RDF:
            self._top = self._depth + 1
        own = self._depth == self._top + 1 and name in _PROPERTIES
        if own or name in _ANYWHERE:
            self._property = name
        elif name == _LI:
            self._default = attributes.get(_LANGUAGE) == "x-default"
        for key, value in attributes.items():
            if (self._depth == self._top and key in _PROPERTIES) or key in _ANYWHERE:
                self._keep(key, value)

    def characters(self, text: str) -> None:
        if self._property is not None:
            self._text.append(text)

    def end(self, name: str) -> None:
        if self._property is not None and name in (_LI, self._property):
            self._keep(self._property, "".join(self._text))
            self._default = False
        if name == self._property:
            self._property = None
        elif name == _LI and self._region:
            self._end_region()
        self._depth -= 1
        self._text.clear()

    def texts(self) -> Texts:
        """Those for readers of any language first."""
        return {
            name: [text for _, text in sorted(found, key=lambda one: not one[0])]
            for name, found in self._found.items()
        }

    def _end_region(self) -> None:
        name, kind = self._region.get("face"), self._region.get("kind", "Face")
        self._region.clear()
        if name and kind.strip().lower() == "face":  # others: Pet, Focus, BarCode
            self._add("people", name)

    def _keep(self, key: str, text: str) -> None:
        if not text.strip():
            return
        if key in (_REGION_NAME, _REGION_TYPE):
            self._region[_ANYWHERE[key]] = text
        else:
            self._add(_PROPERTIES.get(key) or _ANYWHERE[key], text)

    def _add(self, name: str, text: str) -> None:
        values = self._found.setdefault(name, [])
        if len(values) < MAX_VALUES:
            values.append((self._default, text))
