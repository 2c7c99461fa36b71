"""The store in Pinecone: the contract, by the official client, on a stand-in for the service."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import ClassVar, cast

import pytest
from PIL import Image
from pinecone import Index, Pinecone
from pinecone._internal import http_client
from pinecone.errors import ApiError, PineconeError

pytest.register_assert_rewrite("tests.store_contract", "tests.store_in_use")

from tests.conftest import Paint  # noqa: E402
from tests.pinecone_server import KEY, PineconeServer, Refused  # noqa: E402
from tests.store_contract import (  # noqa: E402
    SPACE,
    Kind,
    OpenStore,
    StoreContract,
    assert_too_old,
    axis,
    hit_ids,
    units,
    where,
)
from tests.store_in_use import (  # noqa: E402
    assert_a_library_works,
    assert_a_switch_works,
    make_wide_known,
    names,
)

from pixseek import ImageSearchEngine  # noqa: E402  # after the line above
from pixseek.errors import (  # noqa: E402
    InvalidMetadata,
    InvalidStoreAddress,
    LibraryNotFound,
    StoreMismatch,
    StoreUnavailable,
)
from pixseek.records import Item, Metadata, Space  # noqa: E402
from pixseek.stores import pinecone, pinecone_index  # noqa: E402
from pixseek.stores.address import METRICS, Address, Metric  # noqa: E402
from pixseek.stores.pinecone import PineconeStore  # noqa: E402

NUMBERS = count()


@pytest.fixture(scope="module")
def service() -> Iterator[PineconeServer]:
    server = PineconeServer()
    server.quota = 100_000
    yield server
    server.close()


@pytest.fixture(autouse=True)
def credentials(service: PineconeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINECONE_API_KEY", KEY)
    monkeypatch.setenv("PINECONE_CONTROLLER_HOST", service.url)
    monkeypatch.setattr(service, "delay_s", 0.0)


@pytest.fixture
def url() -> str:
    """Of an index that is not there yet."""
    return f"pinecone://pictures-{next(NUMBERS)}"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client try again at once; how often stays as it is."""
    monkeypatch.setattr(http_client, "_retry_sleep", lambda _: None)


class TestPinecone(StoreContract):
    refuses: ClassVar[frozenset[Kind]] = frozenset(PineconeStore.REFUSES)
    orders_ties: ClassVar[bool] = False

    @pytest.fixture
    def open_store(self, url: str) -> Iterator[OpenStore]:
        opened: list[PineconeStore] = []

        def opener(space: Space | None) -> PineconeStore:
            opened.append(PineconeStore.open(url, space))
            return opened[-1]

        yield opener
        for store in opened:
            store.close()


class TestPineconeShowsLate(TestPinecone):
    """What is written is seen only some milliseconds after it is acknowledged."""

    @pytest.fixture(autouse=True)
    def late(self, service: PineconeServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "delay_s", 0.004)
        monkeypatch.setattr(pinecone_index, "FIRST_LOOK_S", 0.002)


# Whatever it measures by, a score is cosine similarity


@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
def test_every_metric_gives_the_same_hits(url: str, metric: str) -> None:
    contract = TestPinecone()
    with closing(PineconeStore.open(f"{url}?metric={metric}", SPACE)) as store:
        contract.test_three_hundred_random_items_are_found_as_by_the_oracle(store)
    for other in {"cosine", "l2", "ip"} - {metric}:
        with pytest.raises(StoreMismatch, match=METRICS[cast("Metric", metric)]):
            PineconeStore.open(f"{url}?metric={other}", SPACE)


def test_what_is_deeper_than_pinecone_looks_is_found_by_reading_it_all(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(PineconeStore.open(url, SPACE)) as store:
        vectors = units(1, 130, SPACE.dimensions)
        store.add([Item(f"{i}", vector, {"n": i}) for i, vector in enumerate(vectors)])
        some = where({"n": {"$gte": 10}})
        whole, rest = store.search(vectors[0], 130), store.search(vectors[0], 130, where=some)
        assert (len(whole), len(rest)) == (130, 120)
        monkeypatch.setattr(pinecone, "DEEPEST", 7)
        assert store.search(vectors[0], 130) == whole
        assert store.search(vectors[0], 120, where=some) == rest
        assert store.search(vectors[0], 10, offset=90) == whole[90:100]


def test_large_batches_are_split_as_pinecone_allows(url: str) -> None:
    """600 vectors of 512 dimensions are some 6 MB of JSON; a request may have 2."""
    vectors = units(2, 600, 512)
    with closing(PineconeStore.open(url, Space("m", "f", 512))) as store:
        store.add([Item(f"{i}", vector, {"n": i}) for i, vector in enumerate(vectors)])
        assert store.count() == 600
        assert len(store.search(vectors[3], 300)) == 300
        assert store.delete([f"{i}" for i in range(500)]) == 500
        assert sorted(store.ids()) == [f"{i}" for i in range(500, 600)]


# In use


def test_a_library_lives_in_pinecone(
    service: PineconeServer,
    url: str,
    tmp_path: Path,
    photos: Path,
    paint: Paint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The model switched to has another width, for which there is an index beside."""
    make_wide_known(monkeypatch)
    assert_a_library_works(url, tmp_path / "library", photos, paint)
    assert_a_switch_works(tmp_path / "library")
    name = url.removeprefix("pinecone://")
    assert [one for one in service.indexes if one.startswith(name)] == [name]


def test_several_collections_share_an_index_and_the_last_takes_it_away(
    service: PineconeServer, url: str
) -> None:
    name = url.removeprefix("pinecone://")
    one = PineconeStore.open(url, SPACE)
    two = PineconeStore.open(f"{url}?collection=holidays", Space("other", "f", 8))
    one.add([Item("a", axis(0), {})])
    two.add([Item("b", axis(0), {})])
    assert (hit_ids(one.search(axis(0), 5)), hit_ids(two.search(axis(0), 5))) == (["a"], ["b"])
    one.drop()
    assert (one.count(), list(one.ids()), one.fetch(["a"])) == (0, [], [])
    assert two.count() == 1
    with pytest.raises(LibraryNotFound):
        PineconeStore.open(url, None)
    two.drop()
    assert name not in service.indexes
    assert two.search(axis(0), 5) == []
    one.close()
    two.close()


def test_an_index_that_was_there_before_is_used_and_stays(
    service: PineconeServer, url: str
) -> None:
    name = url.removeprefix("pinecone://")
    with Pinecone(api_key=KEY) as client:
        field = {"type": "dense_vector", "dimension": 8, "metric": "cosine"}
        where_to = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
        client.indexes.create(name=name, schema={"fields": {"_values": field}}, deployment=where_to)
    for wrong in (Space("m", "f", 9), SPACE):
        options = "?metric=ip" if wrong is SPACE else ""
        with pytest.raises(StoreUnavailable, match="is for vectors of 8 dimensions by cosine"):
            PineconeStore.open(url + options, wrong)
    store = PineconeStore.open(url, SPACE)
    store.add([Item("a", axis(0), {})])
    store.drop()
    store.close()
    assert name in service.indexes


def test_a_host_may_be_given_instead_of_looked_up(service: PineconeServer, url: str) -> None:
    with closing(PineconeStore.open(url, SPACE)) as store:
        store.add([Item("a", axis(0), {})])
    host = service.indexes[url.removeprefix("pinecone://")].described["host"]
    given = f"pinecone://any-name?host={host}"
    with closing(PineconeStore.open(given, None)) as store:
        assert (store.space, list(store.ids())) == (SPACE, ["a"])
    with pytest.raises(StoreUnavailable, match="is for vectors of 8 dimensions"):
        PineconeStore.open(f"{given}&collection=x", Space("m", "f", 9))
    with closing(PineconeStore.open(f"{given}&collection=x", SPACE)) as store:
        store.add([Item("b", axis(0), {})])
        store.drop()
    with pytest.raises(LibraryNotFound):
        PineconeStore.open(f"{given}&collection=x", None)


def test_other_programs_find_plain_fields(url: str, service: PineconeServer) -> None:
    metadata: Metadata = {"year": 2019, "path": ["/a.jpg", "/b.jpg"], "a b": "no", "flash": True}
    with closing(PineconeStore.open(url, SPACE)) as store:
        store.add([Item("id", axis(0), metadata)])
        store.count()
    host = service.indexes[url.removeprefix("pinecone://")].described["host"]
    with Pinecone(api_key=KEY) as client, client.index(host=host) as index:
        found = index.fetch(ids=["id"], namespace="pixseek").vectors["id"].metadata or {}
        plain = {k: v for k, v in found.items() if not k.startswith(("#", "pixseek"))}
        assert plain == {"year": 2019, "path": "/a.jpg", "flash": True, "text": "/a.jpg"}


def test_more_metadata_than_pinecone_takes_is_refused_by_the_items_name(url: str) -> None:
    with closing(PineconeStore.open(url, SPACE)) as store:
        items = [Item("good", axis(0), {"t": "x" * 39_000}), Item("toomuch", axis(0), {"n": 1})]
        store.add(items)
        for metadata in ({"t": "x" * 41_000}, {f"field {i}": i for i in range(500)}):
            with pytest.raises(InvalidMetadata, match=r"'toomuch'.*Pinecone takes 40960"):
                store.add([items[0], Item("toomuch", axis(0), cast("Metadata", metadata))])
        assert store.fetch(["toomuch"])[0].metadata == {"n": 1}


def test_a_picture_that_pinecone_does_not_take_is_named_and_the_others_are_indexed(
    url: str, tmp_path: Path, photos: Path, paint: Paint
) -> None:
    paint("red.png", "red")
    wordy = b"".join(
        b"\x1c\x02\x19" + len(word).to_bytes(2, "big") + word
        for word in (f"{i:0200}".encode() for i in range(200))
    )
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + len(wordy).to_bytes(4, "big") + wordy
    Image.new("RGB", (32, 32), "blue").save(photos / "wordy.jpg")
    plain = (photos / "wordy.jpg").read_bytes()
    segment = b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block
    (photos / "wordy.jpg").write_bytes(plain[:2] + segment + plain[2:])
    with ImageSearchEngine(tmp_path / "library", model="palette", store=url) as engine:
        for _ in range(2):
            report = engine.index_images(photos)
            assert [(one.path.name, report.indexed) for one in report.skipped] == [("wordy.jpg", 1)]
            assert "Pinecone takes 40960" in report.skipped[0].reason
            assert [hit.path.name for hit in engine.search_by_text("blue")] == ["red.png"]
        paint("wordy.jpg", "blue")
        assert (engine.index_images(photos).skipped, engine.status().items) == ([], 2)


# Seen later


def test_what_others_write_is_seen_once_pinecone_shows_it(
    url: str, service: PineconeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        closing(PineconeStore.open(url, SPACE)) as writer,
        closing(PineconeStore.open(url, None)) as reader,
    ):
        monkeypatch.setattr(service, "delay_s", 0.05)
        writer.add([Item("a", axis(0), {})])
        assert writer.count() == 1
        assert hit_ids(reader.search(axis(0), 5)) == ["a"]


def test_a_write_that_is_never_seen_is_reported(
    url: str, service: PineconeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinecone_index, "SEEN_S", 0.1)
    with closing(PineconeStore.open(url, SPACE)) as store:
        monkeypatch.setattr(service, "delay_s", 1.0)
        store.add([Item("a", axis(0), {})])
        with pytest.raises(StoreUnavailable, match="has not shown what was written"):
            store.fetch(["a"])


# What may go wrong


@pytest.mark.parametrize(
    "refused",
    [
        Refused(429, None, "Too Many Requests", Retry_After="0.01"),
        Refused(500, 13, "internal"),
        Refused(503, 14, "unavailable"),
    ],
    ids=["too fast", "failed", "unavailable"],
)
@pytest.mark.usefixtures("hasty")
def test_a_passing_failure_is_tried_again_and_a_lasting_one_reported(
    url: str, service: PineconeServer, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    planned: list[Refused | None] = []
    monkeypatch.setattr(service, "planned", planned)
    with closing(PineconeStore.open(url, SPACE)) as store:
        planned += [refused] * 3
        store.add([Item("a", axis(0), {})])
        planned += [refused]
        assert hit_ids(store.search(axis(0), 5)) == ["a"]
        planned += [refused] * 4
        with pytest.raises(StoreUnavailable, match=f"Pinecone says: .*{refused}"):
            store.search(axis(0), 5)
        assert planned == []
        assert hit_ids(store.search(axis(0), 5)) == ["a"]


@pytest.mark.usefixtures("hasty")
def test_a_service_that_fails_in_the_middle_loses_nothing_and_the_next_run_completes(
    url: str,
    service: PineconeServer,
    tmp_path: Path,
    photos: Path,
    paint: Paint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planned: list[Refused | None] = []
    monkeypatch.setattr(service, "planned", planned)
    for colour in ("red", "blue", "green"):
        paint(f"{colour}.png", colour)
    with ImageSearchEngine(tmp_path / "library", model="palette", store=url) as engine:
        assert engine.index_images(photos).added == 3
        paint("white.png", "white")
        planned += [Refused(503, 14, "unavailable")] * 4
        with pytest.raises(StoreUnavailable, match="what was reported as indexed is kept"):
            engine.index_images(photos)
        planned.clear()
        report = engine.index_images(photos)
        assert (report.added, report.unchanged) == (1, 3)
        assert names(engine.search_by_text("white", k=1)) == ["white.png"]


@pytest.mark.usefixtures("hasty")
def test_a_service_that_is_not_there_is_reported(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in (f"{url}?host=http://127.0.0.1:9", f"{url}?host=http://[::1", url):
        monkeypatch.setenv("PINECONE_CONTROLLER_HOST", "http://127.0.0.1:9")
        with pytest.raises(StoreUnavailable, match="Pinecone says"):
            PineconeStore.open(bad, SPACE)


@pytest.mark.usefixtures("hasty")
def test_a_slow_service_is_not_waited_for_for_ever(
    url: str, service: PineconeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinecone_index, "CALL_S", 0.05)
    monkeypatch.setattr(service, "slow_s", 0.3)
    with pytest.raises(StoreUnavailable, match="timed out"):
        PineconeStore.open(url, SPACE)
    time.sleep(0.4)  # until the stand-in has noticed


def test_a_wrong_key_is_reported_and_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINECONE_API_KEY", "pcsk_wrong")
    with pytest.raises(StoreUnavailable, match="Unauthorized") as caught:
        PineconeStore.open(url, SPACE)
    assert "pcsk" not in str(caught.value)
    monkeypatch.delenv("PINECONE_API_KEY")
    with pytest.raises(StoreUnavailable, match="PINECONE_API_KEY is not set"):
        PineconeStore.open(url, SPACE)


def test_an_unknown_region_and_a_spent_quota_are_reported(
    url: str, service: PineconeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreUnavailable, match="cloud: aws region: mars not found"):
        PineconeStore.open(f"{url}?region=mars", SPACE)
    with closing(PineconeStore.open(f"{url}?cloud=gcp&region=us-central1", SPACE)):
        made = service.indexes[url.removeprefix("pinecone://")].described
        assert made["deployment"]["region"] == "us-central1"
    monkeypatch.setattr(service, "quota", 0)
    with pytest.raises(StoreUnavailable, match="Increase your quota"):
        PineconeStore.open(f"{url}-more", SPACE)


def test_a_name_with_a_key_in_it_is_refused_and_kept_nowhere(tmp_path: Path) -> None:
    for url in (
        "pinecone://pcsk_secret@index",
        "pinecone://me:pcsk_secret@index",
        "pinecone://index?api_key=pcsk_secret",
        "pinecone://index?token=pcsk_secret",
    ):
        with pytest.raises(InvalidStoreAddress, match="PINECONE_API_KEY") as caught:
            ImageSearchEngine(tmp_path / "library", model="palette", store=url)
        assert "secret" not in str(caught.value)
        with pytest.raises(InvalidStoreAddress, match="PINECONE_API_KEY"):
            Address.parse(url)
    assert not (tmp_path / "library").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("pinecone:", "another place than an index"),
        ("pinecone:index", "another place than an index"),
        ("pinecone://Index", "small letters"),
        ("pinecone://index?hots=x", "'hots'; expected cloud, collection, host, metric, region"),
    ],
)
def test_an_address_that_cannot_be_is_refused(url: str, message: str) -> None:
    with pytest.raises(InvalidStoreAddress, match=message):
        PineconeStore.open(url, SPACE)


def _foreign() -> list[type[PineconeError]]:
    kinds, found = [PineconeError], []
    while kinds:
        kind = kinds.pop()
        found.append(kind)
        kinds += kind.__subclasses__()
    return found


@pytest.mark.parametrize("kind", _foreign(), ids=lambda kind: kind.__name__)
def test_no_error_of_pinecone_gets_out(url: str, kind: type[PineconeError]) -> None:
    def fail() -> None:
        needed = inspect.signature(kind).parameters.values()
        raise kind(**{one.name: "no" for one in needed if one.default is one.empty})

    with closing(PineconeStore.open(url, SPACE)) as store:
        if kind.__name__ == "NotFoundError":
            assert store._service.ask(fail) is None
        else:
            with pytest.raises(StoreUnavailable, match="Pinecone says"):
                store._service.ask(fail)


# The stand-in is as strict as the service


@pytest.fixture
def index(service: PineconeServer, url: str) -> Iterator[Index]:
    """An index of 8 dimensions with one record, as the official client has it."""
    with closing(PineconeStore.open(url, SPACE)):
        host = service.indexes[url.removeprefix("pinecone://")].described["host"]
    with Pinecone(api_key=KEY) as client, client.index(host=host) as index:
        record = {"id": "a", "values": [1.0] * 8, "metadata": {"genre": ["comedy", "drama"]}}
        index.upsert(vectors=[record])
        yield index


@pytest.mark.parametrize(
    "filter",
    [
        {"genre": {"$regex": "c"}},
        {"genre": {"$not": {"$eq": "x"}}},
        {"$not": {"genre": "x"}},
        {"genre": ["comedy", "drama"]},
        {"genre": {"$in": "comedy"}},
        {"genre": {"$in": []}},
        {"genre": {"$gt": "a"}},
        {"genre": {"$exists": 1}},
        {"genre": None},
        {"$and": []},
        {"absent": {"$nin": ["x"]}},
    ],
    ids=str,
)
def test_a_filter_outside_the_language_is_refused(index: Index, filter: dict[str, object]) -> None:
    with pytest.raises(ApiError, match=r"\$|operator") as caught:
        index.query(vector=[1.0] * 8, top_k=1, filter=filter)
    assert caught.value.status_code == 400


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"genre": "comedy"}, True),
        ({"genre": {"$in": ["comedy", "x"]}}, True),
        ({"genre": {"$nin": ["comedy", "x"]}}, False),
        ({"genre": {"$ne": "x"}}, True),
        ({"$and": [{"genre": "comedy"}, {"genre": "drama"}]}, True),
        ({"$or": [{"genre": "x"}, {"absent": {"$gt": 1}}]}, False),
        ({"genre": {"$exists": True}, "absent": {"$exists": False}}, True),
    ],
    ids=str,
)
def test_a_filter_means_what_the_documentation_says(
    index: Index, filter: dict[str, object], found: bool
) -> None:
    assert len(index.query(vector=[1.0] * 8, top_k=1, filter=filter).matches) == found
    assert len(index.fetch_by_metadata(filter=filter).vectors) == found


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"values": [1.0] * 7}, "dimension 7 does not match"),
        ({"values": [0.0] * 8}, "non-zero"),
        ({"metadata": {"f": None}}, "string, number, boolean or list of strings"),
        ({"metadata": {"f": [1, 2]}}, "string, number, boolean or list of strings"),
        ({"metadata": {"f": {"g": 1}}}, "string, number, boolean or list of strings"),
        ({"metadata": {"$f": 1}}, "may not begin with"),
        ({"metadata": {"f": "x" * 41_000}}, "exceeds the limit of 40960"),
    ],
)
def test_a_record_that_pinecone_cannot_keep_is_refused(
    index: Index, record: dict[str, object], message: str
) -> None:
    with pytest.raises(PineconeError, match=message):  # the client refuses some of it itself
        index.upsert(vectors=[{"id": "b", "values": [1.0] * 8, **record}])


def test_an_update_adds_fields_and_keeps_the_others(index: Index) -> None:
    index.update(id="a", set_metadata={"year": 2019})
    index.update(filter={"genre": "drama"}, set_metadata={"seen": True})
    metadata = index.fetch(ids=["a"]).vectors["a"].metadata
    assert metadata == {"genre": ["comedy", "drama"], "year": 2019.0, "seen": True}
    index.delete(filter={"year": {"$gte": 2019}})
    assert index.fetch(ids=["a"]).vectors == {}


def test_more_than_a_request_may_have_is_refused(index: Index) -> None:
    record = {"values": [0.5] * 8}
    with pytest.raises(ApiError, match="1 to 1000 vectors"):
        index.upsert(vectors=[{"id": f"{i}", **record} for i in range(1001)])
    large = {"metadata": {"f": "x" * 40_000}, **record}
    with pytest.raises(ApiError, match="message length too large"):
        index.upsert(vectors=[{"id": f"{i}", **large} for i in range(60)])
    for start in (0, 50):
        index.upsert(vectors=[{"id": f"{start + i}", **large} for i in range(50)])
        index.upsert(vectors=[{"id": f"{start + i + 100}", **large} for i in range(50)])
    with pytest.raises(ApiError, match="larger than 4 MB"):
        index.query(vector=[1.0] * 8, top_k=200, include_metadata=True)
    with pytest.raises(ApiError, match="URI Too Long"):
        index.fetch(ids=["x" * 100 + f"{i}" for i in range(100)])
    with pytest.raises(ApiError, match="Namespace not found"):
        index.delete(ids=["a"], namespace="absent")
    with pytest.raises(ApiError, match="token is malformed"):
        index.list_paginated(pagination_token="no token")


def test_a_set_made_before_words_were_written_says_so(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(pinecone_index, "LAYOUT", 1)
        PineconeStore.open(url, SPACE).close()
    store = PineconeStore.open(url, SPACE)
    assert_too_old(store)
    store.close()
