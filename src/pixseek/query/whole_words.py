"""Conditions on text, as a store can answer them: somewhere in it, or by whole words.

A line asks whether a value is somewhere in a text, whatever its case. Stores whose engine cannot
look inside a text are asked for its whole words instead; here, and nowhere else, that is decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pixseek.errors import UnsupportedFilter
from pixseek.stores.filters import Compare, Filter, has_words, rewrite

if TYPE_CHECKING:
    from pixseek.stores import Store

_INSTEAD = {
    "path": "in:FOLDER, or path:= with the whole path",
    "folder": "in:FOLDER",
    "name": 'name:= with the whole name, or for words of the name in quotation marks: "IMG 2041"',
    "extension": "ext:jpg",
    **dict.fromkeys(("text", "text_lines", "words"), 'for exact words in quotation marks: "exit"'),
}
"""What can be asked of every store about fields whose words are not written."""


def as_answered(node: Filter | None, store: Store) -> Filter | None:
    """A line's filter as the store can answer it.

    Raises UnsupportedFilter, with what can be asked instead, for a text on which it cannot at all.
    """
    return None if node is None else rewrite(node, lambda one: _as_answered(one, store))


def _as_answered(condition: Compare, store: Store) -> Filter:
    if condition.operator != "icontains":
        return condition
    try:
        store.check_filter(condition)
    except UnsupportedFilter:
        words = has_words(condition.field, str(condition.value))
        if words is None:  # signs only
            raise
        try:
            store.check_filter(words)
        except UnsupportedFilter as refusal:
            instead = _INSTEAD.get(condition.field)
            if instead is None:
                raise
            raise UnsupportedFilter(refusal.store, refusal.part, instead) from refusal
        return words
    return condition
