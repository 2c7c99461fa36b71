"""A filter as questions about an item's payload, with every negation pushed down to them.

For engines whose language has no "not", or one that does not mean what `filters` means by it when
a field is missing. A question about tokens can be negated by itself; a range that does not hold is
the opposite range, or no number at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from pixseek.errors import UnsupportedFilter
from pixseek.stores.filters import And, Compare, Filter, Not, Or
from pixseek.stores.payload import UNWORDED, equals, has, has_number, has_word

Kind: TypeAlias = Literal["prefix", "contains", "icontains", "order", "words", "long words"]
"""Conditions that not every engine can answer; `order` is that of texts, `long words` are those of
`payload.UNWORDED`."""
TOO_OLD = (
    "its collection was made before pixseek wrote what that needs; `pixseek move --to` the same "
    "place with another ?collection= writes it, and encodes nothing"
)
"""Why one of an older layout cannot answer."""
Order: TypeAlias = Literal["gt", "gte", "lt", "lte"]
_OPPOSITE: dict[Order, Order] = {"gt": "lte", "gte": "lt", "lt": "gte", "lte": "gt"}


@dataclass(frozen=True, slots=True)
class Tokens:
    """Whether an item has one of these tokens, or, negated, none of them."""

    tokens: tuple[str, ...]
    """None at all: no item has one, and every item has none."""
    negated: bool = False
    are_words: bool = False
    """Whether they are of `payload.word_tokens`."""


@dataclass(frozen=True, slots=True)
class Range:
    """Whether a field is a number for which this holds; not so without the field."""

    field: str
    operator: Order
    value: float


@dataclass(frozen=True, slots=True)
class Joined:
    """All of some questions, or any of them."""

    every: bool
    parts: tuple[Question, ...]


Question: TypeAlias = Tokens | Range | Joined


def questions(node: Filter, *, negated: bool = False) -> Question:
    """The same filter; it must have passed `check_kinds` for all kinds but `words`."""
    if isinstance(node, Not):
        return questions(node.part, negated=not negated)
    if isinstance(node, And | Or):
        parts = tuple(questions(part, negated=negated) for part in node.parts)
        return Joined(isinstance(node, And) != negated, parts)
    if isinstance(node.value, tuple):
        return Tokens(tuple(dict.fromkeys(equals(node.field, v) for v in node.value)), negated)
    if node.operator == "exists" or node.value is None:
        return Tokens((has(node.field),), negated)
    if node.operator == "eq":
        return Tokens((equals(node.field, node.value),), negated)
    if node.operator == "word":
        return Tokens((has_word(node.field, str(node.value)),), negated, are_words=True)
    order, value = cast("Order", node.operator), float(node.value)
    if not negated:
        return Range(node.field, order, value)
    without = Tokens((has_number(node.field),), negated=True)
    return Joined(False, (without, Range(node.field, _OPPOSITE[order], value)))


def check_kinds(node: Filter, store: str, refused: Mapping[Kind, str]) -> None:
    """Raise UnsupportedFilter when a condition of the filter is of a refused kind.

    refused: the kinds, with the reason of each.
    """
    if isinstance(node, Not):
        check_kinds(node.part, store, refused)
    elif isinstance(node, And | Or):
        for part in node.parts:
            check_kinds(part, store, refused)
    elif (kind := _kind(node)) is not None and kind in refused:
        named = "$words" if node.operator == "word" else f"${node.operator}"
        condition = f"{named} {node.value!r} on {node.field!r} ({refused[kind]})"
        raise UnsupportedFilter(store, condition)


def _kind(condition: Compare) -> Kind | None:
    operator = condition.operator
    if operator == "prefix" or operator == "contains" or operator == "icontains":
        return operator
    if operator == "word":
        return "long words" if condition.field in UNWORDED else "words"
    ordered = condition.operator in _OPPOSITE and isinstance(condition.value, str)
    return "order" if ordered else None
