"""Tags, written as keywords into XMP files beside pictures, where other programs read them.

Keywords are added to a sidecar that is there, and every other byte of it stays. What cannot be
added to so is left as it is, and named. Source: XMP specification part 1, 7.9 and part 3, 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from pixseek.exporting import paths_of, write
from pixseek.metadata import xmp
from pixseek.records import Hit, Metadata, Skipped

_RDF, _DC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://purl.org/dc/elements/1.1/"
_SPACES = f'xmlns:rdf="{_RDF}"'
_NEW = f"""\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF {_SPACES}>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""
_LISTS = frozenset({f"{_RDF} Bag", f"{_RDF} Seq"})


@dataclass(slots=True)
class Written:
    """What became of sidecars; every file of a hit with tags is counted once."""

    new: int = 0
    """Sidecars that were made or added to."""
    there: int = 0
    """Those that had all tags already."""
    missing: list[Skipped] = field(default_factory=list["Skipped"])
    """Pictures whose sidecar could not be written, and why."""


class _CannotAdd(ValueError):
    """Why a sidecar cannot be added to."""


def write_tags(hits: Iterable[Hit], folders: Sequence[Path] = ()) -> Written:
    """Write the tags of each hit into IMG.jpg.xmp beside IMG.jpg, for each of its files.

    A sidecar that says no keywords yet also gets those that the picture has, as it will be read in
    place of them. folders: where the files that matter lie; () takes all.
    """
    written, seen = Written(), set[Path]()
    for hit in hits:
        tags = _list(hit.metadata, "tags")
        paths = [p for p in paths_of(hit) if not folders or any(map(p.is_relative_to, folders))]
        for path in paths if tags else ():
            if path in seen:
                continue
            seen.add(path)
            try:
                done = _write_one(path, tags, _list(hit.metadata, "keywords"))
            except (_CannotAdd, xmp.Damaged) as error:
                written.missing.append(Skipped(path, f"its sidecar stays as it is: {error}"))
            except OSError as error:
                written.missing.append(Skipped(path, error.strerror or str(error)))
            else:
                written.new += done
                written.there += not done
    return written


def _write_one(path: Path, tags: Sequence[str], keywords: Sequence[str]) -> bool:
    """Whether anything had to be written."""
    if not path.is_file():
        raise FileNotFoundError(2, "it is not there", str(path))
    sidecar = next((p for end in (".xmp", ".XMP") if (p := Path(f"{path}{end}")).exists()), None)
    if sidecar is None:
        other = next((p for p in _shared(path) if p.exists()), None)
        if other is not None:
            raise _CannotAdd(f"{other.name} may be of other files, too; add them there")
        write(Path(f"{path}.xmp"), with_keywords(_NEW.encode(), [*keywords, *tags]))
        return True
    before = sidecar.read_bytes()
    said = xmp.read(before).get("keywords", [])
    after = with_keywords(before, tags if said else [*keywords, *tags])
    if after == before:
        return False
    real = sidecar.resolve()
    mode = real.stat().st_mode
    write(real, after)
    real.chmod(mode)
    return True


def with_keywords(packet: bytes, keywords: Iterable[str]) -> bytes:
    """The packet with these keywords too; itself when it has them all.

    Raises a ValueError that says why when they cannot be added without changing anything else.
    """
    said = xmp.read(packet)
    added = [one for one in dict.fromkeys(keywords) if one not in said.get("keywords", [])]
    if not added:
        return packet
    try:
        packet.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _CannotAdd("it is not UTF-8") from error
    where = _Places(packet)
    items = "".join(f"<rdf:li {_SPACES}>{escape(one)}</rdf:li>" for one in added)
    if where.list_end is not None:
        made, at = items, where.list_end
    elif where.has_subject or where.rdf_end is None:
        raise _CannotAdd("its keywords are written in another way than usual")
    else:
        bare = items.replace(f" {_SPACES}", "")
        made, at = (
            f"<rdf:Description {_SPACES} rdf:about={quoteattr(where.about)}"
            f' xmlns:dc="{_DC}"><dc:subject><rdf:Bag>{bare}</rdf:Bag></dc:subject>'
            "</rdf:Description>\n",
            where.rdf_end,
        )
    done = packet[:at] + made.encode() + packet[at:]
    wanted = {**said, "keywords": [*said.get("keywords", []), *added]}
    if len(done) > xmp.MAX_BYTES or xmp.read(done) != wanted:
        raise _CannotAdd("what it says would not stay the same")
    return done


class _Places:
    """Where in a packet keywords can be put: bytes from its begin."""

    def __init__(self, packet: bytes) -> None:
        self.list_end: int | None = None
        """Of the end tag of the list of keywords."""
        self.rdf_end: int | None = None
        """Of the end tag of all."""
        self.has_subject = False
        self.about = ""
        self._open: list[str] = []
        self._tags: list[bytes] = []
        """How the end tags of what is open begin."""
        self._packet = packet
        self._parser = expat.ParserCreate(None, " ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        # Not without what is before it: positions are the packet's.
        try:
            self._parser.Parse(packet.rstrip(b"\0 \r\n\t"), True)
        except expat.ExpatError as error:
            raise _CannotAdd("it does not begin as XML does") from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == f"{_RDF} Description" and self._open[-1:] == [f"{_RDF} RDF"]:
            self.about = self.about or attributes.get(f"{_RDF} about", "")
            self.has_subject |= f"{_DC} subject" in attributes
        self.has_subject |= name == f"{_DC} subject" and self._is_own()
        self._open.append(name)
        at = self._parser.CurrentByteIndex + 1
        raw = re.split(rb"[\s/>]", self._packet[at : at + 200], maxsplit=1)[0]
        self._tags.append(b"</" + raw)

    def _end(self, name: str) -> None:
        self._open.pop()
        at = self._parser.CurrentByteIndex
        if not self._packet.startswith(self._tags.pop(), at):  # an empty element has no end tag
            return
        if name in _LISTS and self._open[-1:] == [f"{_DC} subject"] and self._is_own(1):
            self.list_end = self.list_end or at
        elif name == f"{_RDF} RDF":
            self.rdf_end = self.rdf_end or at

    def _is_own(self, above: int = 0) -> bool:
        """Whether what is open, but for the last ones, is a description of the picture itself."""
        open = self._open[: len(self._open) - above]
        return open[-2:] == [f"{_RDF} RDF", f"{_RDF} Description"]


def _shared(path: Path) -> Iterable[Path]:
    """IMG.xmp of IMG.jpg: it may be of IMG.cr2 as well."""
    return (path.with_name(f"{path.stem}{end}") for end in (".xmp", ".XMP"))


def _list(metadata: Metadata, name: str) -> list[str]:
    value = metadata.get(name, [])
    return value if isinstance(value, list) else [str(value)]
