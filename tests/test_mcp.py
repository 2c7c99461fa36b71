"""`pixseek mcp` as a real process, asked by the official client over standard input and output."""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import Image
from tests.conftest import Paint

import pixseek
from pixseek import ImageSearchEngine

SOURCE = Path(pixseek.__file__).parent.parent


@pytest.fixture
def library(paint: Paint, photos: Path, engine: ImageSearchEngine) -> Path:
    for colour in ("red", "green", "blue"):
        paint(f"{colour}.png", colour, size=(800, 400))
    engine.index_images(photos)
    return engine.library


@asynccontextmanager
async def asking(library: Path) -> AsyncIterator[ClientSession]:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "pixseek", "mcp", "--library", str(library)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  its log
        async with (
            stdio_client(server, errlog=nowhere) as (reading, writing),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            yield session


def texts(result: CallToolResult) -> list[str]:
    return [one.text for one in result.content if isinstance(one, TextContent)]


def pictures(result: CallToolResult) -> list[Image.Image]:
    shown = [one for one in result.content if isinstance(one, ImageContent)]
    assert {one.mime_type for one in shown} <= {"image/webp"}
    return [Image.open(io.BytesIO(base64.b64decode(one.data))).convert("RGB") for one in shown]


async def test_a_model_finds_looks_at_and_compares_pictures(library: Path) -> None:
    async with asking(library) as session:
        tools = (await session.list_tools()).tools
        assert {tool.name for tool in tools} == {
            *("search_pictures", "similar_pictures", "describe_picture", "library_status")
        }
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)

        found = await session.call_tool("search_pictures", {"query": "blue", "count": 2})
        assert not found.is_error
        first, *_ = texts(found)
        assert "name: blue.png" in first
        copies = pictures(found)
        assert [copy.size for copy in copies] == [(320, 160)] * 2
        red, _, blue = copies[0].getpixel((5, 5))  # type: ignore[misc]  # RGB
        assert blue > 200 > red

        id = first.partition("id ")[2].partition(",")[0]
        similar = await session.call_tool("similar_pictures", {"id": id})
        assert len(pictures(similar)) == 2
        assert "blue.png" not in "".join(texts(similar))

        described = await session.call_tool("describe_picture", {"id": id})
        assert [copy.size for copy in pictures(described)] == [(800, 400)]
        assert "width: 800" in texts(described)[0]

        status = await session.call_tool("library_status", {})
        assert "pictures: 3 in 3 files" in texts(status)[0]


async def test_filters_and_what_cannot_be_answered(library: Path, photos: Path) -> None:
    async with asking(library) as session:
        where = {"name": {"$in": ["red.png"]}}
        found = await session.call_tool("search_pictures", {"query": "blue", "where": where})
        assert len(pictures(found)) == 1
        nothing = {"query": "blue", "where": {"name": "none"}}
        assert texts(await session.call_tool("search_pictures", nothing)) == [
            "No picture was found."
        ]
        refusals: list[tuple[str, dict[str, object], str]] = [
            ("search_pictures", {"query": " "}, "the query is empty"),
            ("search_pictures", {"query": "x", "where": {"$bad": 1}}, "filter not understood"),
            ("search_pictures", {"query": "x", "count": 1000}, "20"),
            ("similar_pictures", {"id": "none"}, "no item 'none'"),
            ("describe_picture", {"id": "none"}, "no item 'none'"),
        ]
        for name, arguments, says in refusals:
            refused = await session.call_tool(name, arguments)
            assert refused.is_error, name
            assert says in "".join(texts(refused))
        # A file that is gone is told of, and does not end the answer.
        (photos / "green.png").unlink()
        found = await session.call_tool("search_pictures", {"query": "red", "count": 3})
        assert len(pictures(found)) == 2
        assert any("no copy of it" in text for text in texts(found))


async def test_lines_of_the_query_language_and_why_a_picture_was_found(
    library: Path, photos: Path
) -> None:
    async with asking(library) as session:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        told = str(tools["search_pictures"].input_schema["properties"]["syntax"]["description"])
        assert "year" in told
        asked = {"query": "red ext:png -blue", "syntax": True, "explain": True, "count": 1}
        found = await session.call_tool("search_pictures", asked)
        assert "name: red.png" in "".join(texts(found))
        why = next(text for text in texts(found) if text.startswith("why: "))
        assert "'red' +" in why
        assert "extension is png" in why
        assert ", match " in "".join(texts(found))
        id = texts(found)[0].partition("id ")[2].partition(",")[0]
        like = {"query": f"like:{id}", "syntax": True, "count": 1}
        assert id in "".join(texts(await session.call_tool("search_pictures", like)))
        for line, says in (
            ("a cat camra:canon", "did you mean camera:"),
            (f"like:{photos / 'red.png'}", "no item"),
            ("like:https://127.0.0.1/red.png", "no item"),
        ):
            asked = {"query": line, "syntax": True}
            refused = await session.call_tool("search_pictures", asked)
            assert refused.is_error, line
            assert says in "".join(texts(refused))
