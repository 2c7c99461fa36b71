"""Metadata as engines can keep and filter it: one exact text, tokens, and numbers.

Engines differ in what values they can hold and compare: some know no lists, no booleans beside
numbers, no missing fields, no text that is not valid UTF-8. All of them can keep one text, ask
whether a list of texts has an element, and compare numbers. So an item's metadata is written as

- `exact`: all of it as ASCII JSON, from which it comes back as it was;
- `tokens`: a short text for every fact an equality or existence condition can ask for;
- `numbers`: field → number, for ranges.

A store translates a filter's conditions to questions about these, and to nothing else, so that all
of them mean the same (`filters.matches`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from pixseek.records import Metadata, Scalar
from pixseek.stores.filters import elements
from pixseek.stores.textwords import words_of

LAYOUT = 2
"""What is written of an item in a collection made now: 1 had no words, and no texts in lower case.
A collection keeps the layout that it was made with, so that all of its items have the same."""
UNWORDED = frozenset({"path", "folder", "name", "extension", "text", "text_lines", "words"})
"""Fields whose words are not written: of files, which are asked for by folder or whole, and long
texts of pictures, whose words are in the field `words`. Engines bound what they keep of an item."""
LONGEST = 200
"""Bytes of a token that is kept as it reads; a longer one ends in a hash."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What a store writes beside a vector."""

    exact: str
    tokens: list[str]
    """In no order, each once."""
    numbers: dict[str, float]
    """Of every field that holds a number; true and false are none."""


def payload(metadata: Metadata) -> Payload:
    """Metadata that `check_metadata` has passed → what is written."""
    tokens: dict[str, None] = {}
    numbers: dict[str, float] = {}
    for field, value in metadata.items():
        for one in elements(value):
            tokens[has(field)] = None
            tokens[equals(field, one)] = None
            if isinstance(one, int | float) and not isinstance(one, bool):
                tokens[has_number(field)] = None
                numbers[field] = float(one)
    return Payload(json.dumps(metadata, allow_nan=False), list(tokens), numbers)


def compact(exact: str) -> str:
    """The same JSON in fewer bytes of UTF-8, for engines that bound what they keep of an item."""
    short = json.dumps(json.loads(exact), ensure_ascii=False, separators=(",", ":"))
    return re.sub("[\ud800-\udfff]", lambda one: f"\\u{ord(one[0]):04x}", short)


def metadata_of(exact: str) -> Metadata:
    """What `payload` was given."""
    metadata: Metadata = json.loads(exact)
    return metadata


def word_tokens(metadata: Metadata) -> list[str]:
    """A token for every word of every text, except of `UNWORDED` fields; in no order, each once."""
    tokens: dict[str, None] = {}
    for field, value in metadata.items():
        if field not in UNWORDED:
            for one in elements(value):
                if isinstance(one, str):
                    tokens.update(dict.fromkeys(has_word(field, word) for word in words_of(one)))
    return list(tokens)


def has_word(field: str, word: str) -> str:
    """The token of an item whose field has a text with that word."""
    return _token(field, "w", word)


def has(field: str) -> str:
    """The token of an item that has the field, with at least one value."""
    return _token(field, "?", "")


def has_number(field: str) -> str:
    """The token of an item whose field is a number, so that a range may hold for it."""
    return _token(field, "#", "")


def equals(field: str, value: Scalar) -> str:
    """The token of an item for which `field` equals the value, or has it in its list."""
    if isinstance(value, str):
        return _token(field, "=", value)
    if isinstance(value, bool):
        return _token(field, "!", str(value).lower())
    return _token(field, ":", repr(float(value) + 0.0))  # + 0.0: minus zero is zero


def _token(field: str, kind: str, value: str) -> str:
    """Field, kind and value as a text every engine can keep: valid UTF-8, no NUL, bounded.

    The quotes around the field keep apart what would else read alike.
    """
    text = _quoted(field) + kind + value
    try:
        plain = len(text.encode()) <= LONGEST and text.isprintable() and not value.startswith("~")
    except UnicodeEncodeError:
        plain = False
    if plain:
        return text
    return f"{_quoted(field)[:80]}{kind}~{_digest(text)}"


@lru_cache(1000)
def _quoted(field: str) -> str:
    return json.dumps(field)


PLAIN_BYTES = 1000
"""A text longer than this is not written under its own name as well,"""
ALL_PLAIN_BYTES = 8000
"""nor more than this of one item: engines bound what they keep of it."""


def key(id: str) -> str:
    """The id for an engine that takes only short ASCII, or forgets to escape: itself, or a hash."""
    return id if re.fullmatch(r"[\w .:/+=-]{1,64}", id, re.ASCII) else "~" + _digest(id)


def field_key(field: str) -> str:
    """A field's name likewise."""
    return field if re.fullmatch(r"[A-Za-z_]\w{0,59}", field, re.ASCII) else "~" + _digest(field)


def plain(id: str, metadata: Metadata) -> dict[str, Scalar]:
    """What other programs may like to see of an item, each field under its own name.

    Of a list the first text; long values and odd names are left out. `text` is what LangChain's
    readers show of an item: its caption, else its file, else its id.
    """
    found: dict[str, Scalar] = {}
    left = ALL_PLAIN_BYTES
    for field, value in metadata.items():
        one = next(iter(elements(value)), None)
        if one is not None and field_key(field) == field and (size := _size(one)) is not None:
            left -= len(field) + size
            if left >= 0:
                found[field] = one
    if not isinstance(found.get("text"), str):
        texts = (found.get("caption"), found.get("path"))
        found["text"] = next((text for text in texts if isinstance(text, str)), key(id))
    return found


def _size(value: Scalar) -> int | None:
    """Bytes of a value as JSON; None of one that not every engine keeps as it is."""
    if not isinstance(value, str):
        exact = abs(value) <= 2**53  # beyond, whole numbers are not what they were as floats
        return len(str(value)) if exact else None
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return None
    return size if size <= PLAIN_BYTES and "\0" not in value else None


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
