"""Small pictures of a library's items, made when first asked for and kept beside the library."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pixseek import isolation
from pixseek.errors import MissingPath, UnreadableImage
from pixseek.files import image_file
from pixseek.isolation import Decoded
from pixseek.moments import content_of, key_of
from pixseek.records import Bounds
from pixseek.workers import identified, item_id

if TYPE_CHECKING:
    from PIL import Image

SIZES = (320, 1280)
"""Pixels of the longest side."""
FOLDER = "thumbnails"
QUALITY = 80
KEPT_BYTES = 2_000_000_000
"""What they may take together; beyond it, those not asked for longest go."""
_SWEPT_TO = 0.8
_MADE_PER_SWEEP = 500


class Thumbnails:
    """WebP pictures in LIBRARY/thumbnails/ab/ID-320.webp. Safe to use from threads and processes.

    An id is its content's hash, so a picture once made is right for ever.
    """

    def __init__(self, library: Path, bounds: Bounds, kept_bytes: int = KEPT_BYTES) -> None:
        self._folder = library / FOLDER
        self._bounds = bounds
        self._kept_bytes = kept_bytes
        self._made = 0

    def get(self, id: str, paths: Sequence[Path], size: int = SIZES[0]) -> bytes:
        """The item's picture as WebP, upright sRGB, its longest side at most `size` pixels; made
        and kept where it is not yet.

        paths: the files that hold it; the first that still does is read.
        Plain JPEG and PNG are decoded in this process: it is the very content that was decoded when
        it was indexed, and it is bounded (isolation.plain). Others are decoded in a child.
        Raises MissingPath when none is there, UnreadableImage when none holds the item any more.
        """
        if (found := self.made(id, size)) is not None:
            return found
        source = source_now(id, paths, self._bounds.max_bytes)
        name, key = str(paths[0]), key_of(id)
        picture = isolation.read(source, size // 2, self._bounds, name=name, key=key)
        made = _webp(picture.image, size)
        self._write(self._file(id, size), made)
        return made

    def made(self, id: str, size: int = SIZES[0]) -> bytes | None:
        """The one that was made before; None when it never was."""
        file = self._file(id, size)
        try:
            found = file.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(file)  # what was asked for last is swept last
        return found

    def prepare(self, at_once: int) -> None:
        """Have processes ready that make so many at once: the first need not wait for a start."""
        isolation.prepare(at_once)

    def keep(self, id: str, picture: Decoded) -> None:
        """Make the smallest one of a picture that is decoded anyway, if it is large enough."""
        image, size = picture.image, SIZES[0]
        file = self._file(id, size)
        reduced = image.size != (picture.fields.get("width"), picture.fields.get("height"))
        if (max(image.size) >= size or not reduced) and not file.exists():
            self._write(file, _webp(image, size))

    def forget(self, ids: Iterable[str]) -> None:
        """Delete the pictures of items that left the library."""
        if self._folder.is_dir():
            for id in ids:
                for size in SIZES:
                    with suppress(OSError):
                        self._file(id, size).unlink()

    def sweep(self) -> None:
        """Delete those not asked for longest, until the rest is well below the limit."""
        kept = []
        for file in self._folder.glob("*/*.webp"):
            with suppress(OSError):
                status = file.stat()
                kept.append((status.st_mtime, status.st_size, file))
        total = sum(size for _, size, _ in kept)
        if total <= self._kept_bytes:
            return
        for _, size, file in sorted(kept):
            with suppress(OSError):
                file.unlink()
            total -= size
            if total <= _SWEPT_TO * self._kept_bytes:
                return

    def _file(self, id: str, size: int) -> Path:
        # An id may be any text, and that is no name of a file.
        name = id if id.isascii() and id.isalnum() else item_id(id.encode("utf-8", "replace"))
        return self._folder / name[:2] / f"{name}-{size}.webp"

    def _write(self, file: Path, content: bytes) -> None:
        with suppress(OSError):  # a library that cannot be written to is looked at all the same
            _write(file, content)
            self._made += 1
            if self._made % _MADE_PER_SWEEP == 0:
                self.sweep()


def _webp(image: Image.Image, size: int) -> bytes:
    small = image.copy()
    small.thumbnail((size, size))
    made = BytesIO()
    small.save(made, "WEBP", quality=QUALITY, method=2)
    return made.getvalue()


def source_now(id: str, paths: Sequence[Path], max_bytes: int) -> bytes | Path:
    """What to read an item from: the first of its files that still holds it.

    Raises MissingPath when none is there, UnreadableImage when none holds it any more.
    """
    failure: MissingPath | UnreadableImage = MissingPath(
        paths[0] if paths else id, "a picture file that exists"
    )
    for path in paths:
        file = image_file(str(path), path.stat)
        if file is None:
            continue
        try:
            source, content = identified(file, max_bytes)
        except UnreadableImage as error:
            failure = error
            continue
        if content == content_of(id):
            return source
        failure = UnreadableImage(path, "it has changed since it was indexed; index it again")
    raise failure


def _write(file: Path, content: bytes) -> None:
    """All of it or nothing, whoever else writes it at the same time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as writing:
            writing.write(content)
        Path(name).replace(file)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise
