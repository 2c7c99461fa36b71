"""Films made for tests: scenes of one colour with a bar that moves in them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

Scene = tuple[tuple[int, int, int], float]
"""A colour, and for how many seconds it is shown."""
RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 200, 0), (0, 0, 255), (0, 0, 0)
RATE = 10


def film(
    path: Path,
    scenes: Sequence[Scene],
    *,
    codec: str = "mpeg4",
    keyframe_every: int = 12,
    size: tuple[int, int] = (96, 64),
    tags: dict[str, str] | None = None,
    sound: bool = False,
) -> Path:
    """Write a film of ten frames a second; returns the path."""
    with av.open(str(path), "w") as made:
        made.metadata.update(tags or {})
        stream: Any = made.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size = keyframe_every
        if codec == "mpeg4":
            stream.codec_context.bit_rate = 2_000_000
            stream.options = {"sc_threshold": "1000000000"}  # no keyframes but the regular ones
        if sound:
            other = made.add_stream("aac", rate=48_000)
        number = 0
        for colour, seconds in scenes:
            for _ in range(round(seconds * RATE)):
                pixels = np.full((size[1], size[0], 3), colour, np.uint8)
                if colour != BLACK:
                    pixels[: size[1] // 3, : size[0] // 3] = 255
                    pixels[:, number % size[0]] = 128
                for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                    made.mux(packet)
                number += 1
        for packet in stream.encode(None):
            made.mux(packet)
        if sound:
            _silence(made, other)
    return path


def sound_only(path: Path, codec: str = "aac") -> Path:
    """Half a second of silence."""
    with av.open(str(path), "w") as made:
        _silence(made, made.add_stream(codec, rate=48_000))
    return path


def _silence(made: Any, stream: Any) -> None:
    for start in range(0, 24_000, 1024):
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 48_000, start
        for packet in stream.encode(frame):
            made.mux(packet)
    for packet in stream.encode(None):
        made.mux(packet)


def turned(path: Path, clockwise: int) -> Path:
    """Have an MP4 say that its frames are to be turned by so many degrees to be shown."""
    content = bytearray(path.read_bytes())
    one = 1 << 16
    a, b = {90: (0, one), 180: (-one, 0), 270: (0, -one)}[clockwise]
    # tkhd, version 0: 40 bytes from its content to the matrix (ISO 14496-12, 8.3.2).
    at = content.index(b"tkhd") + 4 + 40
    content[at : at + 36] = struct.pack(">9i", a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path
