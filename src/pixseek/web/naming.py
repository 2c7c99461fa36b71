"""Searches that have a name: kept in the library, for everybody who opens it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from pixseek.saved import MAX_NAME, SavedSearches
from pixseek.web import answers
from pixseek.web.addresses import PREFIX
from pixseek.web.asking import Naming
from pixseek.web.caching import json_answer
from pixseek.web.problems import REFUSALS
from pixseek.web.service import Service, service_of

router = APIRouter(prefix=PREFIX, responses=REFUSALS, tags=["saved searches"])
Served = Annotated[Service, Depends(service_of)]
Name = Annotated[str, Path(max_length=MAX_NAME, description="without blanks and without @")]


@router.get("/saved", response_model=answers.SavedSearches)
async def saved(request: Request, service: Served) -> Response:
    """The searches that were saved in this library, in order of their names."""
    return json_answer(request, await service.threads.run(lambda: _all(service)))


@router.put("/saved/{name}", response_model=answers.SavedSearches)
async def save(request: Request, name: Name, asked: Naming, service: Served) -> Response:
    """Save a search in the library, in place of what had the name; answers with all of them."""
    service.check_writable("save searches")

    def done() -> answers.SavedSearches:
        with SavedSearches(service.engine.library) as searches:
            searches.put(name, asked.line.strip())
        return _all(service)

    return json_answer(request, await service.threads.run(done))


@router.delete("/saved/{name}", response_model=answers.SavedSearches)
async def forget(request: Request, name: Name, service: Served) -> Response:
    """Forget a saved search; answers with those that are left."""
    service.check_writable("save searches")

    def done() -> answers.SavedSearches:
        with SavedSearches(service.engine.library) as searches:
            searches.remove(name)
        return _all(service)

    return json_answer(request, await service.threads.run(done))


def _all(service: Service) -> answers.SavedSearches:
    with SavedSearches(service.engine.library) as searches:
        known = searches.all()
    return answers.SavedSearches(
        searches=[answers.SavedSearch(name=name, line=line) for name, line in known.items()]
    )
