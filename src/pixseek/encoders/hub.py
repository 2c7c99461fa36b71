"""Where a model's files are: found, fetched when that is allowed, and known by one hash."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pixseek.errors import ModelNotFetched, ModelUnavailable

if TYPE_CHECKING:
    from pixseek.encoders import Options
    from pixseek.encoders.catalog import Model

CHECKSUMS = "SHA256SUMS"
"""The file that says what a folder holds, a line each: the hash in hexadecimal, two spaces, the
path with '/'. It is written last, so a folder that has it is complete."""
SOURCE = "source.json"
"""The file that says where a folder was fetched from: repository, revision, commit, date."""

_OF_THE_MODEL = re.compile(r"\.(onnx|safetensors|json|txt|model|data|onnx_data(_\d+)?)$")
"""Weights, tokenizers and configurations; all else (README, licence, pictures) makes no vectors."""


def folder_of(model: Model, options: Options) -> Path:
    """The folder that holds the model's files, complete and verified.

    They are fetched when they are missing and `options.on_fetch` says whom to tell of it.
    Raises ModelUnavailable when the folder that the model names is gone, ModelNotFetched when they
    are not there and may not or cannot be fetched.
    """
    found = find(model, options)
    if found is not None:
        return found
    if Path(model.source).is_absolute():
        raise ModelUnavailable(model.name, f"there is no folder {model.source!r}")
    if options.offline:
        raise ModelNotFetched(model.name, model.source, "nothing may be fetched (setting offline)")
    if options.on_fetch is None:
        raise ModelNotFetched(model.name, model.source, "it has not been fetched")
    from pixseek.encoders.fetching import fetch

    return fetch(model, options)


def find(model: Model, options: Options) -> Path | None:
    """The folder that holds the model's files; None when they are not all there."""
    named = Path(model.source)
    if named.is_absolute():
        return named if named.is_dir() else None
    folder = kept_in(model, options)
    known = checksums(folder)
    return folder if known and all((folder / path).is_file() for path in known) else None


def kept_in(model: Model, options: Options) -> Path:
    """The folder of a model of the hub, whether it is there or not."""
    return (options.folder or cache() / "models") / re.sub(r"[^\w.-]+", "--", model.name)


def cache() -> Path:
    """The user's cache for pixseek: all in it can be made or fetched again."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("pixseek", appauthor=False))


def checksums(folder: Path) -> dict[str, str]:
    """The folder's checksums, path → sha256; {} when it has none, or not in their form."""
    try:
        lines = (folder / CHECKSUMS).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found = {path: hash for hash, _, path in (line.partition("  ") for line in lines)}
    return {} if "" in found else found


def fingerprint(folder: Path) -> str:
    """One hash of all files of a model's folder that have a part in its vectors.

    Taken from the folder's checksums, or else from the files themselves; these are read again only
    when their size or time has changed.
    Raises ModelUnavailable when a file cannot be read.
    """
    known = checksums(folder) or _hashed(folder)
    lines = [f"{hash}  {path}" for path, hash in known.items() if _counts(path)]
    return sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _counts(path: str) -> bool:
    hidden = any(part.startswith(".") for part in PurePosixPath(path).parts)
    return not hidden and path != SOURCE and bool(_OF_THE_MODEL.search(path))


def _hashed(folder: Path) -> dict[str, str]:
    """path → sha256 of the files that count."""
    paths = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*")}
    return hashes({path: file for path, file in paths.items() if _counts(path) and file.is_file()})


def hashes(files: Mapping[str, Path]) -> dict[str, str]:
    """name → sha256; what was hashed is remembered in the user's cache.

    Raises ModelUnavailable when a file cannot be read.
    """
    memory = cache() / "hashes.json"
    remembered = read_json(memory)
    known = len(remembered)
    found: dict[str, str] = {}
    for name, file in files.items():
        try:
            stat = file.stat()
            key = f"{stat.st_size} {stat.st_mtime_ns} {file.resolve()}"
            if not isinstance(remembered.get(key), str):
                with file.open("rb") as content:
                    remembered[key] = file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise ModelUnavailable(str(file), f"it cannot be read ({error})") from error
        found[name] = str(remembered[key])
    if len(remembered) > known:
        with suppress(OSError):  # then they are hashed again next time
            write_json(memory, remembered)
    return found


def read_json(file: Path) -> dict[str, object]:
    """The object in a file of ours; {} when it is not there or damaged."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(file: Path, content: Mapping[str, object]) -> None:
    write(file, json.dumps(content, indent=2) + "\n")


def write(file: Path, text: str) -> None:
    """All of it or nothing, whatever happens meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}.draft")
    with draft.open("w", encoding="utf-8", newline="\n") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
