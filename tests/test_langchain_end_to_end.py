"""Real photos through LangChain into a store: killed, resumed, and found.

On the sample photos. Where PIXSEEK_TEST_CAPTIONED names a folder with `captions.tsv` (file, split,
caption; a header) and the pictures, also on 2,000 of those.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
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
    ids = store.add_images(
        paths[start : start + 8],
        [{"shelf": (start + i) % 3} for i in range(len(paths[start : start + 8]))],
    )
    print(len(ids), flush=True)
"""


def opened(kind: str, folder: Path) -> PixseekVectorStore:
    embeddings = PixseekEmbeddings("pocket")
    if kind == "chroma":
        return Chroma("photos", embeddings, persist_directory=str(folder))
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
