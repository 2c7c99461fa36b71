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
from dataclasses import dataclass
from hashlib import blake2b

from pixseek.records import Metadata, Scalar
from pixseek.stores.filters import elements

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


def metadata_of(exact: str) -> Metadata:
    """What `payload` was given."""
    metadata: Metadata = json.loads(exact)
    return metadata


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
    text = json.dumps(field) + kind + value
    try:
        plain = len(text.encode()) <= LONGEST and text.isprintable() and not value.startswith("~")
    except UnicodeEncodeError:
        plain = False
    if plain:
        return text
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{json.dumps(field)[:80]}{kind}~{digest}"
