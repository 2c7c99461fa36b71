"""Real photos through LangChain into a store: killed, resumed, and found.

On the sample photos, and on two thousand pieces of them in a Chroma server. Where
PIXSEEK_TEST_CAPTIONED names a folder with `captions.tsv` (file, split, caption; a header) and the
pictures, also on 2,000 of those.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from tests.chroma_server import ChromaServer
from tests.conftest import SAMPLES

from pixseek.langchain import Chroma, PixseekEmbeddings, PixseekVectorStore
from pixseek.records import Vectors

CAPTIONED = os.environ.get("PIXSEEK_TEST_CAPTIONED", "")
MANY = 2000
SCRIPT = """
import sys
from collections.abc import Sequence
from pathlib import Path
from tests.test_langchain_end_to_end import opened

store = opened(sys.argv[1], Path(sys.argv[2]))
paths = sys.stdin.read().splitlines()
for start in range(0, len(paths), 8):
    some = paths[start : start + 8]
    ids = store.add_images(some, [{"shelf": (start + i) % 3} for i in range(len(some))])
    print(len(ids), flush=True)
"""


def opened(kind: str, folder: Path) -> PixseekVectorStore:
    embeddings = PixseekEmbeddings("pocket")
    if kind == "chroma":
        return Chroma("photos", embeddings, persist_directory=str(folder))
    if kind.startswith("chroma+http"):
        return PixseekVectorStore(embeddings, store=kind)
    return PixseekVectorStore(embeddings, store=f"local:{folder}")


def killed_after(steps: int, kind: str, folder: Path, paths: list[str]) -> int:
    """Add the pictures in another process, kill it after so many steps; how many it reported."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, kind, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=SAMPLES.parent,
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise ValueError("expected pipes")
        process.stdin.write("\n".join(paths))
        process.stdin.close()
        reported = sum(int(process.stdout.readline()) for _ in range(steps))
        process.kill()
    return reported


def through(kind: str, folder: Path, paths: list[str], steps: int) -> PixseekVectorStore:
    """Killed, then resumed: what was reported is there and is not encoded again."""
    reported = killed_after(steps, kind, folder, paths)
    store = opened(kind, folder)
    there = len(store.similarity_search("anything", k=len(paths)))
    assert reported <= there < len(paths)
    encoder = store._items.encoder
    encode, encoded = encoder.encode_images, [0]

    def counted(images: Sequence[Image.Image]) -> Vectors:
        encoded[0] += len(images)
        return encode(images)

    encoder.encode_images = counted  # type: ignore[method-assign]  # this one object's
    ids = store.add_images(paths, [{"shelf": i % 3} for i in range(len(paths))])
    assert encoded == [len(set(ids)) - there]
    assert len(store.similarity_search("anything", k=2 * len(paths))) == len(set(ids))
    return store


@pytest.mark.parametrize("kind", ["local", "chroma"])
def test_the_sample_photos_survive_a_kill_and_are_found(kind: str, tmp_path: Path) -> None:
    paths = sorted(str(path) for path in SAMPLES.glob("*.jpg"))
    store = through(kind, tmp_path / "index", paths, steps=2)
    queries = [line.split("\t") for line in (SAMPLES / "queries.tsv").read_text().splitlines()[1:]]
    found = {query: store.similarity_search(query, k=5) for query, _ in queries}
    first = sum(found[query][0].metadata["name"] == name for query, name in queries)
    five = sum(name in [one.metadata["name"] for one in found[query]] for query, name in queries)
    assert (first, five) >= (22, 27)
    for i, path in enumerate(paths):
        assert store.similarity_search_by_image(path, k=1)[0].metadata["path"] == path
        shelf = {"shelf": i % 3}
        hits = store.similarity_search_by_image(path, k=30, filter=shelf)
        assert len(hits) == 10
        assert hits[0].metadata["path"] == path
    store.close()


def pieces_of(photos: list[Path], folder: Path, n: int) -> list[str]:
    """n different pictures: each photo with more and more of its edges cut off."""
    paths = []
    for i in range(n):
        photo, cut = photos[i % len(photos)], i // len(photos)
        with Image.open(photo) as image:
            width, height = image.size
            left, top = cut % 9 * width // 60, cut // 9 * height // 60
            piece = image.crop((left, top, width - left // 2, height - top // 2))
        piece = piece.resize((160, 120))  # none is a panorama, which is encoded part by part
        paths.append(str(folder / f"{cut:02} {photo.name}"))
        piece.save(paths[-1], quality=90)
    return paths


def test_two_thousand_pictures_in_a_chroma_server_survive_a_kill_and_are_found(
    tmp_path: Path,
) -> None:
    photos = sorted(SAMPLES.glob("*.jpg"))
    (tmp_path / "photos").mkdir()
    paths = pieces_of(photos, tmp_path / "photos", MANY)
    server = ChromaServer(tmp_path / "chroma")
    try:
        url = f"chroma+http://127.0.0.1:{server.port}"
        store = through(url, tmp_path, paths, steps=50)
        queries = [line.split("\t") for line in (SAMPLES / "queries.tsv").read_text().splitlines()]
        found = {query: store.similarity_search(query, k=10) for query, _ in queries[1:]}
        right = [any(name in one.metadata["name"] for one in found[q]) for q, name in queries[1:]]
        assert sum(right) >= 22
        for i in range(0, MANY, 97):
            hits = store.similarity_search_by_image(paths[i], k=20, filter={"shelf": i % 3})
            assert hits[0].metadata["path"] == paths[i]
            assert {hit.metadata["shelf"] for hit in hits} == {i % 3}
        store.close()
    finally:
        server.kill()


@pytest.mark.parametrize("kind", ["local", "chroma"])
def test_two_thousand_photos_survive_a_kill_and_are_found_by_their_captions(
    kind: str, tmp_path: Path
) -> None:
    folder = Path(CAPTIONED)
    captions: dict[str, str] = {}
    lines = (folder / "captions.tsv").read_text().splitlines()[1:]
    for file, split, caption in (line.split("\t") for line in lines):
        if split == "dev" or len(captions) >= MANY:
            captions.setdefault(file, caption)
    for file, _, caption in (line.split("\t") for line in lines):
        if len(captions) >= MANY:
            break
        captions.setdefault(file, caption)
    chosen = dict(list(captions.items())[:MANY])
    paths = [str(folder / file) for file in chosen]
    store = through(kind, tmp_path / "index", paths, steps=20)
    asked = list(chosen.items())[:200]
    ranks = [
        [one.metadata["path"] for one in store.similarity_search(caption, k=10)]
        for _, caption in asked
    ]
    right = sum(str(folder / file) in found for (file, _), found in zip(asked, ranks, strict=True))
    assert right / len(asked) > 0.5
    for path in paths[:50]:
        assert store.similarity_search_by_image(path, k=1)[0].metadata["path"] == path
    store.close()


if not CAPTIONED:  # it is asked for by naming the photographs, and else is not a test to be skipped
    del test_two_thousand_photos_survive_a_kill_and_are_found_by_their_captions
