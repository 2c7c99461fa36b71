"""Files that `make fuzz` has found wanting are read or refused, as any stranger's are."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.conftest import Paint
from tools import fuzz

from pixseek import ImageSearchEngine
from pixseek.isolation.plain import is_plain


def test_what_was_found_once_does_no_harm_any_more() -> None:
    found = sorted(fuzz.FOUND.glob("*.bin"))
    tally = fuzz.Tally()
    wrong = {path.name: fuzz.wrong(path.read_bytes(), tally) for path in found}
    assert {name: what for name, what in wrong.items() if what is not None} == {}
    assert tally.read + tally.refused == len(found)
    assert all(path.stat().st_size <= 2 * fuzz.LARGEST for path in found)


def test_what_crashes_its_decoder_is_named_and_all_around_it_is_indexed(
    engine: ImageSearchEngine, photos: Path, paint: Paint
) -> None:
    """Files that have crashed a decoder of libheif, by pi_heif; others may refuse them."""
    found = sorted(fuzz.CONTAINED.glob("*.bin"))
    assert len(found) >= 2
    for path in found:
        assert not is_plain(path.read_bytes())
        paint(f"before {path.stem}.png", "red")
        shutil.copy(path, photos / f"{path.stem}.heic")
    report = engine.index_images(photos)
    assert {one.path.stem for one in report.skipped} == {path.stem for path in found}
    assert all("decode" in one.reason or "damaged" in one.reason for one in report.skipped)
    assert report.indexed == len(found)


def test_damage_is_the_same_for_the_same_seed_and_is_read_or_refused() -> None:
    whole = list(fuzz.painted())
    made = [
        [fuzz.damaged(chance.choice(whole), whole, chance) for _ in range(300)]
        for chance in (random.Random(5), random.Random(5))
    ]
    assert made[0] == made[1]
    tally = fuzz.Tally()
    assert [what for content in made[0] if (what := fuzz.wrong(content, tally))] == []
    assert min(tally.read, tally.refused) > 30, "neither nearly all whole nor nearly all broken"


def test_whole_pictures_are_read_whole() -> None:
    tally = fuzz.Tally()
    whole = list(fuzz.painted())
    assert [what for content in whole if (what := fuzz.wrong(content, tally))] == []
    assert (tally.read, tally.refused) == (len(whole), 0)
