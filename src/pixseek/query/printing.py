"""A query tree → a line that reads back to the same tree."""

from __future__ import annotations

import re

from pixseek.errors import InvalidQuery
from pixseek.query.line import OPERATORS, parse
from pixseek.query.tree import (
    COMPARISONS,
    And,
    Condition,
    Exact,
    Like,
    Node,
    Not,
    Or,
    Text,
    Weighted,
)

_PLAIN = re.compile(r"[^\W\d_][\w'’]*(?:(?:[,.!?]? |-)[\w'’]+)*[.!?]?")
"""Texts in which nothing is syntax, whatever is beside them, but for the operators."""
_WORD = re.compile(r"[^\W\d_][\w'’]+")
_BARE = re.compile(r"[^\s\"“”()^\\]+")


def printed(node: Node) -> str:
    """The line. A picture given as bytes or pixels has no name, and is like:<picture>."""
    if isinstance(node, Text) and _stands_alone(node):
        return node.text
    return _either(node)


def _stands_alone(node: Text) -> bool:
    """Whether a text is a line that says the same: nearly every text is."""
    try:
        return parse(node.text) == node
    except InvalidQuery:
        return False


def _either(node: Node) -> str:
    return " OR ".join(map(_both, node.parts)) if isinstance(node, Or) else _both(node)


def _both(node: Node) -> str:
    if not isinstance(node, And):
        return _sign(node)
    found: list[str] = []
    has_phrase = False
    for part in node.parts:
        is_phrase = isinstance(part, Text) and _is_plain(part.text)
        found += ["AND"] if is_phrase and has_phrase else []  # else both would be one phrase
        has_phrase = has_phrase or is_phrase
        found.append(_sign(part))
    return " ".join(found)


def _sign(node: Node) -> str:
    if not isinstance(node, Not):
        return _weighed(node)
    part = node.part
    if isinstance(part, Text) and _is_plain(part.text) and not _WORD.fullmatch(part.text):
        return f"-({part.text})"
    return f"-{_weighed(part)}"


def _weighed(node: Node) -> str:
    if not isinstance(node, Weighted):
        return _item(node)
    part, weight = node.part, node.weight
    number = f"{weight:.0f}" if weight.is_integer() and weight < 1e6 else repr(weight)
    if isinstance(part, Text) and _is_plain(part.text) and not _WORD.fullmatch(part.text):
        return f"({part.text})^{number}"
    return f"{_item(part)}^{number}"


def _item(node: Node) -> str:
    if isinstance(node, Text):
        return node.text if _is_plain(node.text) else f"shows:{_quoted(node.text)}"
    if isinstance(node, Like):
        return f"like:{_value(node.source) if isinstance(node.source, str) else '<picture>'}"
    if isinstance(node, Exact):
        return _quoted(node.text)
    if isinstance(node, Condition):
        return f"{node.field}:{node.comparison}{_value(node.value)}"
    return f"({_either(node)})"


def _is_plain(text: str) -> bool:
    if not _PLAIN.fullmatch(text) or not text[0].isalpha() or text.isupper():
        return False
    return not set(OPERATORS) & set(text.split(" "))


def _value(text: str) -> str:
    is_bare = _BARE.fullmatch(text) and not text.startswith((*COMPARISONS, "'"))
    return text if is_bare else _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
