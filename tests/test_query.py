"""The query language: what is syntax and what is a phrase, what lines mean, and what they find."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import pixseek
from pixseek import ImageSearchEngine, Query
from pixseek.errors import InvalidQuery, MissingPath, QueryNotUnderstood
from pixseek.metadata import FIELDS
from pixseek.metadata.wording import words_asked
from pixseek.query.conditions import NotAValue, check, condition_filter
from pixseek.query.dates import NotADate, span
from pixseek.query.fields import FILTERS, NAMES, nearest
from pixseek.query.line import LONGEST, parse
from pixseek.query.plan import Alternative, Term, alternatives
from pixseek.query.tree import (
    And,
    Condition,
    Exact,
    Like,
    Node,
    Not,
    Or,
    Text,
    Weighted,
)
from pixseek.records import Metadata
from pixseek.stores import filters
from pixseek.stores.filters import Compare, Filter, matches

DATA = Path(__file__).parent / "data"
PHRASES = (DATA / "phrases.txt").read_text(encoding="utf-8").splitlines()
LINES = [
    line.split("\t") for line in (DATA / "queries.tsv").read_text(encoding="utf-8").splitlines()
]
NOW = datetime(2026, 11, 25, 14, 30)  # a Wednesday
Paint = Callable[..., Path]
steady = settings(max_examples=300, deadline=None, derandomize=True, database=None)


def shape(node: Node) -> str:
    """A tree as tests/data/queries.tsv has it."""
    match node:
        case Text(text):
            return f"[{text}]"
        case Like(source):
            return f"like({source!s})"
        case Exact(text):
            return f"words({text})"
        case Condition(field, value, comparison):
            return f"{field}:{comparison}({value})"
        case Weighted(part, weight):
            return f"{shape(part)}*{weight:g}"
        case Not(part):
            return f"not {shape(part)}"
        case And(parts):
            return "{" + " & ".join(map(shape, parts)) + "}"
        case Or(parts):
            return "{" + " | ".join(map(shape, parts)) + "}"


# What is a phrase, and what is syntax


@pytest.mark.parametrize("line", PHRASES)
def test_ordinary_writing_is_a_phrase(line: str) -> None:
    assert parse(line) == Text(line)
    assert str(Query.text(line)) == line


def test_there_are_hundreds_of_lines_of_ordinary_writing() -> None:
    assert len(set(PHRASES)) == len(PHRASES) > 300


@pytest.mark.parametrize(("line", "meaning"), LINES)
def test_a_line_means(line: str, meaning: str) -> None:
    query = Query.parse(line)
    assert shape(query.root) == meaning
    assert Query.parse(str(query)) == query


def test_white_space_around_a_line_is_nothing() -> None:
    assert parse("  beach \n") == Text("beach")
    assert parse("\tbeach\tsea") == Text("beach\tsea")


@pytest.mark.parametrize(
    ("line", "position", "reason"),
    [
        ("camra:iphone", 1, r"no field 'camra'; did you mean camera:\?"),
        ("cake -camra:iphone", 7, r"did you mean camera:\?"),
        ("a dog befor:2020", 7, r"did you mean before:\?"),
        ("(dog OR lables:cat)", 9, r"did you mean label"),
        ("year:abc", 6, "'abc' is no number"),
        ("iso:>fast", 6, "'fast' is no number"),
        ("size:5parsecs", 6, "no size; expected one such as 5MB"),
        ("exposure:1/0", 10, "no finite number"),
        ("year:..", 6, "a range such as"),
        ("after:last summer", 7, 'did you mean after:"last summer"'),
        ("(beach after:last week)", 14, 'did you mean after:"last week"'),
        ("taken:03/04/2021", 7, "no date"),
        ("taken:2023-02-30", 7, "no date"),
        ("after:>2020", 8, "is a comparison itself"),
        ("is:portrat", 4, r"did you mean is:portrait\?"),
        ("is:nothing", 4, "expected one of portrait, landscape"),
        ("in:>x", 5, "has no order"),
        ("near:Paris", 6, "expected latitude, longitude and distance"),
        ("near:91,0,5km", 6, "no place"),
        ("near:1,2,5parsecs", 6, "no place"),
        ("has:nothing", 5, "no field 'nothing'"),
        ("has:latitud", 5, r"did you mean has:latitude\?"),
        ('text:"Anna', 6, "never closed"),
        ('text:"Anna"x', 12, "a space is expected"),
        ('text:""', 6, "a value is expected"),
        ('like:""', 6, "expected a text after the colon"),
        ("like:ftp://example.com/a.jpg", 6, "fetched by http:// and https:// only"),
        ("dog OR year:2020", 5, "OR joins words that say what pictures show"),
        ('dog OR "exit"', 5, "OR joins"),
        ("iso:>800 year:2020^2", 15, "no number"),
        ('"exit sign"^2', 12, r"did you mean \(exit sign\)\^2"),
        ('iso:"800"^2', 11, "no weight"),
        ("(iso:1 OR iso:2)^2", 18, "no weight"),
        ("(" * 60 + "a OR b" + ")" * 60, 51, "nested too deeply"),
    ],
)
def test_an_error_points_at_the_character_and_says_what_was_meant(
    line: str, position: int, reason: str
) -> None:
    with pytest.raises(QueryNotUnderstood, match=reason) as caught:
        parse(line)
    assert caught.value.position == position
    shown, pointer = str(caught.value).splitlines()[-2:]
    assert shown[pointer.index("^")] == line[position - 1]


def test_a_long_line_is_shown_around_the_place_of_the_error() -> None:
    with pytest.raises(QueryNotUnderstood) as caught:
        parse("beach " * 100 + "year:abc " + "sea " * 100)
    shown, pointer = str(caught.value).splitlines()[-2:]
    assert shown[pointer.index("^") :].startswith("abc sea")
    assert len(shown) < 90


@pytest.mark.parametrize("line", ["", " ", "\n\t"])
def test_an_empty_line_is_refused(line: str) -> None:
    with pytest.raises(InvalidQuery, match="the query is empty"):
        parse(line)


def test_a_line_of_pathological_parentheses_is_read_in_no_time() -> None:
    assert isinstance(parse("( " * 40 + "a" + " )" * 40), Text)
    assert isinstance(parse("(" * LONGEST), Text)
    with pytest.raises(InvalidQuery, match="expected at most 4000"):
        parse("a" * (LONGEST + 1))


# Reading and printing are each other's inverse

_conditions = st.one_of(
    st.builds(Condition, st.just("iso"), st.sampled_from(["100", "1..5"])),
    st.builds(Condition, st.just("iso"), st.just("800"), st.sampled_from(["", "=", ">", "<="])),
    st.builds(Condition, st.sampled_from(["camera", "text", "name"]), st.text(min_size=1)),
    st.builds(Condition, st.just("taken"), st.just("last summer"), st.sampled_from(["", ">"])),
).filter(lambda one: bool(one.value.strip()))
_texts = st.one_of(
    st.text(min_size=1),
    st.sampled_from([*PHRASES, "dog", "red car", "AND", "a OR b", "-x", "x^2", "ABC", "year:2020"]),
).filter(lambda text: bool(text.strip()))
_leaves = st.one_of(
    _texts.map(Query.text),
    _texts.filter(lambda text: "://" not in text).map(Query.image),
    _texts.filter(words_asked).map(Query.words),
    _conditions.map(Query),
)
_weights = st.floats(1e-9, 1e9) | st.sampled_from([0.5, 2.0, 1.0])


def _weighed(query: Query, weight: float) -> Query:
    try:
        return query * weight
    except InvalidQuery:  # of conditions
        return query


def _or(one: Query, other: Query) -> Query:
    found = one | other
    try:
        alternatives(found)
    except InvalidQuery:  # of what is shown with a condition, or of too many
        return one
    return found


queries = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(lambda one, other: one + other, inner, inner),
        st.builds(lambda one, other: one - other, inner, inner),
        st.builds(_or, inner, inner),
        st.builds(_weighed, inner, _weights),
        inner.map(lambda one: -one),
    ),
    max_leaves=8,
)


@steady
@given(queries)
def test_a_query_prints_as_a_line_that_reads_back_to_it(query: Query) -> None:
    assert Query.parse(str(query)) == query


_pieces = st.sampled_from(
    [
        *(
            "dog",
            "red car",
            "AND",
            "OR",
            "NOT",
            "-",
            "(",
            ")",
            '"',
            "“",
            "”",
            "^2",
            "^0.5",
            ":",
            "^",
        ),
        *(
            "year:2020",
            "iso:>8",
            'text:"a b"',
            "like:a.jpg",
            "shows:",
            "after:2020",
            "A",
            "\\",
            "é",
        ),
        *(
            "taken:'last summer'",
            "text:'",
            "'",
            "camera:",
            "  ",
            " ",
            " ",
            " ",
            "U2",
            "1",
            ".",
            "'",
            "\n",
            "(",
            ")",
            "😀",
            '"exit"',
            "^1e3",
        ),
    ]
)


@steady
@given(st.one_of(st.lists(_pieces, max_size=14).map("".join), st.text()))
def test_what_reads_prints_and_reads_the_same(line: str) -> None:
    try:
        query = Query.parse(line)
    except InvalidQuery:
        return
    assert Query.parse(str(query)) == query
    assert str(Query.parse(str(query))) == str(query)


@steady
@given(st.lists(_pieces, min_size=1, max_size=14).map("".join))
def test_an_error_always_points_into_the_line(line: str) -> None:
    try:
        Query.parse(line)
    except InvalidQuery as error:
        refused = error
    else:
        return
    if isinstance(refused, QueryNotUnderstood):
        assert 1 <= refused.position <= len(line) + 1
    else:  # only this one is without a place
        assert "empty" in str(refused)


# In Python


def test_queries_are_put_together_in_python() -> None:
    query = Query.text("beach") + Query.image("a.jpg") * 0.5 - Query.text("people")
    assert str(query) == "beach like:a.jpg^0.5 -people"
    assert query == Query.parse("beach like:a.jpg^0.5 -people")
    either = (Query.text("dog") | Query.text("cat")) & Query.condition("iso:>800")
    assert str(either) == "(dog OR cat) iso:>800"
    assert -Query.text("a") == ~Query.text("a") == Query.text("a") * -1
    assert -Query.parse("-a") == Query.parse("-(-a)")
    assert 2 * Query.text("a") * 0.5 == Query.text("a")
    assert Query.image(Path("a.jpg")) == Query.image("a.jpg")
    assert "picture" in str(Query.image(b"..."))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Query.text(" "), "empty"),
        (lambda: Query.words("?!"), "nothing to look for"),
        (lambda: Query.image("file:///a.jpg"), "fetched by http:// and https:// only"),
        (lambda: Query.image(""), "a picture has no name"),
        (lambda: Query.condition("beach"), "no condition"),
        (lambda: Query.condition("iso:1 iso:2"), "no condition"),
        (lambda: Query.text("a") * 0, "expected a finite number"),
        (lambda: Query.text("a") * math.nan, "expected a finite number"),
        (lambda: Query.words("a") * 2, "weight was given to conditions"),
        (lambda: alternatives(Query(Condition("camra", "x"))), "did you mean camera:"),
        (lambda: alternatives(Query.text("a") | Query.words("b")), "OR joins"),
    ],
)
def test_what_no_query_can_be_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidQuery, match=message):
        make()


def test_a_query_is_only_put_together_with_queries() -> None:
    with pytest.raises(TypeError, match=r"expected a Query, got 'people'"):
        Query.text("beach") - "people"  # type: ignore[operator]  # what is refused


# What conditions mean


def _seconds(*parts: int) -> int:
    return int((datetime(*parts) - datetime(1970, 1, 1)).total_seconds())  # type: ignore[arg-type]  # year, month, day


PHOTO: Metadata = {
    "name": "IMG_20230601.JPG",
    "path": "trips/IMG_20230601.JPG",
    "extension": "jpg",
    "size": 6_000_000,
    "width": 4000,
    "height": 3000,
    "orientation": "landscape",
    "taken": _seconds(2023, 6, 1, 18, 30),
    "modified": datetime(2026, 11, 24, 12).timestamp(),
    "year": 2023,
    "camera_make": "Apple",
    "camera_model": "iPhone 14 Pro",
    "lens": "Été 50mm",
    "iso": 800,
    "aperture": 2.8,
    "exposure": 1 / 250,
    "focal_length": 35.0,
    "latitude": 48.86,
    "longitude": 2.36,
    "text": "Anna's Café\nOPEN",
    "labels": ["a cat", "a sofa"],
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("year:2023", True),
        ("year:2019..2021", False),
        ("year:2019..2023", True),
        ("year:2023..", True),
        ("year:..2022", False),
        ("year:=2023", True),
        ("iso:>800", False),
        ("iso:>=800", True),
        ("iso:<=800", True),
        ("iso:<800", False),
        ("aperture:f/2.8", True),
        ("aperture:<=f/2", False),
        ("exposure:1/250", True),
        ("exposure:1/500s..1/100s", True),
        ("focal_length:35mm", True),
        ("size:>5MB", True),
        ("size:>5MiB", True),
        ("size:5500kB..6500kB", True),
        ("size:>1GB", False),
        ("camera:iphone", True),
        ("camera:APPLE", True),
        ("camera:nikon", False),
        ('camera:"iphone 14"', True),
        ('camera:="iPhone 14 Pro"', True),
        ("camera:=iphone", False),
        ("lens:été", True),
        ("lens:ÉTÉ", True),
        ("text:anna", True),
        ('text:"café"', True),
        ("name:img_2023", True),
        ("label:cat", True),
        ("label:dog", False),
        ("labels:=cat", False),
        ('labels:="a cat"', True),
        ("ext:jpg", True),
        ("ext:.JPEG", True),
        ("ext:png", False),
        ("taken:2023", True),
        ("taken:2023-06", True),
        ("taken:2023-06-01", True),
        ("taken:2023-06-01T18:30", True),
        ("taken:2023-06-01T18:31", False),
        ("taken:2023-06-02", False),
        ("taken:>2023", False),
        ("taken:>=2023", True),
        ("taken:>2022", True),
        ("taken:<2023", False),
        ("taken:<=2023", True),
        ("taken:2022..2023-05", False),
        ("taken:2022..2023-06", True),
        ("taken:..2023-06-01", True),
        ("after:2023", True),
        ("after:2023-06-02", False),
        ("before:2024", True),
        ("before:2023", False),
        ('date:"summer 2023"', True),
        ("date:yesterday", False),
        ("modified:yesterday", True),
        ("near:48.85,2.35,5km", True),
        ("near:48.85,2.35", True),
        ("near:48.85,2.35,100m", False),
        ("near:48.85,2.35,1mi", True),
        ("is:landscape", True),
        ("is:Portrait", False),
        ("is:panorama", False),
        ("is:screenshot", False),
        ("is:video", False),
        ("is:animation", False),
        ("has:taken", True),
        ("has:camera", True),
        ("has:altitude", False),
        ("path:trips/", True),
        ("name:>H", True),
    ],
)
def test_a_condition_holds_of_what_it_says(condition: str, holds: bool) -> None:
    node = parse(condition)
    assert isinstance(node, Condition)
    assert matches(condition_filter(node, NOW), PHOTO) is holds


def test_a_picture_without_a_time_is_dated_by_its_file() -> None:
    scan: Metadata = {"modified": datetime(2026, 11, 24, 12).timestamp()}
    for line, holds in (("date:yesterday", True), ("after:2025", True), ("before:2025", False)):
        node = parse(line)
        assert isinstance(node, Condition)
        assert matches(condition_filter(node, NOW), scan) is holds


@pytest.mark.parametrize(
    ("width", "height", "holds"),
    [(2200, 1000, True), (9000, 4000, True), (1999, 1000, False), (1, 1, False),
     (16000, 9000, False), (1000, 3000, False), (250_000, 99_000, True)],
)  # fmt: skip
def test_a_panorama_is_twice_as_wide_as_high(width: int, height: int, holds: bool) -> None:
    node = condition_filter(Condition("is", "panorama"), NOW)
    assert matches(node, {"width": width, "height": height}) is holds


@steady
@given(st.integers(32, 90_000), st.floats(0.2, 5))
def test_a_panorama_is_never_narrower_than_that(height: int, ratio: float) -> None:
    width = int(height * ratio)
    node = condition_filter(Condition("is", "panorama"), NOW)
    found = matches(node, {"width": width, "height": height})
    if width >= 2.3 * height + 3:
        assert found
    if width < 2 * height:
        assert not found


_degrees = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@steady
@given(_degrees, st.floats(0.001, 21_000), _degrees)
def test_near_finds_all_that_is_near(
    place: tuple[float, float], km: float, other: tuple[float, float]
) -> None:
    node = _near(place, km)
    if _distance(place, other) < km * (1 - 1e-7):
        assert matches(node, _at(other))


@steady
@given(_degrees, st.floats(0.001, 20_000), st.floats(0, 360))
def test_near_finds_what_is_just_within(
    place: tuple[float, float], km: float, bearing: float
) -> None:
    assert matches(_near(place, km), _at(_away(place, km * (1 - 1e-4), bearing)))


@pytest.mark.parametrize("km", [0.01, 5, 800])
@pytest.mark.parametrize("place", [(48.85, 2.35), (-17.5, 179.99), (64.1, -179.99), (0, 0)])
def test_near_does_not_find_what_is_a_tenth_too_far(place: tuple[float, float], km: float) -> None:
    node = _near(place, km)
    for bearing in range(0, 360, 5):
        assert not matches(node, _at(_away(place, km * 1.1, bearing)))
    assert matches(node, _at((place[0], place[1] % 360 - (360 if place[1] % 360 > 180 else 0))))


@pytest.mark.parametrize(
    ("place", "km"),
    [((48.85, 2.35), 5), ((0, 180), 0.2), ((-70, -179), 900), ((89.99, 0), 5), ((80, 10), 3000),
     ((-90, 0), 100), ((10, 20), 12_000)],
)  # fmt: skip
def test_near_finds_hardly_more_than_a_circle(place: tuple[float, float], km: float) -> None:
    """Less than 2 % more area, or 2.5 % where a pole is inside, as docs/query.md says."""
    node = _near(place, km)
    found = 0
    steps = 150  # a net over the circle and a little more, each knot of which has as much area
    reach = 1 - math.cos(min(km * 1.15 / 6371, math.pi))
    for ring in range(steps):
        away = 6371 * math.acos(1 - reach * (ring + 0.5) / steps)
        for turn in range(steps):
            bearing = 360 * (turn + (ring % 10) / 10) / steps
            found += matches(node, _at(_away(place, away, bearing)))
    inside = (1 - math.cos(km / 6371)) / reach * steps**2
    most = 0.02 if abs(place[0]) + km / 111.195 < 90 else 0.026
    assert -0.004 < found / inside - 1 < most  # the net's own error


@pytest.mark.parametrize("km", [1, 6000, 20_020, 1e9])
def test_near_has_no_more_conditions_than_is_good_for_stores(km: float) -> None:
    for place in ((48.85, 2.35), (0, 180), (90, 0)):
        assert _count(_near(place, km)) < 260


def _count(node: Filter) -> int:
    if isinstance(node, Compare):
        return 1
    parts = (node.part,) if isinstance(node, filters.Not) else node.parts
    return sum(map(_count, parts))


def _near(place: tuple[float, float], km: float) -> Filter:
    value = f"{place[0]:.9f},{place[1]:.9f},{km:.9f}km"
    return condition_filter(Condition("near", value), NOW)


def _at(place: tuple[float, float]) -> Metadata:
    return {"latitude": place[0], "longitude": place[1]}


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Kilometres on the sphere."""
    (a, b), (c, d) = (tuple(map(math.radians, place)) for place in (one, other))
    half = math.sin((a - c) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((b - d) / 2) ** 2
    return 2 * 6371 * math.asin(min(1, math.sqrt(half)))


def _away(place: tuple[float, float], km: float, bearing: float) -> tuple[float, float]:
    """The place that lies so far from another in a direction."""
    north, turn, far = math.radians(place[0]), math.radians(bearing), km / 6371
    sine = math.sin(north) * math.cos(far) + math.cos(north) * math.sin(far) * math.cos(turn)
    east = math.atan2(
        math.sin(turn) * math.sin(far) * math.cos(north), math.cos(far) - math.sin(north) * sine
    )
    longitude = (place[1] + math.degrees(east) + 540) % 360 - 180
    return math.degrees(math.asin(max(-1.0, min(1.0, sine)))), longitude


@pytest.mark.parametrize("name", FILTERS)
def test_the_example_of_every_field_is_a_condition(name: str) -> None:
    node = parse(FILTERS[name].example)
    assert isinstance(node, Condition)
    assert node.field == name
    check(node)


def test_every_metadata_field_has_a_name_in_the_language() -> None:
    assert set(FIELDS) <= NAMES
    assert all(field in FIELDS for one in FILTERS.values() for field in one.fields)


def test_a_name_that_is_nearly_right_is_recognised_and_words_are_not() -> None:
    assert nearest("camra") == "camera"
    assert nearest("keywrds") in ("keyword", "keywords")
    for word in (
        "ratio",
        "tales",
        "note",
        "https",
        "todo",
        "chapter",
        "psalm",
        "warning",
        "step",
        "part",
    ):
        assert parse(f"{word}:me") == Text(f"{word}:me")


@steady
@given(st.sampled_from(sorted(FILTERS)), st.text(max_size=12))
def test_any_value_is_a_filter_or_refused(name: str, value: str) -> None:
    condition = Condition(name, value)
    try:
        check(condition)
    except NotAValue as error:
        assert str(error)  # noqa: PT017  a refusal says something


# Dates


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2023", "2023-01-01", "2023-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2023/6/1", "2023-06-01", "2023-06-01"),
        ("2023.06.01", "2023-06-01", "2023-06-01"),
        ("today", "2026-11-25", "2026-11-25"),
        ("Yesterday", "2026-11-24", "2026-11-24"),
        ("this week", "2026-11-23", "2026-11-29"),
        ("last week", "2026-11-16", "2026-11-22"),
        ("last weekend", "2026-11-21", "2026-11-22"),
        ("this month", "2026-11-01", "2026-11-30"),
        ("last  month", "2026-10-01", "2026-10-31"),
        ("this year", "2026-01-01", "2026-12-31"),
        ("last year", "2025-01-01", "2025-12-31"),
        ("june 2020", "2020-06-01", "2020-06-30"),
        ("June", "2026-06-01", "2026-06-30"),
        ("december", "2025-12-01", "2025-12-31"),
        ("last november", "2025-11-01", "2025-11-30"),
        ("this june", "2026-06-01", "2026-06-30"),
        ("last summer", "2026-06-01", "2026-08-31"),
        ("last autumn", "2025-09-01", "2025-11-30"),
        ("summer of 2019", "2019-06-01", "2019-08-31"),
        ("winter 2022", "2022-12-01", "2023-02-28"),
        ("christmas 2022", "2022-12-24", "2022-12-26"),
        ("christmas", "2025-12-24", "2025-12-26"),
        ("Valentine’s Day 2020", "2020-02-14", "2020-02-14"),
        ("new year's eve", "2025-12-31", "2025-12-31"),
        ("easter 2024", "2024-03-29", "2024-04-01"),
        ("easter 2025", "2025-04-18", "2025-04-21"),
        ("easter 1961", "1961-03-31", "1961-04-03"),
        ("halloween", "2026-10-31", "2026-10-31"),
        ("3 days ago", "2026-11-22", "2026-11-22"),
        ("3 weeks ago", "2026-11-02", "2026-11-08"),
        ("two months ago", "2026-09-01", "2026-09-30"),
        ("2 years ago", "2024-01-01", "2024-12-31"),
        ("last friday", "2026-11-20", "2026-11-20"),
        ("12 March 2020", "2020-03-12", "2020-03-12"),
        ("March 12, 2020", "2020-03-12", "2020-03-12"),
        ("gestern", "2026-11-24", "2026-11-24"),
        ("昨天", "2026-11-24", "2026-11-24"),
    ],
)
def test_a_date_means_a_span_of_time(text: str, first: str, last: str) -> None:
    start, end = span(text, NOW)
    assert f"{start:%Y-%m-%d}" == first
    assert f"{datetime.fromtimestamp(end.timestamp() - 1):%Y-%m-%d}" == last


@pytest.mark.parametrize(
    "text",
    ["", "0", "12", "0000", "2023-13", "2023-00-01", "2023-02-30", "2023-06-01T25:00", "a",
     "03/04/2021", "soon", "the", "summer 20", "last", "!", "christmas 0000", "x" * 100],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(NotADate):
        span(text, NOW)


@steady
@given(st.text(max_size=20))
def test_any_text_is_a_date_or_none(text: str) -> None:
    try:
        start, end = span(text, NOW)
    except NotADate:
        return
    assert start < end


# What is to be done


def test_a_line_becomes_terms_filters_and_words() -> None:
    (one,) = alternatives(Query.parse('beach^2 -people like:a.jpg^0.5 "exit sign" iso:800'), NOW)
    assert one.terms == (
        Term(Text("beach"), 2.0),
        Term(Text("people"), -1.0),
        Term(Like("a.jpg"), 0.5),
    )
    assert one.words == ("exit sign",)
    assert matches(one.filter, {"iso": 800, "words": ["sign", "exit"]})
    assert not matches(one.filter, {"iso": 800, "words": ["sign"]})


def _terms(one: Alternative) -> str:
    return " ".join(
        f"{term.weight:+g} {term.shown.text}" for term in one.terms if isinstance(term.shown, Text)
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dog", ["+1 dog"]),
        ("dog OR cat", ["+1 dog", "+1 cat"]),
        ("snow (dog OR cat)", ["+1 snow +1 dog", "+1 snow +1 cat"]),
        ("(a1 OR b1) (c1 OR d1)", ["+1 a1 +1 c1", "+1 a1 +1 d1", "+1 b1 +1 c1", "+1 b1 +1 d1"]),
        ("-(dog OR cat)", ["-1 dog -1 cat"]),
        ("-(dog -cat)", ["-1 dog +1 cat"]),
        ("(dog OR cat^3)^2", ["+2 dog", "+6 cat"]),
        ("-(dog^2 OR cat)", ["-2 dog -1 cat"]),
        ("dog AND cat OR bird", ["+1 dog +1 cat", "+1 bird"]),
        ("iso:800", [""]),
        ('"exit sign"', ["+1 exit sign"]),
        ('"exit" OR "door"', ["+1 exit +1 door"]),
        ('-"exit"', [""]),
        ('dog "exit"', ["+1 dog"]),
    ],
)
def test_or_between_what_is_shown_gives_alternatives(line: str, expected: list[str]) -> None:
    assert [_terms(one) for one in alternatives(Query.parse(line), NOW)] == expected


def test_each_alternative_has_the_conditions_beside_it() -> None:
    dog, cat = alternatives(Query.parse("(dog year:2020 OR cat year:2021) iso:800"), NOW)
    for one, year in ((dog, 2020), (cat, 2021)):
        assert matches(one.filter, {"year": year, "iso": 800})
        assert not matches(one.filter, {"year": year, "iso": 100})
        assert not matches(one.filter, {"year": 4041 - year, "iso": 800})


def test_not_turns_the_conditions_of_a_group_over() -> None:
    (one,) = alternatives(Query.parse("beach -(dog year:2020 iso:800)"), NOW)
    assert _terms(one) == "+1 beach -1 dog"
    assert not matches(one.filter, {"year": 2020, "iso": 800})
    assert matches(one.filter, {"year": 2020, "iso": 100})
    assert matches(one.filter, {})


def test_too_many_alternatives_are_refused() -> None:
    assert len(alternatives(Query.parse("(a1 OR b1) " * 4))) == 16
    with pytest.raises(InvalidQuery, match="at most 16"):
        alternatives(Query.parse("(a1 OR b1) " * 5))
    with pytest.raises(InvalidQuery, match="at most 16"):
        alternatives(Query.parse("(a1 OR b1) " * 200))
    with pytest.raises(InvalidQuery, match="at most 16"):
        alternatives(Query.parse(" OR ".join(f"a{i}" for i in range(17))))


def test_dates_are_counted_from_the_search_not_from_the_line() -> None:
    query = Query.parse("modified:yesterday")
    (then,), (later,) = (alternatives(query, now) for now in (NOW, datetime(2027, 1, 1)))
    assert then.filter != later.filter


# In a library


@pytest.fixture
def painted(paint: Paint, photos: Path, engine: ImageSearchEngine) -> Path:
    """red, blue, green, half (red and blue) and a wide white one, in the engine's library."""
    for name, colours in {
        "red": ["red"],
        "blue": ["blue"],
        "green": ["green"],
        "half": ["red", "blue"],
    }.items():
        paint(f"{name}.png", *colours)
    Image.new("RGB", (300, 100), "white").save(photos / "Screenshot wide.png")
    engine.index_images(photos)
    return photos


def names(engine: ImageSearchEngine, line: str, **options: Any) -> list[str]:
    return [hit.path.stem for hit in engine.search(Query.parse(line), **options)]


def test_words_and_pictures_add_up_and_push_away(engine: ImageSearchEngine, painted: Path) -> None:
    assert names(engine, "red", k=2) == ["red", "half"]
    assert names(engine, "red AND blue", k=1) == ["half"]
    assert names(engine, "red -blue", k=1) == ["red"]
    assert names(engine, "red -blue", k=5)[-1] == "blue"
    assert names(engine, f'like:"{painted}/red.png" blue', k=1) == ["half"]
    assert names(engine, f'like:"{painted}/red.png" blue^9', k=1) == ["blue"]
    assert names(engine, f'like:"{painted}/half.png" -red', k=1) == ["blue"]
    assert engine.search(Query.text("red")) == engine.search("red")


@pytest.mark.usefixtures("painted")
def test_either_of_two_is_found_by_its_best(engine: ImageSearchEngine) -> None:
    assert set(names(engine, "red OR green", k=2)) == {"red", "green"}
    pages = [names(engine, "red OR green", k=1, offset=i) for i in range(5)]
    assert sorted(name for page in pages for name in page) == [
        "Screenshot wide",
        "blue",
        "green",
        "half",
        "red",
    ]
    hits = engine.search(Query.parse("red OR green"), min_score=0.99)
    assert {hit.path.stem for hit in hits} == {"red", "green"}
    assert names(engine, "(red name:half) OR (green name:blue)", k=9) == ["half", "blue"]


def test_conditions_choose(engine: ImageSearchEngine, painted: Path) -> None:
    assert names(engine, "red -name:red -name:half", k=1) != ["red"]
    assert names(engine, "is:panorama") == ["Screenshot wide"]
    assert names(engine, "red is:screenshot") == ["Screenshot wide"]
    assert set(names(engine, f'red in:"{painted}"')) == set(names(engine, "red"))
    assert names(engine, f'red in:"{painted}/none"') == []
    assert names(engine, "red name:red", where={"name": {"$prefix": "half"}}) == []
    assert names(engine, "red ext:png", where={"name": {"$prefix": "half"}}) == ["half"]


def test_conditions_alone_give_the_latest_first(engine: ImageSearchEngine, painted: Path) -> None:
    import os

    for i, name in enumerate(["blue", "red", "half"]):
        os.utime(painted / f"{name}.png", (1_600_000_000 + i, 1_600_000_000 + i))
    engine.index_images(painted)
    hits = engine.search(Query.parse("before:2021"))
    assert [hit.path.stem for hit in hits] == ["half", "red", "blue"]
    assert {hit.score for hit in hits} == {0.0}
    assert names(engine, "before:2021", k=1, offset=1) == ["red"]
    assert names(engine, "before:2021", min_score=0.5) == []


@pytest.mark.usefixtures("painted")
def test_a_picture_of_the_library_is_named_by_its_id(engine: ImageSearchEngine) -> None:
    (red,) = engine.search("red", k=1)
    assert names(engine, f"like:{red.id}", k=1) == ["red"]
    with pytest.raises(MissingPath):
        names(engine, f"like:{red.id[:-1]}x")


@pytest.mark.usefixtures("painted")
def test_what_is_not_there_or_cancels_out_is_refused(engine: ImageSearchEngine) -> None:
    with pytest.raises(MissingPath, match=r"none\.jpg"):
        names(engine, "like:none.jpg")
    with pytest.raises(InvalidQuery, match="cancel each other out"):
        names(engine, "red -red^2")


def test_a_query_joins_the_other_arguments(engine: ImageSearchEngine, painted: Path) -> None:
    (half,) = engine.search(Query.parse("red ext:png"), image=painted / "blue.png", k=1)
    assert half.path.stem == "half"
    (vector,) = [item.vector for item in engine.items.fetch([half.id])]
    found = engine.search(Query.parse("-name:half"), vector=vector)
    assert [hit.path.stem for hit in found].count("half") == 0
    assert found[0].score > 0.5


@pytest.mark.usefixtures("painted")
def test_strings_are_plain_words_in_python(engine: ImageSearchEngine) -> None:
    assert engine.search("red -name:red", k=1)[0].path.stem == "red"
    assert engine.search_by_text("red year:1999", k=1)[0].path.stem == "red"


def test_a_plain_line_loads_no_date_parser() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(pixseek.__file__).parent.parent)!r})\n"
        "from pixseek import Query\n"
        "Query.parse('birthday cake -candles year:2020 after:2023-06 (dog OR cat)')\n"
        "assert not {'dateparser', 'regex', 'difflib', 'numpy', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_exact_words_are_those_of_wording() -> None:
    (one,) = alternatives(Query.words("Exit!"))
    assert one.filter is not None
    assert matches(one.filter, {"words": ["exit"]})
    assert isinstance(one.filter, Compare) or one.filter.parts  # type: ignore[union-attr]  # And
