"""The page and what belongs to it: files of `static/`, and the way in with a token."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from pixseek.errors import TokenNeeded
from pixseek.web.caching import FOR_EVER, REVALIDATED, fresh
from pixseek.web.guard import equal, session_of
from pixseek.web.service import Service, service_of

STATIC = Path(__file__).parent / "static"
_UNDER_HASH = re.compile(r"([0-9a-f]{16})/(.+)", re.DOTALL)
"""Files are asked for below a hash of all of them, so that a browser may keep them for ever."""
SESSION_S = 30 * 86_400

router = APIRouter(include_in_schema=False)
Served = Annotated[Service, Depends(service_of)]


@cache
def version() -> str:
    """A hash of all files of the page, as they were when the server started."""
    found = hashlib.blake2b(digest_size=8)
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            found.update(path.relative_to(STATIC).as_posix().encode() + b"\0")
            found.update(hashlib.blake2b(path.read_bytes()).digest())
    return found.hexdigest()


class Files(StaticFiles):
    """Files of the page: kept for ever below their hash. A page that was open before an upgrade
    asks below another hash: it is given what there is now."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        match = _UNDER_HASH.fullmatch(path)
        lasting = match is not None and match[1] == version()
        response = await super().get_response(match[2] if match else path, scope)
        if response.status_code < 400:
            response.headers["Cache-Control"] = FOR_EVER if lasting else REVALIDATED
        return response


@router.get("/")
async def index(request: Request) -> Response:
    """The page."""
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    content = text.replace('"/static/', f'"/static/{version()}/').encode()
    etag = f'W/"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": REVALIDATED}
    return fresh(request, etag) or Response(content, media_type="text/html", headers=headers)


@router.get("/login")
async def login(
    service: Served, request: Request, token: Annotated[str, Query(max_length=500)] = ""
) -> Response:
    """Take a token for a cookie, and go to the page."""
    if not service.token:
        return RedirectResponse("/", 303)
    if not equal(token, service.token):
        raise TokenNeeded("another")
    response = RedirectResponse("/", 303)
    response.set_cookie(
        service.cookie,
        session_of(service.token),
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response
