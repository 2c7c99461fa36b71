"""Stores by URL, and metadata as every engine can keep it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

pytest.register_assert_rewrite("tests.store_contract")

from tests.store_contract import metadatas, often  # noqa: E402

from pixseek.errors import InvalidStoreAddress, StoreMismatch  # noqa: E402  # after the line above
from pixseek.records import Metadata, Scalar, Space  # noqa: E402
from pixseek.stores import check_stamp, open_store, set_url  # noqa: E402
from pixseek.stores.address import Address  # noqa: E402
from pixseek.stores.filters import elements, same  # noqa: E402
from pixseek.stores.payload import equals, has, has_number, metadata_of, payload  # noqa: E402

SPACE = Space("org/a model", "0123456789abcdef", 8)


@pytest.mark.parametrize(
    "url",
    [
        "local",
        "local:sets/x",
        "memory",
        "chroma:/data/a%20folder",
        "chroma+http://host:8000?collection=mine",
        "qdrant://host:6333?metric=ip&collection=mine",
        "postgresql://me:secret@host:5432/pictures?collection=a",
        "lancedb:s3://bucket/folder",
    ],
)
def test_a_url_comes_back_as_it_was(url: str) -> None:
    assert str(Address.parse(url)) == url


def test_a_url_says_engine_place_collection_and_metric() -> None:
    address = Address.parse("qdrant://host:6333?metric=l2&collection=mine")
    assert (address.name, address.place) == ("qdrant", "//host:6333")
    assert (address.metric, address.collection, address.is_remote) == ("l2", "mine", True)
    assert Address.parse("chroma:./x").metric == "cosine"
    assert Address.parse("chroma:./x").collection == "pixseek"


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidStoreAddress, match="'hamming'; expected cosine, l2, ip"):
        Address.parse("chroma:x?metric=hamming")


def test_a_store_without_choices_refuses_options(tmp_path: Path) -> None:
    with pytest.raises(InvalidStoreAddress, match="options; expected none"):
        open_store("memory?metric=l2", tmp_path, SPACE)


def test_a_relative_folder_is_kept_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Address.parse("chroma:./a b").absolute().path == tmp_path / "a b"
    kept = ("local", "memory:x", "chroma+http://host:1", "pinecone://index", "lancedb:s3://a/b")
    for url in kept:
        assert str(Address.parse(url).absolute()) == url


def test_what_is_printed_of_a_url_holds_no_secret() -> None:
    shown = Address.parse("postgresql://me:hunter2@host/db?api_key=abc").without_secrets
    assert shown == "postgresql://me:***@host/db?api_key=%2A%2A%2A"
    shown = Address.parse("postgresql://me@host/db?sslpassword=abc").without_secrets
    assert shown == "postgresql://me@host/db?sslpassword=%2A%2A%2A"


def test_another_set_of_vectors_has_its_own_place_beside_the_first() -> None:
    assert set_url("local", SPACE) == "local:sets/org-a-model-0123456789ab"
    beside = set_url("chroma:/x?collection=mine", SPACE)
    assert Address.parse(beside).collection == "mine--org-a-model-0123456789ab"
    assert set_url(beside, SPACE) == beside


def test_another_metric_is_refused_with_both_named() -> None:
    check_stamp((SPACE, "l2"), (None, "l2"))
    with pytest.raises(StoreMismatch, match="'Euclidean distance', but 'inner product'"):
        check_stamp((SPACE, "l2"), (SPACE, "ip"))


@often
@given(metadatas)
def test_metadata_comes_back_from_its_payload_exactly(metadata: Metadata) -> None:
    made = payload(metadata)
    assert metadata_of(made.exact) == metadata
    assert made.exact.isascii()
    assert len(set(made.tokens)) == len(made.tokens)
    for token in made.tokens:
        assert "\0" not in token
        assert len(token.encode()) <= 250


VALUES: list[Scalar] = [
    *(0, 1, 2, 1.0, 0.5, -0.0, 1e300, 2**53, 2**53 + 1, True, False, "", "1", "1.0", "true"),
    *("~", "a", "A", "é", "e\u0301", "a\x00", "\udcff", "x" * 400, "x" * 401, 'quo"te', "a=b"),
]


@pytest.mark.parametrize("value", VALUES)
def test_two_values_share_a_token_just_when_they_are_the_same(value: Scalar) -> None:
    for other in VALUES:
        assert (equals("f", value) == equals("f", other)) == same(value, other)


def test_tokens_of_fields_are_apart_whatever_their_names_hold() -> None:
    fields = ["a", "a?", 'a"', "a=b", "a=", "", "é", "\udcff", "f" * 300, "f" * 301]
    tokens = [t for f in fields for t in (has(f), has_number(f), equals(f, ""), equals(f, "b?"))]
    assert len(set(tokens)) == len(tokens)


def test_only_numbers_are_numbers_and_an_empty_list_is_no_value() -> None:
    made = payload({"n": 3, "b": True, "t": "3", "none": [], "some": ["x", "y", "x"]})
    assert made.numbers == {"n": 3.0}
    assert has_number("n") in made.tokens
    assert has_number("b") not in made.tokens
    assert has("none") not in made.tokens
    assert {equals("some", x) for x in elements(["x", "y"])} <= set(made.tokens)
