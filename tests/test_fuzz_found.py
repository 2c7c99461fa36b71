"""Files that `make fuzz` has found wanting are read or refused, as any stranger's are."""

from __future__ import annotations

import random

from tools import fuzz


def test_what_was_found_once_does_no_harm_any_more() -> None:
    found = sorted(fuzz.FOUND.glob("*.bin"))
    tally = fuzz.Tally()
    wrong = {path.name: fuzz.wrong(path.read_bytes(), tally) for path in found}
    assert {name: what for name, what in wrong.items() if what is not None} == {}
    assert tally.read + tally.refused == len(found)
    assert all(path.stat().st_size <= 2 * fuzz.LARGEST for path in found)


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
