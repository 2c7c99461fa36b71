"""Whatever happens to the files and to the processes that index them, in any order: the library is
what a new one would be."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tests.test_said import xmp

import pixseek
from pixseek import ImageSearchEngine

LIVES = int(os.environ.get("PIXSEEK_TEST_LIVES", "20"))
STEPS = 14
CONTENTS = 9
"""So few that copies and files that come back are common."""
SOURCE = str(Path(pixseek.__file__).parent.parent)

# Many small writes, so that a kill meets every step of them.
DRIVER = """
import sys
from pixseek import ImageSearchEngine, indexing
indexing.FILES_PER_WRITE = 2
print("started", flush=True)
with ImageSearchEngine(sys.argv[1], model="palette") as engine:
    engine.index_images(
        sys.argv[2], on_progress=lambda progress: print("done", progress.done, flush=True)
    )
"""


def content(number: int) -> bytes:
    """One of the pictures; some say something of themselves, one is none."""
    if number == 0:
        return b"no picture"
    file = io.BytesIO()
    said = xmp(xmp_Rating=str(number % 6), exif_GPSLatitude="48,51N", exif_GPSLongitude="2,17E")
    colour = (number * 29 % 256, number * 83 % 256, number * 151 % 256)
    Image.new("RGB", (24, 16), colour).save(file, "JPEG", xmp=said if number % 2 else b"")
    return file.getvalue()


PICTURES = [content(number) for number in range(CONTENTS)]


class Life:
    """A folder of pictures, and a library that is to follow it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.photos = folder / "photos"
        self.library = folder / "library"
        self.photos.mkdir(parents=True)
        self._chance = random.Random(seed)
        self._clock = 1_600_000_000_000_000_000
        self._engine: ImageSearchEngine | None = None
        for _ in range(6):
            self.create()

    # What happens to files

    def create(self) -> None:
        self._write(self._name(), self._chance.choice(PICTURES))

    def edit(self) -> None:
        self._write(self._any(), self._chance.choice(PICTURES))

    def move(self) -> None:
        self._any().rename(self._name())

    def copy(self) -> None:
        source, target = self._any(), self._name()
        if source != target:
            shutil.copy2(source, target)

    def delete(self) -> None:
        self._any().unlink()

    def move_folder(self) -> None:
        folders = [path for path in self.photos.iterdir() if path.is_dir()]
        if folders:
            self._chance.choice(folders).rename(self.photos / f"folder {self._tick()}")

    def write_sidecar(self) -> None:
        picture = self._any()
        name = self._chance.choice([picture.with_suffix(".xmp"), Path(f"{picture}.xmp")])
        place = self._chance.choice(["48,51N", "52,31N"])
        said = xmp(
            xmp_Rating=str(self._chance.randrange(-1, 7)),
            exif_GPSLatitude=place,
            exif_GPSLongitude="13,22E",
        )
        self._write(name, self._chance.choice([said, said, b"no XML"]))

    def delete_sidecar(self) -> None:
        sidecars = sorted(self.photos.rglob("*.xmp"))
        if sidecars:
            self._chance.choice(sidecars).unlink()

    def ignore(self) -> None:
        rules = self._chance.choice(["", "*.jpeg\n", "folder 1\n", "*.xmp\n"])
        (self.photos / ".pixseekignore").write_text(rules)

    # What happens to the library

    def index(self) -> None:
        self._opened().index_images(self.photos)

    def index_and_be_killed(self) -> None:
        self.restart()
        with subprocess.Popen(
            [sys.executable, "-c", DRIVER, self.library, self.photos],
            env=os.environ | {"PYTHONPATH": SOURCE},
            stdout=subprocess.PIPE,
            text=True,
        ) as driver:
            assert driver.stdout is not None
            assert driver.stdout.readline() == "started\n"
            for _ in range(self._chance.randrange(6)):
                driver.stdout.readline()
            time.sleep(self._chance.random() * 0.02)
            driver.kill()

    def restart(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    # What must hold

    def check(self, fresh: Path) -> None:
        """Bring it in step, and compare it with a library that is made now."""
        before = self._opened()
        again = before.index_images(self.photos)
        before.index_images(self.photos)
        with ImageSearchEngine(fresh, model="palette") as made:
            report = made.index_images(self.photos)
            assert (again.indexed, len(again.skipped)) == (report.indexed, len(report.skipped))
            assert said(before) == said(made)
        self.restart()

    def _opened(self) -> ImageSearchEngine:
        if self._engine is None:
            self._engine = ImageSearchEngine(self.library, model="palette")
        return self._engine

    def _tick(self) -> int:
        self._clock += 1_000_000_007
        return self._clock % 97

    def _name(self) -> Path:
        folder = self.photos / self._chance.choice(["", "folder 1", "folder 2"])
        folder.mkdir(exist_ok=True)
        return folder / f"{self._chance.randrange(12)}.{self._chance.choice(['jpg', 'jpeg'])}"

    def _any(self) -> Path:
        paths = [p for p in sorted(self.photos.rglob("*")) if p.suffix in (".jpg", ".jpeg")]
        if paths:
            return self._chance.choice(paths)
        path = self._name()
        self._write(path, PICTURES[1])
        return path

    def _write(self, path: Path, data: bytes) -> None:
        """At a time of its own: on some file systems two writes in 4 ms have the same."""
        path.write_bytes(data)
        self._tick()
        os.utime(path, ns=(self._clock, self._clock))


def said(engine: ImageSearchEngine) -> object:
    """All that a library knows: items with vectors and metadata, files, sidecars, what is left."""
    library = engine._library
    store, manifest = library.opened().store, library.manifest
    return (
        {item.id: (item.vector.tolist(), item.metadata) for item in store.fetch(store.ids())},
        manifest.known(),
        manifest.sidecars.known(),
        manifest.pending(),
    )


@pytest.mark.parametrize("seed", range(LIVES))
def test_a_library_equals_a_new_one_whatever_has_happened(seed: int, tmp_path: Path) -> None:
    life = Life(tmp_path, seed)
    files = [life.create, life.edit, life.move, life.copy, life.delete, life.move_folder]
    files += [life.write_sidecar, life.write_sidecar, life.delete_sidecar, life.ignore]
    events: list[Callable[[], None]] = [*files, life.index, life.index, life.restart]
    chance = random.Random(seed)
    steps = chance.choices(events, k=STEPS)
    steps[chance.randrange(STEPS)] = life.index_and_be_killed
    for step in steps:
        step()
    life.check(tmp_path / "fresh")
