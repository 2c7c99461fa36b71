"""What `pixseek search` does with all that it finds: exports, copies, links, tags."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixseek.errors import InvalidQuery
from pixseek.records import Hit, Skipped

if TYPE_CHECKING:
    from pixseek.engine import ImageSearchEngine
    from pixseek.exporting.placing import How

_ENDINGS = (".csv", ".json", ".html")
_ACTIONS = ("export", "copy_to", "link_to", "tag", "untag", "write_xmp")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a search that do something with the hits; -k says with how many."""
    group = parser.add_argument_group("with all that is found (as many as -k says)")
    group.add_argument(
        "--export",
        metavar="FILE",
        help="write a table (FILE.csv), all metadata (FILE.json), or a page with small pictures"
        " (FILE.html)",
    )
    group.add_argument("--copy-to", metavar="DIR", help="copy the files into a folder")
    group.add_argument(
        "--link-to", metavar="DIR", help="make symbolic links to the files in a folder"
    )
    group.add_argument("--hard", action="store_true", help="with --link-to: hard links")
    group.add_argument(
        "--tag",
        action="append",
        default=[],
        metavar="WORD",
        help="give them a tag in the library, found by tag:WORD; may be repeated",
    )
    group.add_argument(
        "--untag", action="append", default=[], metavar="WORD", help="take a tag from them"
    )
    group.add_argument(
        "--write-xmp",
        action="store_true",
        help="add their tags to the keywords in a sidecar beside each file (IMG.jpg.xmp)",
    )


def asked(arguments: argparse.Namespace) -> bool:
    """Whether anything is to be done with the hits."""
    return any(getattr(arguments, name) for name in _ACTIONS)


def changes(arguments: argparse.Namespace) -> bool:
    """Whether it is done with every file, also with those that are much alike."""
    return any(getattr(arguments, name) for name in _ACTIONS if name != "export")


def writes(arguments: argparse.Namespace) -> bool:
    """Whether the library changes, so that another writer is waited for."""
    return bool(arguments.tag or arguments.untag)


def check(arguments: argparse.Namespace) -> None:
    """Raise InvalidQuery for what cannot be done, before anything is searched."""
    if arguments.export and Path(arguments.export).suffix.lower() not in _ENDINGS:
        raise InvalidQuery(
            f"--export {arguments.export!r}: expected a file that ends with {', '.join(_ENDINGS)}."
        )
    if arguments.hard and not arguments.link_to:
        raise InvalidQuery("--hard was given without --link-to; expected both.")


def carry_out(
    arguments: argparse.Namespace,
    engine: ImageSearchEngine,
    hits: Sequence[Hit],
    folders: Sequence[Path],
    query: str | None,
) -> bool:
    """Do it, and say what was done; returns whether it could be done with every hit."""
    said = sys.stderr if arguments.json or arguments.paths or arguments.print0 else sys.stdout
    whole = True
    for line, missing in _done(arguments, engine, hits, folders, query):
        print(line, file=said)
        for one in missing:
            print(f"pixseek: {_shown(one.path)}: {_shown(one.reason)}", file=sys.stderr)
        whole = whole and not missing
    return whole


def _done(
    arguments: argparse.Namespace,
    engine: ImageSearchEngine,
    hits: Sequence[Hit],
    folders: Sequence[Path],
    query: str | None,
) -> Iterator[tuple[str, list[Skipped]]]:
    """Each thing that was done, in words, and the files that it could not be done with."""
    if arguments.tag or arguments.untag:
        changed = engine.items.tag([hit.id for hit in hits], arguments.tag, arguments.untag)
        yield f"tags of {_counted(changed, 'picture')} changed", []
    if arguments.write_xmp:
        yield _written(engine, hits, folders)
    if arguments.copy_to:
        yield _placed(hits, _path(arguments.copy_to), "copy", folders)
    if arguments.link_to:
        how: How = "hard link" if arguments.hard else "link"
        yield _placed(hits, _path(arguments.link_to), how, folders)
    if arguments.export:
        title = _title(arguments, query)
        yield _exported(engine, hits, _path(arguments.export), folders, title)


def _written(
    engine: ImageSearchEngine, hits: Sequence[Hit], folders: Sequence[Path]
) -> tuple[str, list[Skipped]]:
    from pixseek.exporting.subjects import write_tags

    now = engine.items.fetch([hit.id for hit in hits])  # with the tags they were given just now
    done = write_tags([Hit(item.id, 0.0, item.metadata) for item in now], folders)
    said = [f"tags written beside {_counted(done.new, 'file')}"]
    if done.there:
        said.append(f"{done.there:,} had them")
    if done.missing:
        said.append(f"{len(done.missing):,} not")
    return "; ".join(said), done.missing


def _placed(
    hits: Sequence[Hit], folder: Path, how: How, folders: Sequence[Path]
) -> tuple[str, list[Skipped]]:
    from pixseek.exporting.placing import place

    done = place(hits, folder, how, folders)
    what = "copied to" if how == "copy" else "linked in"
    said = [f"{_counted(done.new, 'file')} {what} {_shown(folder)}"]
    if done.hard and how == "link":
        said.append(f"{done.hard:,} by hard links, as the system has no others here")
    if done.renamed:
        said.append(f"{done.renamed:,} with a number, as the name was taken")
    if done.there:
        said.append(f"{done.there:,} there already")
    if done.missing:
        said.append(f"{len(done.missing):,} not")
    return "; ".join(said), done.missing


def _exported(
    engine: ImageSearchEngine,
    hits: Sequence[Hit],
    file: Path,
    folders: Sequence[Path],
    title: str,
) -> tuple[str, list[Skipped]]:
    from pixseek.exporting import paths_of, sheet, tables, write

    missing: list[Skipped] = []
    left_out = ""
    if file.suffix.lower() == ".html":
        made = sheet.contact_sheet(
            hits, title, lambda hit: engine.thumbnails.get(hit.id, paths_of(hit, folders))
        )
        content, missing = made.html.encode(), made.missing
        if made.shown < len(hits):
            left_out = f"; a page has {made.shown:,} at most: --offset {made.shown} for the next"
    elif file.suffix.lower() == ".csv":
        # File names are written as the bytes that they are.
        content = tables.as_csv(hits, folders).encode("utf-8", sys.getfilesystemencodeerrors())
    else:
        content = f"{tables.as_json(hits, folders)}\n".encode()
    write(file, content)
    shown = min(len(hits), sheet.MOST) if left_out else len(hits)
    return f"wrote {_counted(shown, 'hit')} to {_shown(file)}{left_out}", missing


def _title(arguments: argparse.Namespace, query: str | None) -> str:
    parts = [query, arguments.words and f'"{arguments.words}"']
    parts.append(arguments.like and f"like {Path(arguments.like).name}")
    return " ".join(filter(None, parts)) or "pictures"


def _path(given: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(given)))  # noqa: PTH100, PTH111  never raises


def _counted(number: int, noun: str) -> str:
    from pixseek.cli.output import counted

    return counted(number, noun)


def _shown(text: str | Path) -> str:
    from pixseek.cli.output import printable

    return printable(text)
