"""Words of a text that every engine can ask for, as `$words` means them.

A text is split at spaces, punctuation and signs, and between letters and digits: "EF50mm f/1.8" has
the parts ef, 50, mm, f, 1, 8. Its words are the parts, and two neighbours of unlike kind as one,
written together or with a space between: ef50, 50mm. So `50mm` finds "EF50mm", "50 mm" and "50mm".
Characters of scripts that write without spaces are parts of their own, so that a run of them is
asked for by its pairs. Only A to Z are folded: of other letters engines disagree.

What is simple enough to be a regular expression that Python, PostgreSQL and Rust read alike, for
engines that look into texts (`pattern`), and words enough for engines that know tokens only
(`words_of`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FOLDED = str.maketrans(UPPER, UPPER.lower())

# As escapes that all three languages of regular expressions have. NUL and \x01 are letters, as
# `texts.written` makes letters of one and begins with the other.
_SIGNS = (
    r"\u0002-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf"
    r"\u00d7\u00f7\u1680\u2000-\u206f\u20a0-\u20c0\u2190-\u2bff\u2e00-\u2e5d\u3000-\u3004"
    r"\u3008-\u3020\u3030\ufe10-\ufe6f\ufeff\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
    r"\U0001f000-\U0001faff"
)
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    r"\u3005-\u3007\u3031-\u30ff\u31f0-\u31ff"  # Japanese
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_NO_LETTER = f"0-9{_SIGNS}{_UNSPACED}"
_PART = re.compile(f"(?P<number>[0-9]+)|(?P<unspaced>[{_UNSPACED}])|(?P<letters>[^{_NO_LETTER}]+)")


def folded(text: str) -> str:
    """The text with A to Z in lower case. Only these: of other letters engines disagree."""
    return text.translate(_FOLDED)


def words_of(text: str) -> set[str]:
    """Every word that the text has."""
    parts = list(_PART.finditer(folded(text)))
    found = {part[0] for part in parts}
    for one, other in pairwise(parts):
        between = other.start() - one.end()
        spaced = between == 1 and text[one.end()] == " " and _is_unit(one, other)
        if between == 0 or spaced:
            found.add(one[0] + other[0])
    return found


def words_asked(text: str) -> list[str]:
    """The words that a text must have to be found by this one, each once; [] of signs only."""
    return list(dict.fromkeys(_asked(text)))


def _asked(text: str) -> Iterator[str]:
    run: list[re.Match[str]] = []
    for part in [*_PART.finditer(folded(text)), None]:
        if run and (part is None or part.start() != run[-1].end()):
            pairs = [one[0] + other[0] for one, other in pairwise(run)]
            yield from pairs or [run[0][0]]
            run = []
        if part is not None:
            run.append(part)


def _is_unit(one: re.Match[str], other: re.Match[str]) -> bool:
    """Whether two parts are letters and a number, as in 50 mm."""
    return {one.lastgroup, other.lastgroup} == {"number", "letters"}


def pattern(word: str, separator: str = "") -> str:
    """The regular expression that finds a word of `words_asked` in a folded text.

    separator: an expression for what stands between texts, if several are looked into at once.
    """
    first, *more = _PART.finditer(word)
    last = more[-1] if more else first
    between = " ?" if more and _is_unit(first, last) else ""
    edge = f"|{separator}" if separator else ""
    before = {"letters": f"(?:^|[{_NO_LETTER}]{edge})", "number": "(?:^|[^0-9])", "unspaced": ""}
    after = {"letters": f"(?:$|[{_NO_LETTER}]{edge})", "number": "(?:$|[^0-9])", "unspaced": ""}
    inner = between.join(part[0] for part in (first, *more))
    return f"{before[str(first.lastgroup)]}{inner}{after[str(last.lastgroup)]}"
