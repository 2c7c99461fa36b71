"""A picture at a URL → its bytes, from hosts that anyone can reach and within bounds.

A URL may come from a stranger, and this machine sees hosts that strangers do not: itself, its
network, its cloud's credentials. So the addresses of every host, after every redirect too, are
looked up here, all of them must be public, and the connection goes to one that was checked: a name
that means another address the next moment gains nothing. What arrives is kept in memory only.
docs/decisions/017-pictures-at-urls.md has the reasons.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

from pixseek.errors import (
    FetchNotAllowed,
    FetchRefused,
    FetchTooLarge,
    FetchTooSlow,
    HostNotPublic,
    HostUnreachable,
    InvalidPictureURL,
    NoPictureThere,
    TooManyRedirects,
)
from pixseek.records import Fetching

if TYPE_CHECKING:
    import httpx

Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""Host and port → its addresses; raises OSError when it has none."""
REDIRECTS = 5
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_MOVED = frozenset({301, 302, 303, 307, 308})
_UNSAID = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""What hosts say that do not know what they have; the reader will see whether it is a picture."""
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Addresses of IPv4 hosts as networks of IPv6 only write them (RFC 6052)."""


def is_url(source: object) -> TypeGuard[str]:
    """Whether it is a picture's URL, and no path, id or bytes."""
    return isinstance(source, str) and _SCHEME.match(source) is not None


def is_public(address: str) -> bool:
    """Whether an IP address is one that anyone on the internet can reach.

    Addresses with another inside (IPv4 in IPv6, in all the ways there are) are as that one is.
    """
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        inside = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            inside = ipaddress.IPv4Address(found.packed[-4:])
        if inside is not None:
            return is_public(str(inside))
        if found not in _GLOBAL_V6:  # what is_global says of the rest differs between Pythons
            return False
    return found.is_global and not found.is_multicast


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system knows them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def fetched(url: str, fetching: Fetching | None, resolve: Resolve = resolved) -> bytes:
    """The bytes of the picture at a URL; whether it is one is for the reader to see.

    fetching: what is allowed; None allows nothing.
    Raises FetchError: of it each way to fail is a class.
    """
    if fetching is None:
        raise FetchNotAllowed(url, "pictures are not fetched here")
    if fetching.refusal:
        raise FetchNotAllowed(url, fetching.refusal)
    import httpcore

    ends = time.monotonic() + fetching.within_s

    def left() -> float:
        seconds = ends - time.monotonic()
        if seconds <= 0:
            raise FetchTooSlow(url, f"{fetching.within_s:g}")
        return seconds

    try:
        return _followed(url, fetching, resolve, left)
    except httpcore.TimeoutException as error:
        raise FetchTooSlow(url, f"{fetching.within_s:g}") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise HostUnreachable(url, str(error).rstrip(".") or "the host broke off") from error


def _followed(url: str, fetching: Fetching, resolve: Resolve, left: Callable[[], float]) -> bytes:
    """What is at the URL that this one leads to in the end."""
    at = _parsed(url, url)
    for _ in range(REDIRECTS + 1):
        found = _asked(at, url, fetching, resolve, left)
        if isinstance(found, bytes):
            return found
        at = _parsed(str(at.join(found)), url)
    raise TooManyRedirects(url, REDIRECTS)


def _parsed(text: str, url: str) -> httpx.URL:
    import httpx

    try:
        found = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidPictureURL(url, str(error)) from error
    if found.scheme not in ("http", "https"):
        raise InvalidPictureURL(url, f"it leads to {found.scheme}:")
    if not found.host:
        raise InvalidPictureURL(url, "it has no host")
    if found.port is not None and not 0 < found.port < 65536:
        raise InvalidPictureURL(url, f"it has the port {found.port}")
    if found.userinfo:
        raise InvalidPictureURL(url, "it has a name or a password in it")
    return found


def _asked(
    at: httpx.URL, url: str, fetching: Fetching, resolve: Resolve, left: Callable[[], float]
) -> bytes | str:
    """What one host answers: the bytes, or where to go on."""
    import httpcore

    from pixseek import __version__
    from pixseek.urls.connections import Connections

    def addresses(host: str, port: int) -> Sequence[str]:
        return _checked(host, port, url, fetching, resolve)

    headers: dict[bytes | str, bytes | str] = {
        "Host": at.netloc.decode("ascii"),
        "User-Agent": f"pixseek/{__version__}",
        "Accept": "image/*",
        "Accept-Encoding": "identity",  # what unpacks is not bounded by what arrives
    }
    target = httpcore.URL(scheme=at.raw_scheme, host=at.raw_host, port=at.port, target=at.raw_path)
    context = None
    if at.scheme == "https":
        import httpx

        context = httpx.create_ssl_context()  # knows SSL_CERT_FILE
    with (
        httpcore.ConnectionPool(
            ssl_context=context, network_backend=Connections(addresses, left)
        ) as pool,
        pool.stream("GET", target, headers=headers) as response,
    ):
        said = {name.lower().decode("latin-1"): value for name, value in response.headers}
        if response.status in _MOVED and "location" in said:
            return said["location"].decode("latin-1")
        if response.status != 200:
            raise FetchRefused(url, response.status)
        _check(said, url, fetching)
        return _body(response.iter_stream(), url, fetching)


def _checked(host: str, port: int, url: str, fetching: Fetching, resolve: Resolve) -> Sequence[str]:
    """The addresses of a host that may be connected to: all that it has, or none."""
    try:
        found = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise HostUnreachable(url, f"{host!r} has no address ({error})") from error
    if host.lower().strip("[]") not in fetching.hosts:
        for address in found:
            if not is_public(address.partition("%")[0]):
                raise HostNotPublic(url, host, address)
    return found


def _check(said: dict[str, bytes], url: str, fetching: Fetching) -> None:
    """Raise unless the header of an answer is that of a picture within bounds."""
    kind = said.get("content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if not kind.startswith("image/") and kind not in _UNSAID:
        raise NoPictureThere(url, f"something of type {kind}")
    packed = said.get("content-encoding", b"identity").decode("latin-1").strip().lower()
    if packed not in ("", "identity"):
        raise NoPictureThere(url, f"something packed ({packed}), which was not asked for")
    size = said.get("content-length", b"")
    if size.isdigit() and int(size) > fetching.max_bytes:
        raise FetchTooLarge(url, fetching.max_bytes)


def _body(pieces: Iterable[bytes], url: str, fetching: Fetching) -> bytes:
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) > fetching.max_bytes:
            raise FetchTooLarge(url, fetching.max_bytes)
    if not content:
        raise NoPictureThere(url, "nothing")
    return bytes(content)
