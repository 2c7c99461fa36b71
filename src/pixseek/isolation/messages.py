"""What the two sides of a pipe say to each other: small JSON, and bytes that belong to it.

JSON, not pickle: what a decoder has been made to do by a hostile file ends at the pipe.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any, TypeAlias

Said: TypeAlias = dict[str, Any]

_HEAD = struct.Struct("<IQ")


def send(pipe: IO[bytes], said: Said, content: bytes = b"") -> None:
    """Raises OSError when nobody listens any more."""
    text = json.dumps(said).encode()
    pipe.write(_HEAD.pack(len(text), len(content)) + text)
    if content:
        pipe.write(content)
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[Said, bytes]:
    """The next message. Raises EOFError when the other side is gone, ValueError when it is mad."""
    length, size = _HEAD.unpack(_whole(pipe, _HEAD.size))
    said = json.loads(_whole(pipe, length))
    if not isinstance(said, dict):
        raise ValueError(f"expected an object, got {said!r}")
    return said, _whole(pipe, size)


def _whole(pipe: IO[bytes], size: int) -> bytes:
    read = pipe.read(size)
    if len(read) < size:
        raise EOFError
    return read
