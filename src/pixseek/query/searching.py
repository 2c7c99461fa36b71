"""A query, in a library → hits."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from pixseek.errors import InvalidQuery, MissingPath, UnreadableImage
from pixseek.library import Library, Opened
from pixseek.moments import content_of
from pixseek.places import located, stored
from pixseek.query.plan import Alternative, alternatives
from pixseek.query.tree import ImageSource, Query, both
from pixseek.query.vectors import read_picture, unit, ways
from pixseek.query.whole_words import as_answered
from pixseek.ranking import Wanted, Way
from pixseek.records import Bounds, Hit, Item, Region, Vector, Where
from pixseek.stores import Store
from pixseek.stores.filters import And, Filter, parse

if TYPE_CHECKING:
    from pixseek.ranking.statistics import Statistics

MORE = 16
"""Items that are asked for beyond twice as many as wanted, where files have several pictures."""
AT_ONCE = 1024
"""Items that are looked up together where only their dates order them."""


def asked(query: str | Query | None, image: ImageSource | None, words: str | None) -> Query | None:
    """All that was asked for as one query; None when nothing was. A text is plain words."""
    parts: list[Query] = []
    if isinstance(query, Query):
        parts.append(query)
    elif query and query.strip():
        parts.append(Query.text(query))
    if image is not None:
        parts.append(Query.image(image))
    if words is not None:
        parts.append(Query.words(words))
    return Query(both(*(part.root for part in parts))) if parts else None


def search(
    library: Library,
    query: Query | None,
    wanted: Wanted,
    *,
    vector: Sequence[float] | Vector | None,
    where: Where | None,
    bounds: Bounds,
    moments: bool,
) -> list[Hit]:
    """The hits that are wanted; see ImageSearchEngine.search."""
    check(wanted)
    if query is None and vector is None:
        raise InvalidQuery("the query is empty; expected words, an image, or both.")
    plans = (Alternative(),) if query is None else alternatives(query)
    given = None if vector is None else unit(vector)
    condition = parse(where)
    while True:
        opened = library.opened()
        usual = partial(library.usual, opened)
        asked_for = [as_answered(plan.filter, opened.store) for plan in plans]
        nodes = [checked(_and(condition, node), library, opened) for node in asked_for]
        if given is not None:
            found = [Way((), given)] * len(plans)
        elif plans[0].terms:
            found = ways(opened, [plan.terms for plan in plans], bounds, usual)
        else:
            found = []
        several = not moments and library.manifest.has_moments()
        if found:
            from pixseek.ranking.answering import answer

            hits = answer(
                opened.store,
                [replace(way, where=node) for way, node in zip(found, nodes, strict=True)],
                replace(wanted, one_a_file=several),
                model=opened.store.space.model,
                usual=None if given is not None else usual,
                region=partial(_region, opened, library, bounds),
            )
        else:
            ask = partial(_latest, opened.store, nodes[0], min_score=wanted.min_score)
            k, offset = wanted.k, wanted.offset
            hits = _one_a_file(ask, k, offset) if several else ask(k, offset)
            if wanted.explain:
                from pixseek.ranking.explaining import chosen

                hits = [replace(hit, why=chosen(hit, nodes[0])) for hit in hits]
        if library.answers(opened):  # else its vectors may be gone already
            return [located(hit, library.base) for hit in hits]


def search_items(
    opened: Opened,
    query: Query,
    wanted: Wanted,
    *,
    where: Where | None,
    usual: Callable[[], Statistics],
) -> list[Hit]:
    """The hits of a store that belongs to no library: paths in filters are as they are written.

    usual: gives its statistics. Raises as `search` does.
    """
    from pixseek.ranking.answering import answer

    check(wanted)
    condition, plans = parse(where), alternatives(query)
    nodes = [_and(condition, plan.filter) for plan in plans]
    for node in nodes:
        if node is not None:
            opened.store.check_filter(node)
    if not plans[0].terms:
        return _latest(opened.store, nodes[0], wanted.k, wanted.offset, wanted.min_score)
    found = ways(opened, [plan.terms for plan in plans])
    asked = [replace(way, where=node) for way, node in zip(found, nodes, strict=True)]
    return answer(opened.store, asked, wanted, model=opened.store.space.model, usual=usual)


def _region(
    opened: Opened, library: Library, bounds: Bounds, hit: Hit, vector: Vector
) -> Region | None:
    """The part of a hit's picture that fits a query (d,) best, if its file can be read."""
    from pixseek.ranking.explaining import region

    path = located(hit, library.base).path
    with suppress(MissingPath, UnreadableImage):
        picture = read_picture(path, 2 * opened.encoder.input_size, bounds, of=hit.id)
        return region(picture, opened.encoder, vector)
    return None


def check(wanted: Wanted) -> None:
    """Raise InvalidQuery for numbers that no search can have."""
    if wanted.k < 1 or wanted.offset < 0:
        raise InvalidQuery(
            f"k is {wanted.k} and offset {wanted.offset}; expected at least 1 and 0."
        )
    for name, share in (("min_match", wanted.min_match), ("diverse", wanted.diverse)):
        if share is not None and not 0 <= share <= 1:
            raise InvalidQuery(f"{name} is {share}; expected 0 to 1.")


def _one_a_file(ask: Callable[[int, int], list[Hit]], k: int, offset: int) -> list[Hit]:
    """The best hits of k files, after those of the first `offset`: of each file one.

    Asks for more items until there are files enough.
    """
    wanted = offset + k
    n = 2 * wanted + MORE
    while True:
        hits = ask(n, 0)
        best: dict[str, Hit] = {}
        for hit in hits:
            best.setdefault(content_of(hit.id), hit)
        if len(best) >= wanted or len(hits) < n:
            return list(best.values())[offset:wanted]
        n *= 4


def checked(node: Filter | None, library: Library, opened: Opened) -> Filter | None:
    """The filter as the store understands it: paths in their stored form.

    Raises UnsupportedFilter when it does not.
    """
    if node is None:
        return None
    node = stored(node, library.base)
    opened.store.check_filter(node)
    return node


def _and(one: Filter | None, other: Filter | None) -> Filter | None:
    if one is None:
        return other
    return one if other is None else And((one, other))


def _latest(
    store: Store, node: Filter | None, k: int, offset: int, min_score: float | None
) -> list[Hit]:
    """The items that pass, the latest first, with the score 0."""
    if min_score is not None and min_score > 0:
        return []
    ids = iter(store.ids(node))
    latest: list[Item] = []
    while some := list(islice(ids, AT_ONCE)):
        latest = heapq.nlargest(k + offset, [*latest, *store.fetch(some)], key=_date)
    return [Hit(item.id, 0.0, item.metadata) for item in latest[offset:]]


def _date(item: Item) -> tuple[float, str]:
    for field in ("taken", "modified"):
        value = item.metadata.get(field)
        if isinstance(value, int | float):
            return float(value), item.id
    return float("-inf"), item.id
