"""Searches that have a name, kept in the library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pixseek.database import Database
from pixseek.errors import InvalidQuery
from pixseek.query.tree import Query

if TYPE_CHECKING:
    from typing import Self

_SCHEMA = "CREATE TABLE IF NOT EXISTS searches (name TEXT PRIMARY KEY, line TEXT NOT NULL)"
"""Made when there is something to put into it."""
MAX_NAME = 100
"""Characters."""


class SavedSearches:
    """Names → lines of the query language (docs/query.md). Safe to use from threads and processes;
    it never waits for a run that is indexing for longer than one of its steps takes."""

    def __init__(self, library: Path) -> None:
        """library: its folder. Raises LibraryNotFound."""
        self._database = Database(library, create=False)

    def put(self, name: str, line: str) -> str | None:
        """Save a search; returns the line that had the name before, or None.

        Raises InvalidQuery for what is no name, QueryNotUnderstood for what is no line.
        """
        if not name.isprintable() or not 0 < len(name) <= MAX_NAME or " " in name or "@" in name:
            raise InvalidQuery(
                f"a search cannot be named {name[:MAX_NAME]!r}; expected 1 to {MAX_NAME} characters"
                " without blanks and without @."
            )
        Query.parse(line)
        before = self.all().get(name)
        with self._database.writing() as connection:
            connection.execute(_SCHEMA)
            connection.execute("INSERT OR REPLACE INTO searches VALUES (?, ?)", (name, line))
        return before

    def line(self, name: str) -> str:
        """The line of a name. Raises InvalidQuery when there is none of it."""
        known = self.all()
        if name not in known:
            there = f"there are: {', '.join(known)}" if known else "none is saved"
            raise InvalidQuery(f"no search is saved as {name!r}; expected one that is ({there}).")
        return known[name]

    def query(self, name: str) -> Query:
        """The same, to search with: `engine.search(saved.query("beach"))`."""
        return Query.parse(self.line(name))

    def all(self) -> dict[str, str]:
        """name → line, in order of names."""
        if not self._database.holds("searches"):
            return {}
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT name, line FROM searches ORDER BY name"))

    def remove(self, name: str) -> None:
        """Forget a search. Raises InvalidQuery when there is none of that name."""
        self.line(name)
        with self._database.writing() as connection:
            connection.execute("DELETE FROM searches WHERE name = ?", (name,))

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
