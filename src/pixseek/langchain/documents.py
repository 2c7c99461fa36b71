"""Documents ↔ items: which of them are pictures, what their text is, what can be kept of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

from langchain_core.documents import Document

from pixseek.collection import check_metadata
from pixseek.engine import EXTENSIONS
from pixseek.errors import InvalidMetadata
from pixseek.records import TEXT_FIELD, Hit, Item, Metadata, text_of

PATH_FIELDS = ("path", "image_path", "source", "uri")
"""Fields of a document's metadata that may name a picture file, tried in this order."""


def picture_of(metadata: Mapping[str, Any], text: str = "") -> str | None:
    """The picture file that metadata names, or None: by its extension.

    In the field `path` of a document without text, any file is taken for a picture.
    """
    for field in PATH_FIELDS:
        value = metadata.get(field)
        first = value[0] if isinstance(value, list) and value else value
        path = _local(first) if isinstance(first, str) and first else None
        if path is None:
            continue
        if PurePath(path).suffix.lower().lstrip(".") in EXTENSIONS:
            return path
        if field == "path" and not text:
            return path
    return None


def _local(uri: str) -> str | None:
    """A path, or a file: URI as one; None for what is elsewhere."""
    if uri.startswith("file:"):
        return unquote(urlsplit(uri).path)
    return None if "://" in uri else uri


def kept(id: str, metadata: Mapping[str, Any]) -> Metadata:
    """A document's metadata as stores keep it; what is None is left out.

    Raises InvalidMetadata for values that no store can keep, and for the field in which a
    document's text is kept.
    """
    if TEXT_FIELD in metadata:
        expected = "another name, as the text of a document is kept in that field"
        raise InvalidMetadata(id, TEXT_FIELD, metadata[TEXT_FIELD], expected)
    said: Metadata = {str(name): value for name, value in metadata.items() if value is not None}
    check_metadata({id: said})
    return said


def document(found: Hit | Item) -> Document:
    """What was found: text, caption or file name as page_content; the rest as metadata."""
    metadata = {name: value for name, value in found.metadata.items() if name != TEXT_FIELD}
    return Document(id=found.id, page_content=text_of(found.id, found.metadata), metadata=metadata)


def text_id(text: str, metadata: Metadata) -> str:
    """The identity of a document that is only text: of what it says and what is said of it."""
    from hashlib import blake2b

    whole = json.dumps([text, metadata], sort_keys=True, default=repr)
    return blake2b(whole.encode(), digest_size=16).hexdigest()
