"""Counting: facets, months, places on a map, and what the search box may be filled with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypedDict

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from pixseek.engine import FIELDS
from pixseek.engine import Query as Asked
from pixseek.records import FacetValue, Hit, Where
from pixseek.web import answers, searching
from pixseek.web.addresses import PREFIX
from pixseek.web.asking import Completed, Counted, Faceted, Mapped
from pixseek.web.caching import json_answer
from pixseek.web.problems import REFUSALS
from pixseek.web.service import FACETS, Service, service_of

COMPLETED = ("tags", "labels", "keywords", "people", "camera_model", "country", "city", "folder")
"""Fields whose values the search box offers without being told the field."""
COMPLETED_FROM = 5000
"""Values of a field that are looked through, the most frequent."""

router = APIRouter(prefix=PREFIX, responses=REFUSALS, tags=["counts"])
Served = Annotated[Service, Depends(service_of)]


@router.get("/facets", response_model=dict[str, list[answers.FacetCount]])
async def facets(request: Request, asked: Annotated[Faceted, Query()], service: Served) -> Response:
    """Values of fields and how many pictures have them: of all that pass the filter, or of the
    best of a search that ranks."""

    def found() -> dict[str, list[answers.FacetCount]]:
        fields = asked.field or FACETS
        meant = _meant(service, asked)

        def count() -> dict[str, list[FacetValue]]:
            return service.engine.overview.facets(fields, top=asked.top, **meant)

        if meant["query"] is None and meant["hits"] is None:  # else it may say "yesterday"
            each = service.unchanged(("facets", *fields, asked.top, asked.where), count)
        else:
            each = count()
        return {
            field: [answers.FacetCount(value=one.value, count=one.count) for one in values]
            for field, values in each.items()
            if values or asked.field
        }

    return json_answer(request, await service.counting.run(found))


@router.get("/timeline", response_model=list[answers.MonthCount])
async def timeline(
    request: Request, asked: Annotated[Counted, Query()], service: Served
) -> Response:
    """Months, earliest first, and how many pictures that pass the filter are of each."""

    def found() -> list[answers.MonthCount]:
        months = service.engine.overview.months(**_meant(service, asked))
        return [answers.MonthCount(month=one.month, count=one.count) for one in months]

    return json_answer(request, await service.counting.run(found))


@router.get("/map", response_model=list[answers.MapCell])
async def map_cells(
    request: Request, asked: Annotated[Mapped, Query()], service: Served
) -> Response:
    """Where pictures that pass the filter were taken, those of one cell of a grid together."""

    def found() -> list[answers.MapCell]:
        overview, meant = service.engine.overview, _meant(service, asked)
        return [
            answers.MapCell(
                latitude=one.latitude, longitude=one.longitude, count=one.count, id=one.id
            )
            for one in overview.map(grid=asked.grid, top=asked.top, **meant)
        ]

    return json_answer(request, await service.counting.run(found))


@router.get("/complete", response_model=list[answers.Completion])
async def complete(
    request: Request, asked: Annotated[Completed, Query()], service: Served
) -> Response:
    """Fields and values that begin with what is typed."""

    def found() -> list[answers.Completion]:
        field, colon, start = asked.prefix.partition(":")
        if colon and field in FIELDS:
            values = _values(service, (field,), start)
            return values[: asked.limit]
        offered = _fields(asked.prefix)
        if asked.prefix:
            offered += _values(service, COMPLETED, asked.prefix)
        return offered[: asked.limit]

    return json_answer(request, await service.counting.run(found))


class Meant(TypedDict):
    """What is counted, as `overview` takes it."""

    where: Where | None
    query: Asked | None
    hits: Sequence[Hit] | None


def _meant(service: Service, asked: Counted) -> Meant:
    """All that pass the filter and conditions, or the best hits where the question ranks."""
    question = asked.question()
    if question.group is not None:
        ids = service.group_of(question.group)
        page = searching.of_group(service.engine, ids, question, len(ids), None)
        return Meant(where=None, query=None, hits=[hit for hit, _ in page.hits])
    found = searching.understood(service.engine, question, service.allowed)
    hits = searching.best(service.engine, found, asked.best) if found.ranks else None
    return Meant(where=question.where, query=found.query, hits=hits)


def _fields(prefix: str) -> list[answers.Completion]:
    return [
        answers.Completion(kind="field", field=name, value=None, count=None, meaning=field.meaning)
        for name, field in FIELDS.items()
        if name.startswith(prefix.casefold())
    ]


def _values(service: Service, fields: tuple[str, ...], prefix: str) -> list[answers.Completion]:
    each = service.unchanged(
        ("complete", *fields), lambda: service.engine.overview.facets(fields, top=COMPLETED_FROM)
    )
    return [
        answers.Completion(
            kind="value", field=field, value=str(one.value), count=one.count, meaning=None
        )
        for field, one in _beginning(each, prefix)
    ]


def _beginning(
    facets: Mapping[str, Sequence[FacetValue]], prefix: str
) -> list[tuple[str, FacetValue]]:
    """(field, value) of the texts that begin with this, whatever the case, most frequent first."""
    wanted = prefix.casefold()
    found = [
        (field, one)
        for field, values in facets.items()
        for one in values
        if isinstance(one.value, str) and one.value.casefold().startswith(wanted)
    ]
    return sorted(found, key=lambda pair: -pair[1].count)
