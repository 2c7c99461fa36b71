"""Errors about requests to a pixseek that serves others."""

from __future__ import annotations

from pixseek.errors.root import PixseekError


class ServiceError(PixseekError):
    """Something about a request to a pixseek that serves others, not about its library."""


class InvalidRequest(ServiceError):
    """A part of a request that is not what it should be."""

    def __init__(self, part: str, found: str, expected: str) -> None:
        super().__init__(
            f"the request's {part} is {found}; expected {expected}. Correct it, see docs/web.md."
        )
        self.part = part
        self.found = found
        self.expected = expected


class NotPermitted(ServiceError):
    """A request that the server refuses, whoever sends it."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"the server refused this: {what}. Instead: {cure}. See docs/web.md.")
        self.what = what
        self.cure = cure


class TokenNeeded(ServiceError):
    """A request without the server's token, or with another one."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"the server needs its token; the request has {found}. Send it as 'Authorization: "
            "Bearer TOKEN', or open the address that pixseek serve printed."
        )
        self.found = found


class RequestTooLarge(ServiceError):
    """A request with more than the server takes."""

    def __init__(self, what: str, limit: str) -> None:
        super().__init__(
            f"the request has {what}; expected at most {limit}. Leave something out, or raise the "
            "limit (docs/settings.md)."
        )
        self.what = what
        self.limit = limit


class ServiceBusy(ServiceError):
    """A server that has too much to do, for this client or for all of them."""

    def __init__(self, reason: str, retry_after_s: int) -> None:
        super().__init__(f"the server is busy: {reason}. Wait {retry_after_s} s and ask again.")
        self.reason = reason
        self.retry_after_s = retry_after_s


class ServiceUnavailable(ServiceError):
    """A server that cannot be reached, or does not answer as a pixseek does."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"no pixseek answers at {url}: {reason}. Check that pixseek serve runs there, and the "
            "address."
        )
        self.url = url
        self.reason = reason
