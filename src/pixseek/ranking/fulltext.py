"""Words of a query in the words of pictures: which pictures have them, and how much that tells.

The share of a query that a picture's words cover is BM25 (Robertson and Zaragoza 2009, "The
Probabilistic Relevance Framework", 3.4) divided by what a picture gets at most, so 0 to 1: rare
words count more than common ones, a short title more than a page with the same word in it. No
store needs an index of its own for it: pictures with the words are found by a filter on their field
`words`, and the frequencies are counted by the store.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pixseek.metadata.wording import texts_of, words_asked, words_of
from pixseek.records import Hit, Metadata, Vector
from pixseek.stores import Store
from pixseek.stores.filters import And, Compare, Filter

MOST_WORDS = 16
"""Of one query that are looked for; what is behind them counts for its vector only."""
MOST_PICTURES = 128
"""With words of a query that are ranked by them: the nearest ones."""
K1, B = 1.2, 0.75
"""How soon repetition of a word stops to count, and how much long texts are marked down; the values
that are usual."""
USUAL_LENGTH = 12
"""Words of a picture that are neither many nor few: about a caption."""


@dataclass(frozen=True, slots=True)
class Worded:
    """A picture that has words of a query."""

    hit: Hit
    share: float
    """Of the query that its words cover, 0 to 1."""
    words: tuple[str, ...]
    """Those of the query that it has, in the query's order."""


def worded(store: Store, vector: Vector, text: str, where: Filter | None) -> dict[str, Worded]:
    """The pictures that pass the filter and have telling words of the text, by id.

    vector: (d,) of the whole query; of more than 128 pictures, those nearest to it are taken.
    A text without words that any picture has gives {}.
    """
    asked = words_asked(text)[:MOST_WORDS]
    known = {word: store.count(Compare("words", "eq", word)) for word in asked}
    weights = rarity(known, store.count()) if any(known.values()) else {}
    if not weights:
        return {}
    least = max(weights[word] for word, items in known.items() if items) / 2
    telling = tuple(word for word, items in known.items() if items and weights[word] >= least)
    having: Filter = Compare("words", "in", telling)
    node = having if where is None else And((where, having))
    found = store.search(vector, MOST_PICTURES, where=node)
    return {hit.id: _worded(hit, weights) for hit in found}


def rarity(known: Mapping[str, int], items: int) -> dict[str, float]:
    """What each word tells, above 0: its inverse document frequency.

    known: in how many of all items each word is. One that is in none counts as the rarest, so a
    picture can cover the whole of no query with such a word.
    """
    items = max(items, *known.values())
    return {word: math.log1p((items - n + 0.5) / (n + 0.5)) for word, n in known.items()}


def covered(metadata: Metadata, weights: Mapping[str, float]) -> float:
    """The share of the words' weights that a picture's texts cover, 0 to 1."""
    return _covered(Counter(_words(metadata)), weights)


def _covered(counts: Counter[str], weights: Mapping[str, float]) -> float:
    length = 1 - B + B * counts.total() / USUAL_LENGTH
    got = sum(
        weight * counts[word] * (K1 + 1) / (counts[word] + K1 * max(length, 1))
        for word, weight in weights.items()
    )
    return min(1.0, got / (sum(weights.values()) or 1))


def _worded(hit: Hit, weights: Mapping[str, float]) -> Worded:
    counts = Counter(_words(hit.metadata))
    words = tuple(word for word in weights if word in counts)
    return Worded(hit, _covered(counts, weights), words)


def _words(metadata: Metadata) -> Iterator[str]:
    """Every word of a picture's texts, those that occur twice twice."""
    for texts in texts_of(metadata).values():
        for text in texts:
            yield from words_of(text)
