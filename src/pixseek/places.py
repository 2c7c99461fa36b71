"""Paths in filters and hits: as people write and see them, and as they are stored."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TypeVar

from pixseek.files import Base, absolute, is_within
from pixseek.records import Hit, Item, Metadata
from pixseek.stores.filters import Compare, Filter, Or, rewrite

_EVERYTHING_RELATIVE = Compare("folder", "eq", ".")


def stored(node: Filter, base: Base) -> Filter:
    """A filter with its paths absolute, relative to the working directory, or with ~ → the same
    filter on paths in their stored form."""
    return rewrite(node, lambda condition: _stored(condition, base))


def _stored(condition: Compare, base: Base) -> Filter:
    value, field = condition.value, condition.field
    if field not in ("path", "folder"):
        return condition
    if isinstance(value, tuple):
        each = [replace(condition, operator="eq", value=one) for one in value]
        return Or(tuple(_stored(one, base) for one in each))
    if not isinstance(value, str) or condition.operator not in ("eq", "prefix"):
        return condition
    full, prefix = absolute(value), base.prefix
    if condition.operator == "eq":
        inner = replace(condition, value=base.portable(full))
        above = field == "folder" and prefix != full + "/" and is_within(prefix, full)
        return Or((inner, _EVERYTHING_RELATIVE)) if above else inner
    start = full.rstrip("/") + "/" if value.endswith(("/", os.sep)) else full
    if start.startswith(prefix) and start != prefix:
        return replace(condition, value=start.removeprefix(prefix))
    inner = replace(condition, value=start)
    return Or((inner, _EVERYTHING_RELATIVE)) if prefix.startswith(start) else inner


_Found = TypeVar("_Found", Hit, Item)


def located(found: _Found, base: Base) -> _Found:
    """A hit or item with its paths as they are on this machine now."""
    metadata: Metadata = dict(found.metadata)
    for field in ("path", "folder"):
        value = metadata.get(field)
        if isinstance(value, list):
            metadata[field] = [base.absolute(one) for one in value]
        elif value is not None:
            metadata[field] = base.absolute(str(value))
    return replace(found, metadata=metadata)
