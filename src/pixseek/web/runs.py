"""Status, runs and health: the addresses about the server and its library as a whole."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from pixseek import __version__
from pixseek.engine import MODELS
from pixseek.errors import UnknownItem
from pixseek.web import answers
from pixseek.web.addresses import PREFIX
from pixseek.web.asking import JobRequest, Tagged
from pixseek.web.caching import json_answer
from pixseek.web.jobs import Job
from pixseek.web.metrics import CONTENT_TYPE
from pixseek.web.problems import REFUSALS
from pixseek.web.service import Service, service_of

SKIPPED_SHOWN = 1000
MOST_LABELS = 10_000
LOOKED_AT_S = 0.1
HEARTBEAT_S = 15.0
"""A stream says something at least so often, so that nobody takes it for broken."""

router = APIRouter(responses=REFUSALS, tags=["server"])
Served = Annotated[Service, Depends(service_of)]
JobId = Annotated[str, Path(max_length=100)]


@router.get(f"{PREFIX}/status", response_model=answers.Status)
async def status(request: Request, service: Served) -> Response:
    """What the library holds, by which model, and who writes to it."""
    return json_answer(request, await service.threads.run(lambda: _status(service)))


@router.get(f"{PREFIX}/jobs", response_model=answers.Jobs)
async def jobs(request: Request, service: Served) -> Response:
    """The latest runs, newest first, and who is writing: it may be another process."""
    writer = (await service.threads.run(service.status)).writer
    latest = [_job(job) for job in service.jobs.latest()]
    return json_answer(request, answers.Jobs(jobs=latest, writer=writer))


@router.post(f"{PREFIX}/jobs", response_model=answers.Job, status_code=202)
async def start(asked: JobRequest, service: Served) -> Response:
    """Bring every folder of the library in step, or find words for its pictures. One run at a
    time; searches go on."""
    service.check_writable(asked.kind)
    job = service.jobs.start(asked.kind, asked.options)
    return Response(
        _job(job).model_dump_json(),
        202,
        headers={"Location": f"{PREFIX}/jobs/{job.id}", "Cache-Control": "no-store"},
        media_type="application/json",
    )


@router.get(f"{PREFIX}/jobs/{{id}}", response_model=answers.Job)
async def job(request: Request, id: JobId, service: Served) -> Response:
    """How far a run is."""
    return json_answer(request, _job(_known(service, id)))


@router.get(
    f"{PREFIX}/jobs/{{id}}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(id: JobId, service: Served) -> Response:
    """How far a run is, told as it goes: events `progress`, and at its end `done`."""
    known = _known(service, id)
    service.check_room("streams")
    return StreamingResponse(
        _told(service, known),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get(f"{PREFIX}/labels", response_model=list[answers.FacetCount])
async def labels(request: Request, service: Served) -> Response:
    """Every label, and how many pictures have it, the most frequent first."""

    def found() -> list[answers.FacetCount]:
        each = service.engine.overview.facets(["labels"], top=MOST_LABELS)["labels"]
        return [answers.FacetCount(value=one.value, count=one.count) for one in each]

    return json_answer(request, await service.counting.run(found))


@router.put(f"{PREFIX}/items/{{id}}/tags", response_model=Tagged)
async def tag(
    id: Annotated[str, Path(max_length=500, description="a hit's id")],
    asked: Tagged,
    service: Served,
) -> Response:
    """Give a picture these tags in place of those it has."""
    service.check_writable("tag pictures")

    def tagged() -> Tagged:
        wanted = _clean(asked.tags)
        gone = [one for one in _tags(service, id) if one not in wanted]
        service.engine.items.tag([id], asked.tags, gone)
        return Tagged(tags=_tags(service, id))

    body = await service.threads.run(tagged)
    return JSONResponse(body.model_dump(), headers={"Cache-Control": "no-store"})


@router.get("/healthz", response_model=answers.Health)
async def healthz() -> Response:
    """Whether the server runs."""
    return JSONResponse({"status": "ok", "detail": None})


@router.get("/readyz", response_model=answers.Health)
async def readyz(service: Served) -> Response:
    """Whether model and vectors are in memory; searches are answered before, only later."""
    if service.readiness.ready:
        return JSONResponse({"status": "ok", "detail": None})
    failure = service.readiness.failure
    health = {"status": "loading" if failure is None else "failed", "detail": failure}
    return JSONResponse(health, 503, headers={"Retry-After": "1"})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(service: Served) -> Response:
    """Counts and times, for Prometheus."""
    items = await service.threads.run(service.engine.overview.count)
    return Response(service.metrics.text(items), headers={"Content-Type": CONTENT_TYPE})


def _tags(service: Service, id: str) -> list[str]:
    """Those that an item has. Raises UnknownItem."""
    for item in service.engine.items.fetch([id]):
        found = item.metadata.get("tags", [])
        return list(found) if isinstance(found, list) else [str(found)]
    raise UnknownItem(id)


def _clean(tags: list[str]) -> set[str]:
    """As they are kept."""
    return {one.strip() for one in tags}


def _known(service: Service, id: str) -> Job:
    found = service.jobs.get(id)
    if found is None:
        raise UnknownItem(id)
    return found


def _job(job: Job) -> answers.Job:
    return answers.Job.model_validate(dataclasses.asdict(job))


async def _told(service: Service, job: Job) -> AsyncIterator[str]:
    """Server-sent events of a run, until it is over, the client goes or the server stops."""
    with service.place("streams"):
        async for text in _events(service, job):
            yield text


async def _events(service: Service, job: Job) -> AsyncIterator[str]:
    told, silent = -1, 0.0
    yield "retry: 2000\n\n"
    while not service.stopping.is_set():
        version, over = job.version, job.is_over
        if version != told:
            told, silent = version, 0.0
            name = "done" if over else "progress"
            yield f"id: {version}\nevent: {name}\ndata: {_job(job).model_dump_json()}\n\n"
        if over:
            return
        await asyncio.sleep(LOOKED_AT_S)
        silent += LOOKED_AT_S
        if silent >= HEARTBEAT_S:
            silent = 0.0
            yield ": still running\n\n"


def _status(service: Service) -> answers.Status:
    found = service.status()
    model = MODELS.get(found.space.model)
    return answers.Status(
        version=__version__,
        library=str(found.path),
        store=found.store,
        model=answers.ModelStatus(
            name=found.space.model,
            dimensions=found.space.dimensions,
            summary=None if model is None else model.summary,
            languages=None if model is None else model.languages,
            ready=service.readiness.ready,
        ),
        items=found.items,
        files=found.files,
        size_bytes=found.size_bytes,
        folders=[
            answers.FolderStatus(path=str(one.path), files=one.files, present=one.present)
            for one in found.folders
        ],
        skipped=[
            answers.SkippedFile(path=str(one.path), reason=one.reason)
            for one in found.skipped[:SKIPPED_SHOWN]
        ],
        skipped_total=len(found.skipped),
        writer=found.writer,
        writable=service.allow_write,
    )
