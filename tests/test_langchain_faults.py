"""What goes wrong with pictures in LangChain's own classes, and that it does not go wrong here.

Each test first does it with langchain_chroma as it is and with `PlainClip`, which treats pictures
as langchain_experimental's OpenCLIPEmbeddings does. When an assertion about theirs fails, they have
mended it: take it out.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import chromadb
import langchain_chroma
import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from PIL import Image
from tests.conftest import SAMPLES, Paint

from pixseek import ImageSearchEngine
from pixseek.encoders.palette import PaletteEncoder
from pixseek.langchain import Chroma, PixseekEmbeddings, PixseekVectorStore

OURS = PixseekEmbeddings("palette")
PHOTOS = sorted(str(path) for path in SAMPLES.glob("photo-*.jpg"))


class PlainClip(Embeddings):
    """Palette vectors, made as OpenCLIPEmbeddings makes its own: every file opened first, pixels as
    they lie in the file, a list in and a list out."""

    def __init__(self) -> None:
        self._encoder = PaletteEncoder()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self._encoder.encode_texts([text])[0].tolist() for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    def embed_image(self, uris: list[str]) -> list[list[float]]:
        images = [Image.open(uri) for uri in uris]
        return [self._encoder.encode_images([one.convert("RGB")])[0].tolist() for one in images]


Make = Callable[[], langchain_chroma.Chroma]


@pytest.fixture
def plain() -> Iterator[Make]:
    """Makes collections of LangChain's class, as a program without pixseek has them."""
    made: list[langchain_chroma.Chroma] = []

    def make() -> langchain_chroma.Chroma:
        client = chromadb.EphemeralClient()
        made.append(langchain_chroma.Chroma(f"plain-{uuid4()}", PlainClip(), client=client))
        return made[-1]

    yield make
    for one in made:
        one.delete_collection()


@pytest.fixture
def ours() -> Iterator[Chroma]:
    client = chromadb.EphemeralClient()
    name = f"ours-{uuid4()}"
    yield Chroma(name, OURS, client=client)
    client.delete_collection(name)


def vector_of(store: langchain_chroma.Chroma, id: str) -> np.ndarray[Any, Any]:
    return np.array(store.get([id], include=["embeddings"])["embeddings"][0])


def our_vector(store: PixseekVectorStore, id: str) -> np.ndarray[Any, Any]:
    return np.array(store._items.fetch([id])[0].vector)


def test_documents_that_name_a_picture_are_stored_by_what_it_shows(
    plain: Make, ours: Chroma, paint: Paint
) -> None:
    documents = [
        Document(page_content="", metadata={"path": str(paint(f"{colour}.png", colour))})
        for colour in ("red", "green", "blue")
    ]
    theirs = plain()
    ids = theirs.add_documents(documents)
    assert len({vector_of(theirs, id).tobytes() for id in ids}) == 1  # of the empty text
    assert len({our_vector(ours, id).tobytes() for id in ours.add_documents(documents)}) == 3
    for colour in ("red", "green", "blue"):
        (found,) = ours.similarity_search(f"something {colour}", k=1)
        assert found.metadata["path"].endswith(f"{colour}.png")


def test_one_path_gives_one_vector_and_a_list_gives_a_list(paint: Paint) -> None:
    path = str(paint("red.png", "red"))
    with pytest.raises((IsADirectoryError, PermissionError)):
        PlainClip().embed_image(path)  # type: ignore[arg-type]  # as lessons call it
    one, many = OURS.embed_image(path), OURS.embed_image([path, path])
    assert isinstance(one[0], float)
    assert many == [one, one]
    assert OURS.embed_image(uris=[path]) == [one]


def test_1_searching_by_image_with_relevance_works(plain: Make, ours: Chroma, paint: Paint) -> None:
    path = str(paint("red.png", "red"))
    theirs = plain()
    theirs.add_images([path], [{"path": path}])
    with pytest.raises(ValueError, match="Expected embeddings"):
        theirs.similarity_search_by_image_with_relevance_score(path)
    ours.add_images([path])
    ((_, relevance),) = ours.similarity_search_by_image_with_relevance_score(path)
    assert relevance == pytest.approx(1)


def test_2_a_picture_is_not_stored_in_the_index(tmp_path: Path) -> None:
    def size(folder: Path) -> int:
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    paths = PHOTOS[:10]
    photos = sum(Path(path).stat().st_size for path in paths)
    theirs = langchain_chroma.Chroma(
        "photos", PlainClip(), persist_directory=str(tmp_path / "theirs")
    )
    (id, *_) = theirs.add_images(paths)
    assert len(theirs.get([id])["documents"][0]) > Path(paths[0]).stat().st_size
    assert size(tmp_path / "theirs") > 3 * photos
    ours = PixseekVectorStore(OURS, store=f"local:{tmp_path / 'ours'}")
    ids = ours.add_images(paths)
    assert size(tmp_path / "ours") < photos / 2
    assert ours.get_by_ids(ids)[0].page_content == "photo-01.jpg"
    ours.close()
    in_chroma = Chroma("photos", OURS, persist_directory=str(tmp_path / "chroma"))
    assert in_chroma.add_images(paths) == ids
    assert size(tmp_path / "chroma") < size(tmp_path / "theirs") / 3


def test_3_changing_metadata_keeps_the_vector(plain: Make, ours: Chroma, paint: Paint) -> None:
    path = str(paint("red.png", "red"))
    theirs = plain()
    (id,) = theirs.add_images([path], [{"tag": "old"}])
    before = vector_of(theirs, id)
    (found,) = theirs.similarity_search_by_image(path, k=1)
    theirs.update_document(id, Document(page_content=found.page_content, metadata={"tag": "new"}))
    assert before @ vector_of(theirs, id) < 0.5
    (id,) = ours.add_images([path], [{"tag": "old"}])
    before = our_vector(ours, id)
    (found,) = ours.similarity_search("red", k=1)
    found.metadata["tag"] = "new"
    ours.update_document(id, found)
    assert before @ our_vector(ours, id) == pytest.approx(1)
    assert ours.get_by_ids([id])[0].metadata["tag"] == "new"


def test_4_a_picture_without_metadata_can_be_read(plain: Make, ours: Chroma, paint: Paint) -> None:
    path = str(paint("red.png", "red"))
    theirs = plain()
    with pytest.raises(ValueError, match="valid dictionary"):
        theirs.get_by_ids(theirs.add_images([path]))
    (found,) = ours.get_by_ids(ours.add_images([path]))
    assert (found.page_content, found.metadata["path"]) == ("red.png", path)


def test_5_rows_without_a_text_are_seen_and_ours_are_seen_by_langchain(
    plain: Make, paint: Paint
) -> None:
    theirs = plain()
    vectors = OURS.embed_documents(["red", "blue"])
    theirs._collection.upsert(["r", "b"], vectors, [{"path": "r.png"}, {"path": "b.png"}])  # type: ignore[arg-type]  # as Chroma takes them
    assert theirs.similarity_search("red") == []
    (found, _) = PixseekVectorStore(OURS, store=theirs).similarity_search("red")
    assert (found.id, found.metadata["path"]) == ("r", "r.png")
    mine = plain()
    path = str(paint("red.png", "red"))
    PixseekVectorStore(OURS, store=mine).add_images([path], [{"tag": "x"}])
    (seen,) = mine.similarity_search("red", filter={"tag": "x"})
    assert (seen.page_content, seen.metadata["path"]) == ("red.png", path)


def test_6_relevance_is_a_share_and_a_threshold_can_be_used() -> None:
    query, right, wrong = "a tiger in the snow", PHOTOS[5], PHOTOS[1]
    pocket = PixseekEmbeddings("pocket")
    client = chromadb.EphemeralClient()
    theirs = langchain_chroma.Chroma(f"plain-{uuid4()}", pocket, client=client)
    theirs.add_images([right, wrong], [{"path": right}, {"path": wrong}])
    with pytest.warns(UserWarning, match="Relevance scores must be between 0 and 1"):
        found = theirs.similarity_search_with_relevance_scores(query)
    assert [one.metadata["path"] for one, _ in found] == [right, wrong]
    assert 0.5 > found[0][1] > 0 > found[1][1]  # the right one is thrown away by half
    theirs.delete_collection()

    ours = PixseekVectorStore.from_images([right, wrong], pocket)
    (first, second) = ours.similarity_search_with_relevance_scores(query)
    assert (first[0].metadata["path"], second[0].metadata["path"]) == (right, wrong)
    assert 0 <= second[1] < 0.1 < 0.9 < first[1] <= 1
    retriever = ours.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.5}
    )
    assert [one.metadata["path"] for one in retriever.invoke(query)] == [right]


def test_7_a_torch_model_behind_embeddings_is_put_into_evaluation_mode(
    engine_folder: Path, paint: Paint, photos: Path
) -> None:
    class Model:
        modes: ClassVar[list[str]] = ["training"]

        def eval(self) -> None:
            self.modes.append("evaluating")

    class Clip(PlainClip):
        model = Model()

    paint("red.png", "red")
    clip = Clip()
    with ImageSearchEngine(engine_folder, embeddings=clip) as engine:
        engine.index_images(photos)
        assert clip.model.modes[-1] == "evaluating"
        assert engine.search_by_text("red")[0].path.name == "red.png"


@pytest.fixture
def engine_folder(tmp_path: Path) -> Path:
    return tmp_path / "library"


def test_8_any_number_of_files_is_embedded_with_few_open_at_once(photos: Path) -> None:
    for i in range(120):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(photos / f"{i}.png")
    code = (
        "import resource, sys, glob\n"
        "from tests.test_langchain_faults import OURS, PlainClip\n"
        f"paths = glob.glob({str(photos)!r} + '/*.png')\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        "print(len(OURS.embed_images(paths)))\n"
        "PlainClip().embed_image(paths)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=SAMPLES.parent,
        timeout=60,
    )
    assert run.stdout.strip() == "120", run.stderr
    assert "Too many open files" in run.stderr


def test_9_a_bad_file_is_named_and_the_others_are_stored(
    plain: Make, ours: Chroma, paint: Paint, photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [str(paint(f"{colour}.png", colour)) for colour in ("red", "blue")]
    (photos / "bad.png").write_bytes(b"no picture")
    all_paths = [paths[0], str(photos / "bad.png"), str(photos / "absent.png"), paths[1]]
    theirs = plain()
    with pytest.raises(OSError, match=r"bad\.png|absent\.png"):
        theirs.add_images(all_paths)
    assert theirs.get()["ids"] == []
    ids = ours.add_images(all_paths)
    assert [one.metadata["path"] for one in ours.get_by_ids(ids)] == paths
    assert [one.path.name for one in ours.skipped] == ["bad.png", "absent.png"]
    assert "bad.png: its content is in no picture format known" in caplog.text
    assert "absent.png: there is no such file" in caplog.text


def test_10_pictures_are_turned_upright(photos: Path) -> None:
    upright = Image.new("RGB", (40, 20), "blue")
    upright.paste("red", (0, 0, 20, 20))
    upright.save(photos / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    upright.transpose(Image.Transpose.ROTATE_90).save(photos / "sideways.png", exif=exif)
    paths = [str(photos / name) for name in ("upright.png", "sideways.png")]

    class Left(PlainClip):
        """Sees the left half only, and so which way up a picture is."""

        def embed_image(self, uris: list[str]) -> list[list[float]]:
            images = [Image.open(uri) for uri in uris]
            halves = [one.convert("RGB").crop((0, 0, one.width // 2, one.height)) for one in images]
            return [self._encoder.encode_images([half])[0].tolist() for half in halves]

    one, other = np.array(Left().embed_image(paths))
    assert one @ other < 0.9
    store = PixseekVectorStore(Left())
    vectors = [our_vector(store, id) for id in store.add_images(paths)]
    assert vectors[0] @ vectors[1] == pytest.approx(1)


def test_11_adding_twice_is_adding_once(plain: Make, ours: Chroma, paint: Paint) -> None:
    path = str(paint("red.png", "red"))
    theirs = plain()
    theirs.add_images([path])
    theirs.add_images([path])
    assert len(theirs.get()["ids"]) == 2
    assert ours.add_images([path]) == ours.add_images([path, path])[:1]
    assert len(ours.similarity_search("red", k=10)) == 1


def test_12_diverse_results_keep_the_order_in_which_they_are_chosen(
    plain: Make, ours: Chroma, paint: Paint
) -> None:
    paths = [
        str(paint(name, *colours))
        for name, colours in {
            "red.png": ["red"],
            "red-too.png": ["red"] * 9 + ["white"],
            "red-white.png": ["red", "white"],
            "red-blue.png": ["red", "red", "blue"],
        }.items()
    ]
    theirs = plain()
    theirs.add_images(paths, [{"path": path} for path in paths])
    ours.add_images(paths)
    chosen = ours.max_marginal_relevance_search("red", k=3, lambda_mult=0.1)
    names = [one.page_content for one in chosen]
    assert names[0] == "red.png"
    assert names[1] in ("red-white.png", "red-blue.png")
    nearest = [one.page_content for one in ours.similarity_search("red", k=4)]
    assert nearest.index(names[1]) > nearest.index(names[2])  # chosen first, though farther
    given = [
        Path(one.metadata["path"]).name
        for one in theirs.max_marginal_relevance_search("red", k=3, lambda_mult=0.1)
    ]
    assert sorted(given) == sorted(names)
    assert given != names  # theirs come in the order of nearness


def test_13_nothing_of_langchain_but_its_core_is_loaded() -> None:
    code = (
        "import sys, pixseek.langchain\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'langchain', 'langchain_core', 'langchain_experimental', 'langchain_community',"
        " 'langchain_chroma', 'chromadb', 'torch'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['langchain_core']"
