"""A search as the API takes it → the engine's answer, a page at a time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pixseek.engine import ImageSearchEngine, Query, is_url, read_picture, stands_out
from pixseek.errors import FetchNotAllowed, UnknownItem
from pixseek.records import USUAL, Hit, Where
from pixseek.web import cursors
from pixseek.web.cursors import Cursor

NOTHING = "Nothing in this library matches; the nearest are shown."
_ID = re.compile("[0-9a-f]{32}")
"""What the query language takes for an id; anything else it takes for a path or a URL."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Which pictures may be searched by, besides those of the library."""

    max_pixels: int
    """Of an uploaded picture."""
    urls: bool
    """Whether they may be fetched from the web."""


@dataclass(frozen=True, slots=True)
class Question:
    """What decides which pictures are found, and in which order."""

    line: str | None = None
    """In the query language (docs/query.md)."""
    text: str | None = None
    """Plain words."""
    like: tuple[str, ...] = ()
    """Ids of pictures to be like."""
    unlike: tuple[str, ...] = ()
    images: tuple[bytes, ...] = ()
    """Uploaded pictures to be like."""
    where: Where | None = None
    min_score: float | None = None
    group: str | None = None
    """Id of a picture: only those of its group, and nothing else is looked for."""

    @property
    def identity(self) -> list[object]:
        """What tells it from others, as JSON can hold it."""
        uploads = [hashlib.blake2b(one, digest_size=16).hexdigest() for one in self.images]
        asked = [self.line, self.text, self.like, self.unlike, uploads]
        return [*asked, self.where, self.min_score, self.group]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the engine takes it."""

    question: Question
    query: Query | None
    ranks: bool
    """Whether pictures are ranked by it; else the newest come first."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the pictures that were found."""

    hits: list[tuple[Hit, bool]]
    """Each with whether its score says anything."""
    next: str | None
    total: int | None
    note: str | None = None


def understood(engine: ImageSearchEngine, question: Question, allowed: Allowed) -> Asked:
    """The question as one query.

    Raises QueryNotUnderstood, InvalidQuery, UnreadableImage; FetchNotAllowed for URLs where they
    are not allowed; UnknownItem for other pictures to be like that are not in the library: no path
    is ever opened.
    """
    parts: list[Query] = []
    if question.line:
        parts.append(Query.parse(question.line))
    if question.text:
        parts.append(Query.text(question.text))
    named = [str(one) for part in parts for one in part.pictures]
    ids = [*(one for one in named if not is_url(one)), *question.like, *question.unlike]
    if (url := next(filter(is_url, named), None)) and not allowed.urls:
        raise FetchNotAllowed(url, "this server fetches no pictures (setting 'fetch_images')")
    known = {item.id for item in engine.items.fetch([one for one in ids if _ID.fullmatch(one)])}
    for id in ids:
        if id not in known:
            raise UnknownItem(id)
    parts += [Query.image(id) for id in question.like]
    parts += [-Query.image(id) for id in question.unlike]
    bounds = replace(USUAL, max_pixels=allowed.max_pixels)
    for content in question.images:
        parts.append(Query.image(read_picture(content, engine.encoder.input_size, bounds)))
    if not parts:
        return Asked(question, None, ranks=False)
    query = parts[0]
    for part in parts[1:]:
        query = query + part
    return Asked(question, query, ranks=engine.overview.ranks(query))


def answer(
    engine: ImageSearchEngine,
    question: Question,
    limit: int,
    cursor: str | None,
    allowed: Allowed,
) -> Page:
    """One page; raises as `understood` does, and InvalidRequest for the cursor."""
    asked = understood(engine, question, allowed)
    if not asked.ranks:
        return _newest(engine, asked, limit, cursor)
    belongs = cursors.question(question.identity, engine.encoder.space.fingerprint)
    after = None if cursor is None else cursors.read(cursor, belongs)
    out = {*question.like, *question.unlike}
    found = _ranked(engine, asked, limit, after, out)
    page, more = found[:limit], found[limit:]
    total = None
    if question.min_score is None:
        total = max(0, engine.overview.count(question.where, query=asked.query) - len(out))
    next_cursor = None
    if more:
        place, last = page[-1]
        next_cursor = cursors.written(Cursor(_worth(last), last.id, place), belongs)
    hits = [hit for _, hit in page]
    by_picture = bool(question.like or question.images) and not (question.line or question.text)
    is_there = cursor is not None or not hits or stands_out(hits, image=by_picture)
    return Page([(hit, True) for hit in hits], next_cursor, total, None if is_there else NOTHING)


def of_group(
    engine: ImageSearchEngine,
    ids: Sequence[str],
    question: Question,
    limit: int,
    cursor: str | None,
) -> Page:
    """One page of the pictures of a group, in the order given; those that pass the filter."""
    if question.where is not None:
        passing = engine.items.ids(question.where)
        ids = [id for id in ids if id in passing]
    belongs = cursors.question(question.identity)
    start = 0
    if cursor is not None:
        last = cursors.read(cursor, belongs)
        # Groups are made anew when the library changes: behind the picture seen last, if it is in.
        places = {id: place for place, id in enumerate(ids)}
        start = places.get(last.id, last.seen - 1) + 1
    end = start + limit
    hits = [Hit(one.id, 0.0, one.metadata) for one in engine.items.fetch(ids[start:end])]
    more = end < len(ids)
    next_cursor = cursors.written(Cursor(float(end), ids[end - 1], end), belongs) if more else None
    return Page([(hit, False) for hit in hits], next_cursor, len(ids))


def _newest(engine: ImageSearchEngine, asked: Asked, limit: int, cursor: str | None) -> Page:
    where = asked.question.where
    belongs = cursors.question("newest", asked.question.line, where)
    after = None if cursor is None else cursors.read(cursor, belongs)
    key = None if after is None else (after.key, after.id)
    found, total = engine.overview.newest(limit + 1, where, query=asked.query, after=key)
    next_cursor = None
    if len(found) > limit:
        last = found[limit - 1]
        next_cursor = cursors.written(Cursor(last.when, last.item.id, 1), belongs)
    hits = [(Hit(one.item.id, 0.0, one.item.metadata), False) for one in found[:limit]]
    return Page(hits, next_cursor, total)


def _ranked(
    engine: ImageSearchEngine,
    asked: Asked,
    limit: int,
    after: Cursor | None,
    out: set[str],
) -> list[tuple[int, Hit]]:
    """(place, hit) of up to limit + 1 hits that come after the cursor, but for those in `out`.

    Each piece begins with a hit that was seen before, or at the very top: so what was added or
    removed since shows, and the search goes on from the right place.
    """
    key = None if after is None else (-after.key, after.id)
    seen = 0 if after is None else after.seen
    found: list[tuple[int, Hit]] = []
    size = limit + len(out) + 2
    while len(found) <= limit:
        start = max(0, seen - 1)
        piece = engine.search(
            asked.query,
            k=size,
            where=asked.question.where,
            min_score=asked.question.min_score,
            offset=start,
        )
        if start and (not piece or key is None or _key(piece[0]) > key):
            seen = max(0, seen - size)  # some that came before are gone
            continue
        new = [
            (at, hit) for at, hit in enumerate(piece, start + 1) if key is None or _key(hit) > key
        ]
        found += [(at, hit) for at, hit in new if hit.id not in out]
        if len(piece) < size:
            break
        seen = start + len(piece)
        key = max(_key(piece[-1]), key or _key(piece[-1]))
    return found[: limit + 1]


def _key(hit: Hit) -> tuple[float, str]:
    return -_worth(hit), hit.id


def _worth(hit: Hit) -> float:
    """What hits are ordered by."""
    return hit.score if hit.worth is None else hit.worth


def best(engine: ImageSearchEngine, asked: Asked, k: int) -> Sequence[Hit]:
    """The first k pictures of a search that ranks, for counting what they have."""
    question = asked.question
    return engine.search(asked.query, k=k, where=question.where, min_score=question.min_score)
