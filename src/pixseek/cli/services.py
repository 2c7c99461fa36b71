"""`pixseek serve` and `pixseek mcp`: other faces of a library, started from the command line."""

from __future__ import annotations

import argparse
import sys

from pixseek.cli.options import Commands, command, library
from pixseek.errors import MissingExtra


def add_serve(commands: Commands) -> None:
    """The parser of `pixseek serve`."""
    parser = command(
        commands,
        "serve",
        "the page and the HTTP API, for a browser and other programs",
        "Serve a library until interrupted: a page to search it in, and the API of docs/web.md."
        " Only this machine reaches it unless --host says otherwise, and then all need a token."
        " Needs the extra web.",
    )
    library(parser)
    parser.add_argument(
        "--host", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument("--port", metavar="N", help="port; 0: one that is free (default: 8765)")
    parser.add_argument(
        "--token",
        metavar="TEXT",
        help="what clients must send; better given as PIXSEEK_TOKEN, where no other user of this"
        " machine sees it (default: made up when others can reach it)",
    )
    parser.add_argument(
        "--allow-write", action="store_true", help="let clients bring the library in step"
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")


def add_mcp(commands: Commands) -> None:
    """The parser of `pixseek mcp`."""
    parser = command(
        commands,
        "mcp",
        "let language models search the library (Model Context Protocol)",
        "Answer a program that starts this command and speaks the Model Context Protocol over its"
        " standard input and output. It only reads. Needs the extra mcp.",
    )
    library(parser)


def serve(arguments: argparse.Namespace) -> int:
    """Carry out the command; returns when it is interrupted."""
    try:
        from pixseek.web import serving
    except ModuleNotFoundError as error:
        raise MissingExtra("pixseek serve", "web") from error
    from pixseek import settings
    from pixseek.engine import ImageSearchEngine

    options = settings.load(
        {
            "library": arguments.library,
            "host": arguments.host,
            "port": arguments.port,
            "token": arguments.token,
        }
    )
    with ImageSearchEngine(options.library, create=False, options=options) as engine:
        served = serving.service(engine, options, allow_write=arguments.allow_write)
        with serving.bind(options) as taken:
            address = serving.address(served, taken)
            print(f"pixseek: {address} (Ctrl-C ends it)", file=sys.stderr, flush=True)
            serving.run(served, taken, open_page=arguments.open)
    return 0


def mcp(arguments: argparse.Namespace) -> int:
    """Carry out the command; returns when its input ends."""
    try:
        from pixseek.mcp import run
    except ModuleNotFoundError as error:
        raise MissingExtra("pixseek mcp", "mcp") from error
    from pixseek import settings
    from pixseek.engine import ImageSearchEngine

    options = settings.load({"library": arguments.library})
    with ImageSearchEngine(options.library, create=False, options=options) as engine:
        run(engine)
    return 0
