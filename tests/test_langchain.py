"""`pixseek.langchain`: pictures in LangChain, over stores, libraries and LangChain's own parts."""

from __future__ import annotations

import asyncio
import base64
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.vectorstores import InMemoryVectorStore
from PIL import Image
from tests.conftest import SAMPLES, Paint
from tests.test_langchain_faults import PlainClip

from pixseek import ImageSearchEngine, Query
from pixseek.encoders.calibration import FAMILIES, calibration, measured
from pixseek.encoders.catalog import MODELS
from pixseek.encoders.pocket import scores
from pixseek.errors import (
    InvalidFilter,
    InvalidMetadata,
    InvalidQuery,
    InvalidSetting,
    MissingExtra,
    MissingPath,
    ModelMismatch,
    ModelUnavailable,
    QueryNotUnderstood,
    StoreUnavailable,
    UnreadableImage,
)
from pixseek.langchain import (
    Chroma,
    ImageRetriever,
    PixseekEmbeddings,
    PixseekVectorStore,
    image_content_blocks,
    image_search_tool,
)
from pixseek.langchain.compatible import model_called
from pixseek.ranking.diversity import most_diverse

PALETTE = PixseekEmbeddings("palette")
COLOURS = ("red", "green", "blue", "white")


@pytest.fixture
def paths(paint: Paint) -> dict[str, str]:
    return {colour: str(paint(f"{colour}.png", colour)) for colour in COLOURS}


@pytest.fixture(params=["memory", "local", "chroma", "in memory of langchain", "library"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PixseekVectorStore]:
    """An empty vector store over each kind of place."""
    if request.param == "library":
        made = PixseekVectorStore(PALETTE, library=tmp_path / "library")
    elif request.param == "local":
        made = PixseekVectorStore(PALETTE, store=f"local:{tmp_path / 'store'}")
    elif request.param == "memory":
        made = PixseekVectorStore(PALETTE)
    elif request.param == "chroma":
        import chromadb

        client = chromadb.PersistentClient(str(tmp_path / "chroma"))
        made = PixseekVectorStore(PALETTE, store=client.create_collection("images"))
    else:
        made = PixseekVectorStore(PALETTE, store=InMemoryVectorStore(PALETTE))
    yield made
    made.close()


@pytest.fixture
def filled(store: PixseekVectorStore, paths: dict[str, str]) -> PixseekVectorStore:
    store.add_images(paths.values(), [{"rank": i} for i in range(4)])
    return store


def names(documents: list[Document]) -> list[str]:
    return [Path(one.metadata["path"]).stem for one in documents]


# everywhere


def test_pictures_are_found_by_words_by_picture_and_by_vector(
    filled: PixseekVectorStore, paths: dict[str, str]
) -> None:
    for colour in COLOURS:
        (best, score), *_ = filled.similarity_search_with_score(f"{colour} things", k=2)
        assert names([best]) == [colour]
        assert best.page_content == f"{colour}.png"
        assert best.metadata["width"] == 48
        assert score > 0.9
        assert names(filled.similarity_search_by_image(paths[colour], k=1)) == [colour]
        content = Path(paths[colour]).read_bytes()
        assert names(filled.similarity_search_by_image(content, k=1)) == [colour]
        with Image.open(paths[colour]) as picture:
            assert names(filled.similarity_search_by_image(picture, k=1)) == [colour]
        vector = [7 * value for value in PALETTE.embed_query(colour)]
        assert names(filled.similarity_search_by_vector(vector, k=1)) == [colour]


def test_filters_are_in_the_language_of_all_of_pixseek(filled: PixseekVectorStore) -> None:
    found = filled.similarity_search("red", k=10, filter={"rank": {"$gte": 1}, "width": 48})
    assert sorted(names(found)) == ["blue", "green", "white"]
    by = {"$or": [{"name": "red.png"}, {"name": {"$in": ["blue.png"]}}]}
    assert sorted(names(filled.similarity_search("red", k=10, filter=by))) == ["blue", "red"]
    assert names(filled.similarity_search("red", k=10, min_score=0.9)) == ["red"]
    with pytest.raises(InvalidFilter, match="expected one of"):
        filled.similarity_search("red", filter={"rank": {"$near": 1}})
    with pytest.raises(TypeError, match="unknown arguments: filters"):
        filled.similarity_search("red", filters={"rank": 1})


def test_documents_are_looked_up_changed_and_taken_out(filled: PixseekVectorStore) -> None:
    red, green = (filled.similarity_search(colour, k=1)[0] for colour in ("red", "green"))
    assert red.id is not None
    assert green.id is not None
    assert [one.id for one in filled.get_by_ids([green.id, "absent", red.id])] == [
        green.id,
        red.id,
    ]
    assert filled.update_metadata([red.id, "absent"], [{"tag": "warm", "rank": None}, {}]) == 1
    (now,) = filled.get_by_ids([red.id])
    assert now.metadata == {
        **{name: value for name, value in red.metadata.items() if name != "rank"},
        "tag": "warm",
    }
    assert names(filled.similarity_search("blue", k=9, filter={"tag": "warm"})) == ["red"]
    filled.update_documents([red.id], [Document(page_content="a red wall", metadata={"tag": "x"})])
    (found, score), *_ = filled.similarity_search_with_score("red", k=1)
    assert (found.page_content, found.metadata["tag"]) == ("a red wall", "x")
    assert score == pytest.approx(1, abs=1e-4)
    assert filled.delete([red.id, "absent"])
    assert filled.get_by_ids([red.id]) == []
    assert filled.delete(filter={"rank": {"$gte": 2}})
    assert names(filled.similarity_search("red", k=9)) == ["green"]
    with pytest.raises(InvalidFilter, match="would remove everything"):
        filled.delete()
    assert Path(red.metadata["path"]).is_file()


def test_adding_again_changes_nothing_and_encodes_nothing(
    filled: PixseekVectorStore, paths: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled.similarity_search_with_score("red", k=9)
    monkeypatch.setattr(type(PALETTE.encoder), "encode_images", None)
    ids = filled.add_images(paths.values(), [{"rank": i} for i in range(4)])
    assert filled.similarity_search_by_vector(PALETTE.embed_query("red"), k=9) == [
        one for one, _ in before
    ]
    assert sorted(ids) == sorted(str(one.id) for one, _ in before)


async def test_all_of_it_can_be_awaited(store: PixseekVectorStore, paths: dict[str, str]) -> None:
    ids = await store.aadd_images([paths["red"], paths["blue"]])
    (documents, other) = await asyncio.gather(
        store.asimilarity_search("red", k=1), store.asimilarity_search("blue", k=1)
    )
    assert names(documents) + names(other) == ["red", "blue"]
    assert names(await store.asimilarity_search_by_image(paths["red"], k=1)) == ["red"]
    ((_, score),) = await store.asimilarity_search_by_image_with_score(paths["red"], k=1)
    ((_, share),) = await store.asimilarity_search_by_image_with_relevance_scores(paths["red"], k=1)
    assert score == pytest.approx(share, abs=1e-5)
    ((_, relevance),) = await store.asimilarity_search_with_relevance_scores("red", k=1)
    assert 0.9 < relevance <= 1
    found = await store.amax_marginal_relevance_search_by_image(paths["red"], k=2)
    assert names(found) == ["red", "blue"]
    assert names(await store.amax_marginal_relevance_search("red", k=2)) == ["red", "blue"]
    assert await store.aupdate_metadata(ids, [{"tag": "a"}, {"tag": "b"}]) == 2
    await store.aupdate_documents(ids[:1], [Document(page_content="", metadata={"tag": "c"})])
    await store.aupdate_document(ids[1], Document(page_content="", metadata={"tag": "d"}))
    assert [one.metadata["tag"] for one in await store.aget_by_ids(ids)] == ["c", "d"]
    await store.adelete(ids)
    assert await store.aget_by_ids(ids) == []


def test_every_kind_of_retriever_works(filled: PixseekVectorStore) -> None:
    plain = filled.as_retriever(search_kwargs={"k": 1, "filter": {"rank": {"$lt": 3}}})
    assert names(plain.invoke("blue")) == ["blue"]
    least = filled.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.5}
    )
    assert names(least.invoke("green")) == ["green"]
    diverse = filled.as_retriever(search_type="mmr", search_kwargs={"k": 2, "fetch_k": 4})
    assert names(diverse.invoke("red"))[0] == "red"
    assert len(diverse.invoke("red")) == 2


def test_queries_that_cannot_be_answered_are_refused(store: PixseekVectorStore) -> None:
    assert store.similarity_search("red") == []
    assert store.max_marginal_relevance_search("red") == []
    searches: list[Callable[[], object]] = [
        lambda: store.similarity_search(" "),
        lambda: store.similarity_search("red", k=0),
        lambda: store.similarity_search_by_vector([0.0] * 11),
        lambda: store.similarity_search_by_vector([PALETTE.embed_query("red")]),  # type: ignore[list-item]  # what is refused
    ]
    for search in searches:
        with pytest.raises(InvalidQuery, match="expected"):
            search()


# stores of their own: texts too


def test_texts_and_pictures_are_told_apart_by_their_metadata(paths: dict[str, str]) -> None:
    store = PixseekVectorStore(PALETTE)
    documents = [
        Document(page_content="", metadata={"path": paths["red"]}),
        Document(page_content="all blue", metadata={"source": paths["blue"]}),
        Document(page_content="", metadata={"uri": Path(paths["white"]).as_uri()}),
        Document(page_content="a text on green", metadata={"source": "/notes/green.txt"}),
        Document(page_content="purple prose", metadata={"path": "/notes/purple.md"}),
    ]
    ids = store.add_documents(documents)
    red, blue, white, green, purple = store.get_by_ids(ids)
    assert (red.page_content, red.metadata["format"]) == ("red.png", "PNG")
    assert (blue.page_content, blue.metadata["caption"]) == ("all blue", "all blue")
    assert white.metadata["name"] == "white.png"
    assert (green.page_content, green.metadata) == ("a text on green", documents[3].metadata)
    assert purple.page_content == "purple prose"
    assert store.similarity_search("green", k=1) == [green]
    assert store.add_documents(documents) == ids
    assert len(store.similarity_search("red", k=99)) == 5
    filtered = store.similarity_search("red", k=9, filter={"page_content": {"$contains": "prose"}})
    assert filtered == [purple]


def test_a_text_changes_its_vector_only_when_it_is_another() -> None:
    store = PixseekVectorStore(PALETTE)
    ids = store.add_texts(["red", "red"], [{"n": 1}, {"n": 2}])
    assert len(set(ids)) == 2
    store.update_documents(ids, [Document("red", metadata={"n": 3}), Document("blue")])
    assert store.similarity_search("blue", k=1)[0].metadata == {}
    (kept, _) = store.get_by_ids(ids)
    assert (kept.page_content, kept.metadata) == ("red", {"n": 3})


def test_a_picture_document_changes_its_vector_when_it_names_another_file(
    paths: dict[str, str],
) -> None:
    store = PixseekVectorStore(PALETTE)
    (id,) = store.add_images([paths["red"]], ids=["mine"])
    assert id == "mine"
    store.update_document(id, Document("", metadata={"path": paths["blue"]}))
    (found,) = store.similarity_search("blue", k=1, min_score=0.9)
    assert (found.id, found.metadata["path"]) == ("mine", paths["blue"])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (Document(""), "'page_content'; expected a text, or a picture file"),
        (Document("x", metadata={"page_content": "y"}), "expected another name"),
        (Document("x", metadata={"when": {"nested": 1}}), "expected a text, a finite number"),
    ],
)
def test_documents_that_cannot_be_kept_are_refused_before_anything_is(
    document: Document, message: str
) -> None:
    store = PixseekVectorStore(PALETTE)
    with pytest.raises(InvalidMetadata, match=message):
        store.add_documents([Document("red"), document])
    assert store.similarity_search("red") == []


def test_there_must_be_one_of_each_for_each(paths: dict[str, str]) -> None:
    store = PixseekVectorStore(PALETTE)
    for add in (
        lambda: store.add_images([paths["red"]], [{}, {}]),
        lambda: store.add_images([paths["red"]], ids=[]),
        lambda: store.add_texts(["a", "b"], [{}]),
        lambda: store.add_texts(["a", "b"], ids=["1"]),
        lambda: store.update_documents(["1"], []),
        lambda: store.update_metadata(["1"], []),
    ):
        with pytest.raises(InvalidQuery, match="expected one each"):
            add()


def test_a_store_can_be_made_from_texts_documents_and_images(paths: dict[str, str]) -> None:
    texts = PixseekVectorStore.from_texts(["red", "blue"], PALETTE, [{"n": 1}, {"n": 2}])
    assert texts.similarity_search("blue", k=1)[0].metadata == {"n": 2}
    documents = [Document("", id="r", metadata={"path": paths["red"]}), Document("blue")]
    mixed = PixseekVectorStore.from_documents(documents, PALETTE)
    assert mixed.get_by_ids(["r"])[0].page_content == "red.png"
    images = PixseekVectorStore.from_images([paths["red"]], PALETTE, ids=["1"])
    assert names(images.get_by_ids(["1"])) == ["red"]


async def test_a_store_can_be_made_while_others_go_on(paths: dict[str, str]) -> None:
    images = await PixseekVectorStore.afrom_images([paths["red"]], PALETTE, ids=["1"])
    assert names(images.get_by_ids(["1"])) == ["red"]
    documents = [Document("", id="r", metadata={"path": paths["red"]})]
    made = await PixseekVectorStore.afrom_documents(documents, PALETTE)
    assert made.get_by_ids(["r"])[0].page_content == "red.png"


def test_langchains_indexing_keeps_documents_in_step(paths: dict[str, str]) -> None:
    store = PixseekVectorStore(PALETTE)
    manager = InMemoryRecordManager("pictures")
    manager.create_schema()
    both = [Document("", metadata={"path": paths[colour]}) for colour in ("red", "blue")]

    def run(documents: list[Document]) -> tuple[int, int, int]:
        done = index(
            documents, manager, store, cleanup="full", source_id_key="path", key_encoder="sha256"
        )
        return done["num_added"], done["num_skipped"], done["num_deleted"]

    assert run(both) == (2, 0, 0)
    assert run(both[:1]) == (0, 1, 1)
    assert names(store.similarity_search("blue", k=9)) == ["red"]


def test_a_store_of_another_model_is_refused(tmp_path: Path, paths: dict[str, str]) -> None:
    url = f"local:{tmp_path / 'store'}"
    first = PixseekVectorStore(PALETTE, store=url)
    first.add_images([paths["red"]])
    first.close()
    with pytest.raises(ModelMismatch, match="palette"):
        PixseekVectorStore(DeterministicFakeEmbedding(size=11), store=url)
    again = PixseekVectorStore(PALETTE, store=url)
    assert names(again.similarity_search("red")) == ["red"]
    again.close()


# a library


def test_a_library_that_the_command_line_made_is_searched_and_described(
    engine: ImageSearchEngine, paths: dict[str, str], photos: Path
) -> None:
    engine.index_images(photos)
    store = PixseekVectorStore(library=engine.library)
    assert isinstance(store.embeddings, PixseekEmbeddings)
    (red,) = store.similarity_search("red", k=1)
    assert red.metadata["path"] == paths["red"]
    assert store.update_metadata([str(red.id)], [{"caption": "a red wall"}]) == 1
    (hit,) = engine.search_by_text("red", where={"caption": "a red wall"})
    assert hit.id == red.id
    Path(paths["red"]).rename(photos / "moved.png")
    engine.index_images()
    (moved,) = store.get_by_ids([str(red.id)])
    assert (moved.metadata["name"], moved.page_content) == ("moved.png", "a red wall")
    inside = {"folder": str(photos)}
    assert len(store.similarity_search("red", k=9, filter=inside)) == 4
    store.close()


def test_a_library_refuses_what_is_not_its_own_to_say(
    tmp_path: Path, paths: dict[str, str]
) -> None:
    store = PixseekVectorStore(PALETTE, library=tmp_path / "library")
    (id,) = store.add_images([paths["red"]])
    with pytest.raises(InvalidQuery, match="leave the ids out"):
        store.add_images([paths["blue"]], ids=["mine"])
    with pytest.raises(InvalidQuery, match="a library holds pictures"):
        store.add_texts(["red"])
    with pytest.raises(InvalidMetadata, match="what the file itself says"):
        store.update_metadata([id], [{"path": "elsewhere.png"}])
    store.close()


# models and stores of LangChain in an engine


@pytest.mark.parametrize("kind", ["chroma", "in memory"])
def test_an_engine_works_with_langchains_own_model_and_store(
    tmp_path: Path, paths: dict[str, str], photos: Path, kind: str
) -> None:
    clip = PlainClip()
    vectorstore: Any = InMemoryVectorStore(clip)
    if kind == "chroma":
        from langchain_chroma import Chroma

        vectorstore = Chroma("images", clip, persist_directory=str(tmp_path / "chroma"))
    given = {"embeddings": clip, "vectorstore": vectorstore}
    with ImageSearchEngine(tmp_path / "library", **given) as engine:
        assert engine.index_images(photos).added == 4
        for colour in COLOURS:
            assert engine.search_by_text(colour, k=1)[0].path.stem == colour
            assert engine.search_by_image(paths[colour], k=1)[0].path.stem == colour
        status = engine.status()
        assert status.space.model == "langchain:PlainClip"
        assert status.store.startswith("langchain://")
    with ImageSearchEngine(tmp_path / "library", **given) as engine:
        assert engine.index_images().unchanged == 4
        Path(paths["red"]).unlink()
        assert engine.index_images().removed == 1
        assert [
            hit.path.stem for hit in engine.search_by_text("red", where={"name": "red.png"})
        ] == []
    # Through LangChain, too: by the plain interface of its own class.
    (found,) = vectorstore.similarity_search("blue", k=1)
    assert (found.page_content, found.metadata["path"]) == ("blue.png", "photos/blue.png")


def test_a_library_of_objects_needs_them_again(tmp_path: Path, photos: Path, paint: Paint) -> None:
    paint("red.png", "red")
    clip = PlainClip()
    with ImageSearchEngine(tmp_path / "a", embeddings=clip) as engine:
        engine.index_images(photos)
    with (
        ImageSearchEngine(tmp_path / "a") as engine,
        pytest.raises(ModelUnavailable, match="give it again, as embeddings"),
    ):
        engine.search_by_text("red")
    with pytest.raises(ModelMismatch, match="langchain:PlainClip"):
        ImageSearchEngine(tmp_path / "a", embeddings=PALETTE)
    vectorstore = InMemoryVectorStore(clip)
    with ImageSearchEngine(tmp_path / "b", embeddings=clip, vectorstore=vectorstore) as engine:
        engine.index_images(photos)
    with pytest.raises(StoreUnavailable, match="give it as vectorstore"):
        ImageSearchEngine(tmp_path / "b", embeddings=clip)


def test_a_store_in_memory_that_is_new_is_filled_again(
    tmp_path: Path, photos: Path, paint: Paint
) -> None:
    paint("red.png", "red")
    for _ in range(2):
        vectorstore = InMemoryVectorStore(PALETTE)
        with ImageSearchEngine(
            tmp_path / "library", embeddings=PALETTE, vectorstore=vectorstore
        ) as engine:
            assert engine.index_images(photos).encoded == 1
            assert engine.status().space.model == "palette"


def test_objects_that_cannot_be_used_are_refused_with_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(
        StoreUnavailable, match="expected LangChain's Chroma or InMemoryVectorStore"
    ):
        ImageSearchEngine(tmp_path / "a", embeddings=PALETTE, vectorstore=object())
    with pytest.raises(InvalidSetting, match="none beside the object"):
        ImageSearchEngine(tmp_path / "a", model="palette", embeddings=PALETTE)


def test_embeddings_that_know_no_pictures_say_so(photos: Path, paint: Paint) -> None:
    paint("red.png", "red")
    store = PixseekVectorStore(DeterministicFakeEmbedding(size=8))
    with pytest.raises(ModelUnavailable, match="has no embed_image"):
        store.add_images([str(photos / "red.png")])


@pytest.mark.parametrize("answer", [[[0.0] * 11], [1.0] * 11, [[1.0], [2.0]], "x", None])
def test_wrong_answers_of_embeddings_are_refused(
    answer: object, photos: Path, paint: Paint
) -> None:
    from pixseek.errors import InvalidVectors

    paint("red.png", "red")

    class Wrong(PlainClip):
        def embed_image(self, uris: list[str]) -> list[list[float]]:  # noqa: ARG002
            return answer  # type: ignore[return-value]  # what is refused

    with pytest.raises(InvalidVectors, match="expected 1"):
        PixseekVectorStore(Wrong()).add_images([str(photos / "red.png")])


# relevance


def test_relevance_of_pocket_is_measured() -> None:
    pairs, strangers = scores()
    found = calibration("pocket")
    assert found == measured(pairs, strangers)
    assert found.relevance(pairs["p50"]) > 0.95
    assert found.relevance(strangers["p50"]) < 0.05
    assert found.relevance(found.middle) == 0.5
    assert 0 <= found.relevance(-1) < found.relevance(1) <= 1


def test_every_model_has_a_calibration_that_rises() -> None:
    assert {model.family for model in MODELS.values()} == set(FAMILIES)
    for name in [*MODELS, "langchain:PlainClip"]:
        found = calibration(name)
        assert 0 <= found.relevance(-1) < 0.1 < 0.5 < found.relevance(0.99) <= 1


def test_texts_are_as_relevant_as_their_score_and_a_function_can_be_given() -> None:
    store = PixseekVectorStore.from_texts(["red", "blue"], PALETTE)
    found = store.similarity_search_with_relevance_scores("red", k=2)
    assert [share for _, share in found] == pytest.approx([1, 0], abs=1e-5)
    store = PixseekVectorStore.from_images(
        [str(SAMPLES / "photo-01.jpg")], PALETTE, relevance_score_fn=lambda _: 0.25
    )
    ((_, share),) = store.similarity_search_with_relevance_scores("red")
    assert share == 0.25


def test_the_nearest_or_the_most_unlike_are_chosen() -> None:
    vectors = np.array([[1, 0, 0], [0.99, 0.14, 0], [0.8, 0, 0.6], [0, 1, 0]], np.float32)
    query = np.array([1, 0, 0], np.float32)
    assert most_diverse(query, vectors, 4, 1.0) == [0, 1, 2, 3]
    assert most_diverse(query, vectors, 4, 0.0)[:2] == [0, 3]
    assert most_diverse(query, vectors[:0], 4, 0.5) == []


# retriever, tool and blocks


@pytest.fixture
def colours(engine: ImageSearchEngine, paths: dict[str, str], photos: Path) -> ImageSearchEngine:  # noqa: ARG001  they are painted
    engine.index_images(photos)
    return engine


def test_a_retriever_asks_by_words_by_picture_and_by_both(
    colours: ImageSearchEngine, paths: dict[str, str], paint: Paint, photos: Path
) -> None:
    retriever = ImageRetriever(engine=colours, k=1)
    (found,) = retriever.invoke("something red")
    assert (found.page_content, found.metadata["path"]) == ("red.png", paths["red"])
    assert found.metadata["score"] > 0.9
    assert names(retriever.invoke("", image=paths["blue"])) == ["blue"]
    assert names(retriever.invoke("", image=Path(paths["blue"]).read_bytes())) == ["blue"]
    paint("both.png", "red", "blue")
    colours.index_images(photos)
    assert names(retriever.invoke("red", image=paths["blue"])) == ["both"]
    assert names(retriever.invoke("red", where={"name": "green.png"})) == ["green"]
    least = ImageRetriever(engine=colours, k=9, min_score=0.9, where={"name": {"$ne": "x"}})
    assert names(least.invoke("green")) == ["green"]
    with pytest.raises(InvalidQuery, match="the query is empty"):
        retriever.invoke("")


def test_a_retriever_reads_the_query_language_only_if_asked_to(colours: ImageSearchEngine) -> None:
    line = "red -name:red"
    plain = ImageRetriever(engine=colours, k=1)
    assert names(plain.invoke(line)) == ["red"]
    found = ImageRetriever(engine=colours, k=1, syntax=True).invoke(line)
    assert names(found) != ["red"]
    assert plain.invoke(Query.parse(line)) == found  # type: ignore[arg-type]  # LangChain says str


def test_a_vector_store_takes_queries(filled: PixseekVectorStore, paths: dict[str, str]) -> None:
    line = "(red OR blue) -rank:2"
    for asked, options in ((Query.parse(line), {}), (line, {"syntax": True})):
        found: list[Document] = filled.similarity_search(asked, k=1, **options)
        assert names(found) == ["red"]
    assert names(filled.similarity_search("red", k=1, syntax=True)) == ["red"]
    by_picture = Query.image(paths["blue"]) + Query.condition("width:48")
    assert names(filled.similarity_search(by_picture, k=1)) == ["blue"]
    (best,) = filled.similarity_search_with_score(Query.text("red"), k=1, filter={"rank": 1})
    assert names([best[0]]) == ["green"]
    assert names(filled.similarity_search("width:>100", syntax=True)) == []
    assert len(filled.similarity_search("width:48", k=3, syntax=True)) == 3
    with pytest.raises(QueryNotUnderstood, match="did you mean camera"):
        filled.similarity_search("camra:canon", syntax=True)
    with pytest.raises(InvalidQuery, match="expected at least 1"):
        filled.similarity_search(Query.text("red"), k=0)


def test_a_query_has_relevance_and_diversity(filled: PixseekVectorStore) -> None:
    query = Query.parse("red OR blue")
    relevant = filled.similarity_search_with_relevance_scores(query, k=4)  # type: ignore[arg-type]  # LangChain says str
    assert set(names([one for one, _ in relevant[:2]])) == {"red", "blue"}
    assert all(0 <= share <= 1 for _, share in relevant)
    chosen = filled.similarity_search_with_relevance_scores("width:48", k=2, syntax=True)
    assert [share for _, share in chosen] == [1.0, 1.0]
    first, *_ = filled.max_marginal_relevance_search(query, k=3, lambda_mult=0.3)
    assert names([first])[0] in ("red", "blue")
    by_line = filled.as_retriever(search_kwargs={"k": 1, "syntax": True})
    assert names(by_line.invoke("red -blue")) == ["red"]


async def test_a_query_can_be_awaited(filled: PixseekVectorStore) -> None:
    found = await filled.asimilarity_search("red width:48", k=1, syntax=True)
    assert names(found) == ["red"]


async def test_a_retriever_can_be_awaited(
    colours: ImageSearchEngine, paths: dict[str, str]
) -> None:
    found = await ImageRetriever(engine=colours).ainvoke("", image=paths["blue"], k=2)
    assert names(found)[0] == "blue"
    assert len(found) == 2


def test_an_agent_gets_paths_and_documents(
    colours: ImageSearchEngine, paths: dict[str, str]
) -> None:
    tool = image_search_tool(colours)
    assert tool.args["query"]["type"] == "string"
    call = {"name": tool.name, "id": "1", "type": "tool_call"}
    answer = tool.invoke({**call, "args": {"query": "red", "k": 1}})
    assert isinstance(answer, ToolMessage)
    assert str(answer.content).startswith(f"1. {paths['red']} (score 1.00, year ")
    assert names(answer.artifact) == ["red"]
    refused = tool.invoke({**call, "args": {"query": "red", "where": {"$near": 1}}})
    assert refused.status == "error"
    assert "See docs/filters.md" in str(refused.content)
    none = tool.invoke({**call, "args": {"query": "red", "where": {"name": "absent"}}})
    assert none.content == "No picture was found."


def test_an_agent_asks_in_the_query_language_and_corrects_itself(
    colours: ImageSearchEngine, paths: dict[str, str]
) -> None:
    tool = image_search_tool(colours)
    said = tool.args["syntax"]["description"]
    assert all(part in said for part in ("after:2023", "(dog OR cat)", "like:", "-word"))
    call = {"name": tool.name, "id": "1", "type": "tool_call"}

    def ask(line: str) -> ToolMessage:
        answer = tool.invoke({**call, "args": {"query": line, "k": 1, "syntax": True}})
        assert isinstance(answer, ToolMessage)
        return answer

    assert names(ask("red -name:red").artifact) != ["red"]
    assert names(ask(f'like:"{paths["blue"]}"').artifact) == ["blue"]
    (blue,) = colours.search("blue", k=1)
    assert names(ask(f"like:{blue.id}").artifact) == ["blue"]
    plain = tool.invoke({**call, "args": {"query": "red -name:red", "k": 1}})
    assert names(plain.artifact) == ["red"]
    refused = ask("red camra:canon")
    assert refused.status == "error"
    assert "character 5: there is no field 'camra'; did you mean camera:?" in refused.text


def test_an_agent_opens_no_file_but_the_librarys(
    colours: ImageSearchEngine, tmp_path: Path
) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "secret.png")
    tool = image_search_tool(colours)
    call = {"name": tool.name, "id": "1", "type": "tool_call"}
    for name, reason in (
        (f"{tmp_path}/secret.png", "there is no item"),
        ("~/secret.png", "there is no item"),
        ("http://127.0.0.1/a.jpg", "agents search by pictures of the library only"),
    ):
        answer = tool.invoke({**call, "args": {"query": f'red -like:"{name}"', "syntax": True}})
        assert answer.status == "error"
        assert reason in answer.text


def test_an_agent_that_sees_gets_pictures(colours: ImageSearchEngine) -> None:
    tool = image_search_tool(colours, images=True, max_pixels=100)
    call = {"name": tool.name, "id": "1", "type": "tool_call", "args": {"query": "red", "k": 2}}
    text, *pictures = tool.invoke(call).content_blocks
    assert text["type"] == "text"
    assert [one["type"] for one in pictures] == ["image", "image"]


def test_what_is_found_becomes_upright_reduced_pictures_for_a_chat_model(
    colours: ImageSearchEngine, photos: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200), "red").save(photos / "sideways.jpg", exif=exif)
    hits = colours.search_by_text("blue", k=1)
    document = Document("", metadata={"path": str(photos / "sideways.jpg")})
    blocks = image_content_blocks([*hits, document, photos / "sideways.jpg"], max_pixels=5000)
    sizes = []
    for block in blocks:
        assert (block["type"], block["mime_type"]) == ("image", "image/jpeg")
        with Image.open(io.BytesIO(base64.b64decode(block["base64"]))) as picture:
            sizes.append(picture.size)
            assert picture.format == "JPEG"
            assert not picture.getexif()
    assert sizes == [(48, 32), (50, 100), (50, 100)]
    message = HumanMessage([{"type": "text", "text": "What is this?"}, *map(dict, blocks)])
    assert [one["type"] for one in message.content_blocks] == ["text", "image", "image", "image"]


def test_what_has_no_picture_file_cannot_be_looked_at(photos: Path) -> None:
    with pytest.raises(MissingPath, match="found as a picture file"):
        image_content_blocks([Document("a text", id="1")])
    with pytest.raises(MissingPath):
        image_content_blocks([photos / "absent.png"])
    (photos / "bad.png").write_bytes(b"x")
    with pytest.raises(UnreadableImage):
        image_content_blocks([photos / "bad.png"])


# embeddings


def test_pictures_are_embedded_alone_in_lists_and_awaited(paths: dict[str, str]) -> None:
    many = PALETTE.embed_images([paths[colour] for colour in COLOURS] * 5)
    assert len(many) == 20
    assert many[:4] == many[4:8]
    assert asyncio.run(PALETTE.aembed_image(paths["red"])) == many[0]
    assert asyncio.run(PALETTE.aembed_images([paths["red"]])) == [many[0]]
    assert PALETTE.embed_images([]) == []
    assert PALETTE.embed_documents([]) == []
    texts = [f"{colour} {i}" for colour in COLOURS for i in range(40)]
    assert PALETTE.embed_documents(texts) == [PALETTE.embed_query(text) for text in texts]
    assert np.linalg.norm(many[0]) == pytest.approx(1)


def test_a_picture_that_cannot_be_embedded_is_named(photos: Path) -> None:
    (photos / "bad.png").write_bytes(b"x")
    with pytest.raises(UnreadableImage, match=r"bad\.png"):
        PALETTE.embed_image([str(photos / "bad.png")])
    with pytest.raises(MissingPath, match=r"absent\.png"):
        PALETTE.embed_image(str(photos / "absent.png"))


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        (("ViT-B-32", "openai"), "clip-vit-b-32"),
        (("ViT-B-32", "laion2b_s34b_b79k"), "openclip-vit-b-32"),
        (("ViT-H-14", "laion2b_s32b_b79k"), "openclip-vit-h-14"),
        (("ViT-B-32-256", "datacomp_s34b_b86k"), "openclip-vit-b-32-256"),
        (("xlm-roberta-base-ViT-B-32", "laion5b_s13b_b90k"), "openclip-xlm-roberta-b-32"),
        (("RN50", "yfcc15m"), "open_clip:RN50/yfcc15m"),
    ],
)
def test_openclips_weights_are_known_by_their_names_there(
    weights: tuple[str, str], name: str
) -> None:
    assert model_called(*weights) == name


# what is not installed


def test_without_langchain_the_extra_is_named() -> None:
    code = "import sys; sys.modules['langchain_core'] = None\nimport pixseek.langchain"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra" in run.stderr
    assert "pip install 'pixseek[langchain]'" in run.stderr


def test_without_chromadb_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chromadb", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pixseek\[chroma\]'"):
        Chroma("images", PALETTE)


ran: list[str] = []


async def test_a_test_that_is_a_coroutine_is_really_run() -> None:
    await asyncio.sleep(0)
    ran.append("yes")


def test_it_was() -> None:
    assert ran == ["yes"]
