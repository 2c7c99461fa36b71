"""A model of the hub → its files in a folder: listed, downloaded, verified, resumed.

`huggingface_hub` gives the connection, with what it reads from the environment: HF_ENDPOINT,
HF_TOKEN, HF_HUB_OFFLINE, proxies. Its own download into a folder begins again from nothing after an
interruption, so files are appended to here.

A file grows under a name that ends with `.part` and has its hash in it. Only when all are whole do
they take their places, and only then are checksums written: an interrupted fetch goes on where it
was, and an interrupted upgrade leaves the model as it was.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import file_digest, sha1
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import filelock
from huggingface_hub import constants, get_session, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,  # of httpx or httpx2, whichever the version takes
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import hf_raise_for_status, validate_repo_id

from pixseek import __version__
from pixseek.encoders import hub
from pixseek.encoders.selection import chosen
from pixseek.errors import ModelNotFetched
from pixseek.records import Fetch, OnFetch

if TYPE_CHECKING:
    from pixseek.encoders import Options
    from pixseek.encoders.catalog import Model

TRIES = 4
"""Attempts in a row that bring nothing, before a download is given up."""
PAUSE_S = 1.0
BUSY = (408, 429, 500, 502, 503, 504)
"""HTTP answers after which it is worth trying again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file as the hub lists it."""

    path: str
    size: int
    sha256: str | None
    blob: str | None
    """Git's hash of it, which is all that the hub says of small files."""

    def part(self, folder: Path) -> Path:
        """Where it grows."""
        return folder / f"{self.path}.{(self.sha256 or self.blob or '')[:12]}.part"

    def verified(self, file: Path) -> str | None:
        """The sha256 of a file if it is this one; None when it is not, or not there."""
        if not file.is_file() or file.stat().st_size != self.size:
            return None
        with file.open("rb") as content:
            found = file_digest(content, "sha256").hexdigest()
        if self.sha256 is not None:
            return found if found == self.sha256 else None
        content_hash = sha1(b"blob %d\0" % self.size + file.read_bytes()).hexdigest()
        return found if content_hash == self.blob else None


def fetch(model: Model, options: Options, *, upgrade: bool = False) -> Path:
    """The folder with the model's files, all of them there and checked.

    What is there already is checked, and fetched again where it is damaged. Once a model is there
    it stays at its commit; `upgrade` asks which commit its revision is at now.
    Raises ModelNotFetched, for each reason in its own words.
    """
    model = replace(model, source=model.source.removeprefix("hf-hub:"))  # as open_clip has it
    folder = hub.kept_in(model, options)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, model, options.on_fetch):
            before = hub.checksums(folder)
            if before and not upgrade and _intact(folder, before):
                return folder
            if options.offline:
                raise ModelNotFetched(
                    model.name, model.source, "nothing may be fetched (setting offline)"
                )
            _Fetch(model, folder, options.on_fetch).run(before, upgrade=upgrade)
            return folder
    except (HTTPError, HFValidationError, OSError) as error:
        raise ModelNotFetched(model.name, model.source, _reason(error, model, folder)) from error


class _Fetch:
    def __init__(self, model: Model, folder: Path, on_fetch: OnFetch | None) -> None:
        validate_repo_id(model.source)
        self._model = model
        self._folder = folder
        self._on_fetch = on_fetch
        self._done = self._total = 0

    def run(self, before: dict[str, str], *, upgrade: bool) -> None:
        pinned = hub.read_json(self._folder / hub.SOURCE).get("commit") if before else None
        revision = str(pinned) if pinned and not upgrade else self._model.revision
        commit, files = self._listed(revision)
        hashes: dict[str, str] = {}
        missing: list[Wanted] = []
        for file in files:
            found = file.verified(self._folder / file.path)
            if found is None:
                missing.append(file)
            else:
                hashes[file.path] = found
        self._total = sum(file.size for file in files)
        self._done = self._total - sum(file.size for file in missing)
        self._make_room(missing)
        for file in missing:
            hashes[file.path] = self._downloaded(file, commit)
        self._settle(missing, hashes, before)
        source = {
            "repository": self._model.source,
            "revision": self._model.revision,
            "commit": commit,
            "fetched": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        hub.write_json(self._folder / hub.SOURCE, source)
        lines = [f"{hash}  {path}\n" for path, hash in sorted(hashes.items())]
        hub.write(self._folder / hub.CHECKSUMS, "".join(lines))

    def _listed(self, revision: str) -> tuple[str, list[Wanted]]:
        """The commit that a revision is at, and the files of it that the model needs."""
        model = self._model
        url = f"{_endpoint()}/api/models/{model.source}/revision/{quote(revision, safe='')}"
        response = get_session().get(
            url,
            params={"blobs": "true"},
            headers=_headers(),
            timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        )
        hf_raise_for_status(response)
        known = dict(model.sha256)
        try:
            answer = response.json()
            commit = str(answer["sha"])
            listed = {str(one["rfilename"]): one for one in answer["siblings"]}
            files = [_wanted(listed[path]) for path in chosen(model, listed)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelNotFetched(
                model.name, model.source, f"{_endpoint()} does not answer as a hub does ({error!r})"
            ) from error
        return commit, [self._with_hash(file, known.get(file.path)) for file in files]

    def _with_hash(self, file: Wanted, known: str | None) -> Wanted:
        """known: its sha256 in the catalog, which goes before what the hub says."""
        said = file.sha256 or file.blob
        if (known or said) is None:
            reason = f"{_endpoint()} does not say the hash of {file.path}"
            raise ModelNotFetched(self._model.name, self._model.source, reason)
        if known and file.sha256 not in (None, known):
            raise ModelNotFetched(
                self._model.name,
                self._model.source,
                f"{file.path} of {self._model.source} is no longer the file that this pixseek knows"
                f" (upgrade pixseek, or name it onnx:{self._model.source} to take what is there)",
            )
        return replace(file, sha256=known or file.sha256)

    def _make_room(self, missing: list[Wanted]) -> None:
        """Raise ModelNotFetched unless the disk has room for what is still to come."""
        needed = sum(file.size - _size(file.part(self._folder)) for file in missing)
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise ModelNotFetched(
                self._model.name,
                self._model.source,
                f"it takes {needed / 1e6:,.0f} MB more, and the disk of {str(self._folder)!r} has "
                f"{free / 1e6:,.0f} MB free",
            )

    def _downloaded(self, file: Wanted, commit: str) -> str:
        """The sha256 of the file, which lies whole and verified in its part."""
        part = file.part(self._folder)
        part.parent.mkdir(parents=True, exist_ok=True)
        if _size(part) > file.size:
            part.unlink()
        part.touch()
        self._done += _size(part)
        url = f"{_endpoint()}/{self._model.source}/resolve/{quote(commit)}/{quote(file.path)}"
        failed = 0
        while (had := _size(part)) < file.size:
            try:
                self._append(url, part, file.size)
            except HTTPError as error:
                if isinstance(error, HfHubHTTPError) and error.response.status_code not in BUSY:
                    raise
                failed = 1 if _size(part) > had else failed + 1
                if failed == TRIES:
                    raise
                time.sleep(PAUSE_S)
        found = file.verified(part)
        if found is None:
            part.unlink()
            raise ModelNotFetched(
                self._model.name,
                self._model.source,
                f"{file.path} as it came from {_endpoint()} does not have its checksum; what came "
                "has been deleted",
            )
        return found

    def _append(self, url: str, part: Path, size: int) -> None:
        """Ask for the rest of a file, and add what comes."""
        had = _size(part)
        headers = _headers() | {"Accept-Encoding": "identity"}
        if had:
            headers["Range"] = f"bytes={had}-"
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
            hf_raise_for_status(response)
            goes_on = response.status_code == 206
            with part.open("ab" if goes_on else "wb") as out:
                self._done -= 0 if goes_on else had
                for chunk in response.iter_bytes():  # as they come: none is lost when it breaks
                    out.write(chunk)
                    self._done += len(chunk)
                    self._tell()
                    if out.tell() > size:
                        return  # it cannot be the right one any more
                out.flush()
                os.fsync(out.fileno())

    def _settle(
        self, fetched: list[Wanted], hashes: dict[str, str], before: dict[str, str]
    ) -> None:
        """Put every file in its place; from the first step to the last the model is incomplete."""
        (self._folder / hub.CHECKSUMS).unlink(missing_ok=True)
        for file in fetched:
            file.part(self._folder).replace(self._folder / file.path)
        for path in before.keys() - hashes.keys():
            (self._folder / path).unlink(missing_ok=True)
        for part in self._folder.rglob("*.part"):
            part.unlink(missing_ok=True)

    def _tell(self) -> None:
        if self._on_fetch is not None:
            done = min(self._done, self._total)
            self._on_fetch(_told(self._model, done, self._total))


@contextmanager
def _alone(folder: Path, model: Model, on_fetch: OnFetch | None) -> Iterator[None]:
    """Hold the folder; another process that is fetching the same model is waited for."""
    lock = filelock.FileLock(f"{folder}.lock")
    try:
        lock.acquire(timeout=0.1, poll_interval=0.02)
    except filelock.Timeout:
        if on_fetch is not None:
            on_fetch(_told(model, 0, 0))
        lock.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        lock.release()


def _intact(folder: Path, known: dict[str, str]) -> bool:
    for path, expected in known.items():
        with suppress(FileNotFoundError), (folder / path).open("rb") as content:
            if file_digest(content, "sha256").hexdigest() == expected:
                continue
        return False
    return True


def _wanted(listed: dict[str, Any]) -> Wanted:
    """A file of the hub's answer; raises TypeError when it is not as the hub's are."""
    size, sha256, blob = listed["size"], (listed.get("lfs") or {}).get("sha256"), listed["blobId"]
    if not isinstance(size, int):
        raise TypeError(f"the size of {listed['rfilename']} is {size!r}")
    return Wanted(str(listed["rfilename"]), size, sha256, blob)


def _told(model: Model, done: int, total: int) -> Fetch:
    return Fetch(model.name, model.source, urlsplit(_endpoint()).netloc, done, total)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _headers() -> dict[str, str]:
    """No more than what is asking, and the token if there is one."""
    headers = {"User-Agent": f"pixseek/{__version__}"}
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    return headers if token is None else headers | {"Authorization": f"Bearer {token}"}


def _reason(error: Exception, model: Model, folder: Path) -> str:
    """Why a model could not be fetched, for people."""
    server, repository = _endpoint(), model.source
    if isinstance(error, OfflineModeIsEnabled):
        return "nothing may be fetched (HF_HUB_OFFLINE)"
    if isinstance(error, HFValidationError):
        return f"{repository!r} does not name a repository; expected OWNER/NAME"
    if isinstance(error, GatedRepoError):
        return (
            f"{repository} is open only to those who accepted its terms; do so at "
            f"{server}/{repository}, and give your token in HF_TOKEN"
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{repository} has no revision {model.revision!r}"
    if isinstance(error, RepositoryNotFoundError):
        return f"{server} has no repository {repository}, or shows it only to some (HF_TOKEN)"
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403):
            return f"{server} refuses {repository} ({status}); a token in HF_TOKEN may open it"
        return f"{server} answered {status} when asked for {repository}"
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            return f"the disk of {str(folder)!r} is full"
        return f"{str(folder)!r} cannot be written ({error.strerror or error})"
    return f"{server} cannot be reached, or stopped answering ({error!r})"
