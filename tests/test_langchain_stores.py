"""LangChain's own vector stores, used as stores: the contract of all stores holds for them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import chromadb
import pytest
from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore
from tests.conftest import SAMPLES

pytest.register_assert_rewrite("tests.store_contract")

from tests.store_contract import (  # noqa: E402
    SPACE,
    OpenStore,
    StoreContract,
    axis,
    hit_ids,
    units,
    where,
)

from pixseek.errors import LibraryNotFound, StoreUnavailable  # noqa: E402
from pixseek.langchain import Chroma as PixseekChroma  # noqa: E402
from pixseek.langchain import PixseekEmbeddings, PixseekVectorStore  # noqa: E402
from pixseek.records import Item, Metadata  # noqa: E402
from pixseek.stores.langchain import LangChainStore  # noqa: E402

FAKE = DeterministicFakeEmbedding(size=SPACE.dimensions)


class TestInMemory(StoreContract):
    @pytest.fixture
    def open_store(self) -> OpenStore:
        vectorstore = InMemoryVectorStore(FAKE)
        return lambda space: LangChainStore.over(vectorstore, space)


class TestChroma(StoreContract):
    orders_ties: ClassVar[bool] = False

    @pytest.fixture
    def open_store(self) -> Iterator[OpenStore]:
        client = chromadb.EphemeralClient()
        vectorstore = Chroma(f"images-{uuid4()}", FAKE, client=client)
        yield lambda space: LangChainStore.over(vectorstore, space)
        vectorstore.delete_collection()


@pytest.fixture
def vectorstore() -> Iterator[Chroma]:
    made = Chroma(f"images-{uuid4()}", FAKE, client=chromadb.EphemeralClient())
    yield made
    made.delete_collection()


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_scores_are_cosines_whatever_chroma_measures_by(metric: str) -> None:
    client = chromadb.EphemeralClient()
    name = f"images-{uuid4()}"
    collection = client.create_collection(name, configuration={"hnsw": {"space": metric}})  # type: ignore[arg-type]  # one of the three
    store = LangChainStore.over(collection, SPACE)
    vectors = units(1, 1500, SPACE.dimensions)  # more than are looked at one by one
    store.add([Item(f"{i}", vector, {"n": i}) for i, vector in enumerate(vectors)])
    query = units(2, 1, SPACE.dimensions)[0]
    expected = sorted((float(-(vector @ query)), i) for i, vector in enumerate(vectors))[:20]
    hits = store.search(query, 20)
    right = {f"{i}" for _, i in expected} & set(hit_ids(hits))
    assert len(right) >= 19
    for hit in hits:
        assert hit.score == pytest.approx(float(vectors[int(hit.id)] @ query), abs=1e-5)
    assert hit_ids(store.search(query, 1, where=where({"n": 7}))) == ["7"]
    client.delete_collection(name)


def test_what_another_program_changes_in_a_row_counts(vectorstore: Chroma) -> None:
    store = LangChainStore.over(vectorstore, SPACE)
    fields: Metadata = {"size": 1.5, "tag": "x", "tags": ["a", "b"], "gone": 1}
    store.add([Item("a", axis(0), {**fields, "page_content": "old"}), Item("b", axis(1), {})])
    changed = {"tag": "y", "more": 2, "gone": None}
    vectorstore._collection.update(["a"], [axis(0)], [changed], ["new"])  # type: ignore[arg-type,list-item]  # as it takes them; None ends a field
    (found,) = store.fetch(["a"])
    assert found.metadata == {
        "size": 1.5, "tag": "y", "tags": ["a", "b"], "more": 2, "page_content": "new",
    }  # fmt: skip
    assert list(store.ids(where({"tag": "y"}))) == ["a"]


def test_rows_that_langchain_wrote_are_items_with_their_text(vectorstore: Chroma) -> None:
    vectorstore.add_documents([Document("a text", id="1", metadata={"n": 1})])
    store = LangChainStore.over(vectorstore, SPACE)
    (found,) = store.fetch(["1"])
    assert found.metadata == {"page_content": "a text", "n": 1}
    memory = InMemoryVectorStore(FAKE)
    memory.add_documents([Document("a text", id="1", metadata={"n": 1})])
    assert LangChainStore.over(memory, SPACE).fetch(["1"])[0].metadata == found.metadata


def test_a_collection_that_is_gone_is_named() -> None:
    client = chromadb.EphemeralClient()
    collection = client.create_collection(f"images-{uuid4()}")
    store = LangChainStore.over(collection, SPACE)
    client.delete_collection(collection.name)
    with pytest.raises(StoreUnavailable, match=f"collection={collection.name} cannot be used"):
        store.search(axis(0), 1)
    with pytest.raises(LibraryNotFound):
        LangChainStore.over(client.create_collection(f"images-{uuid4()}"), None)


def test_a_collection_that_langchain_made_can_be_opened_by_its_name(tmp_path: Path) -> None:
    folder = str(tmp_path / "chroma")
    embeddings = PixseekEmbeddings("palette")
    theirs = Chroma("images", embeddings, persist_directory=folder)
    theirs.add_texts(["red"], ids=["1"])
    ours = PixseekChroma("images", embeddings, persist_directory=folder)
    ((found, score),) = ours.similarity_search_with_score("red")
    assert (found.id, found.page_content) == ("1", "red")
    assert score == pytest.approx(1, abs=1e-5)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[int]:
    """A server of Chroma; its port."""
    program = shutil.which("chroma", path=str(Path(sys.executable).parent))
    if program is None:
        raise FileNotFoundError("expected the program chroma beside Python; install chromadb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [program, "run", "--path", str(tmp_path / "served"), "--port", str(port)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path
    ) as running:
        try:
            for _ in range(300):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            yield port
        finally:
            running.terminate()


def test_pictures_go_to_a_server_and_are_found_there(server: int) -> None:
    embeddings = PixseekEmbeddings("pocket")
    paths = sorted(str(path) for path in SAMPLES.glob("*.jpg"))
    store = PixseekChroma("photos", embeddings, host="127.0.0.1", port=server)
    ids = store.add_images(paths)
    assert store.add_images(paths[:5]) == ids[:5]
    again = PixseekChroma("photos", embeddings, host="127.0.0.1", port=server)
    (best,) = again.similarity_search("a tiger in the snow", k=1)
    assert best.metadata["path"] == paths[5]
    for path in paths[:10]:
        assert again.similarity_search_by_image(path, k=1)[0].metadata["path"] == path
    wide = {"orientation": "landscape"}
    assert all(
        one.metadata["width"] > one.metadata["height"]
        for one in again.similarity_search("water", k=5, filter=wide)
    )
    theirs = Chroma("photos", embeddings, host="127.0.0.1", port=server)
    (seen,) = theirs.similarity_search("a tiger in the snow", k=1)
    assert seen.page_content == "photo-06.jpg"
    assert isinstance(again, PixseekVectorStore)
