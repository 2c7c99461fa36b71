"""What was typed → paths that are there, and filters."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from pixseek.errors import MissingPath
from pixseek.records import Where


def is_folder(path: str) -> bool:
    return os.path.isdir(os.path.expanduser(path))  # noqa: PTH111, PTH112  never raises


def existing(path: str) -> Path:
    """Absolute, with ~ expanded. Raises MissingPath."""
    found = os.path.expanduser(path)  # noqa: PTH111  Path raises for unknown users
    if not os.path.exists(found):  # noqa: PTH110  Path raises for names that are too long
        raise MissingPath(path)
    return Path(os.path.abspath(found))  # noqa: PTH100  keeps symlinks


def picture(name: str) -> Path | str:
    """A picture's path as `existing` has it, or its URL. Raises MissingPath."""
    from pixseek.engine import is_url

    return name if is_url(name) else existing(name)


def filter_of(text: str | None) -> Where | None:
    """What --where says. Raises InvalidFilter."""
    from pixseek.engine import from_json

    return None if text is None else from_json(text)


def let_the_reader_judge() -> None:
    """Pillow warns of odd files, and limits their pixels, for the whole process.

    What matters of that is in the report; the limit is the setting max_megapixels.
    """
    from PIL import Image

    warnings.filterwarnings("ignore", module="PIL")
    Image.MAX_IMAGE_PIXELS = None
