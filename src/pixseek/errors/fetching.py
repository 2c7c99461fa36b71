"""Errors about pictures that are named by a URL, one for each way in which they cannot be had."""

from __future__ import annotations

from pixseek.errors.root import PixseekError

_INSTEAD = "save the picture and name its file"


class FetchError(PixseekError):
    """A picture at a URL that cannot be had."""


class InvalidPictureURL(FetchError):
    """A URL that no picture is fetched from, whatever is there."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"{url!r} is not fetched: {reason}; expected http:// or https:// and a host. Correct "
            f"it, or {_INSTEAD}."
        )
        self.url = url
        self.reason = reason


class FetchNotAllowed(FetchError):
    """A picture at a URL, where the settings or the way it was asked forbid fetching."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"{url!r} is not fetched: {reason}. Instead {_INSTEAD}; see docs/settings.md."
        )
        self.url = url
        self.reason = reason


class HostNotPublic(FetchError):
    """A URL, or what it redirects to, whose host lies in this machine or in a private network."""

    def __init__(self, url: str, host: str, address: str) -> None:
        super().__init__(
            f"{url!r} is not fetched: {host!r} is at {address}, which is no public address. Check "
            "whether it is a host of your own, and name it in the setting 'fetch_hosts' then."
        )
        self.url = url
        self.host = host
        self.address = address


class HostUnreachable(FetchError):
    """A host that has no address, does not answer, or breaks off."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"{url!r} cannot be fetched: {reason}. Check the spelling and the network, or "
            f"{_INSTEAD}."
        )
        self.url = url
        self.reason = reason


class FetchRefused(FetchError):
    """A host that answers with something other than what is at the URL, such as 404."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(
            f"{url!r} cannot be fetched: the host answers {status}. Check the spelling and whether "
            "a browser shows it without signing in."
        )
        self.url = url
        self.status = status


class TooManyRedirects(FetchError):
    """A URL that leads to another, and that to another, and so on."""

    def __init__(self, url: str, limit: int) -> None:
        super().__init__(
            f"{url!r} is not fetched: it redirects more than {limit} times. Open it in a browser, "
            "and name the address that it ends at."
        )
        self.url = url
        self.limit = limit


class FetchTooLarge(FetchError):
    """A picture at a URL that has more bytes than is allowed."""

    def __init__(self, url: str, limit: int) -> None:
        super().__init__(
            f"{url!r} is not fetched: it has more than {limit} bytes. Name a smaller copy, or "
            "raise the setting 'upload_mb'."
        )
        self.url = url
        self.limit = limit


class FetchTooSlow(FetchError):
    """A picture at a URL that does not arrive in time."""

    def __init__(self, url: str, limit: str) -> None:
        super().__init__(
            f"{url!r} did not arrive within {limit} s. Wait and try again, or {_INSTEAD}."
        )
        self.url = url
        self.limit = limit


class NoPictureThere(FetchError):
    """A URL at which there is something else than a picture, such as a page with one."""

    def __init__(self, url: str, found: str) -> None:
        super().__init__(
            f"{url!r} has {found}; expected a picture. Open it in a browser, and name the address "
            "of the picture itself."
        )
        self.url = url
        self.found = found
