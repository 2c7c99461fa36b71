"""Hits as something to keep: tables, a page with small pictures, copies of files, links, sidecars.

Nothing here changes a picture or the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pixseek.records import Hit


def paths_of(hit: Hit, folders: Sequence[Path] = ()) -> list[Path]:
    """Every file with this content, those in the folders that were asked for first."""
    inside = [p for p in hit.paths if any(p.is_relative_to(folder) for folder in folders)]
    return [*inside, *(path for path in hit.paths if path not in inside)]


def write(file: Path, content: bytes) -> None:
    """All of it or nothing, in place of what was there. Raises OSError."""
    half = file.with_name(f"{file.name}.half")
    try:
        half.write_bytes(content)
        half.replace(file)
    except BaseException:
        with suppress(OSError):
            half.unlink()
        raise
