"""Texts → the words that can be asked for exactly.

A word is a run of letters, digits and the marks on them, without regard to case (Unicode case
folding) and to forms that look the same (NFKC): "STRASSE" is "straße", full-width "Ａ" is "a".
Accents count. Scripts that write without spaces (Chinese, Japanese, Thai and their neighbours) give
each character and each pair of neighbours, as search engines do that have no dictionary; asked for,
a run of them gives its pairs only, so that 安全出口 finds what has these pairs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from pixseek.records import Metadata

WORDED = (
    *("text", "caption", "labels", "description", "title", "keywords", "people", "tags"),
    *("city", "region", "country", "name"),
)
"""Fields whose words are in the field `words`."""

MAX_WORDS = 2000
"""Of one picture: more than a full page of a book has."""

_ASCII = re.compile("[a-z0-9]+")

_UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "]"
)


def with_words(metadata: Metadata) -> Metadata:
    """The metadata with its field `words` as its texts are now; absent when they have none."""
    joined = "\n".join(text for texts in texts_of(metadata).values() for text in texts)
    words = list(dict.fromkeys(words_of(joined)))[:MAX_WORDS]
    rest = {field: value for field, value in metadata.items() if field != "words"}
    return {**rest, "words": words} if words else rest


def texts_of(metadata: Metadata) -> dict[str, list[str]]:
    """The texts that have a picture's words, by field."""
    found = {}
    for field in WORDED:
        value = metadata.get(field, "")
        texts = value if isinstance(value, list) else [str(value)]
        if any(texts):
            found[field] = texts
    return found


def words_of(text: str) -> Iterator[str]:
    """Every word of a text to be found, in order; those that occur twice twice."""
    for run in _runs(text):
        if _UNSPACED.match(run):
            yield from run
            yield from (one + other for one, other in pairwise(run))
        else:
            yield run


def words_asked(text: str) -> list[str]:
    """The words that a picture must have to be found by this text, each once."""
    asked: dict[str, None] = {}
    for run in _runs(text):
        pairs = [one + other for one, other in pairwise(run)] if _UNSPACED.match(run) else []
        asked.update(dict.fromkeys(pairs or [run]))
    return list(asked)


def _runs(text: str) -> Iterator[str]:
    """Runs of letters, digits and marks, each of scripts with spaces or of those without."""
    if text.isascii():  # most texts, in a fraction of the time
        yield from _ASCII.findall(text.lower())
        return
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    run, kind = "", _BETWEEN
    for character in folded + " ":
        now = _kind(character, kind)
        if now != kind:
            if kind != _BETWEEN:
                yield run
            run, kind = "", now
        run += character


_BETWEEN, _SPACED, _WITHOUT_SPACES = range(3)


def _kind(character: str, before: int) -> int:
    """What a character belongs to; a mark belongs to what it stands on."""
    if unicodedata.category(character).startswith("M"):
        return before
    if not character.isalnum():
        return _BETWEEN
    return _WITHOUT_SPACES if _UNSPACED.match(character) else _SPACED
