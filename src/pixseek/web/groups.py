"""Pictures that belong together: copies of each other, and what shows much the same."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from pixseek.alike import Copy, Group, PictureFile
from pixseek.clusters import Cluster
from pixseek.records import Hit
from pixseek.web import answers, cursors
from pixseek.web.addresses import PREFIX
from pixseek.web.asking import Copies
from pixseek.web.caching import json_answer
from pixseek.web.cursors import Cursor
from pixseek.web.problems import REFUSALS
from pixseek.web.service import Service, service_of

SHOWN = 8
"""Pictures of a group that are told with it."""

router = APIRouter(prefix=PREFIX, responses=REFUSALS, tags=["groups"])
Served = Annotated[Service, Depends(service_of)]


@router.get("/duplicates", response_model=answers.Duplicates)
async def duplicates(
    request: Request, asked: Annotated[Copies, Query()], service: Served
) -> Response:
    """Files that hold the same picture, in groups, with the one to keep. Nothing is deleted here.

    While `counting` is true, ask again: `done` of `total` pictures have been looked at."""

    def found() -> answers.Duplicates:
        standing = service.duplicates.ask()
        skipped = [] if standing.finding is None else standing.finding.skipped
        every = [] if standing.finding is None else standing.finding.groups
        groups = [one for group in every if (one := _of_kind(group, asked.kind)) is not None]
        copies = [copy.file for group in groups for copy in group.copies]
        start, next_cursor = _piece(groups, asked)
        return answers.Duplicates(
            counting=standing.counting,
            done=standing.done,
            total=standing.total,
            groups=[_group(one) for one in groups[start : start + asked.limit]],
            next=next_cursor,
            groups_total=len(groups),
            copies_total=len(copies),
            copies_bytes=sum(file.size for file in copies),
            skipped=[answers.SkippedFile(path=str(one.path), reason=one.reason) for one in skipped],
        )

    return json_answer(request, await service.threads.run(found))


@router.get("/clusters", response_model=answers.Clusters)
async def clusters(request: Request, service: Served) -> Response:
    """All pictures in groups that show much the same, the largest first, with words for each.

    While `counting` is true, ask again. /search?group=ID gives the pictures of a group."""

    def found() -> answers.Clusters:
        standing = service.clusters.ask()
        groups = standing.finding or []
        return answers.Clusters(
            counting=standing.counting, groups=[_cluster(service, one) for one in groups]
        )

    return json_answer(request, await service.threads.run(found))


def _of_kind(group: Group, kind: str) -> Group | None:
    """The group with its copies of a kind only; None when there are none."""
    copies = [copy for copy in group.copies if kind in ("all", copy.kind)]
    return Group(group.keep, group.why, copies) if copies else None


def _piece(groups: list[Group], asked: Copies) -> tuple[int, str | None]:
    """Where a page begins, and the cursor of the next."""
    belongs = cursors.question("duplicates", asked.kind)
    start = 0
    if asked.cursor is not None:
        last = cursors.read(asked.cursor, belongs)
        # The groups may have been found anew: behind the one seen last, if it is there still.
        places = {group.keep.id: place for place, group in enumerate(groups)}
        start = places.get(last.id, last.seen - 1) + 1
    end = start + asked.limit
    if end >= len(groups):
        return start, None
    return start, cursors.written(Cursor(float(end), groups[end - 1].keep.id, end), belongs)


def _group(group: Group) -> answers.DuplicateGroup:
    return answers.DuplicateGroup(
        keep=answers.DuplicateFile.model_validate(_file(group.keep)),
        why=group.why,
        copies=[_copy(one) for one in group.copies],
    )


def _copy(copy: Copy) -> answers.DuplicateCopy:
    return answers.DuplicateCopy.model_validate(
        {**_file(copy.file), "kind": copy.kind, "likeness": copy.likeness}
    )


def _file(file: PictureFile) -> dict[str, object]:
    return {
        "id": file.id,
        "path": str(file.path),
        "name": file.path.name,
        "width": file.width or None,
        "height": file.height or None,
        "format": file.format,
        "size_bytes": file.size,
        "modified": file.modified,
        "thumbnail": answers.links(file.id, PREFIX).thumbnail,
    }


def _cluster(service: Service, cluster: Cluster) -> answers.Cluster:
    first = service.engine.items.fetch(cluster.ids[:SHOWN])
    hits = [Hit(item.id, 0.0, item.metadata) for item in first]
    return answers.Cluster(
        id=cluster.middle,
        name=cluster.name,
        labels=cluster.labels,
        size=cluster.size,
        tightness=cluster.tightness,
        hits=[answers.hit(hit, PREFIX, scored=False) for hit in hits],
    )
