"""Errors as HTTP answers: one table of classes and statuses, one form (RFC 9457)."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pixseek import errors
from pixseek.web.answers import Problem, shown

_FORM = {"$ref": "#/components/schemas/Problem"}

STATUSES: dict[type[errors.PixseekError], int] = {
    errors.PixseekError: 500,
    errors.InvalidQuery: 400,
    errors.QueryNotUnderstood: 400,
    errors.InvalidFilter: 400,
    errors.InvalidSetting: 500,
    errors.MissingPath: 404,
    errors.UnknownItem: 404,
    errors.UnknownModel: 500,
    errors.UnknownStore: 500,
    errors.UnreadableImage: 422,
    errors.FormatNeedsExtra: 422,
    errors.FetchError: 422,
    errors.InvalidPictureURL: 422,
    errors.FetchNotAllowed: 403,
    errors.HostNotPublic: 403,
    errors.HostUnreachable: 422,
    errors.FetchRefused: 422,
    errors.TooManyRedirects: 422,
    errors.FetchTooLarge: 422,
    errors.FetchTooSlow: 422,
    errors.NoPictureThere: 422,
    errors.LibraryError: 500,
    errors.LibraryNotFound: 503,
    errors.LibraryTooNew: 503,
    errors.LibraryLocked: 409,
    errors.LibraryDamaged: 503,
    errors.BackupDamaged: 500,
    errors.LibraryInTheWay: 500,
    errors.StoreMismatch: 503,
    errors.StoreError: 500,
    errors.InvalidStoreAddress: 500,
    errors.StoreUnavailable: 503,
    errors.ForeignItems: 500,
    errors.MoveIncomplete: 500,
    errors.UnsupportedFilter: 400,
    errors.InvalidVectors: 500,
    errors.InvalidMetadata: 500,
    errors.ModelError: 503,
    errors.ModelMismatch: 503,
    errors.ModelUnavailable: 503,
    errors.DeviceUnavailable: 503,
    errors.ExportFailed: 500,
    errors.ModelNotFetched: 503,
    errors.MissingExtra: 503,
    errors.ServiceError: 500,
    errors.InvalidRequest: 422,
    errors.NotPermitted: 403,
    errors.TokenNeeded: 401,
    errors.RequestTooLarge: 413,
    errors.ServiceBusy: 503,
    errors.ServiceUnavailable: 502,
}
"""What each error is answered with."""

PROBLEM_JSON = "application/problem+json"
REFUSALS: dict[int | str, dict[str, object]] = {
    status: {"description": HTTPStatus(status).phrase, "content": {PROBLEM_JSON: {"schema": _FORM}}}
    for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 503)
}
"""For OpenAPI: what any address may be answered with besides its own answer."""


def status_of(error: errors.PixseekError) -> int:
    """The HTTP status of an error: its class's in the table."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def answer(error: errors.PixseekError, status: int | None = None) -> Response:
    """An error as it is sent. status: in place of the one in the table."""
    name = type(error).__name__
    problem = Problem(
        type=f"urn:pixseek:error:{name}",
        title=re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower(),
        status=status or status_of(error),
        detail=str(error),
        fields={field: _plain(value) for field, value in vars(error).items()},
    )
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, errors.ServiceBusy):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, errors.TokenNeeded):
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        problem.model_dump_json(), problem.status, headers=headers, media_type=PROBLEM_JSON
    )


def _plain(value: object) -> object:
    """A field's value as JSON can hold it."""
    try:
        return json.loads(str(shown(json.dumps(value, default=str, allow_nan=False))))
    except (TypeError, ValueError, RecursionError):
        return shown(str(value)[:200])


async def of_pixseek(_: Request, error: Exception) -> Response:
    """For what pixseek itself refuses or fails at."""
    if not isinstance(error, errors.PixseekError):
        raise error
    return answer(error)


async def of_validation(_: Request, error: Exception) -> Response:
    """For parameters that are not what the API says."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    part = ".".join(str(one) for one in first.get("loc", ())) or "body"
    found = str(first.get("input"))[:100]
    return answer(errors.InvalidRequest(part, repr(found), str(first.get("msg"))))


async def of_http(request: Request, error: Exception) -> Response:
    """For what the framework refuses: addresses and methods that are not there."""
    if not isinstance(error, HTTPException):
        raise error
    asked = f"{request.method} {request.url.path}"
    nowhere = errors.InvalidRequest("address", asked, "one of the list in docs/web.md")
    response = answer(nowhere, error.status_code)
    if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        response = answer(errors.InvalidRequest("body", error.detail, "JSON"), error.status_code)
    response.headers.update(error.headers or {})
    return response
