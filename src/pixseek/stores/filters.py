"""The filter language: a `where` mapping → one small tree that every store translates.

The meaning is MongoDB's, on flat metadata: a condition on a list holds when it holds for any
element; `$ne`, `$nin` and `$not` are plain negations, so they also match items without the field.
Numbers compare with numbers, as 64-bit floats, and texts with texts; nothing is equal across types.
docs/filters.md is the reference for users.
"""

from __future__ import annotations

import json
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from pixseek.errors import InvalidFilter, InvalidQuery
from pixseek.records import TIME_FIELDS, Metadata, Scalar, Value, Where
from pixseek.stores.textwords import folded, words_asked, words_of

Operator: TypeAlias = Literal[
    "eq", "in", "gt", "gte", "lt", "lte", "exists", "prefix", "contains", "icontains", "word"
]


@dataclass(frozen=True, slots=True)
class Compare:
    """One condition on one field. `value` is a tuple for `in`, None for `exists`, and for `word`
    one that `words_asked` gives."""

    field: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...] | None


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Filter


Filter: TypeAlias = Compare | And | Or | Not

OPERATORS = {
    "$eq": "equal to the value",
    "$ne": "not equal to it, or without the field",
    "$in": "equal to one of a list",
    "$nin": "equal to none of a list, or without the field",
    "$gt": "greater than (numbers and times), or after in code point order (texts)",
    "$gte": "greater than or equal",
    "$lt": "less than",
    "$lte": "less than or equal",
    "$exists": "true: has the field; false: has it not",
    "$prefix": "text that begins with this, case-sensitive",
    "$contains": "text that has this somewhere in it, case-sensitive",
    "$icontains": "text that has this somewhere in it, whatever the case of A to Z",
    "$words": "text that has all of these words, whatever the case of A to Z",
}
"""Operators on a field, with their meaning (docs/filters.md is made from this)."""

JUNCTIONS = {
    "$and": "all of a list of filters",
    "$or": "at least one of a list of filters",
    "$not": "not this filter",
}
"""Operators that join whole filters. `$not` is also taken on a field: {"iso": {"$not": ...}}."""


def parse(where: Where | None) -> Filter | None:
    """A `where` as people write it → a tree; None or {} → None, which matches everything.

    Times may be given as ISO 8601 text or datetime (see `to_number` below for zones).
    Raises InvalidFilter, naming the piece at fault.
    """
    if where is None:
        return None
    if not isinstance(where, Mapping):
        raise InvalidFilter(where, 'expected a mapping such as {"year": 2019}')
    try:
        return _joined([_entry(key, value) for key, value in where.items()])
    except RecursionError as error:
        raise InvalidFilter("$and, $or, $not", "it is nested too deeply") from error


def from_json(text: str) -> Where:
    """A filter as it is typed or sent: a JSON object. Raises InvalidFilter."""
    try:
        where = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidFilter(text[:200], f"it is not JSON that can be read ({error})") from error
    if not isinstance(where, dict):
        raise InvalidFilter(text[:200], 'expected a JSON object such as {"year": 2019}')
    return where


def has_all(field: str, values: Sequence[str], rest: Filter | None) -> Filter:
    """The field has all of these among its values, and `rest` holds.

    Raises InvalidQuery when there are none.
    """
    if not values:
        raise InvalidQuery(f"there is nothing to look for in {field}; expected letters or digits.")
    parts: list[Filter] = [Compare(field, "eq", value) for value in values]
    return And((*parts, *(() if rest is None else (rest,))))


def has_words(field: str, text: str) -> Filter | None:
    """The field has every word of the text; of a list any value may have it. None for signs."""
    return _joined([Compare(field, "word", word) for word in words_asked(text)])


def _joined(parts: list[Filter]) -> Filter | None:
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _entry(key: object, value: object) -> Filter:
    if not isinstance(key, str) or not key:
        raise InvalidFilter(key, "expected a field name or an operator")
    if key in ("$and", "$or"):
        if not isinstance(value, list | tuple) or not value:
            raise InvalidFilter({key: value}, "expected a list of at least one filter")
        children = tuple(_whole(child) for child in value)
        return And(children) if key == "$and" else Or(children)
    if key == "$not":
        return Not(_whole(value))
    if key.startswith("$"):
        raise InvalidFilter(key, f"not one of {', '.join(JUNCTIONS)}, nor a field name")
    return _field(key, value)


def _whole(value: object) -> Filter:
    if not isinstance(value, Mapping) or not value:
        raise InvalidFilter(value, "expected a filter with at least one condition")
    parts = [_entry(key, condition) for key, condition in value.items()]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _field(field: str, value: object) -> Filter:
    if not isinstance(value, Mapping):
        return Compare(field, "eq", _scalar(field, value))
    if not value:
        raise InvalidFilter({field: value}, "expected at least one operator such as $gte")
    parts = [_condition(field, str(name), operand) for name, operand in value.items()]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _condition(field: str, operator: str, operand: object) -> Filter:
    match operator:
        case "$eq":
            return Compare(field, "eq", _scalar(field, operand))
        case "$ne":
            return Not(Compare(field, "eq", _scalar(field, operand)))
        case "$in":
            return Compare(field, "in", _scalars(field, operand))
        case "$nin":
            return Not(Compare(field, "in", _scalars(field, operand)))
        case "$gt" | "$gte" | "$lt" | "$lte":
            value = _scalar(field, operand)
            if isinstance(value, bool):
                raise InvalidFilter({field: {operator: operand}}, "true and false have no order")
            return Compare(field, _ORDER[operator], value)
        case "$exists":
            if not isinstance(operand, bool):
                raise InvalidFilter({field: {operator: operand}}, "expected true or false")
            exists = Compare(field, "exists", None)
            return exists if operand else Not(exists)
        case "$prefix" | "$contains" | "$icontains":
            if not isinstance(operand, str) or not operand:
                raise InvalidFilter({field: {operator: operand}}, "expected a text")
            return Compare(field, _TEXTUAL[operator], operand)
        case "$words":
            if not isinstance(operand, str) or not (found := has_words(field, operand)):
                raise InvalidFilter(
                    {field: {operator: operand}}, "expected a text with letters or digits"
                )
            return found
        case "$not":
            if not isinstance(operand, Mapping):
                raise InvalidFilter({field: {operator: operand}}, "expected operators")
            return Not(_field(field, operand))
        case _:
            raise InvalidFilter(
                {field: {operator: operand}}, f"expected one of {', '.join(OPERATORS)}, $not"
            )


_ORDER: dict[str, Operator] = {"$gt": "gt", "$gte": "gte", "$lt": "lt", "$lte": "lte"}
_TEXTUAL: dict[str, Operator] = {
    "$prefix": "prefix",
    "$contains": "contains",
    "$icontains": "icontains",
}


def _scalars(field: str, operand: object) -> tuple[Scalar, ...]:
    if not isinstance(operand, list | tuple | set | frozenset):
        raise InvalidFilter({field: operand}, "expected a list of values")
    return tuple(_scalar(field, value) for value in operand)


def _scalar(field: str, value: object) -> Scalar:
    if isinstance(value, datetime) or (field in TIME_FIELDS and isinstance(value, str)):
        return to_number(field, value)
    if isinstance(value, int | float) and not abs(value) <= sys.float_info.max:
        raise InvalidFilter(field, "expected a finite number that fits a float")
    if isinstance(value, str | int | float | bool):
        return value
    raise InvalidFilter({field: value}, "expected a text, a number, a time, true or false")


def to_number(field: str, value: datetime | str) -> float:
    """A time → seconds since 1970, as the field counts them.

    `taken` is the camera's wall clock counted as if it were UTC; every other time is real UTC, and
    a value without a zone is local time.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise InvalidFilter(
                {field: value}, "expected a time such as 2023-06-01 or 2023-06-01T18:30"
            ) from error
    if field == "taken":
        value = value.replace(tzinfo=UTC)
    try:
        return value.timestamp()
    except (OverflowError, OSError, ValueError) as error:
        raise InvalidFilter({field: str(value)}, "this time is out of range") from error


def rewrite(node: Filter, change: Callable[[Compare], Filter]) -> Filter:
    """The same tree with every condition passed through `change`."""
    if isinstance(node, Compare):
        return change(node)
    if isinstance(node, Not):
        return Not(rewrite(node.part, change))
    return type(node)(tuple(rewrite(part, change) for part in node.parts))


def matches(node: Filter | None, metadata: Metadata) -> bool:
    """Whether metadata passes: the plain meaning, which every store's translation must equal."""
    if node is None:
        return True
    if isinstance(node, And):
        return all(matches(part, metadata) for part in node.parts)
    if isinstance(node, Or):
        return any(matches(part, metadata) for part in node.parts)
    if isinstance(node, Not):
        return not matches(node.part, metadata)
    found = metadata.get(node.field)
    return found is not None and any(_holds(node, value) for value in elements(found))


def elements(value: Value) -> list[Scalar]:
    """The values that a condition is tried on: those of a list, else the one."""
    return list(value) if isinstance(value, list) else [value]


def _holds(condition: Compare, value: Scalar) -> bool:
    wanted = condition.value
    if condition.operator == "exists":
        return True
    if isinstance(wanted, tuple):
        return any(same(value, one) for one in wanted)
    if wanted is None:
        return False
    if condition.operator == "eq":
        return same(value, wanted)
    if isinstance(value, str) and isinstance(wanted, str):
        if condition.operator == "prefix":
            return value.startswith(wanted)
        if condition.operator == "contains":
            return wanted in value
        if condition.operator == "icontains":
            return folded(wanted) in folded(value)
        if condition.operator == "word":
            return wanted in words_of(value)
        return bool(ORDERED[condition.operator](value, wanted))
    if isinstance(value, bool | str) or isinstance(wanted, str):
        return False
    if condition.operator not in ORDERED:
        return False
    return bool(ORDERED[condition.operator](float(value), float(wanted)))


ORDERED: dict[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
"""What the order operators mean, for single values and for arrays of them."""


def same(one: Scalar, other: Scalar) -> bool:
    """Equal and of one kind: 1 and 1.0 are, 1 and True are not, 1 and "1" are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return float(one) == float(other)
