"""Searching and looking: the addresses that read the library."""

from __future__ import annotations

import os
import time
from pathlib import Path as FilePath
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BeforeValidator
from starlette.responses import FileResponse, Response

from pixseek.errors import MissingPath, UnknownItem
from pixseek.records import Hit
from pixseek.web import answers, searching, uploads
from pixseek.web.addresses import PREFIX
from pixseek.web.asking import Search
from pixseek.web.caching import FOR_EVER, REVALIDATED, fresh, json_answer
from pixseek.web.problems import REFUSALS
from pixseek.web.searching import Question
from pixseek.web.service import Service, service_of

INLINE = {
    **{"jpg": "image/jpeg", "jpeg": "image/jpeg", "jpe": "image/jpeg", "jfif": "image/jpeg"},
    **{"png": "image/png", "apng": "image/apng", "webp": "image/webp", "gif": "image/gif"},
    **{"bmp": "image/bmp", "dib": "image/bmp", "avif": "image/avif", "ico": "image/x-icon"},
    **{"tif": "image/tiff", "tiff": "image/tiff", "heic": "image/heic", "heif": "image/heif"},
    **{"mp4": "video/mp4", "webm": "video/webm", "mov": "video/quicktime", "m4v": "video/mp4"},
}
"""Endings of files that a browser may show by itself, and as what; all others are saved. None of
these types can hold a script."""

router = APIRouter(prefix=PREFIX, responses=REFUSALS, tags=["pictures"])
Served = Annotated[Service, Depends(service_of)]
Size = Annotated[Literal[320, 1280], BeforeValidator(int)]  # in an address, all is text
ItemId = Annotated[str, Path(max_length=500, description="a hit's id")]


@router.get("/search", response_model=answers.Hits)
async def search(request: Request, asked: Annotated[Search, Query()], service: Served) -> Response:
    """Pictures that show what is asked for, nearest first; without a question, newest first."""
    return await _searched(request, service, asked, asked.question())


@router.post("/search", response_model=answers.Hits, openapi_extra={"requestBody": uploads.FORM})
async def search_by_upload(request: Request, service: Served) -> Response:
    """The same, by pictures that are sent along; they are kept in memory only."""
    service.check_room("uploads")
    with service.place("uploads"):
        images, asked = await uploads.read(request, service.options.upload_mb * 1_000_000)
        return await _searched(request, service, asked, asked.question(images))


@router.get("/items/{id}", response_model=answers.Item)
async def item(request: Request, id: ItemId, service: Served) -> Response:
    """All that is known of a picture."""

    def found() -> answers.Item:
        for one in service.engine.items.fetch([id]):
            return answers.Item(
                id=id,
                metadata=answers.metadata_shown(one.metadata),
                paths=[str(path) for path in service.engine.items.files(id)],
                links=answers.links(id, PREFIX),
                hit=answers.hit(Hit(id, 0.0, one.metadata), PREFIX, scored=False),
            )
        raise UnknownItem(id)

    return json_answer(request, await service.threads.run(found))


@router.get(
    "/items/{id}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}},
)
async def thumbnail(
    request: Request,
    id: ItemId,
    service: Served,
    size: Annotated[Size, Query(description="pixels of the longest side")] = 320,
) -> Response:
    """A small upright picture, WebP. It never changes, so it may be kept for ever."""

    thumbnails = service.engine.thumbnails

    def found() -> tuple[list[FilePath], bytes | None]:
        files = service.engine.items.files(id)
        if not files:
            raise UnknownItem(id)
        return files, thumbnails.made(id, size)

    etag = f'"{size}-{answers.links(id, "").original.split("/")[2]}"'
    if (same := fresh(request, etag, FOR_EVER)) is not None:
        return same
    files, content = await service.threads.run(found)
    if content is None:
        content = await service.making.run(lambda: thumbnails.get(id, files, size))
    headers = {"ETag": etag, "Cache-Control": FOR_EVER}
    return Response(content, media_type="image/webp", headers=headers)


@router.get(
    "/items/{id}/original",
    response_class=Response,
    responses={200: {"content": {"*/*": {}}}, 206: {"content": {"*/*": {}}}, 304: {}, 416: {}},
)
async def original(
    request: Request,
    id: ItemId,
    service: Served,
    download: Annotated[bool, Query(description="save it in place of showing it")] = False,
) -> Response:
    """The file itself, or a range of it."""
    path = await service.threads.run(lambda: service.engine.items.original(id))
    media_type = INLINE.get(path.suffix.lower().strip("."))
    try:
        status = os.stat(path)  # noqa: PTH116  FileResponse takes what it gives
    except OSError as error:
        raise MissingPath(path) from error
    shown = media_type is not None and not download
    response = FileResponse(
        path,
        media_type=media_type or "application/octet-stream",
        filename=str(answers.shown(path.name)),
        content_disposition_type="inline" if shown else "attachment",
        stat_result=status,
        headers={"Cache-Control": REVALIDATED},
    )
    # Whatever the file holds, nothing in it may run.
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return fresh(request, response.headers["etag"]) or response


@router.get("/items/{id}/similar", response_model=answers.Hits)
async def similar(
    request: Request,
    id: ItemId,
    service: Served,
    limit: Annotated[int, Query(ge=1, le=500, description="pictures of a page")] = 60,
    cursor: Annotated[
        str | None, Query(max_length=1000, description="`next` of the page before")
    ] = None,
) -> Response:
    """The pictures most like this one, without it."""
    asked = Search(limit=limit, cursor=cursor)
    return await _searched(request, service, asked, Question(like=(id,)))


async def _searched(
    request: Request, service: Service, asked: Search, question: Question
) -> Response:
    started = time.perf_counter()

    def found() -> answers.Hits:
        engine, limit, cursor = service.engine, asked.limit, asked.cursor
        if question.group is not None:
            ids = service.group_of(question.group)
            page = searching.of_group(engine, ids, question, limit, cursor)
        else:
            page = searching.answer(engine, question, limit, cursor, service.allowed)
        return answers.Hits(
            hits=[answers.hit(hit, PREFIX, scored=scored) for hit, scored in page.hits],
            next=page.next,
            total=page.total,
            took_ms=round((time.perf_counter() - started) * 1000, 2),
            note=service.note() or page.note,
        )

    body = await service.threads.run(found)
    took = {"Server-Timing": f"search;dur={body.took_ms}"}
    return json_answer(request, body, but={"took_ms"}, headers=took)
