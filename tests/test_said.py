"""What files and their sidecars say of a picture: when, where, who, and how good it is."""

from __future__ import annotations

import os
from calendar import timegm
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from pixseek.metadata import content_fields, merge, sidecar_fields, times, towns, with_sidecars
from pixseek.metadata.times import Taken, by_satellites, from_exif, from_iptc, from_iso
from pixseek.reader import read
from pixseek.records import Metadata

SCHEMAS = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}


def xmp(inside: str = "", **attributes: str) -> bytes:
    """A packet; attributes as exif_FNumber="28/10"."""
    schemas = "".join(f' xmlns:{name}="{uri}"' for name, uri in SCHEMAS.items())
    own = "".join(f' {key.replace("_", ":", 1)}="{value}"' for key, value in attributes.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        f'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"{schemas}>'
        f"<rdf:Description{own}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def bag(*items: str) -> str:
    return f"<rdf:Bag>{''.join(f'<rdf:li>{item}</rdf:li>' for item in items)}</rdf:Bag>"


def exif(
    main: Mapping[Any, object] | None = None,
    photo: Mapping[Any, object] | None = None,
    gps: Mapping[Any, object] | None = None,
) -> Image.Exif:
    made = Image.Exif()
    made.update(main or {})
    made.get_ifd(IFD.Exif).update(photo or {})
    made.get_ifd(IFD.GPSInfo).update(gps or {})
    return made


def said(exif: Image.Exif | None = None, xmp: bytes = b"", iptc: bytes = b"") -> Metadata:
    return content_fields(0, 0, "", exif, xmp=xmp, iptc=iptc)


NOON = timegm((2020, 6, 1, 12, 0, 0))


# When


@pytest.mark.parametrize(
    ("offset", "utc"),
    [("+02:00", NOON - 7200), ("-05:30", NOON + 19_800), ("Z", NOON), ("+14:00", NOON - 50_400)],
)
def test_the_zone_beside_a_time_gives_the_moment_in_utc(offset: str, utc: int) -> None:
    photo = {Base.DateTimeOriginal: "2020:06:01 12:00:00", Base.OffsetTimeOriginal: offset}
    assert said(exif(photo=photo)) == {"taken": NOON, "taken_utc": utc}


@pytest.mark.parametrize("offset", ["+15:00", "+02:60", "summer", "", "    :  ", "+2"])
def test_a_zone_that_is_none_leaves_the_clock_as_it_is(offset: str) -> None:
    photo = {Base.DateTimeOriginal: "2020:06:01 12:00:00", Base.OffsetTimeOriginal: offset}
    assert said(exif(photo=photo)) == {"taken": NOON}


def test_each_time_has_its_own_zone() -> None:
    photo = {Base.DateTimeOriginal: "2020:06:01 12:00:00", Base.OffsetTimeDigitized: "+02:00"}
    assert said(exif(photo=photo)) == {"taken": NOON}


@pytest.mark.parametrize(
    ("time", "utc"),
    [
        ((10.0, 0.0, 0.0), NOON - 7200),
        ((9.0, 58.0, 30.5), NOON - 7200),  # a fix from a minute and a half ago
        ((6.0, 15.0, 0.0), NOON - 20_700),  # Nepal
        ((10.0, 7.0, 0.0), None),  # neither of two quarters
        ((25.0, 0.0, 0.0), None),
        ((float("nan"), 0.0, 0.0), None),
        ((10.0, 0.0), None),
    ],
)
def test_the_satellites_time_tells_the_zone_of_the_cameras_clock(
    time: tuple[float, ...], utc: int | None
) -> None:
    place = {GPS.GPSDateStamp: "2020:06:01", GPS.GPSTimeStamp: time}
    found = said(exif(photo={Base.DateTimeOriginal: "2020:06:01 12:00:00"}, gps=place))
    assert found == ({"taken": NOON} if utc is None else {"taken": NOON, "taken_utc": utc})


def test_where_only_satellites_know_the_time_it_is_theirs() -> None:
    place = {GPS.GPSDateStamp: "2020:06:01", GPS.GPSTimeStamp: (12.0, 0.0, 0.0)}
    assert said(exif(gps=place)) == {"taken": NOON, "taken_utc": NOON}
    beginning = {GPS.GPSDateStamp: "1970:01:01", GPS.GPSTimeStamp: (0.0, 0.0, 0.0)}
    assert said(exif(gps=beginning)) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-06-01T12:00:00", Taken(NOON)),
        ("2020-06-01T12:00:00.25Z", Taken(NOON, 0)),
        ("2020-06-01T12:00+05:45", Taken(NOON, 20_700)),
        ("2020-06-01", Taken(NOON - 43_200)),
        ("2020-06", Taken(NOON - 43_200)),
        ("2020", Taken(timegm((2020, 1, 1, 0, 0, 0)))),
        ("0000-00-00", None),
        ("2020-13-01", None),
        ("2020:06:01 12:00:00", None),
        ("soon", None),
        ("9" * 70_000, None),
    ],
)
def test_a_date_of_xmp_may_be_of_any_precision(text: str, expected: Taken | None) -> None:
    assert from_iso(text) == expected


def test_iptc_has_day_time_and_zone() -> None:
    assert from_iptc("20200601", "120000+0200") == Taken(NOON, 7200)
    assert from_iptc("20200601", "") == Taken(NOON - 43_200)
    assert from_iptc("00000000", "000000") is None
    sets = b"".join(
        b"\x1c\x02" + bytes([number]) + len(text).to_bytes(2, "big") + text
        for number, text in [(55, b"20200601"), (60, b"120000-0100"), (90, b"Bern")]
    )
    assert said(iptc=sets) == {"taken": NOON, "taken_utc": NOON + 3600, "city": "Bern"}


def test_the_camera_goes_before_xmp_before_iptc_before_the_time_of_editing() -> None:
    packet = xmp(exif_DateTimeOriginal="2020-06-01T12:00:00")
    camera = {Base.Make: "Canon", Base.DateTime: "2021:01:01 00:00:00"}
    original = {Base.DateTimeOriginal: "2019:01:01 00:00:00"}
    assert said(exif(camera), packet)["taken"] == NOON
    assert said(exif(camera, original), packet)["taken"] == timegm((2019, 1, 1, 0, 0, 0))


@given(st.text(max_size=40), st.text(max_size=9))
def test_any_text_is_a_time_or_none(text: str, offset: str) -> None:
    for found in (from_exif(text, offset), from_iso(text, offset), from_iptc(text, offset)):
        assert found is None or abs(found.zone_s or 0) <= 14 * 3600
    assert by_satellites(None, None) is None
    assert times.zone("+02:00") == 7200


# The camera, by XMP


def test_xmp_says_what_exif_says_where_there_is_no_exif() -> None:
    packet = xmp(
        "<exif:ISOSpeedRatings><rdf:Seq><rdf:li>160</rdf:li></rdf:Seq></exif:ISOSpeedRatings>",
        tiff_Make="Canon",
        tiff_Model="X",
        aux_Lens="EF 50mm",
        exif_FNumber="28/10",
        exif_ExposureTime="1/125",
        exif_FocalLength="50",
        exif_GPSLatitude="48,51,29.6N",
        exif_GPSLongitude="2,17.67W",
        exif_GPSAltitude="352/10",
        exif_GPSAltitudeRef="1",
        exif_GPSImgDirection="270/1",
        exif_GPSTimeStamp="2020-06-01T10:00:00Z",
        xmp_CreateDate="2020-06-01T12:00:00",
    )
    found = said(xmp=packet)
    assert found == {
        "taken": NOON,
        "taken_utc": NOON - 7200,
        "camera_make": "Canon",
        "camera_model": "X",
        "lens": "EF 50mm",
        "iso": 160,
        "aperture": 2.8,
        "exposure": 0.008,
        "focal_length": 50.0,
        "latitude": 48.8582222,
        "longitude": -2.2945,
        "altitude": -35.2,
        "direction": 270.0,
    }
    assert said(exif({Base.Make: "Nikon"}), packet)["camera_make"] == "Nikon"


def test_what_xmp_says_of_other_pictures_is_not_said_of_this_one() -> None:
    packet = xmp(
        "<xmpMM:Pantry><rdf:Bag><rdf:li><rdf:Description>"
        "<dc:title>another</dc:title><xmp:CreateDate>1999-01-01</xmp:CreateDate>"
        "</rdf:Description></rdf:li></rdf:Bag></xmpMM:Pantry><dc:title>this</dc:title>"
    )
    assert said(xmp=packet) == {"title": "this"}


# How good


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"xmp_Rating": "5"}, 5),
        ({"xmp_Rating": "-1"}, -1),
        ({"xmp_Rating": "0"}, None),
        ({"xmp_Rating": "3.0"}, 3),
        ({"xmp_Rating": "6"}, None),
        ({"xmp_Rating": "nan"}, None),
        ({"MicrosoftPhoto_Rating": "99"}, 5),
        ({"MicrosoftPhoto_Rating": "25"}, 2),
        ({"MicrosoftPhoto_Rating": "0"}, None),
        ({"xmp_Rating": "2", "MicrosoftPhoto_Rating": "99"}, 2),
    ],
)
def test_a_rating_is_one_to_five_or_rejected(
    attributes: dict[str, str], expected: int | None
) -> None:
    found = said(xmp=xmp(**attributes)).get("rating")
    assert found == expected
    assert found is None or type(found) is int


def test_windows_rates_in_exif_and_xmp_goes_before_it() -> None:
    assert said(exif({0x4746: 4}))["rating"] == 4
    assert said(exif({0x4749: 75}))["rating"] == 4
    assert said(exif({0x4746: 4}), xmp(xmp_Rating="1"))["rating"] == 1
    assert said(exif({0x4746: 77})) == {"notes": ["rating: 77 cannot be right"]}


# Who


def test_people_are_named_by_faces_of_both_kinds_and_by_iptc() -> None:
    region = (
        '<rdf:li><rdf:Description mwg-rs:Name="{0}" mwg-rs:Type="{1}"></rdf:Description></rdf:li>'
    )
    regions = "".join(
        region.format(*one) for one in [("Ada", "Face"), ("Rex", "Pet"), ("Focus", "Focus")]
    )
    packet = xmp(
        '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>'
        f'{regions}<rdf:li rdf:parseType="Resource"><mwg-rs:Type>Face</mwg-rs:Type>'
        "<mwg-rs:Name>Alan</mwg-rs:Name></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
        '<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>'
        '<rdf:li MPReg:PersonDisplayName="Grace" MPReg:Rectangle="0, 0, 1, 1"/>'
        "<rdf:li MPReg:Rectangle='0, 0, 1, 1'/></rdf:Bag></MPRI:Regions></MP:RegionInfo>"
        f"<Iptc4xmpExt:PersonInImage>{bag('Ada', 'Kurt')}</Iptc4xmpExt:PersonInImage>"
    )
    found = said(xmp=packet)
    assert found == {"people": ["Ada", "Alan", "Grace", "Kurt"]}
    assert merge(found, {})["words"] == ["ada", "alan", "grace", "kurt"]


def test_keywords_in_keywords_give_each_level_and_the_whole() -> None:
    packet = xmp(
        f"<dc:subject>{bag('Paris', 'night')}</dc:subject>"
        f"<lr:hierarchicalSubject>{bag('Places|Europe|Paris', 'night')}</lr:hierarchicalSubject>"
        f"<digiKam:TagsList>{bag('Places/Europe/Paris', '//')}</digiKam:TagsList>"
    )
    expected = ["Paris", "night", "Places", "Europe", "Places|Europe|Paris"]
    assert said(xmp=packet) == {"keywords": expected}


# Where


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        (48.8584, 2.2945, ("Paris", "Île-de-France", "France")),
        (40.7128, -74.0060, ("New York City", "New York", "United States")),
        (-33.8569, 151.2150, ("Sydney", "New South Wales", "Australia")),
        (47.3769, 8.5417, ("Zürich", "Zurich", "Switzerland")),
        (-17.0, -179.999, ("Labasa", "Northern", "Fiji")),  # over the line where the date changes
    ],
)
def test_a_place_has_the_names_of_the_nearest_town(
    latitude: float, longitude: float, expected: tuple[str, str, str]
) -> None:
    town = towns.nearest(latitude, longitude)
    assert town is not None
    assert (town.city, town.region, town.country) == expected


@pytest.mark.parametrize("place", [(0.0, -30.0), (90.0, 0.0), (-90.0, 180.0), (-48.9, -123.4)])
def test_far_from_every_town_nothing_is_said(place: tuple[float, float]) -> None:
    assert towns.nearest(*place) is None
    assert "city" not in merge({"latitude": place[0], "longitude": place[1]}, {})


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_every_place_on_earth_has_names_or_none(latitude: float, longitude: float) -> None:
    town = towns.nearest(latitude, longitude)
    assert town is None or (town.city and town.country)


def test_what_the_file_says_of_its_place_goes_before_the_town_and_can_be_found_by_words() -> None:
    content: Metadata = {"latitude": 48.8584, "longitude": 2.2945, "city": "Gros-Caillou"}
    found = merge(content, {})
    assert (found["city"], found["country"]) == ("Gros-Caillou", "France")
    assert {"gros", "caillou", "france"} <= set(found["words"])  # type: ignore[arg-type]


# What cannot be right


def test_what_cannot_be_right_is_noted_and_what_is_blank_is_not() -> None:
    photo = {
        Base.DateTimeOriginal: "0000:00:00 00:00:00",
        Base.FNumber: float("nan"),
        Base.ISOSpeedRatings: 0,
        Base.LensModel: "x" * 65_536,
        Base.DateTimeDigitized: "    :  :     :  :  ",
    }
    place = {GPS.GPSLatitude: (91, 0, 0), GPS.GPSLatitudeRef: "N", GPS.GPSAltitude: 1e300}
    assert said(exif({Base.Make: "\0\0 "}, photo, place))["notes"] == [
        "taken: 0000:00:00 00:00:00 cannot be right",
        f"lens: {'x' * 60}… cannot be right",
        "aperture: nan cannot be right",
        "altitude: 1e+300 cannot be right",
        "place: ((91, 0, 0), None) cannot be right",
    ]


def test_what_stands_in_for_a_wrong_value_leaves_no_note() -> None:
    found = said(exif(photo={Base.FNumber: -1.0}), xmp(exif_FNumber="28/10"))
    assert found == {"aperture": 2.8}


@pytest.mark.parametrize(
    "packet",
    [
        b'<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + xmp(),
        xmp()[:-9],
        b"\xff\xfe" + b"<\0" * 9,
        b"x" * (1 << 21),
    ],
)
def test_a_packet_that_is_not_read_is_noted(packet: bytes) -> None:
    [note] = list(said(xmp=packet)["notes"])  # type: ignore[arg-type]
    assert note.startswith("XMP: ")


@given(st.binary(max_size=300), st.text(max_size=40))
def test_any_sidecar_is_taken_without_a_word(packet: bytes, text: str) -> None:
    safe = "".join(c for c in text if c.isprintable() and c not in "<>&\"'")
    sidecar_fields(packet)
    names = ("exif_FNumber", "exif_GPSLatitude", "xmp_Rating", "photoshop_DateCreated")
    wild = dict.fromkeys(names, safe)
    for value in sidecar_fields(xmp(**wild)).values():
        assert value is not None


# Sidecars


def test_a_sidecar_goes_before_its_picture_and_the_first_before_the_others() -> None:
    content: Metadata = {
        **{"width": 4, "taken": 5, "taken_utc": 6, "title": "old", "rating": 1},
        **{"latitude": 1.0, "longitude": 1.0, "altitude": 9.0, "city": "Old"},
        "notes": ["iso: -1 cannot be right"],
    }
    one = sidecar_fields(
        xmp(photoshop_DateCreated="2020-06-01T12:00:00", xmp_Rating="5", exif_FNumber="no1")
    )
    two = sidecar_fields(
        xmp(xmp_Rating="2", exif_GPSLatitude="48,51,0N", exif_GPSLongitude="2,17,0E")
    )
    assert with_sidecars(content, [one, two]) == {
        **{"width": 4, "taken": NOON, "title": "old", "rating": 5},
        **{"latitude": 48.85, "longitude": 2.2833333},
        "notes": ["aperture: no1 cannot be right", "iso: -1 cannot be right"],
    }
    assert with_sidecars(content, []) == content


def test_a_sidecar_may_be_written_in_utf_16() -> None:
    text = xmp(xmp_Rating="4").decode()
    assert sidecar_fields(("\ufeff" + text + "\n").encode("utf-16-le")) == {"rating": 4}
    assert sidecar_fields(b"") == {}
    assert list(sidecar_fields(b"no XML")) == ["notes"]


# Photographs of others (not in this repository): PIXSEEK_TEST_DATA/files. The expectations are what
# ExifTool 12.57 says of the same files (exiftool -json -n -G1 -struct).

DATA = os.environ.get("PIXSEEK_TEST_DATA")
if DATA:  # else the tests do not exist, which is not the same as being skipped
    PHONES = Path(DATA, "files", "phone-samples")

    def of_file(name: str) -> Metadata:
        picture = read(PHONES / "metadata" / name, 50)
        return said(picture.exif, picture.xmp, picture.iptc)

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            (
                "dates/date-priority-test.jpg",
                {"taken": timegm((2023, 2, 2, 2, 0, 0)), "taken_utc": None},
            ),
            (
                "dates/datetimeoriginal-gps.jpg",
                {
                    "taken": timegm((2025, 12, 1, 11, 30, 0)),
                    "latitude": 39.0,
                    "longitude": -108.0,
                    "taken_utc": None,
                },
            ),
            (
                "dates/gps-datetime.jpg",
                {
                    "taken": timegm((2023, 11, 15, 12, 30, 0)),
                    "taken_utc": timegm((2023, 11, 15, 12, 30, 0)),
                    "latitude": 37.7749,
                    "longitude": -122.4194,
                },
            ),
            ("dates/time-created.jpg", {"taken": None, "camera_model": "EOS R5"}),
            (
                "gps-position/empty_gps.jpg",
                {
                    "taken": timegm((2025, 6, 1, 16, 59, 26)),
                    "latitude": None,
                    "iso": 234,
                    "aperture": 1.8,
                    "exposure": 0.025,
                },
            ),
            (
                "gps-position/thompson-springs.jpg",
                {
                    "taken": timegm((2022, 1, 10, 15, 15, 44)),
                    "taken_utc": timegm((2022, 1, 10, 21, 15, 44)),
                    "latitude": 39.115,
                    "longitude": -108.4009683,
                    "altitude": 1483.9,
                    "direction": 206.0,
                    "city": "Thompson Springs",
                    "region": "Utah",
                    "country": "United States",
                },
            ),
            ("rating/mongolels.jpg", {"rating": 3, "taken": timegm((2009, 8, 29, 13, 18, 8))}),
            ("faces/portrait.jpg", {"people": ["Marie Curie", "Pierre Curie"], "taken": None}),
            ("faces/portrait-orientation-6.jpg", {"people": ["Marie Curie", "Pierre Curie"]}),
            ("tags/picasa.jpg", {"keywords": ["Frost", "Yard"], "iso": 80, "focal_length": 18.6}),
        ],
    )
    def test_pictures_of_telephones_say_what_exiftool_reads_in_them(
        name: str, expected: Metadata
    ) -> None:
        found = of_file(name)
        assert {key: found.get(key) for key in expected} == expected

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            (
                "metadata/xmp/dates/2000.xmp",  # in UTF-16, which ExifTool does not read
                {
                    "taken": timegm((2000, 9, 27, 14, 35, 33)),
                    "taken_utc": timegm((2000, 9, 27, 12, 35, 33)),
                },
            ),
            (
                "problems/xmp/iso-value-array/iso-value-array.xmp",
                {"iso": 160, "latitude": 40.2346441, "longitude": -76.2871415, "aperture": 2.8},
            ),
        ],
    )
    def test_real_sidecars_are_read(name: str, expected: Metadata) -> None:
        found = sidecar_fields((PHONES / name).read_bytes())
        assert {key: found.get(key) for key in expected} == expected

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            (
                "heic/IMG_5195.HEIC",
                {
                    "taken": timegm((2021, 4, 11, 15, 47, 53)),
                    "taken_utc": timegm((2021, 4, 11, 20, 47, 53)),
                },
            ),
            (
                "heic/mobile/iphone_13_pro_max.HEIC",
                {
                    "taken": timegm((2022, 2, 16, 12, 55, 41)),
                    "taken_utc": timegm((2022, 2, 16, 11, 55, 41)),
                },
            ),
            (
                "heic/mobile/HMD_Nokia_8.3_5G.heif",  # which says the time by satellites only
                {"taken_utc": timegm((2022, 2, 3, 14, 44, 9))},
            ),
            (
                "jpg/gps/DSCN0010.jpg",  # whose satellites' day is another
                {"taken": timegm((2008, 10, 22, 16, 28, 39)), "taken_utc": None},
            ),
            (
                "jpg/xmp/BlueSquare.jpg",
                {"keywords": ["XMP", "Blue Square", "test file", "Photoshop", ".jpg"]},
            ),
            (
                "jpg/long_description.jpg",
                {"city": "KANDAHAR ARMY AIRFIELD", "country": "Afghanistan"},
            ),
            (
                "jpg/tests/32-lens_data.jpeg",  # right in EXIF, and "f/5,6" in XMP
                {"aperture": 5.6, "exposure": 0.002, "focal_length": 105.0, "notes": None},
            ),
        ],
    )
    def test_pictures_of_many_cameras_say_what_exiftool_reads_in_them(
        name: str, expected: Metadata
    ) -> None:
        picture = read(PHONES.parent / "exif-samples" / name, 50)
        found = said(picture.exif, picture.xmp, picture.iptc)
        assert {key: found.get(key) for key in expected} == expected
