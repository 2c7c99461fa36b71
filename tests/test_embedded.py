"""What people wrote into their picture files: found where it is, harmless where it is hostile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixseek.metadata import content_fields, merge
from pixseek.metadata.wording import with_words, words_asked, words_of
from pixseek.reader import read
from pixseek.records import Metadata

RDF = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/">'
    "<rdf:Description{attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def xmp(inside: str = "", attributes: str = "") -> bytes:
    return RDF.format(inside=inside, attributes=attributes).encode()


def iptc(*sets: tuple[int, bytes]) -> bytes:
    return b"".join(
        b"\x1c\x02" + bytes([number]) + len(text).to_bytes(2, "big") + text for number, text in sets
    )


def said(xmp: bytes = b"", iptc: bytes = b"", exif: Image.Exif | None = None) -> Metadata:
    """The fields that come from people."""
    found = content_fields(0, 0, "", exif, xmp=xmp, iptc=iptc)
    return {name: found[name] for name in ("description", "title", "keywords") if name in found}


def listed(name: str, kind: str, *items: tuple[str, str]) -> str:
    inside = "".join(f'<rdf:li xml:lang="{lang}">{text}</rdf:li>' for lang, text in items)
    return f"<dc:{name}><rdf:{kind}>{inside}</rdf:{kind}></dc:{name}>"


def test_xmp_gives_description_title_and_keywords() -> None:
    packet = xmp(
        listed("description", "Alt", ("de", "Ein Turm"), ("x-default", "A tower\n at night"))
        + listed("title", "Alt", ("x-default", "Tower &amp; sea"))
        + listed("subject", "Bag", ("", "tower"), ("", "sea"), ("", "tower"))
    )
    assert said(packet) == {
        "description": "A tower at night",
        "title": "Tower & sea",
        "keywords": ["tower", "sea"],
    }


def test_xmp_properties_may_be_plain_texts_and_attributes() -> None:
    packet = xmp("<dc:description>On foot</dc:description>", ' photoshop:Headline="A long way"')
    assert said(packet) == {"description": "On foot", "title": "A long way"}


def test_iptc_gives_caption_headline_and_keywords_in_utf_8_or_latin_1() -> None:
    sets = iptc((120, "Café am Meer".encode()), (105, b"K\xfcste"), (25, b"Meer"), (25, b"Haus"))
    assert said(iptc=sets) == {
        "description": "Café am Meer",
        "title": "Küste",
        "keywords": ["Meer", "Haus"],
    }


def test_xmp_goes_before_iptc_before_exif_and_keywords_are_joined() -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x9C9B] = "by EXIF", "Titel".encode("utf-16-le")
    both = said(
        xmp(listed("subject", "Bag", ("", "one"))), iptc((120, b"by IPTC"), (25, b"two")), exif
    )
    assert both == {"description": "by IPTC", "title": "Titel", "keywords": ["one", "two"]}
    assert said(exif=exif)["description"] == "by EXIF"


@pytest.mark.parametrize(
    "raw",
    [
        b"ASCII\0\0\0a lighthouse",
        b"UNICODE\0" + "a lighthouse".encode("utf-16-le"),
        b"UNICODE\0" + "a lighthouse".encode("utf-16-be"),
        b"\0" * 8 + b"a lighthouse",
    ],
)
def test_a_users_comment_is_read_in_the_code_that_it_names(raw: bytes) -> None:
    exif = Image.Exif()
    exif[0x9286] = raw
    assert said(exif=exif) == {"description": "a lighthouse"}


def test_what_cameras_write_by_themselves_is_no_description() -> None:
    exif = Image.Exif()
    exif[0x010E] = "OLYMPUS DIGITAL CAMERA         "
    assert said(exif=exif) == {}
    assert said(iptc=iptc((120, b"SONY DSC"))) == {}


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;">]>'
)


@pytest.mark.parametrize(
    "packet",
    [
        BOMB.encode() + xmp("<dc:title>&c;</dc:title>"),
        (BOMB + xmp("<dc:title>&c;</dc:title>").decode()).encode("utf-16"),
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + xmp("<dc:title>t</dc:title>"),
        xmp("<dc:title>cut off")[:-60],
        b'<?xml version="1.0" encoding="no-such-code"?>' + xmp("<dc:title>t</dc:title>"),
        b"<a>" * 200_000,
        xmp("<dc:title>t</dc:title>" + " " * (1 << 20)),
        b"\0" * 100,
    ],
)
def test_a_packet_that_is_damaged_or_hostile_says_nothing(packet: bytes) -> None:
    assert said(packet) == {}


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_taken_without_a_word(packet: bytes, sets: bytes) -> None:
    for text in said(packet, b"\x1c\x02x" + sets).values():
        assert text


def test_texts_and_keywords_have_bounds() -> None:
    found = said(iptc=iptc((120, b"a" * 9000), *((25, b"%d" % n) for n in range(900))))
    assert len(str(found["description"])) == 2000
    assert len(list(found["keywords"])) == 200  # type: ignore[arg-type]  # a list


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_captions_are_found_in_files(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{format.lower()}"
    packet = xmp(listed("description", "Alt", ("x-default", "A grey square")))
    exif = Image.Exif()
    exif[0x010E] = "not this"
    image = Image.new("RGB", (40, 40), "grey")
    if format == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        image.save(path, pnginfo=info, exif=exif)
    elif format == "TIFF":
        image.save(path, tiffinfo={700: packet, 0x010E: "not this"})
    else:
        image.save(path, xmp=packet, exif=exif)
    picture = read(path, 20)
    found = content_fields(40, 40, format, picture.exif, xmp=picture.xmp, iptc=picture.iptc)
    assert found["description"] == "A grey square"


# words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EXIT sign, exit!", ["exit", "sign", "exit"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("Ｅｘｉｔ ﬁre №5", ["exit", "fire", "no5"]),
        ("don't 3.14", ["don", "t", "3", "14"]),
        ("Cafe\u0301 CAFÉ", ["café", "café"]),
        ("हिन्दी", ["हिन्दी"]),
        ("안녕하세요 세계", ["안녕하세요", "세계"]),
        ("安全出口A", ["安", "全", "出", "口", "安全", "全出", "出口", "a"]),
        ("... --- !!", []),
    ],
)
def test_a_text_has_these_words(text: str, expected: list[str]) -> None:
    assert list(words_of(text)) == expected


def test_what_is_asked_of_scripts_without_spaces_is_pairs() -> None:
    assert words_asked("安全出口") == ["安全", "全出", "出口"]
    assert words_asked("口") == ["口"]
    assert words_asked("Exit exit 出口") == ["exit", "出口"]


@given(st.text())
def test_a_text_has_every_word_that_it_asks_for(text: str) -> None:
    assert set(words_asked(text)) <= set(words_of(text))
    assert all(words_asked(text))


@given(st.text(st.characters(codec="ascii")))
def test_plain_ascii_has_the_words_that_it_has_among_other_letters(text: str) -> None:
    assert [*words_of(text), "é"] == list(words_of(f"{text} é"))


def test_the_words_of_a_picture_are_those_of_all_its_texts_now() -> None:
    one: Metadata = {
        "caption": "A dog",
        "labels": ["dog", "grass"],
        "text": "EXIT\nNow",
        "words": ["old"],
    }
    assert with_words(one)["words"] == ["exit", "now", "a", "dog", "grass"]
    assert with_words({"path": "dog.jpg", "words": ["old"]}) == {"path": "dog.jpg"}
    assert with_words({"name": "my dog.jpg"})["words"] == ["my", "dog", "jpg"]
    assert with_words({"name": ["a_1.jpg", "b.jpg"]})["words"] == ["a", "1", "jpg", "b"]
    assert merge({"title": "A dog"}, {"name": "x"})["words"] == ["a", "dog", "x"]


# Photographs of others (not in this repository): PIXSEEK_TEST_DATA/files

DATA = os.environ.get("PIXSEEK_TEST_DATA")
if DATA:  # else the tests do not exist, which is not the same as being skipped

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("xmp/no_exif.jpg", ("Der Goalie bin ig", ["tag"])),
            ("tests/33-type_error.jpg", ("El cielo sobre Berlin (Heaven above Berlin)", None)),
        ],
    )
    def test_captions_of_real_photographs_are_found(name: str, expected: object) -> None:
        picture = read(Path(str(DATA), "files", "exif-samples", "jpg", name), 100)
        found = said(picture.xmp, picture.iptc, picture.exif)
        assert (found.get("description"), found.get("keywords")) == expected
