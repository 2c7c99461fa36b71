"""How well a library answers queries whose right answers are known.

The file of queries is text, a line a query: the query, a TAB, and the path of the right picture;
or of several, with TABs between. Relative paths begin at the file's own folder. A first line of
`query` and other names is a heading; empty lines and those that begin with # say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pixseek.engine import ImageSearchEngine
from pixseek.errors import InvalidQuery, MissingPath
from pixseek.files import absolute
from pixseek.moments import content_of

DEPTH = 100
"""Hits that are looked at; what comes later counts as not found."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A query of plain words, and the files that are right."""

    query: str
    right: tuple[Path, ...]
    """Absolute, at least one."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a query."""

    query: str
    right: int
    """Pictures that are right; files with the same content are one."""
    ranks: tuple[int, ...]
    """Where right pictures stand among the hits, from 1, in order; () when none is there."""

    def recall(self, k: int) -> float:
        """The share of the right pictures that are among the first k hits, 0 to 1."""
        return sum(rank <= k for rank in self.ranks) / self.right


@dataclass(slots=True)
class Evaluation:
    """What became of all queries."""

    model: str
    judged: list[Judged] = field(default_factory=list["Judged"])
    unknown: list[Path] = field(default_factory=list[Path])
    """Files that are right and not in the library: they do not count, and a query that has no
    others is left out."""

    def recall(self, k: int) -> float:
        """The mean of the queries' recalls, 0 to 1; 0 without queries."""
        return sum(one.recall(k) for one in self.judged) / max(1, len(self.judged))

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank of the first right picture, 0 to 1; one not found counts 0."""
        firsts = [1 / one.ranks[0] for one in self.judged if one.ranks]
        return sum(firsts) / max(1, len(self.judged))


def read_queries(file: Path) -> list[Labelled]:
    """The queries of a file, in order.

    Raises MissingPath; InvalidQuery for a line that is none, and for a file without any.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingPath(file, "a file of queries") from error
    except UnicodeDecodeError as error:
        raise InvalidQuery(f"{str(file)!r} is not text in UTF-8; expected queries.") from error
    found = []
    for number, line in enumerate(lines, 1):
        query, *paths = (cell.strip() for cell in line.split("\t"))
        if not line.strip() or line.startswith("#") or (number == 1 and query.lower() == "query"):
            continue
        right = tuple(Path(absolute(str(file.parent / path))) for path in paths if path)
        if not query or not right:
            raise InvalidQuery(
                f"line {number} of {str(file)!r}: expected a query, a TAB and the path of the right"
                " picture (or of several, with TABs between)."
            )
        found.append(Labelled(query, right))
    if not found:
        raise InvalidQuery(f"there is no query in {str(file)!r}; expected a line for each.")
    return found


def evaluate(engine: ImageSearchEngine, labelled: Sequence[Labelled]) -> Evaluation:
    """Ask a library each query, as plain words, and see where the right pictures stand.

    Raises what searching raises.
    """
    known = engine.items.of_files([str(path) for one in labelled for path in one.right])
    done = Evaluation(engine.status().space.model)
    for one in labelled:
        right = {known[str(path)] for path in one.right if str(path) in known}
        done.unknown += [path for path in one.right if str(path) not in known]
        if right:
            hits = engine.search(one.query, k=DEPTH)
            found = [rank for rank, hit in enumerate(hits, 1) if content_of(hit.id) in right]
            done.judged.append(Judged(one.query, len(right), tuple(found)))
    done.unknown = list(dict.fromkeys(done.unknown))
    return done
