"""What the parsers of commands share: how help is printed, and options that many have."""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Help(argparse.HelpFormatter):
    """80 columns wherever it is printed, so that the documentation equals the terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=80)


def command(commands: Commands, name: str, summary: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=text, formatter_class=Help
    )
    return parser


def library(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--library",
        metavar="DIR",
        help="folder of the library; pictures beside it are stored by relative path, so both can"
        " move together (default: one per user, or PIXSEEK_LIBRARY)",
    )
