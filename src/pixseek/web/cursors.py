"""Cursors: where a page of results ended, so that the next begins there whatever changed meanwhile.

A cursor holds the sort key of the last picture seen, not a number of pictures to pass over: what
is added or removed in between neither repeats a picture nor leaves one out. It also holds a hash of
the question, as its key means nothing for another one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import NamedTuple

from pixseek.errors import InvalidRequest


class Cursor(NamedTuple):
    """The last picture of a page."""

    key: float
    """Its worth (records.Hit), or the time it is sorted by."""
    id: str
    seen: int
    """Pictures up to and with it, when it was seen."""


def question(*parts: object) -> str:
    """What a cursor belongs to: a hash of all that decides the order."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def written(cursor: Cursor, asked: str) -> str:
    """A cursor as it is sent."""
    text = json.dumps([asked, *cursor])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(text: str, asked: str) -> Cursor:
    """Raises InvalidRequest for what is no cursor of this question."""
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        belongs, key, id, seen = found
        if (
            type(key) is float
            and math.isfinite(key)
            and type(id) is str
            and type(seen) is int
            and 0 < seen < 1 << 40
            and belongs == asked
        ):
            return Cursor(key, id, seen)
    except (ValueError, TypeError, RecursionError):
        pass
    raise InvalidRequest(
        "cursor", "not of this search", "`next` of the page before, all else as it was"
    )
