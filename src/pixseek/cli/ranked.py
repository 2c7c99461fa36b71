"""How hits are ranked, as people choose it and are told of it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pixseek.records import Hit, Where

if TYPE_CHECKING:
    from pixseek.engine import ImageSearchEngine, Query

DIVERSE = 0.5


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a search that say which hits to show and in what order."""
    parser.add_argument(
        "--min-score", type=float, metavar="S", help="only hits at least this near (-1 to 1)"
    )
    parser.add_argument(
        "--min-match",
        type=float,
        metavar="M",
        help="only hits that match at least so well (0 to 1), whatever the query and the model",
    )
    parser.add_argument(
        "--all", action="store_true", help="show each of the pictures that are alike"
    )
    parser.add_argument("--diverse", action="store_true", help="show first what differs")
    parser.add_argument("--explain", action="store_true", help="say of each hit why it is one")


def search(
    arguments: argparse.Namespace,
    engine: ImageSearchEngine,
    query: str | Query | None,
    where: Where | None,
    *,
    each: bool,
) -> list[Hit]:
    """The hits that were asked for; each: also those that are much alike."""
    each = each or arguments.all or arguments.moments or arguments.paths or arguments.print0
    return engine.search(
        query,
        image=arguments.like,
        words=arguments.words,
        k=arguments.count,
        where=where,
        min_score=arguments.min_score,
        offset=arguments.offset,
        min_match=arguments.min_match,
        collapse=not each,
        diverse=DIVERSE if arguments.diverse else None,
        explain=arguments.explain,
        moments=arguments.moments,
    )


def match_cell(hit: Hit) -> str:
    return "-" if hit.match is None else f"{hit.match:.2f}"


def alike(hit: Hit) -> str:
    return f"  (+{hit.similar} alike)" if hit.similar else ""
