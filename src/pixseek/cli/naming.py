"""`pixseek save` and `pixseek saved`: searches that have a name, asked for as @NAME."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from pixseek.cli.options import Commands, command, library

if TYPE_CHECKING:
    from pixseek.settings import Settings


def add_save(commands: Commands) -> None:
    """The parser of `pixseek save`."""
    parser = command(
        commands,
        "save",
        "give a search a name",
        "Keep a line of the query language in the library under a name, to be searched for as"
        " @NAME. What had the name before is replaced, and told.",
    )
    parser.add_argument("name", metavar="NAME", help="what to call it, without blanks")
    parser.add_argument("query", nargs="+", metavar="QUERY", help="what to look for, in quotes")
    library(parser)


def add_saved(commands: Commands) -> None:
    """The parser of `pixseek saved`."""
    parser = command(
        commands,
        "saved",
        "list the searches that have a name",
        "List the searches that were saved, or forget some of them.",
    )
    library(parser)
    parser.add_argument(
        "--remove", action="append", default=[], metavar="NAME", help="forget it; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def save(arguments: argparse.Namespace) -> int:
    """Carry out the command."""
    from pixseek import settings
    from pixseek.cli.output import printable
    from pixseek.saved import SavedSearches

    name = arguments.name.removeprefix("@")
    with SavedSearches(settings.load({"library": arguments.library}).library) as searches:
        before = searches.put(name, " ".join(arguments.query))
    print(f"saved; search for it with: pixseek search @{printable(name)}")
    if before is not None:
        print(f"pixseek: in place of: {printable(before)}", file=sys.stderr)
    return 0


def saved(arguments: argparse.Namespace) -> int:
    """Carry out the command."""
    from pixseek import settings
    from pixseek.cli.output import printable
    from pixseek.saved import SavedSearches

    with SavedSearches(settings.load({"library": arguments.library}).library) as searches:
        for name in arguments.remove:
            searches.remove(name.removeprefix("@"))
        known = searches.all()
    if arguments.json:
        print(json.dumps(known, indent=2))
        return 0
    width = max(map(len, known), default=0)
    for name, line in known.items():
        print(f"@{printable(name):{width}}  {printable(line)}")
    if not known:
        print("pixseek: no search is saved; see: pixseek save --help", file=sys.stderr)
    return 0


def line_of(query: str, options: Settings) -> str:
    """The line that a query stands for: that of its name when it is one, or itself.

    Raises InvalidQuery when no search has the name.
    """
    name = query.strip()
    if not name.startswith("@") or len(name.split()) != 1 or len(name) == 1:
        return query
    from pixseek.saved import SavedSearches

    with SavedSearches(options.library) as searches:
        return searches.line(name[1:])
