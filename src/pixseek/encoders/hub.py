"""Where a model's files are: found, fetched and verified."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pixseek.errors import ModelUnavailable

if TYPE_CHECKING:
    from pixseek.encoders import Options
    from pixseek.encoders.catalog import Model

CHECKSUMS = "SHA256SUMS"
"""The file that says what a folder holds, a line each: the hash in hexadecimal, two spaces, the
path with '/'. It is written last, so a folder that has it is complete."""


def folder_of(model: Model, options: Options) -> Path:  # noqa: ARG001
    """The folder that holds the model's files, complete and verified.

    Raises ModelUnavailable when they are not there and cannot be fetched.
    """
    folder = Path(model.source)
    if folder.is_absolute() and folder.is_dir():
        return folder
    raise ModelUnavailable(model.name, "its files are not on this machine")


def fingerprint(folder: Path) -> str:
    """One hash of every file of a model's folder: of its checksums, which are made if missing."""
    lines = [
        f"{sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder).as_posix()}"
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != CHECKSUMS
    ]
    return sha256("\n".join(lines).encode()).hexdigest()
