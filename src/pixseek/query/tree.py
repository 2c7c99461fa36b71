"""A query as a tree: what pictures show, which words they have, what holds for their fields.

`Query` is what people hold: a tree that can be read, printed and put together. Trees are in one
form (no group within a group of its kind, no double negation), so that equal meaning written in
equal order is an equal tree.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pixseek.errors import InvalidQuery
from pixseek.urls import is_url

if TYPE_CHECKING:
    from PIL import Image

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image"
Comparison: TypeAlias = Literal["", "=", ">", ">=", "<", "<="]
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
COMPARISONS: tuple[Comparison, ...] = (">=", "<=", "=", ">", "<")
"""As they are written before a value, the longer ones first."""


@dataclass(frozen=True, slots=True)
class Text:
    """Pictures that show what this says."""

    text: str


@dataclass(frozen=True, slots=True)
class Like:
    """Pictures like this one: a path, a URL, the id of one in the library, a file's bytes, or
    pixels."""

    source: ImageSource


@dataclass(frozen=True, slots=True)
class Exact:
    """Only pictures that have all of these words."""

    text: str


@dataclass(frozen=True, slots=True)
class Condition:
    """Only pictures of which this holds: field, comparison and value as they are written."""

    field: str
    value: str
    comparison: Comparison = ""


@dataclass(frozen=True, slots=True)
class Weighted:
    """What pictures show, counted more or less than 1; `weight` is above 0."""

    part: Node
    weight: float


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Node, ...]


Node: TypeAlias = Text | Like | Exact | Condition | Weighted | Not | And | Or


def both(*nodes: Node) -> Node:
    """All of these, in one group."""
    return _joined(And, nodes)


def either(*nodes: Node) -> Node:
    """Any of these, in one group."""
    return _joined(Or, nodes)


def _joined(kind: type[And] | type[Or], nodes: tuple[Node, ...]) -> Node:
    parts: list[Node] = []
    for node in nodes:
        parts += node.parts if isinstance(node, And | Or) and isinstance(node, kind) else (node,)
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def negated(node: Node) -> Node:
    """Not this."""
    return node.part if isinstance(node, Not) else Not(node)


def weighted(node: Node, weight: float) -> Node:
    """This, counted so much; a weight below 0 pushes it away.

    Raises InvalidQuery for a weight of 0 or one that is not finite, and for conditions and exact
    words, which hold or do not.
    """
    if not math.isfinite(weight) or weight == 0:
        raise InvalidQuery(f"a weight is {weight}; expected a finite number other than 0.")
    if weight < 0:
        return negated(weighted(node, -weight))
    if isinstance(node, Not):
        return negated(weighted(node.part, weight))
    if isinstance(node, Weighted):
        return weighted(node.part, node.weight * weight)
    if not shows(node):
        raise InvalidQuery(
            "a weight was given to conditions only; expected one for what pictures show."
        )
    return node if weight == 1 else Weighted(node, weight)


def shows(node: Node) -> bool:
    """Whether any of it says what pictures show, and so orders them."""
    if isinstance(node, And | Or):
        return any(shows(part) for part in node.parts)
    if isinstance(node, Not | Weighted):
        return shows(node.part)
    return isinstance(node, Text | Like)


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query. Prints as a line that reads back to the same query.

    Query.text("beach") + Query.image("a.jpg") * 0.5 - Query.text("people")
    Query.parse('birthday cake -candles after:2023 (dog OR cat)')
    """

    root: Node

    @classmethod
    def parse(cls, line: str) -> Query:
        """A line of the query language (docs/query.md).

        Raises QueryNotUnderstood, with the place in the line and what was meant.
        """
        from pixseek.query.line import parse

        return cls(parse(line))

    @classmethod
    def text(cls, text: str) -> Query:
        """Pictures that show what the text says. Nothing in it is syntax."""
        return cls(Text(_said(text)))

    @classmethod
    def image(cls, image: ImageSource) -> Query:
        """Pictures like this one: a path, an id of the library, a file's bytes, a Pillow image.

        Or the URL of one, which is fetched when it is searched for. Raises InvalidQuery for a URL
        that is not of the web.
        """
        source = os.fspath(image) if isinstance(image, os.PathLike) else image
        if isinstance(source, str):
            check_name(source)
        return cls(Like(source))

    @classmethod
    def words(cls, words: str) -> Query:
        """Only pictures that have all of these words in or about them (docs/words.md)."""
        from pixseek.metadata.wording import words_asked

        if not words_asked(words):
            raise InvalidQuery("there is nothing to look for in words; expected letters or digits.")
        return cls(Exact(_said(words)))

    @classmethod
    def condition(cls, condition: str) -> Query:
        """Only pictures of which a condition holds, such as 'year:2019..2021'."""
        found = cls.parse(condition)
        if not isinstance(found.root, Condition):
            raise InvalidQuery(f"{condition!r} is no condition; expected one such as 'iso:>800'.")
        return found

    @staticmethod
    def reference() -> str:
        """The language of lines in short, such as for a language model that is to write some."""
        from pixseek.query.fields import reference

        return reference()

    @property
    def pictures(self) -> list[ImageSource]:
        """The pictures that it says to be like, or unlike."""
        return [one.source for one in _likes(self.root)]

    def __add__(self, other: Query) -> Query:
        return Query(both(self.root, _root(other)))

    __and__ = __add__

    def __sub__(self, other: Query) -> Query:
        return Query(both(self.root, negated(_root(other))))

    def __or__(self, other: Query) -> Query:
        return Query(either(self.root, _root(other)))

    def __neg__(self) -> Query:
        return Query(negated(self.root))

    __invert__ = __neg__

    def __mul__(self, weight: float) -> Query:
        return Query(weighted(self.root, weight))

    __rmul__ = __mul__

    def __str__(self) -> str:
        from pixseek.query.printing import printed

        return printed(self.root)


def check_name(picture: str) -> None:
    """Raise InvalidQuery unless it can be a picture's path or id."""
    if not picture.strip():
        raise InvalidQuery("a picture has no name; expected a path, or an id of the library.")
    if _URL.match(picture) and not is_url(picture):
        raise InvalidQuery(
            "pictures are fetched by http:// and https:// only; expected one of them, or a path."
        )


def _root(other: object) -> Node:
    if not isinstance(other, Query):
        raise TypeError(f"expected a Query, got {other!r}; Query.text makes one of words")
    return other.root


def _said(text: str) -> str:
    """Raises InvalidQuery when there is nothing in it."""
    if not text.strip():
        raise InvalidQuery("the query is empty; expected words, an image, or both.")
    return text.strip()


def _likes(node: Node) -> list[Like]:
    if isinstance(node, And | Or):
        return [one for part in node.parts for one in _likes(part)]
    if isinstance(node, Not | Weighted):
        return _likes(node.part)
    return [node] if isinstance(node, Like) else []
