"""What is passed over when folders are read: rules in the language of .gitignore.

They stand in files named `.pixseekignore`, each for its folder and all below, and in the library
itself. The last rule that fits decides; a rule of an inner folder goes before those further out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pixseek.errors import InvalidSetting

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".pixseekignore"


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules for the paths below one folder."""

    folder: str
    """Absolute, '/' separated; patterns are read as relative to it."""
    _spec: GitIgnoreSpec
    outer: Rules | None = None
    """Asked where these have nothing to say."""

    def ignore(self, path: str, *, is_folder: bool) -> bool:
        """Whether an absolute path below the folder is passed over."""
        rules: Rules | None = self
        while rules is not None:
            relative = path.removeprefix(rules.folder.rstrip("/") + "/")
            found = rules._spec.check_file(relative + "/" * is_folder).include
            if found is not None:
                return found
            rules = rules.outer
        return False


def rules_of(folder: str, patterns: Iterable[str], outer: Rules | None) -> Rules | None:
    """Rules from patterns; a line that is no pattern is passed over. None where none is left."""
    lines = [line for line in patterns if is_pattern(line)]
    if not lines:
        return outer
    from pathspec import GitIgnoreSpec  # few folders have any

    return Rules(folder, GitIgnoreSpec.from_lines(lines), outer)


def inner_rules(folder: str, outer: Rules | None) -> Rules | None:
    """The rules that hold in a folder: its own file's, and then those around it."""
    try:
        # By os, not Path: it is asked of every folder, and few have one.
        handle = os.open(f"{folder.rstrip('/')}/{IGNORE_FILE}", os.O_RDONLY)
        with os.fdopen(handle, encoding="utf-8", errors="replace") as file:
            return rules_of(folder, file.read().splitlines(), outer)
    except OSError:
        return outer


def outer_rules(folder: str, outer: Rules | None) -> Rules | None:
    """The rules that the folders around one set for it."""
    for above in reversed(PurePosixPath(folder).parents):
        outer = inner_rules(str(above), outer)
    return outer


def is_pattern(line: str) -> bool:
    """Whether a line is a rule that can be read; empty lines and comments are none."""
    from pathspec import GitIgnoreSpec

    text = line.strip()
    if not text or text.startswith("#"):
        return False
    try:
        return any(one.include is not None for one in GitIgnoreSpec.from_lines([line]).patterns)
    except ValueError:
        return False


def check_patterns(patterns: Iterable[str]) -> None:
    """Raise InvalidSetting for a pattern that cannot be read."""
    for pattern in patterns:
        if not is_pattern(pattern):
            expected = "a pattern as in .gitignore, such as *.png or /private/"
            raise InvalidSetting("include or exclude", pattern, expected, "argument")
