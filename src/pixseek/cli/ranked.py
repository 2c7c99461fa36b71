"""How hits are ranked, as people choose it and are told of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from pixseek.records import Hit, Why

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


def fields(hit: Hit) -> Mapping[str, object]:
    """What of a hit's rank is in its JSON."""
    match = None if hit.match is None else round(hit.match, 4)
    found: dict[str, object] = {"match": match, "similar": hit.similar}
    return found if hit.why is None else {**found, "why": asdict(hit.why)}


def match_cell(hit: Hit) -> str:
    return "-" if hit.match is None else f"{hit.match:.2f}"


def alike(hit: Hit) -> str:
    return f"  (+{hit.similar} alike)" if hit.similar else ""


def explained(why: Why) -> str:
    """One line: what adds to the score, words, values that were asked for, where it fits best."""
    return "; ".join(_told(why))


def _told(why: Why) -> Iterator[str]:
    yield from (f"{name!r} {part:+.3f}" for name, part in why.parts.items())
    if why.words:
        yield f"has {', '.join(why.words)} ({why.covered:.0%} of the query)"
    yield from (f"{field} is {value}" for field, value in why.conditions.items())
    if why.region is not None:
        box = why.region
        yield (
            f"best at left {box.left:.2f}, top {box.top:.2f}, {box.width:.2f} by {box.height:.2f}"
            f" ({box.score:.3f})"
        )
