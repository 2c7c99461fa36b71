"""Pictures that are sent to be searched by: read into memory, bounded, never written to disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from pixseek.errors import InvalidRequest, RequestTooLarge
from pixseek.web.asking import Search

MAX_IMAGES = 5
MAX_REQUEST_BYTES = 64_000
ARRIVES_WITHIN_S = 60.0
"""A client that sends more slowly is hung up on."""

FORM = {
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_IMAGES,
                        "items": {"type": "string", "format": "binary"},
                    },
                    "request": {"type": "string", "description": "the parameters of GET, in JSON"},
                },
            }
        }
    },
    "required": True,
}
"""The body of POST /search, for OpenAPI."""


async def read(request: Request, max_bytes: int) -> tuple[tuple[bytes, ...], Search]:
    """The pictures of a form, and the search they belong to.

    max_bytes: of all pictures together. Raises RequestTooLarge, InvalidRequest.
    """
    limit = max_bytes + MAX_REQUEST_BYTES
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise InvalidRequest("body", "not multipart/form-data", "a form with the file `image`")
    parser = MultiPartParser(
        request.headers,
        _bounded(request, limit),
        max_files=MAX_IMAGES,
        max_fields=1,
        max_part_size=MAX_REQUEST_BYTES,
    )
    parser.spool_max_size = limit + 1  # never to disk
    try:
        async with asyncio.timeout(ARRIVES_WITHIN_S):
            form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise InvalidRequest("body", f"no whole form ({error})", "multipart/form-data") from error
    except TimeoutError as error:
        raise InvalidRequest(
            "body", "too slow", f"all of it in {ARRIVES_WITHIN_S:.0f} s"
        ) from error
    except ClientDisconnect as error:
        raise InvalidRequest("body", "not whole", "multipart/form-data") from error
    try:
        files = [one for one in form.getlist("image") if isinstance(one, UploadFile)]
        images = tuple([await file.read() for file in files])
        if not any(images):
            raise InvalidRequest("body", "without a picture", "a file named `image`")
        return images, _search(form.get("request"))
    finally:
        await form.close()


async def _bounded(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body, piece by piece, for as long as it is within the limit."""
    megabytes = f"{limit / 1e6:.1f} MB"
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise RequestTooLarge(f"{int(declared)} bytes", megabytes)
    got = 0
    async for piece in request.stream():
        got += len(piece)
        if got > limit:
            raise RequestTooLarge(f"{got} bytes and more", megabytes)
        yield piece


def _search(text: object) -> Search:
    if text is None:
        return Search()
    try:
        return Search.model_validate_json(str(text))
    except ValidationError as error:
        first = error.errors()[0]
        part = ".".join(str(one) for one in first["loc"]) or "request"
        raise InvalidRequest(part, repr(first["input"])[:100], first["msg"]) from error
