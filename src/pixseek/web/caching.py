"""JSON answers with an ETag: what has not changed is not sent again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set

from pydantic import BaseModel, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

REVALIDATED = "private, no-cache"
"""May be kept by a browser, and is asked for again each time."""
FOR_EVER = "private, max-age=31536000, immutable"
_ANYTHING: TypeAdapter[object] = TypeAdapter(object)


def json_answer(
    request: Request,
    body: BaseModel | Sequence[BaseModel] | Mapping[str, Sequence[BaseModel]],
    *,
    but: Set[str] = frozenset(),
    headers: dict[str, str] | None = None,
) -> Response:
    """A body as JSON, or 304 when the client has it. but: fields that do not count as a change."""
    if isinstance(body, BaseModel):
        content = body.model_dump_json().encode()
        lasting = body.model_dump_json(exclude=set(but)).encode() if but else content
    else:
        content = lasting = _ANYTHING.dump_json(body, serialize_as_any=True)
    etag = f'W/"{hashlib.blake2b(lasting, digest_size=12).hexdigest()}"'
    return fresh(request, etag) or Response(
        content,
        media_type="application/json",
        headers={"ETag": etag, "Cache-Control": REVALIDATED, **(headers or {})},
    )


def fresh(request: Request, etag: str, cache: str = REVALIDATED) -> Response | None:
    """304 when the client has what the ETag stands for."""
    asked = request.headers.get("if-none-match", "")
    known = {one.strip().removeprefix("W/") for one in asked.split(",")}
    if known & {etag.removeprefix("W/"), "*"}:
        return Response(status_code=304, headers={"ETag": etag, "Cache-Control": cache})
    return None
