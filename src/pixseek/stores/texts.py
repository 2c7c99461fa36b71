"""Any text of Python as one that every engine can keep, in the same order, with the same parts.

Python's texts may hold NUL and lone surrogates (file names that are not valid UTF-8), which most
engines refuse. Here those become pairs of characters, as do the few characters that pairs are made
of. What is written

- is valid Unicode without NUL, and unlike what is written of any other text;
- is before or after another, by code points, just as the texts are;
- begins with another, or has it in it, just when the texts do: a pair's first character is never
  a second one, so nothing is found across the middle of a pair.
"""

from __future__ import annotations

import re

_LOW, _MIDDLE, _HIGH, _HIGHER = "\x01", "\ud7ff", "\U0010f000", "\U0010f001"
"""First characters of a pair. Each stands for itself and for what comes right after it (the lowest
one: right before); so order is kept."""
_SURROGATES = [*range(0xD800, 0xE000)]
_SECONDS = [*range(0x10F002, 0x10F002 + 1 + len(_SURROGATES))]
"""Second characters, in order: as many as a first one needs. The planes' last private use."""

SEPARATOR = _LOW + _LOW
"""Never in what is written: it may stand between texts."""


def _pairs(first: str, meant: list[int]) -> dict[int, str]:
    return {code: first + chr(second) for code, second in zip(meant, _SECONDS, strict=False)}


_WRITTEN = {
    **_pairs(_LOW, [0, ord(_LOW)]),
    **_pairs(_MIDDLE, [ord(_MIDDLE), *_SURROGATES]),
    **_pairs(_HIGH, [ord(_HIGH), ord(_HIGHER), *_SECONDS[:-2]]),
    **_pairs(_HIGHER, _SECONDS[-2:]),
}
_MEANT = {pair: chr(code) for code, pair in _WRITTEN.items()}
_PAIR = re.compile(f"[{_LOW}{_MIDDLE}{_HIGH}{_HIGHER}].", re.DOTALL)


def written(text: str) -> str:
    """The text as it is written; nearly every text is written as it is."""
    return text.translate(_WRITTEN)


def meant(text: str) -> str:
    """What `written` was given."""
    return _PAIR.sub(lambda pair: _MEANT[pair[0]], text)
