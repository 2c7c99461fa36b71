"""`pixseek eval`: how well a library, or one model or another, answers one's own queries."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pixseek.cli.options import Commands, command, library

if TYPE_CHECKING:
    from pixseek.evaluating import Evaluation, Labelled

_FIRST = (1, 5, 10)
"""The k of recall@k."""


def add_eval(commands: Commands) -> None:
    """The parser of `pixseek eval`."""
    parser = command(
        commands,
        "eval",
        "measure how well queries find the pictures they should find",
        "Ask queries whose right pictures are known, and say at which place these come: recall@k is"
        " the share of them among the first k hits, MRR the mean of 1/place of the first. A file of"
        " queries has lines of a query, a TAB and a path, or several with TABs between. Without"
        " --model the library is asked; with it, models are compared among the pictures that the"
        " file names, which are encoded anew for it, and no library changes.",
    )
    parser.add_argument("file", metavar="FILE", help="the queries, such as queries.tsv")
    library(parser)
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="a model to measure, fetched when it is not here; may be repeated",
    )
    parser.add_argument(
        "--offline", action="store_true", default=None, help="fetch nothing, whatever is named"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--quiet", action="store_true", help="print no progress")


def judge(arguments: argparse.Namespace) -> int:
    """Carry out the command; returns 1 when a picture that is named could not be asked for."""
    from pixseek.cli.output import printable
    from pixseek.evaluating import read_queries

    named = os.path.expanduser(arguments.file)  # noqa: PTH111  never raises
    labelled = read_queries(Path(named))
    done = list(
        _by_models(arguments, labelled) if arguments.model else _by_library(arguments, labelled)
    )
    if arguments.json:
        print(json.dumps([_row(one) for one in done], indent=2))
    else:
        _print(labelled, done)
    for one in done:
        for path in one.unknown:
            where = f"{one.model}: " if len(done) > 1 else ""
            print(
                f"pixseek: {where}not in the library, so not counted: {printable(path)}",
                file=sys.stderr,
            )
    return 1 if any(one.unknown for one in done) else 0


def _by_library(
    arguments: argparse.Namespace, labelled: Sequence[Labelled]
) -> Iterator[Evaluation]:
    from pixseek import settings
    from pixseek.engine import ImageSearchEngine
    from pixseek.evaluating import evaluate

    options = settings.load({"library": arguments.library, "offline": arguments.offline})
    with ImageSearchEngine(options.library, create=False, options=options) as engine:
        yield evaluate(engine, labelled)


def _by_models(arguments: argparse.Namespace, labelled: Sequence[Labelled]) -> Iterator[Evaluation]:
    """Each in a library of its own, that lasts as long as it is asked."""
    from pixseek import settings
    from pixseek.cli.progress import FetchBar, ProgressBar
    from pixseek.cli.typed import let_the_reader_judge
    from pixseek.engine import ImageSearchEngine
    from pixseek.evaluating import evaluate

    paths = list(dict.fromkeys(path for one in labelled for path in one.right))
    let_the_reader_judge()
    for model in dict.fromkeys(arguments.model):
        with (
            TemporaryDirectory(prefix="pixseek-") as folder,
            FetchBar(quiet=arguments.quiet) as fetching,
        ):
            options = settings.load({"library": f"{folder}/library", "offline": arguments.offline})
            with ImageSearchEngine(
                options.library, model=model, store="local", on_fetch=fetching.show, options=options
            ) as engine:
                with ProgressBar(quiet=arguments.quiet) as bar:
                    engine.index_images(paths, on_progress=bar.show)
                yield evaluate(engine, labelled)


def _row(done: Evaluation) -> dict[str, object]:
    return {
        "model": done.model,
        **{f"recall@{k}": round(done.recall(k), 4) for k in _FIRST},
        "mrr": round(done.mrr, 4),
        "queries": [
            {
                "query": one.query,
                "right": one.right,
                "places": list(one.ranks),
                **{f"recall@{k}": round(one.recall(k), 4) for k in _FIRST},
            }
            for one in done.judged
        ],
        "unknown": [str(path) for path in done.unknown],
    }


def _print(labelled: Sequence[Labelled], done: Sequence[Evaluation]) -> None:
    """The places of each query's right pictures by each model, and then the sums."""
    from pixseek.cli.output import printable

    places = [
        {one.query: ", ".join(map(str, one.ranks)) or "-" for one in by.judged} for by in done
    ]
    names = [printable(by.model) for by in done]
    widths = [
        max(map(len, [name, *known.values()])) for name, known in zip(names, places, strict=True)
    ]
    head = "  ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    print(f"{head}  query")
    for query in dict.fromkeys(one.query for one in labelled):
        cells = [known.get(query, "") for known in places]
        row = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        print(f"{row}  {printable(query)}")
    longest = max(len("model"), *map(len, names))
    print(f"\n{'model':{longest}}  queries  recall@1  recall@5  recall@10   MRR")
    for name, by in zip(names, done, strict=True):
        one, five, ten = (f"{by.recall(k):.2f}" for k in _FIRST)
        count = f"{len(by.judged):,}"
        print(f"{name:{longest}}  {count:>7}  {one:>8}  {five:>8}  {ten:>9}  {by.mrr:.2f}")
