"""The page and what belongs to it: files of `static/`, and the way in with a token."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from pixseek.errors import TokenNeeded
from pixseek.web.caching import FOR_EVER, REVALIDATED
from pixseek.web.guard import equal, session_of
from pixseek.web.service import Service, service_of

STATIC = Path(__file__).parent / "static"
_HASHED = re.compile(r"\.[0-9a-f]{8,}\.\w+$")
"""Files with a hash in their name never change."""
SESSION_S = 30 * 86_400

router = APIRouter(include_in_schema=False)
Served = Annotated[Service, Depends(service_of)]


class Files(StaticFiles):
    """Files of the page: kept for ever when their names have a hash, asked for again if not."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = FOR_EVER if _HASHED.search(path) else REVALIDATED
        return response


@router.get("/")
async def index(request: Request) -> Response:
    """The page."""
    return await Files(directory=STATIC).get_response("index.html", request.scope)


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
