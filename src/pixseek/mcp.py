"""A face for language models: a Model Context Protocol server over one library (extra `mcp`).

It speaks over standard input and output, reads only, and gives pictures as small copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import anyio.to_thread
from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from pixseek import __version__
from pixseek.engine import ImageSearchEngine, Query, stands_out
from pixseek.errors import PixseekError, UnknownItem
from pixseek.records import Hit, Metadata, Where

INSTRUCTIONS = (
    "Finds pictures in a person's own library by what they show. Say in a few plain words what the "
    "picture should show. Each hit has an id for similar_pictures and describe_picture."
)
MOST = 20
"""Pictures of one answer."""
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_LEFT_OUT = frozenset({"words", "text_lines", "folder", "described"})
"""Fields that tell a reader nothing."""

Content = list[str | Image]
Count = Annotated[int, Field(ge=1, le=MOST, description="pictures to find")]
Filter = Annotated[
    dict[str, object] | None,
    Field(
        description="only pictures whose metadata passes, as in MongoDB; for example"
        ' {"year": {"$gte": 2019}, "camera_model": {"$contains": "Pixel"}}'
    ),
]
Asked = Annotated[str, Field(min_length=1, description="what the pictures should show")]
Syntax = Annotated[
    bool,
    Field(
        description="whether `query` is a line of the query language, not plain words;"
        f" `like:` takes ids. {Query.reference()}"
    ),
]
Explain = Annotated[bool, Field(description="also say of each picture why it was found")]
_Answer = TypeVar("_Answer")


def create_server(engine: ImageSearchEngine) -> MCPServer:
    """The server of a library."""
    server = MCPServer(
        "pixseek", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING"
    )

    @server.tool(annotations=_READS, structured_output=False)
    async def search_pictures(
        query: Asked,
        count: Count = 5,
        where: Filter = None,
        syntax: Syntax = False,
        explain: Explain = False,
    ) -> Content:
        """Find pictures by what they show, in words. Gives small copies and what is known; a match
        near 1 is likely what was asked for, near 0 is not."""

        def found() -> Content:
            asked = _line(engine, query) if syntax else query
            return _shown(engine, engine.search(asked, k=count, where=where, explain=explain))

        return await _run(found)

    @server.tool(annotations=_READS, structured_output=False)
    async def similar_pictures(id: str, count: Count = 5, where: Filter = None) -> Content:
        """Find pictures that look like one of the library, by its id."""
        return await _run(
            lambda: _shown(engine, _similar(engine, id, count, where), by_picture=True)
        )

    @server.tool(annotations=_READS, structured_output=False)
    async def describe_picture(id: str) -> Content:
        """All that is known of a picture, with a larger copy of it."""
        return await _run(lambda: _described(engine, id))

    @server.tool(annotations=_READS, structured_output=False)
    async def library_status() -> str:
        """What the library holds: how many pictures, from which folders, by which model."""
        return await _run(lambda: _status(engine))

    return server


def run(engine: ImageSearchEngine) -> None:
    """Serve over standard input and output until they are closed."""
    create_server(engine).run("stdio")


async def _run(call: Callable[[], _Answer]) -> _Answer:
    """On a thread. What pixseek refuses is told to the model, which can then ask better."""
    try:
        return await anyio.to_thread.run_sync(call)
    except PixseekError as error:
        raise ToolError(str(error)) from error


def _line(engine: ImageSearchEngine, line: str) -> Query:
    """A line as a query. Pictures that it names must be the library's: nothing else is opened.

    Raises QueryNotUnderstood, UnknownItem.
    """
    query = Query.parse(line)
    for name in map(str, query.pictures):
        if not engine.items.fetch([name]):
            raise UnknownItem(name)
    return query


def _similar(engine: ImageSearchEngine, id: str, count: int, where: Where | None) -> list[Hit]:
    items = engine.items.fetch([id])
    if not items:
        raise UnknownItem(id)
    hits = engine.search(vector=items[0].vector, k=count + 1, where=where)
    return [hit for hit in hits if hit.id != id][:count]


def _shown(engine: ImageSearchEngine, hits: Sequence[Hit], *, by_picture: bool = False) -> Content:
    """Each hit as a line of text and a small copy; first, if so, that nothing really matches."""
    if not hits:
        return ["No picture was found."]
    content: Content = []
    if not stands_out(hits, image=by_picture):
        content.append("Nothing in this library matches; these are the nearest pictures.")
    for place, hit in enumerate(hits, 1):
        known = "" if hit.match is None else f", match {hit.match:.2f}"
        content.append(
            f"{place}. id {hit.id}, score {hit.score:.3f}{known}\n{_facts(hit.metadata)}"
        )
        if hit.why is not None:
            content.append(f"why: {hit.why}")
        content += _copy(engine, hit.id, 320)
    return content


def _described(engine: ImageSearchEngine, id: str) -> Content:
    items = engine.items.fetch([id])
    if not items:
        raise UnknownItem(id)
    return [f"id {id}\n{_facts(items[0].metadata)}", *_copy(engine, id, 1280)]


def _copy(engine: ImageSearchEngine, id: str, size: int) -> Content:
    """The picture as WebP, or why there is none."""
    try:
        made = engine.thumbnails.get(id, engine.items.files(id), size)
    except PixseekError as error:
        return [f"(no copy of it: {error})"]
    return [Image(data=made, format="webp")]


def _facts(metadata: Metadata) -> str:
    """One field a line; times as people read them."""
    lines = []
    for name, value in metadata.items():
        if name in _LEFT_OUT:
            continue
        if name in ("taken", "modified") and isinstance(value, int | float):
            shown = datetime.fromtimestamp(value, UTC).isoformat(" ", "minutes")
            lines.append(f"{name}: {shown.removesuffix('+00:00')}")
        else:
            lines.append(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    return "\n".join(lines).encode("utf-8", "replace").decode()


def _status(engine: ImageSearchEngine) -> str:
    status = engine.status()
    folders = ", ".join(str(one.path) for one in status.folders) or "none"
    lines = [
        f"library: {status.path}",
        f"pictures: {status.items} in {status.files} files",
        f"folders: {folders}",
        f"model: {status.space.model}",
        f"files that could not be read: {len(status.skipped)}",
    ]
    if status.writer is not None:
        lines.append(f"being written by: {status.writer}")
    return "\n".join(lines).encode("utf-8", "replace").decode()
