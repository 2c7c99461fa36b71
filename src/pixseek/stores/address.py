"""A store's URL, taken apart: which engine, where, and which set of vectors in it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Literal, TypeAlias, cast
from urllib.parse import parse_qsl, quote, unquote, urlencode

from pixseek.errors import InvalidStoreAddress

Metric: TypeAlias = Literal["cosine", "l2", "ip"]
METRICS: dict[Metric, str] = {
    "cosine": "cosine similarity",
    "l2": "Euclidean distance",
    "ip": "inner product",
}
"""What the engine below may measure by. On vectors of length 1 all three order alike, and a score
is cosine similarity whatever is measured; the choice is for other programs that read the data."""


@dataclass(frozen=True, slots=True)
class Address:
    """`NAME:PLACE?option=value`; a place is a file, a folder, or `//HOST:PORT/...`."""

    name: str
    """A name of `stores.STORES`, such as chroma or chroma+http."""
    place: str = ""
    options: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises InvalidStoreAddress for a metric that is none, and for a key of Pinecone's."""
        start, _, query = url.partition("?")
        name, _, place = start.partition(":")
        address = cls(name, place, dict(parse_qsl(query, keep_blank_values=True)))
        if name == "pinecone" and ("@" in place or address.without_secrets != str(address)):
            # A library keeps its store's URL, and this message is shown: neither may have the key.
            raise InvalidStoreAddress("pinecone", "a key in it", "the key in PINECONE_API_KEY")
        if address.metric not in METRICS:
            raise InvalidStoreAddress(url, f"the metric {address.metric!r}", ", ".join(METRICS))
        return address

    def __str__(self) -> str:
        query = urlencode(self.options, quote_via=quote, safe="/:")
        return self.name + (f":{self.place}" if self.place else "") + (f"?{query}" if query else "")

    def check_options(self, *known: str) -> None:
        """Raise InvalidStoreAddress for options that are neither of these nor of every store."""
        all_known = ("collection", "metric", *known)
        if unknown := sorted(set(self.options) - set(all_known)):
            part = f"the option {unknown[0]!r}"
            raise InvalidStoreAddress(self.without_secrets, part, ", ".join(all_known))

    @property
    def metric(self) -> Metric:
        return cast("Metric", self.options.get("metric", "cosine"))

    @property
    def collection(self) -> str:
        """What the engine calls the place of one set of vectors: collection, table, index."""
        return self.options.get("collection", "pixseek")

    @property
    def plain_collection(self) -> str:
        """The same as every engine and file system takes it: at most 60 of A-Z a-z 0-9 _ -.

        A name of other characters is told apart from all others by a hash at its end.
        """
        name = self.collection
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{1,58}[A-Za-z0-9]", name):
            return name
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        return f"c{re.sub('[^A-Za-z0-9_-]', '-', name)[:45]}-{digest}"

    @property
    def is_remote(self) -> bool:
        """Whether the place is on another machine, or at least behind a server."""
        return self.place.startswith("//")

    @property
    def path(self) -> Path:
        """The place as a file or folder."""
        return Path(unquote(self.place))

    @property
    def without_secrets(self) -> str:
        """The URL as it may be printed: no password, no key."""
        place = self.place
        if self.is_remote and "@" in place:
            user, _, host = place[2:].rpartition("@")
            name, colon, _ = user.partition(":")
            place = f"//{name}{':***' if colon else ''}@{host}"
        secret = ("key", "token", "password")
        hidden = {
            k: "***" if any(word in k for word in secret) else v for k, v in self.options.items()
        }
        return str(replace(self, place=place, options=hidden))

    def beside(self, name: str) -> Address:
        """Where another set of vectors is kept in the same engine."""
        if self.name == "local":
            return replace(self, place=f"sets/{name}")
        collection = f"{self.collection.partition('--')[0]}--{name}"
        return replace(self, options={**self.options, "collection": collection})

    def absolute(self) -> Address:
        """The same with a relative folder or file made absolute, as a library keeps it."""
        if self.name in ("local", "memory", "pinecone") or "//" in self.place or not self.place:
            return self
        full = os.path.abspath(os.path.expanduser(unquote(self.place)))  # noqa: PTH100, PTH111
        return replace(self, place=quote(full))
