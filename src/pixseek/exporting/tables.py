"""Hits as rows: JSON with all that is known of each, CSV for spreadsheets."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

from pixseek.exporting import paths_of
from pixseek.metadata import FIELDS
from pixseek.records import TIME_FIELDS, Hit, Metadata

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = ("path", "id", "score", "match")
_FOLLOWS = frozenset({"path", "folder", "words", "text_lines", "described"})
"""Fields that a spreadsheet needs not: they follow from others, or are for programs."""


def rows(hits: Sequence[Hit], folders: Sequence[Path] = ()) -> list[dict[str, object]]:
    """One object a hit: id, score, match, path, metadata; times as ISO 8601.

    folders: of several files with one content, one in these is named.
    """
    return [
        {
            "id": hit.id,
            "score": round(hit.score, 6),
            "match": None if hit.match is None else round(hit.match, 4),
            "similar": hit.similar,
            **({} if hit.why is None else {"why": asdict(hit.why)}),
            "path": str((paths_of(hit, folders) or [hit.path])[0]),
            "metadata": {name: iso(name, value) for name, value in hit.metadata.items()},
        }
        for hit in hits
    ]


def as_json(hits: Sequence[Hit], folders: Sequence[Path] = ()) -> str:
    """The rows as a JSON array, in ASCII, so that any file name comes through."""
    return json.dumps(rows(hits, folders), indent=2)


def as_csv(hits: Sequence[Hit], folders: Sequence[Path] = ()) -> str:
    """A line a hit below a line of names: path, id, score, match, and each field that any has.

    Several values are joined by "; ". A text that a spreadsheet would take for a formula begins
    with an apostrophe: what is in files was written by strangers.
    """
    made = [(hit, dict(row)) for hit, row in zip(hits, rows(hits, folders), strict=True)]
    known = {name for hit in hits for name in hit.metadata} - _FOLLOWS
    names = [name for name in FIELDS if name in known]
    names += sorted(known.difference(names))
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow([*_FIRST, *names])
    for hit, row in made:
        values = [row[name] for name in _FIRST]
        values += [iso(name, hit.metadata.get(name)) for name in names]
        writer.writerow([_cell(value) for value in values])
    return text.getvalue()


def date_of(metadata: Metadata) -> str:
    """The day it was taken, or else changed, as 2023-06-01; '' when neither is known."""
    for field in ("taken", "modified"):
        if field in metadata:
            return str(iso(field, metadata[field]))[:10]
    return ""


def iso(field: str, value: object) -> object:
    """Times as ISO 8601: `taken` by the camera's wall clock, others in local time."""
    if field not in TIME_FIELDS or not isinstance(value, int | float):
        return value
    try:
        when = _EPOCH + timedelta(seconds=value)
        if field == "taken":
            return when.replace(tzinfo=None).isoformat()
        return when.astimezone().isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):  # a file system may say anything
        return value


def _cell(value: object) -> object:
    text = "; ".join(map(str, value)) if isinstance(value, list) else value
    if isinstance(text, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{text}"
    return text
