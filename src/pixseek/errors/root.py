"""The root of the tree of errors."""

from __future__ import annotations


class PixseekError(Exception):
    """Anything that pixseek itself refuses or fails at; catch this to catch them all."""
