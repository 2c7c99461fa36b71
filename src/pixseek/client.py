"""A client for `pixseek serve`: the library of another process or machine, as if it were here.

    from pixseek.client import Client

    with Client("http://127.0.0.1:8765") as client:
        for hit in client.search("beach at sunset").hits:
            print(hit.score, hit.path)

What the server refuses is raised as the same class of error as the engine would raise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

import httpx

from pixseek import errors
from pixseek.records import FacetValue, Hit, Metadata, OnProgress, Progress, Where

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Client", "Page", "ServerItem", "ServerStatus"]

DEFAULT_URL = "http://127.0.0.1:8765"
_API = "/api/v1"
_PROBLEM = "urn:pixseek:error:"


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the pictures that were found."""

    hits: list[Hit]
    """Their paths are the server's. A score is 0 where the newest were asked for."""
    next: str | None
    """Cursor of the next page; None when there is none."""
    total: int | None
    """Pictures that pass the filter; None with `min_score`."""
    note: str | None
    """What the server says of the answer, such as that it is indexing."""


@dataclass(frozen=True, slots=True)
class ServerItem:
    """All that a server knows of a picture."""

    id: str
    metadata: Metadata
    paths: list[Path]
    """On the server."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What a server's library holds."""

    version: str
    library: str
    store: str
    model: str
    ready: bool
    """Whether the model is loaded."""
    items: int
    files: int
    skipped: int
    writer: str | None
    """The process that is writing now, or None."""
    writable: bool
    """Whether `index` is allowed."""


class Client:
    """Safe to use from threads. Every call raises ServiceUnavailable when no server answers,
    TokenNeeded, ServiceBusy, and what the engine raises for the same question."""

    def __init__(
        self, url: str = DEFAULT_URL, token: str | None = None, *, timeout_s: float = 30.0
    ) -> None:
        """url: as `pixseek serve` prints it, without the token. token: as given to the server."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise errors.ServiceUnavailable(url, "expected an address such as " + DEFAULT_URL)
        self._url = f"{parts.scheme}://{parts.netloc}"
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        self._http = httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout_s,
            trust_env=not local,  # no proxy stands between a machine and itself
        )

    def search(
        self,
        text: str | None = None,
        *,
        image: str | os.PathLike[str] | bytes | None = None,
        like: Sequence[str] = (),
        unlike: Sequence[str] = (),
        where: Where | None = None,
        min_score: float | None = None,
        limit: int = 60,
        cursor: str | None = None,
    ) -> Page:
        """Pictures that show what is asked for, nearest first; of nothing, the newest first.

        image: a picture of yours, a path or its bytes, that is sent along. like, unlike: ids.
        cursor: `next` of the page before, with all else as it was.
        """
        asked: dict[str, object] = {"text": text, "like": list(like), "unlike": list(unlike)}
        asked |= {"min_score": min_score, "limit": limit, "cursor": cursor}
        asked["where"] = None if where is None else json.dumps(where, default=_time)
        if image is None:
            given = {name: value for name, value in asked.items() if value is not None}
            return _page(self._json("GET", "/search", params=given))
        content = image if isinstance(image, bytes) else Path(image).read_bytes()
        answer = self._json(
            "POST", "/search", files={"image": content}, data={"request": json.dumps(asked)}
        )
        return _page(answer)

    def every(self, text: str | None = None, *, limit: int = 200, **asked: Any) -> Iterator[Hit]:
        """Every hit of a search, page by page. asked: as `search` takes it."""
        cursor: str | None = None
        while True:
            page = self.search(text, limit=limit, cursor=cursor, **asked)
            yield from page.hits
            if (cursor := page.next) is None:
                return

    def similar(self, id: str, *, limit: int = 60, cursor: str | None = None) -> Page:
        """The pictures most like this one, without it. Raises UnknownItem."""
        params = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        return _page(self._json("GET", f"/items/{_quoted(id)}/similar", params=params))

    def item(self, id: str) -> ServerItem:
        """All that is known of a picture. Raises UnknownItem."""
        body = self._json("GET", f"/items/{_quoted(id)}")
        return ServerItem(body["id"], body["metadata"], [Path(path) for path in body["paths"]])

    def thumbnail(self, id: str, size: Literal[320, 1280] = 320) -> bytes:
        """A small picture, WebP, its longest side at most `size` pixels. Raises UnknownItem."""
        return self._asked(
            "GET", f"{_API}/items/{_quoted(id)}/thumbnail", params={"size": size}
        ).content

    def original(self, id: str) -> bytes:
        """The file itself. Raises UnknownItem, MissingPath."""
        return self._asked("GET", f"{_API}/items/{_quoted(id)}/original").content

    def facets(
        self, fields: Sequence[str] = (), text: str | None = None, *, where: Where | None = None
    ) -> dict[str, list[FacetValue]]:
        """Values of fields and how many pictures have them, of all or of the best of a search."""
        asked = {
            "field": list(fields),
            **({"text": text} if text else {}),
            **({"where": json.dumps(where, default=_time)} if where else {}),
        }
        body = self._json("GET", "/facets", params=asked)
        return {
            field: [FacetValue(one["value"], one["count"]) for one in values]
            for field, values in body.items()
        }

    def status(self) -> ServerStatus:
        """What the server's library holds."""
        body = self._json("GET", "/status")
        return ServerStatus(
            version=body["version"],
            library=body["library"],
            store=body["store"],
            model=body["model"]["name"],
            ready=body["model"]["ready"],
            items=body["items"],
            files=body["files"],
            skipped=body["skipped_total"],
            writer=body["writer"],
            writable=body["writable"],
        )

    def index(
        self,
        on_progress: OnProgress = lambda _: None,
        *,
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> dict[str, int]:
        """Have the server bring its library in step; returns what was done, as counts of files.

        Raises NotPermitted when it was started without --allow-write, LibraryLocked when a run
        goes on already, ServiceError when the run fails.
        """
        return self._run({"kind": "index"}, on_progress, on_wait)

    def caption(
        self,
        *,
        prompt: str | None = None,
        again: bool = False,
        on_progress: OnProgress = lambda _: None,
    ) -> dict[str, int]:
        """Have the server say what pictures without a caption show; raises as `index` does.

        prompt: how captions begin; again: also pictures that have one.
        """
        return self._run({"kind": "captions", "prompt": prompt, "again": again}, on_progress)

    def label(
        self,
        labels: Sequence[str] | None = None,
        *,
        top: int = 5,
        threshold: float = 0.1,
        on_progress: OnProgress = lambda _: None,
    ) -> dict[str, int]:
        """Have the server give every picture the labels that it fits; raises as `index` does.

        labels: None takes the built-in list; top: at most so many a picture; threshold: least share
        of a label, 0 to 1.
        """
        chosen = None if labels is None else list(labels)
        asked = {"kind": "labels", "labels": chosen, "top": top, "threshold": threshold}
        return self._run(asked, on_progress)

    def read_texts(
        self, *, again: bool = False, on_progress: OnProgress = lambda _: None
    ) -> dict[str, int]:
        """Have the server read what is written in pictures; raises as `index` does."""
        return self._run({"kind": "text", "again": again}, on_progress)

    def labels(self) -> list[FacetValue]:
        """Every label and how many pictures have it, the most frequent first."""
        return [FacetValue(one["value"], one["count"]) for one in self._json("GET", "/labels")]

    def tag(self, id: str, tags: Sequence[str]) -> list[str]:
        """Give a picture these tags in place of those it has; returns them as they are kept.

        Raises NotPermitted without --allow-write, UnknownItem, InvalidQuery for what is no tag.
        """
        body = self._json("PUT", f"/items/{_quoted(id)}/tags", json={"tags": list(tags)})
        return [str(one) for one in body["tags"]]

    def _run(
        self,
        asked: Mapping[str, object],
        on_progress: OnProgress,
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> dict[str, int]:
        job = self._json("POST", "/jobs", json=asked)
        url = f"{_API}/jobs/{job['id']}/events"
        for state in self._told(url):
            if state["waiting_for"]:
                on_wait(state["waiting_for"])
            on_progress(Progress(state["total"], state["done"], state["encoded"], state["skipped"]))
            if state["state"] == "done":
                return dict(state["report"])
            if state["state"] in ("failed", "stopped"):
                reason = state["error"] or "the server ended"
                raise errors.ServiceError(
                    f"the run did not finish: {reason} See its log, then ask again."
                )
        raise errors.ServiceUnavailable(self._url, "it ended before the run did")

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _told(self, url: str) -> Iterator[dict[str, Any]]:
        """The data of server-sent events."""
        try:
            with self._http.stream("GET", url) as stream:
                if stream.status_code != httpx.codes.OK:
                    stream.read()
                    raise _error(self._url, stream)
                for line in stream.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line.removeprefix("data: "))
        except httpx.HTTPError as error:
            raise errors.ServiceUnavailable(self._url, _reason(error)) from error

    def _json(self, method: str, path: str, **request: Any) -> Any:
        answer = self._asked(method, _API + path, **request)
        try:
            return answer.json()
        except ValueError as error:
            raise errors.ServiceUnavailable(self._url, "its answer is not JSON") from error

    def _asked(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise errors.ServiceUnavailable(self._url, _reason(error)) from error
        if not answer.is_success:
            raise _error(self._url, answer)
        return answer


def _page(body: Mapping[str, Any]) -> Page:
    hits = []
    for one in body["hits"]:
        metadata = {
            name: value
            for name, value in one.items()
            if value is not None and name not in ("id", "score", "match", "thumbnail")
        }
        hits.append(Hit(one["id"], one["score"] or 0.0, metadata, one["match"]))
    return Page(hits, body["next"], body["total"], body["note"])


def _error(url: str, answer: httpx.Response) -> errors.PixseekError:
    """The error that the server answered with, as the class it was there, with its fields."""
    try:
        problem = answer.json()
        kind = getattr(errors, problem["type"].removeprefix(_PROBLEM))
        error: errors.PixseekError = kind.__new__(kind)
        error.args = (problem["detail"],)
        vars(error).update(problem["fields"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return errors.ServiceUnavailable(url, f"it answered {answer.status_code}")
    return error


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def _quoted(id: str) -> str:
    return quote(id, safe="", errors="replace")


def _time(value: object) -> str:
    """Times in filters may be datetimes."""
    isoformat = getattr(value, "isoformat", None)
    if isoformat is None:
        raise errors.InvalidFilter(value, "expected a text, a number, a time, true or false")
    return str(isoformat())
