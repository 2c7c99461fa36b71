"""Where a model's files are: found on this machine, or fetched from the hub and verified.

A model is kept as a plain folder of plain files, which can be copied to another machine and named
there. Only what is needed is fetched, and of that only formats that cannot run code: ONNX, JSON and
text. The commit that was fetched is kept, so a model stays what it is until it is upgraded.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha1, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pixseek.errors import ModelNotFetched, ModelUnavailable

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from pixseek.encoders import Options
    from pixseek.encoders.catalog import Model

CHECKSUMS = "SHA256SUMS"
"""The file that says what a folder holds, a line each: the hash in hexadecimal, two spaces, the
path with '/'. It is written last, so a folder that has it is complete."""
SOURCE = "source.json"
"""Where a folder was fetched from: repository, commit."""
TIMEOUT_S = 20.0
_AT_ONCE = 1 << 20

_OPEN_CLIP = re.compile(r"config\.json|(visual|textual)/[\w.-]+\.(onnx|data|json|txt|model)")
_TRANSFORMERS = re.compile(r"[\w-]+\.(json|txt|model)")
_MATTERS = re.compile(r".*\.(onnx|onnx_data|data|json|txt|model|safetensors)")
"""Files on which vectors depend; not a README, nor what version control keeps."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """How far a model's download is. In bytes."""

    model: str
    repository: str
    done: int
    total: int


OnFetch: TypeAlias = Callable[[Fetch], None]


@dataclass(frozen=True, slots=True)
class _File:
    """A file on the hub, and the hash by which it is known there."""

    name: str
    size: int
    sha256: str | None
    blob: str | None
    """git's hash of it, for files that are kept in git itself."""


def models_folder() -> Path:
    """Where fetched models are kept."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("pixseek", appauthor=False)) / "models"


def folder_of(model: Model, options: Options) -> Path:
    """The folder that holds the model's files, complete and verified; fetched if need be.

    Raises ModelNotFetched when they are not here and cannot be fetched, or may not be (offline).
    """
    given = Path(model.source)
    if given.is_absolute():
        if not given.is_dir():
            raise ModelUnavailable(model.name, f"the folder {given} is not there")
        return given
    folder = _place(model, options)
    if (folder / CHECKSUMS).is_file():
        return folder
    return fetch(model, options)


def is_here(model: Model, options: Options) -> bool:
    """Whether the model can be used without a network."""
    if Path(model.source).is_absolute():
        return Path(model.source).is_dir()
    return (_place(model, options) / CHECKSUMS).is_file()


def fetch(model: Model, options: Options, *, upgrade: bool = False) -> Path:
    """Fetch what is missing of the model's files, verify all of them, return their folder.

    upgrade: take the newest commit of the model's revision, not the one that was fetched before.
    What is whole already is not fetched again, and a file that was cut off goes on where it was.
    Raises ModelNotFetched.
    """
    if options.offline or os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise ModelNotFetched(model.name, _repository(model), "downloads are off (offline)")
    from filelock import FileLock

    folder = _place(model, options)
    with _translated(model):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(folder.name + ".lock")):
            if upgrade:
                for name in (CHECKSUMS, SOURCE):
                    (folder / name).unlink(missing_ok=True)
            if not (folder / CHECKSUMS).is_file():
                _fill(folder, model, options)
    return folder


def fingerprint(folder: Path) -> str:
    """One hash of every file of a model's folder on which its vectors depend.

    From the folder's checksums where it has them; else the files are read, and the result is kept
    in the user's cache for as long as their sizes and times do not change.
    """
    with suppress(OSError):
        lines = (folder / CHECKSUMS).read_text("utf-8").splitlines()
        return _joined(line for line in lines if _MATTERS.fullmatch(line.split("  ", 1)[1]))
    files = sorted(
        (path.as_posix(), (folder / path).stat())
        for path in (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
        if _MATTERS.fullmatch(path.name) and not any(part[0] == "." for part in path.parts)
    )
    seen = [[name, status.st_size, status.st_mtime_ns] for name, status in files]
    cache = models_folder().parent / "fingerprints.json"
    known: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        known = json.loads(cache.read_bytes())
    entry = known.get(str(folder))
    if isinstance(entry, dict) and entry.get("files") == seen:
        return str(entry["fingerprint"])
    found = _joined(f"{_hash(folder / name)}  {name}" for name, _ in files)
    with suppress(OSError):  # it only saves time
        cache.parent.mkdir(parents=True, exist_ok=True)
        _write(cache, json.dumps(known | {str(folder): {"files": seen, "fingerprint": found}}))
    return found


def _repository(model: Model) -> str:
    return model.source.partition("@")[0]


def _place(model: Model, options: Options) -> Path:
    name = re.sub(r"[^\w.-]+", "--", model.name)
    return (options.folder or models_folder()) / name


def _fill(folder: Path, model: Model, options: Options) -> None:
    from huggingface_hub import HfApi, hf_hub_download

    repository, _, asked = model.source.partition("@")
    commit = asked or model.revision
    with suppress(OSError, ValueError, KeyError):
        source = json.loads((folder / SOURCE).read_bytes())
        commit = source["commit"] if source["repository"] == repository else commit
    endpoint = os.environ.get("HF_ENDPOINT")
    api = HfApi(endpoint=endpoint)
    commit, files = _listed(api, model, repository, commit)
    _write(folder / SOURCE, json.dumps({"repository": repository, "commit": commit}, indent=1))
    known = dict(model.sha256)
    total, done = sum(file.size for file in files), 0
    sums = []
    for file in files:
        report = _reporter(model, repository, done, total, options.on_fetch)
        hf_hub_download(
            repository,
            file.name,
            revision=commit,
            local_dir=folder,
            endpoint=endpoint,
            etag_timeout=TIMEOUT_S,
            tqdm_class=report,
        )
        done += file.size
        checked = _verified(folder / file.name, file, known.get(file.name), model)
        sums.append(f"{checked}  {file.name}")
    _write(folder / CHECKSUMS, "\n".join(sorted(sums)) + "\n")


def _listed(api: HfApi, model: Model, repository: str, revision: str) -> tuple[str, list[_File]]:
    """The commit of a revision, and the files of it that the model needs."""
    found = api.model_info(repository, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
    files = [
        _File(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else None, one.blob_id)
        for one in found.siblings or ()
    ]
    names = {file.name for file in files}
    if "visual/model.onnx" in names:
        wanted = _OPEN_CLIP
    elif variant := _variant(names):
        weights = rf"onnx/(vision|text)_model{variant}\.onnx(_data)?"
        wanted = re.compile(rf"{_TRANSFORMERS.pattern}|{weights}")
    else:
        raise ModelNotFetched(
            model.name, repository, "it holds no ONNX model in a layout that pixseek knows"
        )
    return found.sha or revision, [file for file in files if wanted.fullmatch(file.name)]


def _variant(names: set[str]) -> str | None:
    """A pattern of the file suffix to take: float32 where there is one."""
    for suffix in ("", "_fp16", "_int8", "_quantized"):
        if f"onnx/vision_model{suffix}.onnx" in names:
            return suffix or "()"
    return None


def _verified(path: Path, file: _File, known: str | None, model: Model) -> str:
    """The file's SHA-256; a file that is not what it should be is deleted, and named."""
    found = _hash(path)
    expected = known or file.sha256
    right = found == expected if expected else file.blob in (None, _git_hash(path))
    if not right:
        path.unlink()
        raise ModelNotFetched(
            model.name,
            _repository(model),
            f"{file.name} is not what its checksum says, and was deleted",
        )
    return found


def _hash(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as stream:
        while part := stream.read(_AT_ONCE):
            digest.update(part)
    return digest.hexdigest()


def _git_hash(path: Path) -> str:
    content = path.read_bytes()
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _joined(lines: Iterable[str]) -> str:
    return sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    """All of it or nothing."""
    half = path.with_name(f"{path.name}.{os.getpid()}.half")
    half.write_text(text, "utf-8")
    half.replace(path)


def _reporter(
    model: Model, repository: str, before: int, total: int, on_fetch: OnFetch | None
) -> type[Any]:
    """What huggingface_hub takes for a progress bar: it calls us, and draws nothing."""
    from tqdm import tqdm

    class Reporter(tqdm):  # type: ignore[misc]  # it has no types
        def __init__(self, *_: object, initial: int = 0, **__: object) -> None:
            super().__init__(disable=True)
            self.n: float = initial

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if on_fetch is not None:
                on_fetch(Fetch(model.name, repository, before + int(self.n), total))

    return Reporter


@contextmanager
def _translated(model: Model) -> Iterator[None]:
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        reason = "its owner asks for an account and consent (set HF_TOKEN)"
        raise ModelNotFetched(model.name, _repository(model), reason) from error
    except errors.RepositoryNotFoundError as error:
        reason = "there is no such repository, or it is private (set HF_TOKEN)"
        raise ModelNotFetched(model.name, _repository(model), reason) from error
    except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        reason = f"the revision or a file of it is not there ({error})"
        raise ModelNotFetched(model.name, _repository(model), reason) from error
    except (
        errors.HTTPError,  # type: ignore[attr-defined]  # of the client that it asks with
        *(errors.FileMetadataError, OSError, ValueError),
    ) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelNotFetched(model.name, _repository(model), reason) from error
