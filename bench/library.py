"""A made library: files that need not exist, with the metadata that real photos bring."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np

from pixseek.manifest import Entry, Manifest, VectorSet
from pixseek.metadata import content_fields, file_fields, merge
from pixseek.records import Item, Metadata, Space, Vectors
from pixseek.stores import open_store

ITEMS_AT_ONCE = 256
"""As many as indexing writes in one transaction."""
YEARS = range(2014, 2024)
WORDS = ("beach", "city", "dog", "family", "forest", "mountain", "party", "sunset")
CAMERAS = 200
_START = 1_388_577_600  # 2014-01-01, noon UTC


def path_of(row: int) -> str:
    """'photos/2019/07/…jpg': ten years of twelve folders, as people keep them."""
    year, month = YEARS[row % len(YEARS)], row // len(YEARS) % 12 + 1
    return f"photos/{year}/{month:02}/{WORDS[row // 7 % len(WORDS)]}-{row:07}.jpg"


def id_of(row: int) -> str:
    return blake2b(row.to_bytes(8, "little"), digest_size=16).hexdigest()


def fields_of(row: int, path: str) -> Metadata:
    """About the fields of a photo from a telephone: 19 of them."""
    width, height = ((4000, 3000), (3000, 4000))[row % 3 == 0]
    taken = _START + row % len(YEARS) * 31_557_600 + row // len(YEARS) % 12 * 2_629_800
    content: Metadata = {
        **content_fields(width, height, "JPEG", None),
        "taken": taken,
        "camera_make": f"Maker {row * 7919 % CAMERAS % 12}",
        "camera_model": f"Model {row * 7919 % CAMERAS}",
        "iso": (50, 100, 200, 400, 800, 1600)[row % 6],
        "aperture": (1.8, 2.2, 2.8, 4.0)[row % 4],
        "exposure": (0.001, 0.004, 0.01, 0.033)[row % 4],
        "focal_length": 4.25,
        "latitude": round(row * 0.37 % 180 - 90, 6),
        "longitude": round(row * 0.73 % 360 - 180, 6),
    }
    return merge(content, file_fields([path], 3_000_000 + row, [taken * 1_000_000_000]))


def items(
    vectors: Vectors,
    start: int,
    paths: Callable[[int], str] = path_of,
    ids: Callable[[int], str] = id_of,
) -> list[Item]:
    """The items of one transaction, from row `start` on."""
    rows = range(start, min(start + ITEMS_AT_ONCE, len(vectors)))
    return [Item(ids(row), vectors[row], fields_of(row, paths(row))) for row in rows]


def make(
    folder: Path,
    space: Space,
    model: str,
    vectors: Vectors,
    *,
    entries: list[Entry] | None = None,
    include: str = "photos",
) -> None:
    """A whole library with one file an item.

    entries: the files, if they are real ones; they must be in the order of the vectors.
    """
    manifest = Manifest(folder, create=True)
    store = open_store("local", folder, space)
    manifest.make_current(VectorSet(model, "local"), "leaving")
    manifest.include(include)
    if entries is None:
        entries = [Entry(path_of(row), 1, 1, id_of(row)) for row in range(len(vectors))]
    manifest.record(entries)
    for start in range(0, len(vectors), ITEMS_AT_ONCE):
        store.add(
            items(
                vectors, start, lambda row: entries[row].path, lambda row: entries[row].item or ""
            )
        )
    store.close()
    manifest.close()


def random_vectors(n: int, dimensions: int, seed: int) -> Vectors:
    """Unit vectors in all directions."""
    random = np.random.default_rng(seed)
    made: Vectors = random.standard_normal((n, dimensions), np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def hash_of(vectors: Vectors) -> str:
    return sha256(vectors.tobytes()).hexdigest()
