"""A query's vectors, filters and words, in a store → hits, in the order that people see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pixseek.encoders.calibration import calibration
from pixseek.moments import content_of
from pixseek.ranking import Wanted, Way
from pixseek.ranking.diversity import by_relevance, collapsed
from pixseek.ranking.explaining import why
from pixseek.ranking.fulltext import Worded, worded
from pixseek.ranking.matching import matches
from pixseek.ranking.statistics import Statistics
from pixseek.records import Hit, Region, Vector, Vectors
from pixseek.stores import Store

WORDS = 8.0
"""What words that cover a whole query add to a score, in standard deviations of what is usual: more
than strangers reach by what they show. A half covers a quarter of it. Of the ways that were
measured the best for pictures with words, while those without are still found (bench/ranking.py).
"""
POOL = 256
"""Hits that are put in another order to be diverse; those behind them stay as they are."""
AT_LEAST = 64
"""Hits that are looked at to find those that are alike."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A picture that answers one of the ways."""

    hit: Hit
    way: Way
    worth: float
    """What it is ordered by: its score, and what its words add."""
    words: Worded | None


def answer(
    store: Store,
    ways: Sequence[Way],
    wanted: Wanted,
    *,
    model: str,
    usual: Callable[[], Statistics] | None,
    region: Callable[[Hit, Vector], Region | None] = lambda *_: None,
) -> list[Hit]:
    """The hits `wanted` of those that answer any of the ways, each by its best one.

    usual: gives the statistics of the store, where matches are wanted.
    region: gives the part of a hit's picture that fits a query (d,) best, for what is explained.
    Ordered by score, plus what the words of a picture add; equal ones by id. An empty store gives
    [].
    """
    ranking = _Ranking(store, ways, wanted, model, None if usual is None else usual())
    end = wanted.offset + wanted.k
    plain = not (wanted.one_a_file or wanted.collapse)
    plain = plain and wanted.min_match is None and wanted.diverse is None
    depth = end if plain else max(AT_LEAST, 4 * end, POOL if wanted.diverse is not None else 0)
    while True:
        found = ranking.first(depth)
        shown = found if plain else ranking.chosen(found)
        if len(shown) >= end or len(found) < depth:
            return ranking.finished(shown[wanted.offset : end], region)
        depth *= 2


class _Ranking:
    """One query, being answered."""

    def __init__(
        self,
        store: Store,
        ways: Sequence[Way],
        wanted: Wanted,
        model: str,
        usual: Statistics | None,
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._model = model
        self._usual = usual
        self._deviation = _deviation(usual, model)
        self._ways = [(way, self._words(way)) for way in ways]
        self._vectors: dict[str, Vector] = {}

    def first(self, n: int) -> list[_Found]:
        """The n best, best first."""
        best: dict[str, _Found] = {}
        for way, words in self._ways:
            near = self._store.search(
                way.vector, n + len(words), where=way.where, min_score=self._wanted.min_score
            )
            for hit in [*near, *(one.hit for one in words.values())]:
                found = self._found(hit, way, words.get(hit.id))
                if hit.id not in best or found.worth > best[hit.id].worth:
                    best[hit.id] = found
        return sorted(best.values(), key=lambda one: (-one.worth, one.hit.id))[:n]

    def chosen(self, found: list[_Found]) -> list[_Found]:
        """Of a file one, those that match enough, alike ones as one, the different ones first: as
        is wanted."""
        wanted = self._wanted
        if wanted.one_a_file:
            best: dict[str, _Found] = {}
            for one in found:
                best.setdefault(content_of(one.hit.id), one)
            found = list(best.values())
        if wanted.min_match is not None:
            all_matches = self._matches(found)
            found = [
                one
                for one, match in zip(found, all_matches, strict=True)
                if match is not None and match >= wanted.min_match
            ]
        if wanted.collapse:
            kept = {hit.id: hit for hit in collapsed([one.hit for one in found], self._of(found))}
            found = [replace(one, hit=kept[one.hit.id]) for one in found if one.hit.id in kept]
        if wanted.diverse is not None:
            pool, rest = found[:POOL], found[POOL:]
            worth = np.array([one.worth for one in pool], np.float32)
            order = by_relevance(worth, self._of(pool), len(pool), 1 - wanted.diverse)
            found = [*(pool[row] for row in order), *rest]
        return found

    def finished(
        self, shown: Sequence[_Found], region: Callable[[Hit, Vector], Region | None]
    ) -> list[Hit]:
        """The hits, with their matches, and why each is one where that is wanted."""
        hits = [
            replace(one.hit, match=match, worth=one.worth)
            for one, match in zip(shown, self._matches(shown), strict=True)
        ]
        if not self._wanted.explain:
            return hits
        return [
            replace(
                hit,
                why=replace(
                    why(hit, vector, one.way.parts, one.way.where, one.words),
                    region=region(hit, one.way.vector),
                ),
            )
            for hit, one, vector in zip(hits, shown, self._of(shown), strict=True)
        ]

    def _words(self, way: Way) -> dict[str, Worded]:
        """Of pictures that have words of the query; with an example picture, words say only a part
        of what is asked for, and do not count."""
        asked = [part for part in way.parts if part.weight > 0]
        texts = [part.name for part in asked if part.kind == "text"]
        if not texts or len(texts) < len(asked):
            return {}
        found = worded(self._store, way.vector, " ".join(texts), way.where)
        least = self._wanted.min_score
        return {
            id: one
            for id, one in found.items()
            if one.share > 0 and (least is None or one.hit.score >= least)
        }

    def _found(self, hit: Hit, way: Way, words: Worded | None) -> _Found:
        added = 0.0 if words is None else WORDS * words.share**2 * self._deviation
        return _Found(hit, way, hit.score + added, words)

    def _matches(self, found: Sequence[_Found]) -> list[float | None]:
        """By what a picture shows, or by the words that it has: either is enough."""
        all_matches: list[float | None] = [None] * len(found)
        for way, _ in self._ways:
            places = [at for at, one in enumerate(found) if one.way is way and way.parts]
            if not places:
                continue
            vectors = self._of([found[at] for at in places])
            for at, shown in zip(
                places, matches(way.parts, vectors, self._usual, self._model), strict=True
            ):
                words = found[at].words
                share = 0.0 if words is None else words.share
                all_matches[at] = float(1 - (1 - shown) * (1 - share**2))
        return all_matches

    def _of(self, found: Sequence[_Found]) -> Vectors:
        """(n, d): their vectors. Of one that was deleted meanwhile, zeros."""
        missing = [one.hit.id for one in found if one.hit.id not in self._vectors]
        if missing:
            self._vectors.update((item.id, item.vector) for item in self._store.fetch(missing))
        none = np.zeros(self._store.space.dimensions, np.float32)
        vectors = [self._vectors.get(one.hit.id, none) for one in found]
        return np.stack(vectors) if vectors else np.empty((0, len(none)), np.float32)


def _deviation(usual: Statistics | None, model: str) -> float:
    """The standard deviation of scores; of a library too small to say, about that of the model's
    family, whose relevance rises from a tenth to nine tenths within about two of them."""
    found = 0.0 if usual is None or len(usual.sample) < 2 else usual.of_texts[1]
    return found if found > 1e-3 else 2.2 / calibration(model).steepness
