"""A query tree → what is to be done: vectors to add up, filters to ask, words to look for.

What pictures show orders them, conditions choose them. A tree becomes one alternative for every way
through its ORs of what pictures show: each has weighted terms and one filter. A picture's score is
that of the alternative it fits best. NOT before a group turns over its conditions as a whole, and
pushes every term in it away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product

from pixseek.errors import InvalidQuery
from pixseek.metadata.wording import words_asked
from pixseek.query.conditions import NotAValue, condition_filter
from pixseek.query.tree import (
    And,
    Condition,
    Exact,
    Like,
    Node,
    Not,
    Or,
    Query,
    Text,
    Weighted,
    shows,
)
from pixseek.stores import filters
from pixseek.stores.filters import Filter, has_all

MOST = 16
"""Alternatives; each is a search."""


@dataclass(frozen=True, slots=True)
class Term:
    """Something that pictures show, and how much it counts; below 0 it is pushed away."""

    shown: Text | Like
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to answer a query."""

    terms: tuple[Term, ...] = ()
    """To be added up. None: nothing orders what is found."""
    filter: Filter | None = None
    words: tuple[str, ...] = ()
    """Texts of exact words, which are in `filter` as well."""


def alternatives(query: Query, now: datetime | None = None) -> tuple[Alternative, ...]:
    """The ways to answer a query, of which a picture's best counts; one or more.

    now: what "yesterday" counts from, local and without zone; None is the present.
    Exact words alone are what is shown, too. Raises InvalidQuery when a condition has no meaning,
    OR joins what is shown with conditions, or there are more than 16 alternatives.
    """
    try:
        found = tuple(_alternatives(query.root, now or datetime.now()))
    except NotAValue as error:
        raise InvalidQuery(f"a condition is not understood: {error}. Correct it.") from error
    return tuple(
        replace(one, terms=tuple(Term(Text(words)) for words in one.words))
        if not one.terms and one.words
        else one
        for one in found
    )


def _alternatives(node: Node, now: datetime) -> list[Alternative]:
    if not shows(node):
        return [Alternative((), _filter(node, now), tuple(_words(node)))]
    if isinstance(node, Text | Like):
        return [Alternative((Term(node),))]
    if isinstance(node, Weighted):
        return [_scaled(one, node.weight) for one in _alternatives(node.part, now)]
    if isinstance(node, Not):
        condition = _filter(node.part, now)
        return [
            Alternative(
                tuple(Term(one.shown, -one.weight) for one in _terms(node.part)),
                None if condition is None else filters.Not(condition),
            )
        ]
    if isinstance(node, Or):
        if not all(shows(part) for part in node.parts):
            raise InvalidQuery(
                "OR joins what pictures show with a condition; expected either on both sides."
            )
        found = [one for part in node.parts for one in _alternatives(part, now)]
    elif isinstance(node, And):
        each = [_alternatives(part, now) for part in node.parts]
        count = 1
        for one in each:
            count *= len(one)
        found = [] if count > MOST else [_together(way) for way in product(*each)]
    if not 0 < len(found) <= MOST:
        raise InvalidQuery(f"the ORs have too many ways; expected at most {MOST} of them.")
    return found


def _together(parts: tuple[Alternative, ...]) -> Alternative:
    conditions = tuple(one.filter for one in parts if one.filter is not None)
    return Alternative(
        tuple(term for one in parts for term in one.terms),
        _joined(filters.And, conditions),
        tuple(words for one in parts for words in one.words),
    )


def _scaled(one: Alternative, weight: float) -> Alternative:
    return replace(one, terms=tuple(Term(term.shown, term.weight * weight) for term in one.terms))


def _terms(node: Node) -> Iterator[Term]:
    """Everything that is shown, as in a group without ORs."""
    if isinstance(node, Text | Like):
        yield Term(node)
    elif isinstance(node, Weighted | Not):
        factor = node.weight if isinstance(node, Weighted) else -1.0
        for one in _terms(node.part):
            yield Term(one.shown, one.weight * factor)
    elif isinstance(node, And | Or):
        for part in node.parts:
            yield from _terms(part)


def _filter(node: Node, now: datetime) -> Filter | None:
    """The conditions in it, without what is shown; None when there are none."""
    if isinstance(node, Condition):
        return condition_filter(node, now)
    if isinstance(node, Exact):
        return has_all("words", words_asked(node.text), None)
    if isinstance(node, Weighted):
        return _filter(node.part, now)
    if isinstance(node, Not):
        inner = _filter(node.part, now)
        return None if inner is None else filters.Not(inner)
    if isinstance(node, And | Or):
        parts = [_filter(part, now) for part in node.parts]
        kind = filters.And if isinstance(node, And) else filters.Or
        return _joined(kind, tuple(part for part in parts if part is not None))
    return None


def _joined(kind: type[filters.And] | type[filters.Or], parts: tuple[Filter, ...]) -> Filter | None:
    return None if not parts else parts[0] if len(parts) == 1 else kind(parts)


def _words(node: Node) -> Iterator[str]:
    """Exact words that are asked for, not those that are ruled out."""
    if isinstance(node, Exact):
        yield node.text
    elif isinstance(node, And | Or):
        for part in node.parts:
            yield from _words(part)
