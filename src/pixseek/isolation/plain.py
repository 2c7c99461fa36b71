"""Which contents may be decoded on a thread of this process: JPEG and PNG of ordinary make.

Their decoders are the best tested there are, and the work they can make is bounded by what their
headers say. Everything else is decoded in a child.
"""

from __future__ import annotations

import struct

MAX_BYTES = 32_000_000
MAX_PIXELS = 100_000_000
MAX_PASSES = 200_000_000
"""Pixels times scans: a progressive JPEG of few bytes can have its decoder go over all its pixels
hundreds of times."""
MAX_PARTS = 10_000
"""Segments or chunks; each is a step of Python's."""

_PNG = b"\x89PNG\r\n\x1a\n"
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = b"\xff\xda"


def is_plain(content: bytes) -> bool:
    """Whether decoding it takes no longer than a thread that cannot be stopped may take."""
    if len(content) > MAX_BYTES:
        return False
    if content.startswith(b"\xff\xd8\xff"):
        pixels = _jpeg_pixels(content)
        scans = content.count(_START_OF_SCAN)
        return 0 < pixels <= MAX_PIXELS and pixels * scans <= MAX_PASSES
    return content.startswith(_PNG) and 0 < _png_pixels(content) <= MAX_PIXELS


def _jpeg_pixels(content: bytes) -> int:
    """As the first frame header says; 0 when there is none before the first scan, as there must."""
    at = 2
    for _ in range(MAX_PARTS):
        if content[at : at + 1] != b"\xff":
            return 0
        marker = content[at + 1 : at + 2]
        if marker == b"\xff":  # any number of them may come before a marker
            at += 1
            continue
        head = content[at + 2 : at + 9]
        if len(head) < 7 or marker == b"\xda":
            return 0
        length, _, height, width = struct.unpack(">HBHH", head)
        if marker[0] in _SIZES:
            return int(height) * int(width)
        at += 2 + int(length)
    return 0


def _png_pixels(content: bytes) -> int:
    """As the header says; 0 when it is damaged, or of more parts than a picture needs."""
    if content[12:16] != b"IHDR" or len(content) < 24:
        return 0
    width, height = struct.unpack(">II", content[16:24])
    at, parts = len(_PNG), 0
    while at + 8 <= len(content) and parts <= MAX_PARTS:
        at += 12 + int.from_bytes(content[at : at + 4], "big")
        parts += 1
    return int(width) * int(height) if parts <= MAX_PARTS else 0
