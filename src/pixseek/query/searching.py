"""A query, in a library → hits."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice

from pixseek.errors import InvalidQuery
from pixseek.library import Library, Opened
from pixseek.moments import content_of
from pixseek.places import located, stored
from pixseek.query.plan import Alternative, alternatives
from pixseek.query.tree import ImageSource, Query, both
from pixseek.query.vectors import query_vectors, unit
from pixseek.records import Bounds, Hit, Item, Vector, Where
from pixseek.stores import Store
from pixseek.stores.filters import And, Filter, parse

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
    *,
    vector: Sequence[float] | Vector | None,
    k: int,
    where: Where | None,
    min_score: float | None,
    offset: int,
    bounds: Bounds,
    moments: bool,
) -> list[Hit]:
    """The k best hits after the first `offset`; see ImageSearchEngine.search."""
    if k < 1 or offset < 0:
        raise InvalidQuery(f"k is {k} and offset {offset}; expected at least 1 and 0.")
    if query is None and vector is None:
        raise InvalidQuery("the query is empty; expected words, an image, or both.")
    ways = (Alternative(),) if query is None else alternatives(query)
    given = None if vector is None else unit(vector)
    condition = parse(where)
    while True:
        opened = library.opened()
        nodes = [checked(_and(condition, way.filter), library, opened) for way in ways]
        if given is not None:
            vectors = [given] * len(ways)
        elif ways[0].terms:
            vectors = query_vectors(opened, [way.terms for way in ways], bounds)
        else:
            vectors = []
        ask = partial(_hits, opened.store, vectors, nodes, min_score)
        several = not moments and library.manifest.has_moments()
        hits = _one_a_file(ask, k, offset) if several else ask(k, offset)
        if library.answers(opened):  # else its vectors may be gone already
            return [located(hit, library.base) for hit in hits]


def _hits(
    store: Store,
    vectors: Sequence[Vector],
    nodes: Sequence[Filter | None],
    min_score: float | None,
    k: int,
    offset: int,
) -> list[Hit]:
    """The k best items after the first `offset`, by a vector for each node; the latest by none."""
    if not vectors:
        return _latest(store, nodes[0], k, offset, min_score)
    if len(vectors) == 1:
        return store.search(vectors[0], k, where=nodes[0], min_score=min_score, offset=offset)
    found = [
        store.search(one, k + offset, where=node, min_score=min_score)
        for one, node in zip(vectors, nodes, strict=True)
    ]
    return _best(found)[offset : offset + k]


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


def _best(found: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Each item by its best score, nearest first, equal scores by id."""
    best: dict[str, Hit] = {}
    for hit in (hit for hits in found for hit in hits):
        if hit.id not in best or hit.score > best[hit.id].score:
            best[hit.id] = hit
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.id))


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
