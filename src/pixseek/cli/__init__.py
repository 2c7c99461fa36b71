"""The command line: parses, prints, answers. Everything else happens in the engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from pixseek import errors
from pixseek.cli.parser import build_parser

SKIPPED_FILES = 1
NOT_WHOLE = 1
INTERRUPTED = 130
SMALL_PRODUCTS = ("search", "similar", "serve", "mcp")
"""Commands whose matrix products are so small that threads wait for each other longer than they
work: with two cores and other work on them, a search of 100,000 pictures took 60 to 90 ms in place
of 23 to 43. Scans and models have threads of their own."""

EXIT_CODES: dict[type[errors.PixseekError], int] = {
    errors.PixseekError: 1,
    errors.InvalidQuery: 2,
    errors.QueryNotUnderstood: 2,
    errors.InvalidFilter: 2,
    errors.InvalidSetting: 2,
    errors.MissingPath: 2,
    errors.UnknownModel: 2,
    errors.UnknownStore: 2,
    errors.UnreadableImage: 3,
    errors.FormatNeedsExtra: 3,
    errors.FetchError: 3,
    errors.InvalidPictureURL: 2,
    errors.FetchNotAllowed: 2,
    errors.HostNotPublic: 2,
    errors.HostUnreachable: 3,
    errors.FetchRefused: 3,
    errors.TooManyRedirects: 3,
    errors.FetchTooLarge: 3,
    errors.FetchTooSlow: 3,
    errors.NoPictureThere: 3,
    errors.LibraryError: 4,
    errors.LibraryNotFound: 4,
    errors.LibraryTooNew: 4,
    errors.LibraryLocked: 5,
    errors.LibraryDamaged: 4,
    errors.BackupDamaged: 4,
    errors.LibraryInTheWay: 4,
    errors.StoreMismatch: 4,
    errors.StoreError: 4,
    errors.InvalidStoreAddress: 2,
    errors.StoreUnavailable: 7,
    errors.ForeignItems: 4,
    errors.MoveIncomplete: 4,
    errors.UnsupportedFilter: 2,
    errors.InvalidVectors: 4,
    errors.InvalidMetadata: 4,
    errors.ModelError: 6,
    errors.ModelMismatch: 6,
    errors.ModelUnavailable: 6,
    errors.DeviceUnavailable: 6,
    errors.ExportFailed: 6,
    errors.ModelNotFetched: 6,
    errors.MissingExtra: 6,
    errors.UnknownItem: 2,
    errors.ServiceError: 8,
    errors.InvalidRequest: 2,
    errors.NotPermitted: 8,
    errors.TokenNeeded: 8,
    errors.RequestTooLarge: 8,
    errors.ServiceBusy: 8,
    errors.ServiceUnavailable: 8,
}
"""What the process returns for each error; also 1 for skipped files with --strict, a switch that
could not be made, or a library that is not whole; 2 for wrong arguments, 130 when interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    parsed = build_parser().parse_args(arguments)
    if parsed.command in SMALL_PRODUCTS:  # before numpy is imported, which starts the threads
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from pixseek.cli import commands

        code = commands.run(parsed)
        sys.stdout.flush()
    except errors.PixseekError as error:
        print(f"pixseek: {error}", file=sys.stderr)
        return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
    except KeyboardInterrupt:
        print(
            "\npixseek: interrupted. What was reported as indexed is kept; "
            "run the same command to go on.",
            file=sys.stderr,
        )
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) has gone.
        _discard_output()
        return 0
    except OSError as error:
        print(
            f"pixseek: the system refused something: {error}. "
            "Check that the disk is not full and that the files may be read and written.",
            file=sys.stderr,
        )
        _discard_output()
        return EXIT_CODES[errors.PixseekError]
    return code


def _discard_output() -> None:
    """What is left in buffers has nowhere to go; Python would complain of it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
