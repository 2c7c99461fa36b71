"""The arguments of every command, and the words of `--help`."""

from __future__ import annotations

import argparse

from pixseek import __version__
from pixseek.cli import batch, ranked
from pixseek.cli.alike import add_clusters, add_dupes, add_similar
from pixseek.cli.judging import add_eval
from pixseek.cli.naming import add_save, add_saved
from pixseek.cli.options import Commands as _Commands
from pixseek.cli.options import Help as _Help
from pixseek.cli.options import command as _command
from pixseek.cli.options import library as _library
from pixseek.cli.services import add_mcp, add_serve

_EXAMPLES = """\
examples:
  pixseek index ~/Pictures
  pixseek search "sunset over water" ~/Pictures
  pixseek search "beach -people year:2019..2021 camera:iphone"
  pixseek search --like beach.jpg
  pixseek search "dog" --where '{"year": {"$gte": 2019}}' --json
  pixseek status --skipped
"""


class _HelpWithExamples(_Help, argparse.RawDescriptionHelpFormatter):
    """The same, with the examples' lines as they are written."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="pixseek",
        description="Find pictures by what they show. No picture leaves this machine.",
        epilog=_EXAMPLES,
        formatter_class=_HelpWithExamples,
    )
    parser.add_argument("--version", action="version", version=f"pixseek {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in _ADDED:
        add(commands)
    return parser


def _offline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--offline", action="store_true", default=None, help="fetch nothing, whatever is named"
    )


def _index(commands: _Commands) -> None:
    parser = _command(
        commands,
        "index",
        "bring folders and files into the library, and keep them in step",
        "Read what is new or changed, forget what is gone. Interrupt it at any moment: what was"
        " reported is kept, and the next run goes on. Without a path, every folder of the library"
        " is brought in step.",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="folders and picture files")
    _library(parser)
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="model of a new library, fetched when it is not here; see docs/models.md (default:"
        " the best that is here)",
    )
    _offline(parser)
    parser.add_argument("--store", metavar="URL", help="store of a new library (default: local)")
    parser.add_argument("--workers", metavar="N", help="threads (default: one a core)")
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="pass over files and folders that fit, as in .gitignore, from now on; may be repeated"
        " (rules of one folder: a file .pixseekignore in it)",
    )
    parser.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="PATTERN",
        help="take what fits all the same; the last rule that fits decides",
    )
    parser.add_argument(
        "--ocr", action="store_true", help="then read the text in pictures (extra: ocr)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 when any file was skipped"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--quiet", action="store_true", help="print no progress")


def _watch(commands: _Commands) -> None:
    parser = _command(
        commands,
        "watch",
        "keep the library in step while files come, change and go",
        "Index folders, then go on whenever something in them changes, until it is interrupted"
        " (Ctrl-C). Without a folder, all folders of the library. A second one for the same library"
        " waits until the first has ended.",
    )
    parser.add_argument("paths", nargs="*", metavar="FOLDER", help="folders to keep in step")
    _library(parser)
    parser.add_argument("--model", metavar="NAME", help="model of a new library")
    _offline(parser)
    parser.add_argument("--workers", metavar="N", help="threads (default: one a core)")
    parser.add_argument(
        "--delay",
        type=float,
        default=2.0,
        metavar="S",
        help="seconds in which nothing must have happened before files are read (default: 2)",
    )
    parser.add_argument(
        "--rescan",
        type=float,
        default=600.0,
        metavar="S",
        help="compare all files so often, for drives that report no changes (default: 600)",
    )
    _run(parser)


def _search(commands: _Commands) -> None:
    parser = _command(
        commands,
        "search",
        "find pictures by words, by an example picture, or by both",
        "Find the pictures that show best what the query says. In it, -word pushes away, a field"
        " such as year:2020 chooses, and more: docs/query.md; @NAME is a search that was saved."
        " Folders that are named are brought"
        " in step first, and only pictures in them are found; without a folder, all that is in the"
        " library.",
    )
    parser.add_argument("query", nargs="?", metavar="QUERY", help="what to look for, in quotes")
    parser.add_argument(
        "--plain", action="store_true", help="the query is plain words: nothing in it is syntax"
    )
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="look only in these")
    parser.add_argument(
        "--like", metavar="IMAGE", help="find pictures like this one: a file, or a URL"
    )
    parser.add_argument(
        "--words",
        metavar="WORDS",
        help="only pictures that have all of these words, exactly: read in them, or in their"
        " captions, labels, titles, keywords and file names",
    )
    parser.add_argument(
        "--moments",
        action="store_true",
        help="of a video, an animation or a file of pages every moment, not only the best",
    )
    _library(parser)
    parser.add_argument(
        "-k", "--count", type=int, default=10, metavar="N", help="hits to show (default: 10)"
    )
    parser.add_argument(
        "--offset", type=int, default=0, metavar="N", help="hits to pass over (default: 0)"
    )
    parser.add_argument(
        "--where", metavar="JSON", help="only pictures that pass a filter; see docs/filters.md"
    )
    ranked.add_options(parser)
    parser.add_argument(
        "--no-sync", action="store_true", help="search folders as they were last indexed"
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
    batch.add_options(parser)


def _status(commands: _Commands) -> None:
    parser = _command(
        commands,
        "status",
        "say what the library holds",
        "Say where the library is, what it holds, by which model, and who is writing to it.",
    )
    _library(parser)
    parser.add_argument(
        "--skipped", action="store_true", help="name each file that could not be read, and why"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def _remove(commands: _Commands) -> None:
    parser = _command(
        commands,
        "remove",
        "take folders or files out of the library",
        "Take files out of the library; the files themselves are not touched. Indexing a path by"
        " name brings it back.",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="folders and files")
    _library(parser)
    parser.add_argument("--where", metavar="JSON", help="every file that passes this filter, too")


def _switch(commands: _Commands) -> None:
    parser = _command(
        commands,
        "switch",
        "give the library another model",
        "Encode every picture again by another model, which is fetched when it is not here."
        " Searches are answered by the old one until the new one is complete. Interrupt it at any"
        " moment: the same command goes on.",
    )
    parser.add_argument("model", metavar="MODEL", help="the new model; see: pixseek models")
    _library(parser)
    _offline(parser)
    parser.add_argument("--workers", metavar="N", help="threads (default: one a core)")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the old model's vectors too, so that switching back is quick",
    )
    parser.add_argument(
        "--leave-out",
        action="store_true",
        help="switch although some pictures cannot be read now (a drive is away, say); they are"
        " read again when they can be",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--quiet", action="store_true", help="print no progress")


def _doctor(commands: _Commands) -> None:
    parser = _command(
        commands,
        "doctor",
        "look whether the library is whole, and mend it",
        "Look through the library for what cannot be right: vectors that are none, pictures without"
        " files, files without pictures, an index that does not fit. Exits with 1 when something is"
        " wrong and was not mended.",
    )
    _library(parser)
    parser.add_argument("--repair", action="store_true", help="mend what can be mended")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _backup(commands: _Commands) -> None:
    parser = _command(
        commands,
        "backup",
        "write the library into one file",
        "Write the library, as it is now, into one file, while others search and index. The"
        " pictures themselves are not in it.",
    )
    parser.add_argument("file", metavar="FILE", help="the file to write")
    _library(parser)


def _restore(commands: _Commands) -> None:
    parser = _command(
        commands,
        "restore",
        "put a backup in the library's place",
        "Put what a backup holds in the library's place.",
    )
    parser.add_argument("file", metavar="FILE", help="what 'pixseek backup' wrote")
    _library(parser)
    parser.add_argument(
        "--replace",
        action="store_true",
        help="put the library that is there aside, under a name beside it",
    )


def _move(commands: _Commands) -> None:
    parser = _command(
        commands,
        "move",
        "move the library's vectors to another store, or copy between stores",
        "Copy vectors and metadata from one store to another; nothing is encoded again, and what is"
        " there already is not copied again. Without --from the library's own are copied, and it"
        " answers from the new store once that is complete. Interrupt it at any moment: the same"
        " command goes on.",
    )
    parser.add_argument("--to", required=True, metavar="URL", help="the store to fill")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="URL",
        help="copy from this store, which is only read; no library changes",
    )
    _library(parser)
    parser.add_argument(
        "--exact",
        action="store_true",
        help="delete what the new store holds and the old one has not",
    )
    parser.add_argument(
        "--drop",
        action="store_true",
        help="delete the library's vectors from where they were (default: they are kept)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--quiet", action="store_true", help="print no progress")


def _models(commands: _Commands) -> None:
    parser = _command(
        commands,
        "models",
        "list, fetch and measure models",
        "List the models: what each is, what is here, and which one to have.",
    )
    _listing(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = _command(actions, "list", "list the models (what `models` does alone)", "The same.")
    _listing(listing, default=argparse.SUPPRESS)
    _pull(actions)
    _export(actions)


def _pull(commands: _Commands) -> None:
    parser = _command(
        commands,
        "pull",
        "fetch a model",
        "Fetch a model's files and check them. Interrupted, the same command goes on. A model that"
        " is here is checked, and stays at the commit it was fetched at.",
    )
    parser.add_argument("name", metavar="NAME", help="a model; see docs/models.md for all ways")
    parser.add_argument("--upgrade", action="store_true", help="take the newest commit")
    _offline(parser)
    parser.add_argument("--quiet", action="store_true", help="print no progress")


def _listing(parser: argparse.ArgumentParser, default: object = None) -> None:
    parser.add_argument(
        "--bench",
        nargs="*",
        metavar="NAME",
        default=default,
        help="measure first how fast these are on this machine (without a name: all that are here)",
    )
    parser.add_argument(
        "--json", action="store_true", default=default or False, help="print them as JSON"
    )


def _export(commands: _Commands) -> None:
    parser = _command(
        commands,
        "export",
        "make an ONNX model of one of open_clip or transformers",
        "Write a model as ONNX, with all that prepares its input, into a folder that can then be"
        " used as --model. What is written is compared with the original, and kept only if both"
        " give the same vectors. Needs the extra 'export'.",
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="open_clip:MODEL/PRETRAINED, open_clip:hf-hub:OWNER/NAME, transformers:OWNER/NAME, or"
        " a folder with a model of one of them",
    )
    parser.add_argument("folder", metavar="FOLDER", help="a new folder")
    parser.add_argument(
        "--int8",
        action="store_true",
        help="weights of 8 bits: a quarter of the size, two to three times as fast on most"
        " processors, a little less exact",
    )


def _caption(commands: _Commands) -> None:
    parser = _command(
        commands,
        "caption",
        "say in a sentence what each picture shows",
        "Caption the pictures that have no caption yet, so that their words can be searched."
        " Interrupt it at any moment: the next run goes on. Needs the extra captions.",
    )
    _library(parser)
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="blip-base, blip-large, or a folder with such a model (default: blip-base)",
    )
    parser.add_argument("--prompt", metavar="TEXT", help="how captions begin")
    parser.add_argument(
        "--again", action="store_true", help="caption pictures that have a caption, too"
    )
    _run(parser)


def _label(commands: _Commands) -> None:
    parser = _command(
        commands,
        "label",
        "give pictures labels that can be filtered by",
        "Choose for each picture the labels that fit it, by the library's own model and without"
        " reading pictures again. Labels given before are replaced.",
    )
    _library(parser)
    parser.add_argument(
        "--labels", metavar="FILE", help="labels to choose from, one a line (default: 500 of ours)"
    )
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="labels a picture, at most (default: 5)"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.1,
        metavar="P",
        help="least share of a label; all together have 1 (default: 0.1)",
    )
    _run(parser)


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--quiet", action="store_true", help="print no progress")


_ADDED = (
    *(_index, _watch, _search, add_similar, add_dupes, add_clusters, add_save, add_saved),
    *(_caption, _label, _status, _remove, _switch),
    *(_move, _doctor, _backup, _restore, _models, add_eval, add_serve, add_mcp),
)
