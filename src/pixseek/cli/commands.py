"""What each command does: ask the engine, hand the answer to `output`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pixseek import inventory, settings
from pixseek.cli import (
    NOT_WHOLE,
    SKIPPED_FILES,
    alike,
    batch,
    judging,
    naming,
    output,
    ranked,
    services,
)
from pixseek.cli.progress import FetchBar, ProgressBar
from pixseek.cli.typed import existing as _existing
from pixseek.cli.typed import filter_of as _where
from pixseek.cli.typed import is_folder as _is_folder
from pixseek.cli.typed import let_the_reader_judge
from pixseek.engine import ImageSearchEngine, Query, stands_out
from pixseek.errors import InvalidQuery, LibraryLocked, MissingPath
from pixseek.records import DescribeReport, IndexReport, Where


def run(arguments: argparse.Namespace) -> int:
    """Carry out a parsed command line; returns the exit code."""
    return _COMMANDS[arguments.command](arguments)


def _index(arguments: argparse.Namespace) -> int:
    paths = [_existing(path) for path in arguments.paths]
    options = settings.load(
        {
            "library": arguments.library,
            "workers": arguments.workers,
            "offline": arguments.offline,
        }
    )
    with (
        FetchBar(quiet=arguments.quiet) as fetching,
        ImageSearchEngine(
            options.library,
            model=arguments.model,
            store=arguments.store,
            on_fetch=fetching.show,
            options=options,
        ) as engine,
    ):
        if not (arguments.model or arguments.quiet):
            _say_what_is_better(engine, options)
        report = _sync(
            engine,
            paths or None,
            quiet=arguments.quiet,
            exclude=arguments.exclude,
            include=arguments.include,
        )
        texts = None
        if arguments.ocr:
            with ProgressBar(quiet=arguments.quiet) as bar:
                texts = engine.read_texts(on_progress=bar.show)
    if arguments.json:
        output.print_report_json(report, texts)
    else:
        output.print_report(report)
        if texts is not None:
            output.print_described(texts, "text")
    skipped = report.skipped or (texts is not None and texts.skipped)
    return SKIPPED_FILES if arguments.strict and skipped else 0


def _watch(arguments: argparse.Namespace) -> int:
    from pixseek.cli.following import follow

    folders = [_existing(path) for path in arguments.paths]
    let_the_reader_judge()
    return follow(arguments, folders)


def _search(arguments: argparse.Namespace) -> int:
    batch.check(arguments)
    query, folders = _query_and_folders(arguments)
    where = _where(arguments.where)
    # A search that only reads never waits for a writer: it answers from what is there.
    waits = {} if batch.writes(arguments) else {"lock_timeout_s": 0}
    options = settings.load({"library": arguments.library, **waits})
    if query and query.strip() and not arguments.plain:
        query = naming.line_of(query, options)
        asked: str | Query | None = Query.parse(query)
    else:
        asked = query
    sync = bool(folders) and not arguments.no_sync
    with (
        FetchBar(quiet=False) as fetching,
        ImageSearchEngine(
            options.library, create=sync, on_fetch=fetching.show, options=options
        ) as engine,
    ):
        _say_what_is_better(engine, options)
        if sync:
            _sync_before_search(engine, folders)
        if folders:
            inside: Where = {"folder": {"$in": [str(folder) for folder in folders]}}
            where = inside if where is None else {"$and": [inside, where]}
        if arguments.like or arguments.preview or arguments.export:
            let_the_reader_judge()
        hits = ranked.search(arguments, engine, asked, where, each=batch.changes(arguments))
        if hits and not stands_out(hits, image=arguments.like is not None):
            print("pixseek: nothing in this library matches; the nearest are", file=sys.stderr)
        whole = batch.carry_out(arguments, engine, hits, folders, query)
    if arguments.json:
        output.print_hits_json(hits, folders)
    elif arguments.paths or arguments.print0:
        output.print_paths(hits, folders, b"\0" if arguments.print0 else b"\n")
    elif not hits:
        print("pixseek: nothing found", file=sys.stderr)
    elif arguments.preview or not batch.asked(arguments):
        output.print_hits(hits, folders, preview=arguments.preview)
    return 0 if whole else SKIPPED_FILES


def _status(arguments: argparse.Namespace) -> int:
    options = settings.load({"library": arguments.library})
    with ImageSearchEngine(options.library, create=False, options=options) as engine:
        status = engine.status()
    if arguments.json:
        output.print_status_json(status)
    else:
        output.print_status(status, skipped=arguments.skipped)
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    where = _where(arguments.where)
    if not arguments.paths and where is None:
        raise InvalidQuery("nothing to remove was named; expected paths, or --where, or both.")
    options = settings.load({"library": arguments.library})
    with ImageSearchEngine(options.library, create=False, options=options) as engine:
        removed = engine.remove(arguments.paths, where=where)
    print(f"removed {output.counted(removed, 'file')} from the library")
    if not removed:
        print("pixseek: nothing of that is in the library; see: pixseek status", file=sys.stderr)
    return 0


def _switch(arguments: argparse.Namespace) -> int:
    options = settings.load(
        {
            "library": arguments.library,
            "workers": arguments.workers,
            "offline": arguments.offline,
        }
    )
    let_the_reader_judge()
    with (
        ImageSearchEngine(options.library, create=False, options=options) as engine,
        FetchBar(quiet=arguments.quiet) as fetching,
        ProgressBar(quiet=arguments.quiet) as bar,
    ):
        report = engine.switch_model(
            arguments.model,
            keep=arguments.keep,
            leave_out=arguments.leave_out,
            on_progress=bar.show,
            on_fetch=fetching.show,
        )
    if arguments.json:
        output.print_report_json(report)
    else:
        output.print_switch(report)
    return 0 if report.switched else SKIPPED_FILES


def _caption(arguments: argparse.Namespace) -> int:
    def caption(engine: ImageSearchEngine, bar: ProgressBar) -> DescribeReport:
        return engine.caption_images(
            model=arguments.model,
            prompt=arguments.prompt,
            again=arguments.again,
            on_progress=bar.show,
        )

    return _described(arguments, "a caption", caption)


def _label(arguments: argparse.Namespace) -> int:
    def label(engine: ImageSearchEngine, bar: ProgressBar) -> DescribeReport:
        return engine.label_images(
            arguments.labels,
            top=arguments.top,
            threshold=arguments.threshold,
            on_progress=bar.show,
        )

    return _described(arguments, "a label", label)


def _described(
    arguments: argparse.Namespace,
    what: str,
    describe: Callable[[ImageSearchEngine, ProgressBar], DescribeReport],
) -> int:
    options = settings.load({"library": arguments.library})
    let_the_reader_judge()
    with (
        ImageSearchEngine(options.library, create=False, options=options) as engine,
        ProgressBar(quiet=arguments.quiet) as bar,
    ):
        report = describe(engine, bar)
    if arguments.json:
        output.print_report_json(report)
    else:
        output.print_described(report, what)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from pixseek import care

    options = settings.load({"library": arguments.library})
    wait_s = options.lock_timeout_s
    report = care.check(options.library, repair=arguments.repair, wait_s=wait_s)
    if arguments.json:
        output.print_report_json(report)
    else:
        output.print_care(report)
    return 0 if report.is_whole else NOT_WHOLE


def _backup(arguments: argparse.Namespace) -> int:
    from pixseek import care

    options = settings.load({"library": arguments.library})
    file = Path(os.path.expanduser(arguments.file)).absolute()  # noqa: PTH111  never raises
    size = care.back_up(options.library, file, wait_s=options.lock_timeout_s)
    print(f"wrote {output.printable(file)} ({size / 1e6:,.1f} MB)")
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from pixseek import care

    options = settings.load({"library": arguments.library})
    file = _existing(arguments.file)
    care.restore(file, options.library, replace=arguments.replace, wait_s=options.lock_timeout_s)
    print(f"the library in {output.printable(options.library)} is that of the backup now")
    return 0


def _move(arguments: argparse.Namespace) -> int:
    if arguments.source is not None and arguments.drop:
        raise InvalidQuery("--drop was given with --from; expected one of them: it is only read.")
    with ProgressBar(quiet=arguments.quiet) as bar:
        if arguments.source is not None:
            from pixseek import moving

            report = moving.move(
                arguments.source, arguments.to, exact=arguments.exact, on_progress=bar.show
            )
        else:
            options = settings.load({"library": arguments.library})
            with ImageSearchEngine(options.library, create=False, options=options) as engine:
                report = engine.move_to(
                    arguments.to,
                    keep=not arguments.drop,
                    exact=arguments.exact,
                    on_progress=bar.show,
                )
    if arguments.json:
        output.print_report_json(report)
    else:
        output.print_move(report)
    return 0


def _models(arguments: argparse.Namespace) -> int:
    if arguments.action == "pull":
        return _pull(arguments)
    if arguments.action == "export":
        done = inventory.export_model(arguments.source, Path(arguments.folder), int8=arguments.int8)
        output.print_exported(done)
        return 0
    options = settings.load()
    if arguments.bench is not None:
        for name in arguments.bench or inventory.measurable(options):
            print(f"pixseek: measuring {output.printable(name)}", file=sys.stderr)
            inventory.measure(name, options)
    if arguments.json:
        output.print_models_json(inventory.entries(options))
    else:
        output.print_models(inventory.entries(options), inventory.runs_on(options))
    return 0


def _pull(arguments: argparse.Namespace) -> int:
    options = settings.load({"offline": arguments.offline})
    with FetchBar(quiet=arguments.quiet) as fetching:
        folder = inventory.pull(
            arguments.name, options, upgrade=arguments.upgrade, on_fetch=fetching.show
        )
    where = "part of pixseek" if folder is None else output.printable(folder)
    print(f"{output.printable(arguments.name)} is here, whole: {where}")
    return 0


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "index": _index,
    "watch": _watch,
    "search": _search,
    "save": naming.save,
    "saved": naming.saved,
    "eval": judging.judge,
    "similar": alike.similar,
    "dupes": alike.dupes,
    "clusters": alike.clusters,
    "status": _status,
    "remove": _remove,
    "switch": _switch,
    "caption": _caption,
    "label": _label,
    "doctor": _doctor,
    "backup": _backup,
    "restore": _restore,
    "move": _move,
    "models": _models,
    "serve": services.serve,
    "mcp": services.mcp,
}


def _say_what_is_better(engine: ImageSearchEngine, options: settings.Settings) -> None:
    """Once, when a library is made with the built-in model because no other was named or here."""
    if not engine.is_new or options.model:
        return
    better = inventory.better_than(engine.encoder.space.model)
    if better is not None:
        print(
            "pixseek: made a library with the built-in model; for better answers:"
            f" pixseek switch {better.name} (fetches {better.megabytes:,} MB)",
            file=sys.stderr,
        )


def _query_and_folders(arguments: argparse.Namespace) -> tuple[str | None, list[Path]]:
    """With --like or --words and no query, what stands where the query would is a folder."""
    query, folders = arguments.query, list(arguments.folders)
    if (
        (arguments.like or arguments.words)
        and query
        and not folders
        and (_is_folder(query) or (os.sep in query and not _has_syntax(query)))
    ):
        query, folders = None, [query]
    for folder in folders:
        if not _is_folder(folder):
            raise MissingPath(
                folder, "a folder that exists (put a query of several words in quotes)"
            )
    return query, [_existing(folder) for folder in folders]


def _has_syntax(query: str) -> bool:
    """Whether it is a line of the query language, and not plain words or a path."""
    try:
        return Query.parse(query) != Query.text(query)
    except InvalidQuery:
        return True


def _sync(
    engine: ImageSearchEngine,
    paths: list[Path] | None,
    *,
    quiet: bool,
    exclude: Sequence[str] = (),
    include: Sequence[str] = (),
) -> IndexReport:
    let_the_reader_judge()
    with ProgressBar(quiet=quiet) as bar:
        return engine.index_images(
            paths,
            exclude=exclude,
            include=include,
            on_progress=bar.show,
            on_wait=lambda holder: print(
                f"pixseek: waiting for {output.printable(holder)}", file=sys.stderr
            ),
        )


def _sync_before_search(engine: ImageSearchEngine, folders: list[Path]) -> None:
    try:
        report = _sync(engine, folders, quiet=False)
    except LibraryLocked as error:
        holder = output.printable(error.holder)
        print(f"pixseek: {holder} is indexing; searching what is there", file=sys.stderr)
        return
    done = output.summary(report)
    if done:
        print(f"pixseek: brought in step: {done}", file=sys.stderr)
    for folder in report.missing:
        print(f"pixseek: cannot be read now: {folder}", file=sys.stderr)
