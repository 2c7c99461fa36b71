"""A pipeline as LangChain lessons teach it, with pixseek's classes in the places of theirs.

Documents without text that name a file, stored with `Chroma.from_documents`, searched by words and
by picture: with the classes the lessons use, pictures are never opened and every answer is chance.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from pathlib import Path

import pytest
from langchain_core.documents import Document
from tests.conftest import SAMPLES

from pixseek.langchain import Chroma, OpenCLIPEmbeddings

ROOT = SAMPLES.parent
QUERIES = dict(line.split("\t") for line in (SAMPLES / "queries.tsv").read_text().splitlines()[1:])
LESSON = Path(os.environ.get("PIXSEEK_TEST_TUTORIAL") or ROOT.parent / "shared" / "tutorial.md")
"""A lesson to run; its text is no part of the project."""
THEIRS = {
    "from langchain_experimental.open_clip import OpenCLIPEmbeddings": "OpenCLIPEmbeddings",
    "from langchain_chroma import Chroma": "Chroma",
}


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sample photos in `photos` of the working directory."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for file in SAMPLES.glob("*.jpg"):
        shutil.copy(file, folder)
    monkeypatch.chdir(tmp_path)
    return sorted(f"./photos/{file.name}" for file in folder.iterdir())


class Pipeline:
    """The lesson's class, call by call."""

    def __init__(self, persist_dir: str = "./image_index") -> None:
        self.embeddings = OpenCLIPEmbeddings()
        self.vectorstore = Chroma(
            collection_name="images",
            embedding_function=self.embeddings,
            persist_directory=persist_dir,
        )

    def index_images(self, image_paths: list[str]) -> None:
        self.vectorstore.add_documents(
            [Document(page_content="", metadata={"path": path}) for path in image_paths]
        )

    def search_by_text(self, query: str, k: int = 5) -> list[str]:
        return [one.metadata["path"] for one in self.vectorstore.similarity_search(query, k=k)]

    def search_by_image(self, image_path: str, k: int = 5) -> list[str]:
        embedding = self.embeddings.embed_image(image_path)
        found = self.vectorstore.similarity_search_by_vector(embedding, k=k)
        return [one.metadata["path"] for one in found]


def check(answers: dict[str, list[str]]) -> None:
    """The answers to the sample queries are as good as the engine's own are: 23 and 28 of 30."""
    names = {query: [Path(path).name for path in paths] for query, paths in answers.items()}
    assert sum(names[query][0] == name for query, name in QUERIES.items()) >= 22
    assert sum(name in names[query] for query, name in QUERIES.items()) >= 27


def test_the_lessons_class_finds_pictures_by_words_and_by_picture(paths: list[str]) -> None:
    pipeline = Pipeline()
    pipeline.index_images(paths)
    answers = {query: pipeline.search_by_text(query) for query in QUERIES}
    check(answers)
    assert all(path.startswith("./photos/") for found in answers.values() for path in found)
    for path in paths:
        assert pipeline.search_by_image(path)[0] == path


def test_the_lessons_index_is_there_again_and_does_not_grow(paths: list[str]) -> None:
    Pipeline().index_images(paths)
    again = Pipeline()
    again.index_images(paths)
    assert len(again.search_by_text("a cat", k=100)) == len(paths) == 30


def test_the_lessons_steps_one_by_one(paths: list[str]) -> None:
    clip = OpenCLIPEmbeddings(model_name="ViT-B-32", checkpoint="openai", model="pocket")
    image_docs = [
        Document(page_content="", metadata={"path": path, "filename": Path(path).name})
        for path in paths
    ]
    store = Chroma.from_documents(
        documents=image_docs, embedding=clip, collection_name="lesson-steps"
    )
    (best, *_) = results = store.similarity_search(query="a tiger in the snow", k=5)
    assert len(results) == 5
    assert best.metadata["filename"] == QUERIES["a tiger in the snow"]
    assert best.metadata["path"] == "./photos/photo-06.jpg"
    vector = clip.embed_image("./photos/photo-11.jpg")
    (same, *_) = store.similarity_search_by_vector(embedding=vector, k=5)
    assert same.metadata["filename"] == "photo-11.jpg"


def lesson_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_a_lesson_at_hand_runs_when_only_its_imports_are_changed(
    paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXSEEK_MODEL", "pocket")  # the weights it names are not on this machine
    blocks = lesson_blocks(LESSON.read_text())
    assert len(blocks) >= 4
    names: dict[str, object] = {
        "os": os,
        "glob": glob,
        "Document": Document,
        "image_paths": paths,
    }
    for block in blocks:
        for line, name in THEIRS.items():
            block = block.replace(line, f"from pixseek.langchain import {name}")
        assert "langchain_experimental" not in block
        block = block.replace("/path/to/query.jpg", "./photos/photo-11.jpg")
        exec(block, names)
        if "query_embedding" in block:
            results = names["results"]
            assert isinstance(results, list)
            assert results[0].metadata["filename"] == "photo-11.jpg"
    engine = names["engine"]
    answers = {query: engine.search_by_text(query) for query in QUERIES}  # type: ignore[attr-defined]  # made by the lesson
    check(answers)
    assert engine.search_by_image("./photos/photo-11.jpg")[0] == "./photos/photo-11.jpg"  # type: ignore[attr-defined]  # made by the lesson


if not LESSON.is_file():  # then there is nothing to run, and nothing to skip
    del test_a_lesson_at_hand_runs_when_only_its_imports_are_changed
