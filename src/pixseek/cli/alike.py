"""`pixseek similar`, `pixseek dupes` and `pixseek clusters`: pictures that are alike."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from pixseek.cli.options import Commands, command, library
from pixseek.errors import InvalidQuery
from pixseek.records import Skipped

if TYPE_CHECKING:
    from pixseek.alike import Duplicates, PictureFile
    from pixseek.alike.settling import SettleReport
    from pixseek.engine import ImageSearchEngine


def add_similar(commands: Commands) -> None:
    """The parser of `pixseek similar`."""
    parser = command(
        commands,
        "similar",
        "the pictures most like one, without itself",
        "Find the pictures most like that of a file, which need not be in the library. The file"
        " itself, and others with the same content, are left out.",
    )
    parser.add_argument("file", metavar="FILE", help="a picture, or the URL of one")
    library(parser)
    parser.add_argument(
        "-k", "--count", type=int, default=10, metavar="N", help="hits to show (default: 10)"
    )
    parser.add_argument(
        "--offset", type=int, default=0, metavar="N", help="hits to pass over (default: 0)"
    )
    parser.add_argument(
        "--where", metavar="JSON", help="only pictures that pass a filter; see docs/filters.md"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print hits with all metadata as JSON")
    output.add_argument("--paths", action="store_true", help="print paths only, one a line")
    output.add_argument("--print0", action="store_true", help="print paths, each ended by NUL")
    output.add_argument(
        "--preview",
        action="store_true",
        help="show the pictures, in terminals that can (Kitty, iTerm2, Sixel)",
    )


def add_dupes(commands: Commands) -> None:
    """The parser of `pixseek dupes`."""
    parser = command(
        commands,
        "dupes",
        "copies of pictures: bit by bit, or resized, encoded anew, cut, recoloured",
        "List files of the library that hold the same picture, in groups, with the one to keep:"
        " the camera's RAW, then what has the most pixels, then the original format, then what is"
        " oldest, then what has the shortest path. Nothing is changed unless --move-to or --link"
        " says so, and nothing is ever deleted.",
    )
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="look only in these")
    library(parser)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--exact", action="store_true", help="only files that are equal bit by bit")
    kinds.add_argument(
        "--near", action="store_true", help="only copies that were changed: no equal files"
    )
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument(
        "--move-to",
        metavar="DIR",
        help="move all but the one to keep into this folder, and out of the library",
    )
    actions.add_argument(
        "--link",
        action="store_true",
        help="make files that are equal bit by bit hard links: one file with several names",
    )
    parser.add_argument("--json", action="store_true", help="print the groups as JSON")
    parser.add_argument("--quiet", action="store_true", help="print no progress")


def add_clusters(commands: Commands) -> None:
    """The parser of `pixseek clusters`."""
    parser = command(
        commands,
        "clusters",
        "the library in groups of pictures that show much the same",
        "Put the pictures of the library into groups, and say of each how many it has, what they"
        " show, and which is nearest the middle. The same library gives the same groups.",
    )
    library(parser)
    parser.add_argument(
        "-k",
        "--groups",
        type=int,
        metavar="N",
        help="so many groups (default: the root of half the pictures, at most 50)",
    )
    parser.add_argument(
        "--where", metavar="JSON", help="only pictures that pass a filter; see docs/filters.md"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the groups with the ids in them as JSON"
    )


def similar(arguments: argparse.Namespace) -> int:
    """Carry out the command."""
    from pixseek import alike
    from pixseek.cli import output, typed

    file, where = typed.picture(arguments.file), typed.filter_of(arguments.where)
    typed.let_the_reader_judge()
    with _opened(arguments) as engine:
        hits = alike.similar(engine, file, arguments.count, where=where, offset=arguments.offset)
    if arguments.json:
        output.print_hits_json(hits, [])
    elif arguments.paths or arguments.print0:
        output.print_paths(hits, [], b"\0" if arguments.print0 else b"\n")
    elif not hits:
        print("pixseek: nothing found", file=sys.stderr)
    else:
        output.print_hits(hits, [], preview=arguments.preview)
    return 0


def dupes(arguments: argparse.Namespace) -> int:
    """Carry out the command."""
    from pixseek import alike
    from pixseek.alike import settling
    from pixseek.cli import typed
    from pixseek.cli.progress import ProgressBar

    if arguments.link and arguments.near:
        raise InvalidQuery("--link was given with --near; expected one: near copies are no links.")
    folders = [typed.existing(folder) for folder in arguments.folders]
    typed.let_the_reader_judge()
    near = not (arguments.exact or arguments.link)
    with _opened(arguments) as engine, ProgressBar(quiet=arguments.quiet) as bar:
        found = alike.duplicates(
            engine, folders, exact=not arguments.near, near=near, on_progress=bar.show
        )
        settled = None
        if arguments.move_to is not None:
            settled = settling.move_away(engine, found.groups, arguments.move_to)
        elif arguments.link:
            settled = settling.link(engine, found.groups)
    if arguments.json:
        rows = {**asdict(found), **({} if settled is None else {"done": asdict(settled)})}
        print(json.dumps(rows, indent=2, default=str))
        return 0
    _print_groups(found)
    if settled is not None:
        _print_settled(settled, "linked" if arguments.link else "moved")
    return 0


def clusters(arguments: argparse.Namespace) -> int:
    """Carry out the command."""
    from pixseek.cli import typed
    from pixseek.cli.output import printable
    from pixseek.clusters import clusters as grouped

    where = typed.filter_of(arguments.where)
    with _opened(arguments) as engine:
        found = grouped(engine, arguments.groups, where=where)
    if arguments.json:
        rows = [{"name": one.name, **asdict(one)} for one in found]
        print(json.dumps(rows, indent=2, default=str))
    elif not found:
        print("pixseek: there are no pictures to group", file=sys.stderr)
    else:
        print("pictures  what they show, and the one nearest the middle")
        for one in found:
            print(f"{one.size:8,}  {printable(', '.join(one.labels))}: {printable(one.path)}")
    return 0


def _opened(arguments: argparse.Namespace) -> ImageSearchEngine:
    from pixseek import settings
    from pixseek.engine import ImageSearchEngine

    options = settings.load({"library": arguments.library})
    return ImageSearchEngine(options.library, create=False, options=options)


def _print_groups(found: Duplicates) -> None:
    from pixseek.cli.output import counted

    if not found.groups:
        print("pixseek: no copies found", file=sys.stderr)
    for group in found.groups:
        print(f"keep   {_told(group.keep)}: {group.why}")
        for copy in group.copies:
            how = f", {copy.likeness:.2f} alike" if copy.kind == "near" else ""
            print(f"  {copy.kind:5}  {_told(copy.file)}{how}")
    copies = [copy.file for group in found.groups for copy in group.copies]
    megabytes = sum(file.size for file in copies) / 1e6
    if copies:
        more = "copy" if len(copies) == 1 else "copies"
        pictures = counted(len(found.groups), "picture")
        print(f"{pictures} with {len(copies):,} {more} to spare ({megabytes:,.1f} MB)")
    _print_skipped(found.skipped, "could not be compared")


def _print_settled(done: SettleReport, what: str) -> None:
    from pixseek.cli.output import counted

    print(f"{what} {counted(len(done.settled), 'file')} ({done.size_bytes / 1e6:,.1f} MB)")
    _print_skipped(done.skipped, "left as they were")


def _print_skipped(skipped: Sequence[Skipped], what: str) -> None:
    from pixseek.cli.output import printable

    if skipped:
        print(f"pixseek: {len(skipped):,} {what}:", file=sys.stderr)
    for one in skipped:
        print(f"    {printable(one.path)}: {printable(one.reason)}", file=sys.stderr)


def _told(file: PictureFile) -> str:
    from pixseek.cli.output import printable

    size = f"{file.width}x{file.height} " if file.width and file.height else ""
    return f"{printable(file.path)} ({size}{printable(file.format)})"
