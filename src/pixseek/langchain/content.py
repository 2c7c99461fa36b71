"""What is found → what a chat model can look at: LangChain's standard blocks of content."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from langchain_core.documents import Document
from langchain_core.messages import ImageContentBlock
from langchain_core.messages.content import create_image_block

from pixseek.engine import read_picture
from pixseek.errors import MissingPath
from pixseek.langchain.documents import picture_of
from pixseek.records import Hit

if TYPE_CHECKING:
    from PIL import Image

Found: TypeAlias = Hit | Document | str | os.PathLike[str]
MAX_PIXELS = 1_000_000


def image_content_blocks(
    found: Iterable[Found], *, max_pixels: int = MAX_PIXELS
) -> list[ImageContentBlock]:
    """Pictures as blocks for a multimodal chat model's message, one each, in their order.

    found: hits, documents or paths. max_pixels: larger pictures are reduced to no more.
    Each is read now, turned upright, and becomes a JPEG in base64; nothing of it is kept.
    Raises MissingPath for what has no file, or none any more; UnreadableImage.
    """
    blocks = []
    for one in found:
        item = "" if isinstance(one, str | os.PathLike) else str(one.id)
        picture = read_picture(path_of(one), max(1, int(max_pixels**0.5)), of=item)
        content = BytesIO()
        _reduced(picture, max_pixels).save(content, "JPEG", quality=85)
        text = b64encode(content.getvalue()).decode("ascii")
        blocks.append(create_image_block(base64=text, mime_type="image/jpeg"))
    return blocks


def path_of(found: Found) -> Path:
    """The file. Raises MissingPath for what has none."""
    if isinstance(found, str | os.PathLike):
        return Path(found)
    path = str(found.path) if isinstance(found, Hit) else picture_of(found.metadata)
    if path in (None, "", "."):
        raise MissingPath(str(found.id), "something that was found as a picture file")
    return Path(str(path))


def _reduced(picture: Image.Image, max_pixels: int) -> Image.Image:
    pixels = picture.width * picture.height
    if pixels <= max_pixels:
        return picture
    scale = (max_pixels / pixels) ** 0.5
    size = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
    return picture.resize(size)
