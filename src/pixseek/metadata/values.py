"""Values as files have them → clean ones or None, and notes of those that cannot be right."""

from __future__ import annotations

from numbers import Real
from typing import TypeVar

MAX_TEXT = 256
MAX_NOTES = 20
_SHOWN = 60
"""Characters of a wrong value that its note shows."""

_Value = TypeVar("_Value")


class Notes(list[str]):
    """What a file says that cannot be right, for people to read."""

    def checked(self, field: str, raw: object, value: _Value | None) -> _Value | None:
        """The value; where there is none although the file says something, that is noted.

        Blank texts and zeros are how cameras write what they do not know.
        """
        if value is None and _says_something(raw):
            self.add(f"{field}: {shown(raw)} cannot be right")
        return value

    def add(self, note: str) -> None:
        """Add a note once, if there are not too many already."""
        if note not in self and len(self) < MAX_NOTES:
            self.append(note)


def shown(raw: object) -> str:
    """A value's beginning on one printable line."""
    if isinstance(raw, bytes):
        raw = raw[: 4 * _SHOWN].decode("utf-8", "replace")
    if isinstance(raw, tuple | list):
        parts = ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in raw[:9])
        raw = f"({parts})"
    text = raw[: 4 * _SHOWN] if isinstance(raw, str) else _printed(raw)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"


def _printed(raw: object) -> str:
    try:
        return str(raw)
    except ValueError:  # a whole number of more digits than Python prints
        return "a number beyond all bounds"


def _says_something(raw: object) -> bool:
    if isinstance(raw, tuple | list):
        return any(map(_says_something, raw))
    if isinstance(raw, bytes):
        return any(byte not in b"\0 " for byte in raw)
    if isinstance(raw, str):
        return any(map(str.isalnum, raw))
    return raw is not None and raw != 0


def text(value: object) -> str | None:
    """One line of at most 256 printable characters with a letter or digit among them ('----' has
    none), or None."""
    if isinstance(value, bytes):
        raw = value
        try:
            value = raw.decode("utf-8")  # ASCII by the specification, but telephones write this
        except UnicodeDecodeError:
            value = raw.decode("latin-1")
    if not isinstance(value, str):
        return None
    line = value.strip("\0 ").partition("\0")[0]  # what follows a NUL is left over in the buffer
    line = " ".join("".join(c if c.isprintable() else " " for c in line).split())
    return line if len(line) <= MAX_TEXT and any(map(str.isalnum, line)) else None


def number(value: object, low: float, high: float, digits: int) -> float | None:
    """Rounded, if it is one finite real number from low to high."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        real = float(value)
    except (OverflowError, ZeroDivisionError):  # beyond float; x/0 in Pillow 11
        return None
    real = round(real, digits) + 0.0  # + 0.0: no minus zero
    return real if low <= real <= high else None  # NaN is neither


def degrees(value: object, ref: object, signs: str, limit: int) -> float | None:
    """Degrees, minutes, seconds and a letter of signs (the second is negative); None if any is
    missing, as half a place is a wrong place."""
    parts = value if isinstance(value, tuple) else (value,)
    letter = (text(ref) or "?")[0].upper()
    if letter not in signs or not 1 <= len(parts) <= 3:
        return None
    total = 0.0
    for place, part in enumerate(parts):
        one = number(part, 0, 60 if place else limit, 12)
        if one is None:
            return None
        total += one / 60**place
    return number(-total if letter == signs[1] else total, -limit, limit, 7)


def whole(value: float | None) -> int | None:
    """The same as a whole number."""
    return None if value is None else int(value)


RANGES: dict[str, tuple[float, float, int]] = {
    "aperture": (0.01, 1000, 2),
    "exposure": (1e-9, 86_400, 9),
    "focal_length": (0.01, 100_000, 2),
    "altitude": (-12_000, 1_000_000, 2),
    "direction": (0, 360, 2),
    "iso": (1, 10_000_000, 0),
    "rating": (-1, 5, 0),
}
"""Least, greatest and decimals of what a number can be."""


def ranged(field: str, value: object) -> float | None:
    """The number of a field, if it is in its range."""
    return number(value, *RANGES[field])


def place(
    latitude: float | None, longitude: float | None, raw: object, notes: Notes
) -> dict[str, float]:
    """Latitude and longitude, or neither; 0, 0 is what is written where there was no fix."""
    if latitude is None or longitude is None:
        notes.checked("place", raw, None)
        return {}
    if latitude == longitude == 0:
        notes.add("place: 0, 0 stands for a place that was not known")
        return {}
    return {"latitude": latitude, "longitude": longitude}
