"""Who may ask what: names, origins, the token, how often, and what browsers are told."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixseek.errors import (
    NotPermitted,
    PixseekError,
    RequestTooLarge,
    ServiceBusy,
    ServiceError,
    TokenNeeded,
)
from pixseek.web.addresses import PREFIX
from pixseek.web.problems import answer
from pixseek.web.threads import CLIENT

READING = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_TO_ALL = frozenset({"/healthz", "/readyz", "/login"})
"""Addresses that need no token."""
ENTRANCES = frozenset({"/", "/login"})
"""Pages that a link elsewhere may lead to."""
COUNTED_THERE = frozenset({f"{PREFIX}/search"})
"""Addresses that take pictures, and bound them themselves."""
MOST_BYTES = 64_000
"""Of the body of any other request."""
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
BURST = 4
UNFORESEEN = ServiceError("the server failed; see what it printed, where it was started.")
CLIENTS_KNOWN = 10_000

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""Sent with every answer that does not say otherwise."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Rate:
    """How often each client may ask: a bucket that fills steadily."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._full = per_s * BURST
        self._left: dict[str, tuple[float, float]] = {}
        """Client → (requests left, when that was)."""

    def take(self, client: str) -> None:
        """Count one request. Raises ServiceBusy when none is left."""
        now = time.monotonic()
        left, then = self._left.pop(client, (self._full, now))
        left = min(self._full, left + (now - then) * self._per_s)
        # The client seen last is the last: the first can be forgotten, its bucket has filled most.
        self._left[client] = (max(left - 1, 0.0), now)
        if len(self._left) > CLIENTS_KNOWN:
            del self._left[next(iter(self._left))]
        if left < 1:
            raise ServiceBusy(f"more than {self._per_s:g} requests a second from here", 1)


class Guard:
    """Middleware that lets through what may pass, and tells browsers what they may do."""

    def __init__(
        self, app: ASGIApp, *, token: str, names: Sequence[str], per_s: float, cookie: str
    ) -> None:
        """token: '' for none. names: hosts that the server answers to."""
        self._app = app
        self._token = token
        self._names = {name.lower() for name in names}
        self._rate = Rate(per_s)
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no websockets

        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            self._check(scope, Headers(scope=scope))
        except PixseekError as error:
            status = 429 if isinstance(error, ServiceBusy) else None
            await answer(error, status)(scope, receive, sent)
            return
        CLIENT.set(_client(scope))
        try:
            await self._app(scope, receive, sent)
        except Exception:  # nobody foresaw it: the terminal is told all of it, the client nothing
            if not started:
                await answer(UNFORESEEN)(scope, receive, sent)
            raise

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise what a request is refused for."""
        if scope["path"] != "/healthz":
            self._rate.take(_client(scope))
        host = headers.get("host", "")
        # A page elsewhere can let its own name point here (DNS rebinding); a number it cannot.
        if _name(host) not in {*self._names, (scope.get("server") or ("",))[0]}:
            raise NotPermitted(
                f"{host[:100]!r} is no name of this server", "add it to the setting `hosts`"
            )
        self._check_origin(scope, headers, host)
        if scope["path"] not in COUNTED_THERE:
            _check_length(headers)
        if self._token and scope["path"] not in OPEN_TO_ALL:
            self._check_token(headers)

    def _check_origin(self, scope: Scope, headers: Headers, host: str) -> None:
        """Pages of other origins may lead here, and may do nothing else."""
        site = headers.get("sec-fetch-site")
        entering = (
            scope["path"] in ENTRANCES
            and scope["method"] in READING
            and headers.get("sec-fetch-mode") == "navigate"
        )
        if site not in (None, "same-origin", "none") and not entering:
            raise NotPermitted(f"it comes from another page ({site})", "open this server's page")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise NotPermitted(
                f"it comes from another page ({origin[:100]})", "open this server's page"
            )

    def _check_token(self, headers: Headers) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and equal(given.strip(), self._token):
            return
        if equal(session(headers.get("cookie", ""), self._cookie), session_of(self._token)):
            return
        found = "none" if not scheme and "cookie" not in headers else "another"
        raise TokenNeeded(found)


def _client(scope: Scope) -> str:
    """Who asks: the address of the other end."""
    return str((scope.get("client") or ("",))[0])


def _check_length(headers: Headers) -> None:
    declared = headers.get("content-length", "0")
    if "transfer-encoding" in headers:
        declared = "an unknown number of"
    if not declared.isdigit() or int(declared) > MOST_BYTES:
        raise RequestTooLarge(f"{declared[:20]} bytes", f"{MOST_BYTES} bytes")


def _name(host: str) -> str:
    """The host of a Host header, without its port: '[::1]:8765' → '::1'."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def equal(one: str, other: str) -> bool:
    """Compared in a time that tells nothing of where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def session_of(token: str) -> str:
    """What a browser keeps in place of the token: other servers on this machine see cookies too."""
    return hmac.new(token.encode(), b"pixseek session", hashlib.sha256).hexdigest()


def session(cookies: str, name: str) -> str:
    """The session in a Cookie header, or ''."""
    try:
        found = SimpleCookie(cookies).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
