"""pixseek finds pictures by what they show.

    from pixseek import ImageSearchEngine

    engine = ImageSearchEngine("./image_index")
    engine.index_images("./photos")
    hits = engine.search_by_text("beach vacation", k=5)

Importing this package is cheap: a name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pixseek.engine import ImageSearchEngine
    from pixseek.errors.root import PixseekError
    from pixseek.query.tree import Query
    from pixseek.records import (
        DescribeReport,
        Hit,
        ImageFile,
        IndexReport,
        Item,
        LibraryStatus,
        Progress,
        Skipped,
        Space,
    )
    from pixseek.watching import watch

_HOMES = {
    "ImageSearchEngine": "pixseek.engine",
    "PixseekError": "pixseek.errors.root",
    "Query": "pixseek.query.tree",
    "DescribeReport": "pixseek.records",
    "Hit": "pixseek.records",
    "ImageFile": "pixseek.records",
    "IndexReport": "pixseek.records",
    "Item": "pixseek.records",
    "LibraryStatus": "pixseek.records",
    "Progress": "pixseek.records",
    "Skipped": "pixseek.records",
    "Space": "pixseek.records",
    "watch": "pixseek.watching",
}

__all__ = [
    "DescribeReport",
    "Hit",
    "ImageFile",
    "ImageSearchEngine",
    "IndexReport",
    "Item",
    "LibraryStatus",
    "PixseekError",
    "Progress",
    "Query",
    "Skipped",
    "Space",
    "__version__",
    "watch",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
