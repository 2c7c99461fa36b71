"""What is printed: tables for people, JSON and bare paths for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pixseek.cli import ranked
from pixseek.engine import read_picture
from pixseek.errors import MissingPath, UnreadableImage
from pixseek.exporting import paths_of, tables
from pixseek.inventory import Entry
from pixseek.records import (
    CareReport,
    DescribeReport,
    Exported,
    Hit,
    IndexReport,
    LibraryStatus,
    MoveReport,
    Skipped,
    SwitchReport,
)

if TYPE_CHECKING:
    from pixseek.cli import preview

PREVIEW_COLUMNS, PREVIEW_ROWS = 40, 12
SKIPPED_SHOWN = 10


def print_hits(hits: Sequence[Hit], folders: Sequence[Path], *, preview: bool) -> None:
    """A line a hit: match, score, date, path; and one that says why, where that was asked for."""
    graphics = _graphics() if preview else None
    print(f"match  {'score':>6}  {'date':10}  path")
    for hit in hits:
        path = _path(hit, folders)
        cells = f"{ranked.match_cell(hit):>5}  {hit.score:6.3f}  {tables.date_of(hit.metadata):10}"
        where = printable(_near(path)) + _within(hit)
        print(f"{cells}  {where}{ranked.alike(hit)}")
        if hit.why is not None:
            print(f"       {printable(str(hit.why))}")
        if graphics is not None:
            _print_picture(path, hit.id, graphics)


def print_hits_json(hits: Sequence[Hit], folders: Sequence[Path]) -> None:
    """One JSON array: id, score, match, path, metadata; times as ISO 8601."""
    print(tables.as_json(hits, folders))


def print_paths(hits: Iterable[Hit], folders: Sequence[Path], end: bytes) -> None:
    """Paths as the system's own bytes, so that any file name reaches the next program whole."""
    sys.stdout.flush()
    sys.stdout.buffer.writelines(os.fsencode(_path(hit, folders)) + end for hit in hits)


def summary(report: IndexReport) -> str:
    """What a run did, in words; '' when there was nothing to do."""
    parts = [
        (report.added, "added"),
        (report.changed, "changed"),
        (report.moved, "moved or copied"),
        (report.updated, "with another sidecar"),
        (report.removed, "removed"),
    ]
    return ", ".join(f"{number:,} {what}" for number, what in parts if number)


def print_report(report: IndexReport) -> None:
    """The end of an indexing run, with what was skipped and why."""
    speed = f" ({report.encoded / report.seconds:,.0f} images/s)" if report.encoded else ""
    print(f"{counted(report.indexed, 'file')} indexed in {report.seconds:,.1f} s{speed}")
    print(f"  {summary(report) or 'nothing to do'}; {report.unchanged:,} unchanged")
    for folder in report.missing:
        print(f"  not there now, entries kept: {printable(folder)}")
    if report.skipped:
        print(f"  {counted(len(report.skipped), 'file')} skipped:")
        _print_skipped(report.skipped[:SKIPPED_SHOWN])
        if len(report.skipped) > SKIPPED_SHOWN:
            print("    ... all of them: pixseek status --skipped")


def print_report_json(
    report: IndexReport | SwitchReport | CareReport | MoveReport | DescribeReport,
    texts: DescribeReport | None = None,
) -> None:
    """texts: what reading texts did after an indexing run."""
    rows = asdict(report)
    if isinstance(report, IndexReport):
        rows["indexed"] = report.indexed
    if texts is not None:
        rows["texts"] = asdict(texts)
    print(json.dumps(rows, indent=2, default=str))


def print_described(report: DescribeReport, what: str) -> None:
    """The end of a run that looked for words; what: what it gave to pictures."""
    speed = f" ({report.described / report.seconds:,.1f} images/s)" if report.described else ""
    looked = counted(report.described, "picture")
    print(f"{looked} looked at in {report.seconds:,.1f} s{speed}: {report.found:,} with {what}")
    if report.known:
        print(f"  {counted(report.known, 'picture')} looked at before")
    if report.skipped:
        print(f"  {counted(len(report.skipped), 'picture')} that cannot be read now:")
        _print_skipped(report.skipped[:SKIPPED_SHOWN])
        if len(report.skipped) > SKIPPED_SHOWN:
            print("    ... all of them with --json")


def print_care(report: CareReport) -> None:
    """What looking through a library found: a line a problem, with its cure."""
    problems = counted(len(report.problems), "problem")
    print(f"{counted(report.items, 'picture')} looked at, {problems}")
    for one in report.problems:
        print(f"  {printable(one.what)} ({printable(one.cure)})")


def print_switch(report: SwitchReport) -> None:
    """The end of a switch to another model; if it could not be made, why."""
    if report.switched:
        print(f"the library answers by {report.after} now; before, by {report.before}")
    else:
        print(f"the library still answers by {report.before}: not every picture can be read now")
    speed = f" ({report.encoded / report.seconds:,.0f} images/s)" if report.encoded else ""
    print(f"  {counted(report.encoded, 'picture')} encoded in {report.seconds:,.1f} s{speed}")
    if report.unreadable:
        what = "left out" if report.switched else "missing"
        print(f"  {counted(len(report.unreadable), 'picture')} {what}:")
        _print_skipped(report.unreadable[:SKIPPED_SHOWN])
    if not report.switched:
        print("  run it again when they can be read, or with --leave-out to go on without them")


def print_move(report: MoveReport) -> None:
    """The end of a move, with what was found in the target already."""
    if report.answers:
        print(f"the library answers from {report.after} now; before, from {report.before}")
    speed = f" ({report.copied / report.seconds:,.0f} items/s)" if report.copied else ""
    print(f"{counted(report.copied, 'item')} copied in {report.seconds:,.1f} s{speed}")
    print(
        f"  {report.unchanged:,} were there; {counted(report.verified, 'item')} compared at the end"
    )
    if report.deleted:
        print(f"  {counted(report.deleted, 'item')} deleted that only {report.after} had")
    if report.extra:
        print(f"  {counted(report.extra, 'item')} more in {report.after}; to delete: --exact")


def print_status(status: LibraryStatus, *, skipped: bool) -> None:
    print(f"library   {printable(status.path)} ({status.size_bytes / 1e6:,.1f} MB)")
    print(f"model     {status.space}")
    print(f"store     {status.store}")
    print(f"pictures  {status.items:,} in {counted(status.files, 'file')}")
    for model in status.kept:
        print(f"kept      vectors by {printable(model)} (pixseek switch {printable(model)})")
    for store in status.elsewhere:
        print(f"also in   {store} (pixseek move --to it goes on there)")
    for model in status.building:
        print(f"building  vectors by {printable(model)}; pixseek switch goes on with it")
    for folder in status.folders:
        state = "" if folder.present else "  (not there now)"
        print(f"folder    {printable(folder.path)}: {counted(folder.files, 'file')}{state}")
    for pattern in status.patterns:
        print(f"rule      {printable(pattern)}")
    print(f"skipped   {counted(len(status.skipped), 'file')}")
    if status.writer is not None:
        print(f"writing   {printable(status.writer)}")
    if skipped:
        _print_skipped(status.skipped)


def print_status_json(status: LibraryStatus) -> None:
    print(json.dumps(asdict(status), indent=2, default=str))


def print_models(entries: Sequence[Entry], runs_on: str) -> None:
    """The table of models, and what to make of it."""
    row = "{:26}{:10}{:11}{:>5}  {:10}{:>5} {:>7}  {}"
    print(row.format("model", "family", "licence", "MB", "languages", "COCO", "img/s", "").rstrip())
    for entry in entries:
        model, speed, quality = entry.model, entry.speed, entry.model.quality.coco_r1
        cells = (
            model.name,
            model.family,
            model.licence,
            f"{model.megabytes:,}" if model.megabytes else "-",
            model.languages,
            "-" if quality is None else f"{quality:.1f}",
            "-" if speed is None else f"{speed.images_per_s:.1f}",
            ", ".join(_notes(entry)),
        )
        print(row.format(*cells).rstrip())
    print("\nCOCO: pictures found first by their caption, in percent, as published (MS-COCO 5K).")
    print("img/s: on this machine; measure with: pixseek models --bench")
    print("default: what a new library gets; extra: needs pip install 'pixseek[...]'")
    print(textwrap.fill(f"Runs on: {runs_on}", 100, subsequent_indent="  "))
    for entry in entries:
        if entry.recommended and not entry.default:
            print(f"Recommended: pixseek switch {entry.model.name}")


def _notes(entry: Entry) -> list[str]:
    notes = ["default"] if entry.default else ["here"] if entry.here else []
    if entry.recommended:
        notes.append("recommended")
    if entry.extra:
        notes.append(f"extra {entry.extra}")
    return notes


def print_models_json(entries: Sequence[Entry]) -> None:
    """The fields of each model, and how it stands here, in one object a model."""
    rows = []
    for entry in entries:
        row = asdict(entry)
        rows.append(row.pop("model") | row)
    print(json.dumps(rows, indent=2, default=str))


def print_exported(done: Exported) -> None:
    """What was written, and how near it is to the original."""
    print(f"{printable(done.folder)}: {done.size_bytes / 1e6:,.0f} MB")
    print(f"  from the original: pictures {done.images_apart:.0e}, texts {done.texts_apart:.0e}")
    if done.int8_images_apart is not None:
        pictures, texts = done.int8_images_apart, done.int8_texts_apart
        print(f"  with 8 bits:       pictures {pictures:.0e}, texts {texts:.0e}")
    print("  (1 - cosine, the worst of the samples)")
    if done.int8_images_apart is not None and "vision" not in done.quantised:
        print("  the half for pictures is convolutional and keeps its full precision")
    print(f"  use it: pixseek index FOLDER --model {printable(done.folder)}")


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def printable(text: str | Path) -> str:
    """The text without anything that a terminal would obey, such as escape sequences."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in str(text)
    )


def _path(hit: Hit, folders: Sequence[Path]) -> Path:
    """Of several files with one content, the one in a folder that was asked for."""
    return (paths_of(hit, folders) or [hit.path])[0]


def _within(hit: Hit) -> str:
    """Where in its file it is: ` @ 00:01:23` in a video or animation, ` @ page 3`, or nothing."""
    if hit.moment is not None:
        seconds = int(hit.moment)
        return f" @ {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return "" if hit.page is None else f" @ page {hit.page}"


def _near(path: Path) -> Path:
    """Relative to the working directory when it lies below it, as people would type it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _print_skipped(skipped: Sequence[Skipped]) -> None:
    for one in skipped:
        print(f"    {printable(one.path)}: {printable(one.reason)}")


def _graphics() -> preview.Graphics | None:
    from pixseek.cli import preview

    found = preview.detect(os.environ, sys.stdout, ask=preview.answers_sixel)
    if found is None:
        print("pixseek: this terminal shows no pictures that pixseek knows of", file=sys.stderr)
    return found


def _print_picture(path: Path, item: str, graphics: preview.Graphics) -> None:
    from pixseek.cli import preview

    columns = min(PREVIEW_COLUMNS, shutil.get_terminal_size().columns)
    cell = _cell_size()
    try:
        image = read_picture(path, PREVIEW_ROWS * cell[1], of=item)
    except (MissingPath, UnreadableImage) as error:
        print(f"pixseek: {error}", file=sys.stderr)
        return
    sys.stdout.write(preview.encode(image, graphics, columns=columns, rows=PREVIEW_ROWS, cell=cell))


def _cell_size() -> tuple[int, int]:
    """Pixels of a character cell, as the terminal says, or a common size when it does not."""
    try:
        from fcntl import ioctl
        from struct import unpack
        from termios import TIOCGWINSZ

        rows, columns, width, height = unpack("HHHH", ioctl(sys.stdout, TIOCGWINSZ, b"\0" * 8))
    except (ImportError, OSError, ValueError):
        return 10, 20
    known = width and height and columns and rows
    return (max(1, width // columns), max(1, height // rows)) if known else (10, 20)
