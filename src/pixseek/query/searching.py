"""A query, in a library → hits."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from pixseek.errors import InvalidQuery
from pixseek.library import Library, Opened
from pixseek.moments import content_of
from pixseek.places import located, stored
from pixseek.query.plan import Alternative, alternatives
from pixseek.query.tree import ImageSource, Query, both
from pixseek.query.vectors import read_picture, unit, ways
from pixseek.ranking import Wanted, Way
from pixseek.records import Bounds, Hit, Item, Vector, Where
from pixseek.stores import Store
from pixseek.stores.filters import And, Filter, parse

if TYPE_CHECKING:
    from PIL import Image

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
        nodes = [checked(_and(condition, plan.filter), library, opened) for plan in plans]
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
            )
        else:
            ask = partial(_latest, opened.store, nodes[0], min_score=wanted.min_score)
            k, offset = wanted.k, wanted.offset
            hits = _one_a_file(ask, k, offset) if several else ask(k, offset)
        if library.answers(opened):  # else its vectors may be gone already
            hits = [located(hit, library.base) for hit in hits]
            if wanted.explain and found:
                return _with_regions(hits, opened, found[0].vector, bounds)
            return hits


def _with_regions(hits: Sequence[Hit], opened: Opened, vector: Vector, bounds: Bounds) -> list[Hit]:
    """The hits, with the part of each picture that fits best, if their files can be read."""
    from pixseek.ranking.explaining import with_region

    def pixels(hit: Hit) -> Image.Image:
        return read_picture(hit.path, 2 * opened.encoder.input_size, bounds, of=hit.id)

    return [with_region(hit, opened.encoder, vector, pixels) for hit in hits]


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
