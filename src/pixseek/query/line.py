"""A line as people type it → a query tree. What is not plainly syntax is plain words.

Syntax begins where a word begins: at the start of the line, after white space, after an opening
parenthesis or a minus that are syntax themselves. There, and nowhere else, these are syntax:

- `name:value`, when `name` is a field (`fields`) and no space follows the colon;
- `-` right before a letter, a quotation mark, a parenthesis or a field;
- `"words"`, when the closing mark ends a word;
- `( ... )`, when the closing one ends a word and there is syntax inside, or `-`, `NOT` or a weight
  beside: "U2 (band)" is three words;
- AND, OR, NOT in upper case between what they can join, unless all of the line is in upper case;
- `^2` right after a word of two or more letters, a closing mark or a parenthesis.

    line    = either
    either  = both { "OR" both }
    both    = [ "AND" ] sign { [ "AND" ] sign }
    sign    = { "-" | "NOT" } weighed
    weighed = item [ "^" number ]
    item    = words | '"' words '"' | field ":" value | "(" either ")"

Words that stand for themselves in one `both` are one phrase, also when there is something else
between them; AND parts them. A sign and a weight concern one word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from pixseek.errors import InvalidQuery, QueryNotUnderstood
from pixseek.query import conditions, fields
from pixseek.query.tree import (
    COMPARISONS,
    Comparison,
    Condition,
    Exact,
    Like,
    Node,
    Text,
    both,
    either,
    negated,
    shows,
    weighted,
)

Kind: TypeAlias = Literal["word", "item", "group", "minus", "NOT", "AND", "OR"]
OPERATORS: tuple[Literal["AND", "OR", "NOT"], ...] = ("AND", "OR", "NOT")
DEEPEST = 50
"""Groups within groups."""
LONGEST = 4000
"""Characters of a line."""

_SPACE = re.compile(r"\s*")
_BARE = re.compile(r"\S+")
_FIELD = re.compile(r"([^\W\d]\w*):(?=\S)")
_NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
_WEIGHT = re.compile(rf"\^{_NUMBER}(?!\S)")
_WEIGHED_WORD = re.compile(rf"([^\W\d_][\w'’-]+)\^{_NUMBER}")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|“([^“”]*)”', re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'(?=[\s^)]|$)")
"""Around a value only: elsewhere it is an apostrophe."""
_OPERATOR_WORDS = re.compile(r"(?<!\S)\(*(?:AND|OR|NOT)(?!\S)")
MISSPELT = re.compile(r"[a-z_]{5,}")
"""A word before a colon that may be meant as a field."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Kind
    start: int
    end: int
    node: Node | None = None
    inside: tuple[_Token, ...] = ()
    weight: float | None = None

    @property
    def is_syntax(self) -> bool:
        return self.kind != "word" or self.weight is not None


def parse(line: str) -> Node:
    """The tree of a line. Raises QueryNotUnderstood, and InvalidQuery when nothing is in it."""
    if not line.strip():
        raise InvalidQuery("the query is empty; expected words, an image, or both.")
    if len(line) > LONGEST:
        raise InvalidQuery(
            f"the query has {len(line)} characters; expected at most {LONGEST}. Search for long"
            " texts as they are (--plain; in Python, Query.text)."
        )
    tokens = _Lexer(line).tokens(0, len(line))
    return _Parser(line).either(tokens)


class _Lexer:
    """Finds what is syntax in a line."""

    def __init__(self, line: str) -> None:
        self._line = line
        rest = _OPERATOR_WORDS.sub(" ", _QUOTED.sub("quoted", line))
        self._shouted = all(one.isupper() for one in rest if one.isalpha())
        self._known: dict[tuple[int, int], tuple[_Token, ...]] = {}

    def tokens(self, start: int, end: int, depth: int = 0) -> tuple[_Token, ...]:
        """Those between two places, the start of a word and the end of one."""
        if depth > DEEPEST:
            raise QueryNotUnderstood(self._line, start, "groups are nested too deeply")
        if (start, end) in self._known:  # of a group that may turn out to be none
            return self._known[start, end]
        found: list[_Token] = []
        at = self._skip(start, end)
        while at < end:
            forced = bool(found) and found[-1].kind in ("minus", "NOT")
            found += self._next(at, end, depth, forced=forced)
            at = self._skip(found[-1].end, end)
        self._known[start, end] = tuple(self._settled(found))
        return self._known[start, end]

    def _skip(self, at: int, end: int) -> int:
        match = _SPACE.match(self._line, at, end)
        return at if match is None else match.end()

    def _next(self, at: int, end: int, depth: int, *, forced: bool) -> list[_Token]:
        """What begins here: one token, or a minus and what it is before."""
        line = self._line
        if line[at] == "-" and at + 1 < end:
            item = self._item(at + 1, end, depth, forced=True)
            if item is None and line[at + 1].isalpha():
                item = self._word(at + 1, end)
            if item is not None:
                return [_Token("minus", at, at + 1), item]
        item = self._item(at, end, depth, forced=forced)
        if item is not None:
            return [item]
        word = self._word(at, end)
        for name in OPERATORS:
            if line[at : word.end] == name and not self._shouted:
                return [replace(word, kind=name)]
        return [word]

    def _item(self, at: int, end: int, depth: int, *, forced: bool) -> _Token | None:
        if self._line[at] == "(":
            return self._group(at, end, depth, forced=forced)
        if self._line[at] in '"“':
            return self._exact(at, end)
        return self._field(at, end)

    def _word(self, at: int, end: int) -> _Token:
        match = _BARE.match(self._line, at, end)
        last = at + 1 if match is None else match.end()
        weighed = _WEIGHED_WORD.fullmatch(self._line, at, last)
        weight = None if weighed is None else _weight(weighed[2])
        if weighed is None or weight is None:
            return _Token("word", at, last)
        return _Token("word", at, last, Text(weighed[1]), weight=weight)

    def _group(self, at: int, end: int, depth: int, *, forced: bool) -> _Token | None:
        close = self._closing(at, end)
        if close is None:
            return None
        inside = self.tokens(at + 1, close, depth + 1)
        last, weight = self._weight(close + 1, end)
        meant = forced or weight is not None or any(one.is_syntax for one in inside)
        if not inside or not meant or not self._ends(last, end):
            return None
        return _Token("group", at, last, inside=inside, weight=weight)

    def _closing(self, at: int, end: int) -> int | None:
        """Where the parenthesis that opens here is closed; quoted ones do not count."""
        depth = 0
        while at < end:
            character = self._line[at]
            before = self._line[at - 1]
            quotes = _QUOTED if before in " \t\n(-:=<>" else None
            quotes = _SINGLE if character == "'" and before in ":=<>" else quotes
            if character in "\"“'" and quotes is not None:
                quoted = quotes.match(self._line, at, end)
                if quoted is not None:
                    at = quoted.end()
                    continue
            depth += (character == "(") - (character == ")")
            if depth == 0:
                return at
            at += 1
        return None

    def _exact(self, at: int, end: int) -> _Token | None:
        quoted = _QUOTED.match(self._line, at, end)
        if quoted is None:
            return None
        last, weight = self._weight(quoted.end(), end)
        text = _unquoted(quoted)
        if not self._ends(last, end) or not any(map(str.isalnum, text)):
            return None
        if weight is not None:
            raise QueryNotUnderstood(
                self._line,
                quoted.end() + 1,
                "exact words hold or do not, and have no weight; "
                f"did you mean ({quoted[0][1:-1]}){self._line[quoted.end() : last]}?",
            )
        return _Token("item", at, last, Exact(text.strip()))

    def _field(self, at: int, end: int) -> _Token | None:
        match = _FIELD.match(self._line, at, end)
        if match is None or match.end() >= end:
            return None
        name = match[1].lower()
        if name not in fields.NAMES:
            if MISSPELT.fullmatch(match[1]) and (near := fields.nearest(name)):
                reason = f"there is no field {name!r}; did you mean {near}:?"
                raise QueryNotUnderstood(self._line, at + 1, reason.rstrip("."))
            return None
        comparison = self._comparison(match.end(), end)
        start = match.end() + len(comparison)
        value, last, is_quoted = self._value(start, end)
        last, weight = (last, None) if not is_quoted else self._weight(last, end)
        if name in fields.SHOWN and not is_quoted and (found := _weight_at_end(value)):
            value, weight = found
        node = self._node(name, comparison, value, start)
        if weight is not None and not shows(node):
            reason = "a condition holds or does not, and has no weight"
            raise QueryNotUnderstood(self._line, last, reason)
        return _Token("item", at, last, node, weight=weight)

    def _comparison(self, at: int, end: int) -> Comparison:
        for one in COMPARISONS:
            if self._line.startswith(one, at, end):
                return one
        return ""

    def _value(self, at: int, end: int) -> tuple[str, int, bool]:
        """The value that begins here, where it ends, and whether it is in quotation marks."""
        if at < end and self._line[at] in '"“':
            quoted = _QUOTED.match(self._line, at, end)
            if quoted is None:
                raise QueryNotUnderstood(self._line, at + 1, "the quotation mark is never closed")
            last, _ = self._weight(quoted.end(), end)
            if not self._ends(last, end):
                reason = "a space is expected after the closing quotation mark"
                raise QueryNotUnderstood(self._line, last + 1, reason)
            return _unquoted(quoted), quoted.end(), True
        single = _SINGLE.match(self._line, at, end)
        if single is not None:
            return single[1], single.end(), True
        match = _BARE.match(self._line, at, end)
        if match is None:
            raise QueryNotUnderstood(self._line, at, "a value is expected here")
        return match[0], match.end(), False

    def _node(self, name: str, comparison: Comparison, value: str, at: int) -> Node:
        try:
            if name in fields.SHOWN:
                conditions.check_shown(name, comparison, value)
                return Text(value.strip()) if name == "shows" else Like(value)
            condition = Condition(name, value, comparison)
            conditions.check(condition)
        except conditions.NotAValue as error:
            reason = str(error) + self._longer(condition_name=name, value=value, at=at)
            raise QueryNotUnderstood(self._line, at + 1, reason) from error
        return condition

    def _longer(self, condition_name: str, value: str, at: int) -> str:
        """What was meant, when more words of the line make a value: after:last summer."""
        following = self._line[at:].split()[:4]
        for count in range(2, len(following) + 1):
            longer = " ".join(following[:count]).rstrip(")")
            if value == following[0] and conditions.is_value(Condition(condition_name, longer)):
                return f'; did you mean {condition_name}:"{longer}"?'
        return ""

    def _weight(self, at: int, end: int) -> tuple[int, float | None]:
        """Where a weight that begins here ends, and the weight."""
        match = _WEIGHT.match(self._line, at, end)
        weight = None if match is None else _weight(match[1])
        return (at, None) if match is None or weight is None else (match.end(), weight)

    def _ends(self, at: int, end: int) -> bool:
        return at >= end or self._line[at].isspace()

    def _settled(self, found: list[_Token]) -> Iterator[_Token]:
        """AND, OR, NOT that have nothing to join become words."""
        before: Kind | None = None
        for i, token in enumerate(found):
            after = found[i + 1].kind if i + 1 < len(found) else None
            joins = after not in (None, "AND", "OR")
            if token.kind in ("AND", "OR"):
                joins = joins and before in ("word", "item", "group")
            if token.kind in OPERATORS and not joins:
                token = replace(token, kind="word")
            yield token
            before = token.kind


class _Parser:
    """Puts tokens together."""

    def __init__(self, line: str) -> None:
        self._line = line

    def either(self, tokens: tuple[_Token, ...]) -> Node:
        parts = [self._both(part) for part in _split(tokens, "OR")]
        if len({shows(part) for part in parts}) > 1:
            place = next(one.start for one in tokens if one.kind == "OR")
            raise QueryNotUnderstood(
                self._line,
                place + 1,
                "OR joins words that say what pictures show (they order what is found) with"
                " conditions (they choose); expected either on both sides, with parentheses around"
                " what belongs together",
            )
        return either(*parts)

    def _both(self, tokens: tuple[_Token, ...]) -> Node:
        return both(*(node for part in _split(tokens, "AND") for node in self._segment(part)))

    def _segment(self, tokens: tuple[_Token, ...]) -> list[Node]:
        nodes: list[Node | None] = []
        """None: where the phrase is."""
        phrase: list[tuple[int, int]] = []
        is_negated, goes_on = False, False
        for token in tokens:
            if token.kind in ("minus", "NOT"):
                is_negated = not is_negated
                goes_on = False
                continue
            if token.kind == "word" and token.weight is None and not is_negated:
                if goes_on:
                    phrase[-1] = (phrase[-1][0], token.end)
                else:
                    phrase.append((token.start, token.end))
                    nodes += [None] if len(phrase) == 1 else []
                goes_on = True
                continue
            node = self._node(token)
            nodes.append(negated(node) if is_negated else node)
            is_negated, goes_on = False, False
        said = " ".join(self._line[start:end] for start, end in phrase)
        return [Text(said) if node is None else node for node in nodes]

    def _node(self, token: _Token) -> Node:
        if token.kind == "group":
            node = self.either(token.inside)
        else:
            node = token.node or Text(self._line[token.start : token.end])
        if token.weight is None:
            return node
        if not shows(node):
            reason = "conditions hold or do not, and have no weight"
            raise QueryNotUnderstood(self._line, token.end, reason)
        return weighted(node, token.weight)


def _split(tokens: tuple[_Token, ...], kind: Kind) -> Iterator[tuple[_Token, ...]]:
    start = 0
    for i, token in enumerate(tokens):
        if token.kind == kind:
            yield tokens[start:i]
            start = i + 1
    yield tokens[start:]


def _unquoted(quoted: re.Match[str]) -> str:
    if quoted[1] is None:
        return quoted[2]
    return re.sub(r"\\([\"\\])", r"\1", quoted[1])


def _weight(digits: str) -> float | None:
    """A number that a weight can be."""
    weight = float(digits)
    return weight if 0 < weight < math.inf else None


def _weight_at_end(value: str) -> tuple[str, float] | None:
    """beach.jpg^0.5 → beach.jpg and 0.5"""
    head, _, tail = value.rpartition("^")
    match = _WEIGHT.fullmatch(f"^{tail}")
    weight = None if match is None else _weight(match[1])
    return (head, weight) if head and weight is not None else None
