"""A video file → some of its frames, upright, by PyAV (extra `video`).

A film is never decoded whole. At points that lie evenly in it, the keyframe before is decoded:
there encoders put scene changes. Only where keyframes are rarer than every few seconds, and only up
to a number of frames, is it decoded on. Of these frames, those that differ are taken; frames of one
colour are passed over, unless there are no others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from pixseek.errors import UnreadableImage
from pixseek.metadata import container
from pixseek.moments import Choice, is_flat, key_at
from pixseek.reader import check_size, kept_size, translated
from pixseek.records import Metadata

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

DEMUXERS = "avi,asf,flv,matroska,mov,mpeg,mpegts,mpegvideo,ogg"
"""What FFmpeg may take a file for. Playlists and the like, which name other files and addresses for
it to fetch, are not among it."""
NAMES = {
    **{"avi": "AVI", "asf": "WMV", "flv": "FLV", "matroska": "MATROSKA", "mov": "MP4"},
    **{"mpeg": "MPEG", "mpegts": "MPEG", "mpegvideo": "MPEG", "ogg": "OGG"},
}
"""The field `format` of what each of them reads."""

BYTES_A_PIXEL = 24
"""About what decoding takes: a decoder keeps up to 16 frames; those that were taken are small."""
LEAST_STEP_S = 1.0
LOOKED_AT = 2
"""Points of a film that are looked at for each moment it may have, no nearer than that."""
EVERY_S = 4.0
"""Where there is no keyframe for so long, it is decoded on."""
MAX_DECODED = 2400
"""Frames of one file that are decoded between keyframes."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame of a video."""

    time_s: float
    """Since the beginning."""
    image: Image.Image
    """Upright RGB, reduced as Picture.image is."""

    @property
    def key(self) -> str:
        return key_at(self.time_s)


class Video:
    """A video file that is open."""

    def __init__(
        self, opened: InputContainer, stream: VideoStream, called: str, input_size: int
    ) -> None:
        self._opened = opened
        self._stream = stream
        self._called = called
        self._input_size = input_size
        self._base: Fraction = stream.time_base or Fraction(1, 1_000_000)
        self._start_s = float((stream.start_time or 0) * self._base)
        aspect = stream.codec_context.sample_aspect_ratio or Fraction(1)
        width, height = stream.codec_context.width, stream.codec_context.height
        self.stored = (max(1, round(width * aspect)), height)
        """Pixels of a frame with square pixels, before it is turned."""
        self._moved = False
        """Whether it was read from: then reading on does not begin at the beginning."""
        self.size = self.stored
        """Of the upright picture; known once a frame was read."""

    @property
    def format(self) -> str:
        """For the field `format`."""
        if self._opened.metadata.get("major_brand", "").strip() == "qt":
            return "MOV"
        return NAMES.get(self._opened.format.name.partition(",")[0], "VIDEO")

    @property
    def duration_s(self) -> float | None:
        """None where the file does not say."""
        if self._stream.duration:
            return float(self._stream.duration * self._base)
        return self._opened.duration / 1_000_000 if self._opened.duration else None

    def fields(self) -> Metadata:
        """What the file says of itself."""
        found = container.fields({**self._stream.metadata, **self._opened.metadata})
        if self.duration_s is not None:
            found["duration"] = round(self.duration_s, 3)
        return found

    def choose(self, at_most: int, max_seconds: float) -> list[Shot]:
        """Frames that differ, in order; the first of them is the same whatever `at_most` is.

        max_seconds: what is found in that time counts.

        Raises UnreadableImage when no frame can be decoded.
        """
        ends = time.monotonic() + max_seconds
        choice: Choice[Shot] = Choice(at_most)
        first = self._first(ends)
        choice.offer(first.time_s, first.image, first)
        if at_most > 1:
            for shot in self._shots(first.time_s, self._step(at_most), ends):
                if not is_flat(shot.image):
                    choice.offer(shot.time_s, shot.image, shot)
        return choice.chosen()

    def _first(self, ends: float) -> Shot:
        flat: Shot | None = None
        for shot in self._shots(-1.0, self._step(1), ends):
            if not is_flat(shot.image):
                return shot
            flat = flat or shot
        if flat is None:
            raise UnreadableImage(self._called, "no frame of this video can be decoded")
        return flat

    def _step(self, at_most: int) -> float:
        """Seconds between the points that are looked at."""
        return max(LEAST_STEP_S, (self.duration_s or 0.0) / (LOOKED_AT * max(at_most, 30)))

    def at(self, keys: Sequence[str]) -> list[Shot]:
        """The frames with these keys. Raises UnreadableImage when one is not there."""
        return [self._at(key) for key in keys]

    def _at(self, key: str) -> Shot:
        wanted = int(key) if key.isdecimal() else -1
        # Where a container has no index, as in transport streams, seeking may end up too late.
        for back_s in (0.0, 2.0, 10.0, 1e9):
            for frame in self._from(max(0.0, (wanted + 0.5) / 1000 - back_s), MAX_DECODED):
                time_ms = round(1000 * self._time(frame))
                if time_ms == wanted:
                    return self._shot(frame)
                if time_ms > wanted:
                    break
        raise UnreadableImage(self._called, f"it has no picture at {key}")

    def _shots(self, last_s: float, step_s: float, ends: float) -> Iterator[Shot]:
        """Frames worth comparing, in order, after the one at `last_s`."""
        duration_s = self.duration_s or 0.0
        at_s, left = 0.0 if last_s < 0 else last_s + step_s, MAX_DECODED
        while at_s <= duration_s and time.monotonic() < ends:
            frames = self._from(at_s, left + 1)
            first = next(frames, None)
            if first is None:
                pass  # damaged here, or the end
            elif self._time(first) > last_s:
                last_s = self._time(first)
                yield self._shot(first)
            elif at_s >= last_s + EVERY_S:
                for frame in frames:
                    left -= 1
                    key = frame.key_frame and self._time(frame) > last_s
                    if key or self._time(frame) >= last_s + EVERY_S:
                        last_s = self._time(frame)
                        yield self._shot(frame)
                    if key or time.monotonic() > ends:
                        break
            at_s = max(at_s, last_s) + step_s

    def _from(self, time_s: float, at_most: int) -> Iterator[VideoFrame]:
        """Frames from the keyframe at or before a time on; up to damage."""
        import av

        try:
            if self._moved or time_s > 0:
                offset = int((time_s + self._start_s) / self._base)
                self._opened.seek(offset, stream=self._stream)
            self._moved = True
            for number, frame in enumerate(self._opened.decode(self._stream)):
                if number >= at_most:
                    return
                if frame.time is not None:
                    yield frame
        except av.FFmpegError:
            return

    def _time(self, frame: VideoFrame) -> float:
        return max(0.0, frame.time - self._start_s)

    def _shot(self, frame: VideoFrame) -> Shot:
        width, height = kept_size(self.stored, self._input_size)
        pixels = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
        image = Image.fromarray(pixels)
        turn = _TURNS.get(frame.rotation % 360)
        if turn is not None:
            image = image.transpose(turn)
        sideways = turn in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)
        self.size = self.stored[::-1] if sideways else self.stored
        return Shot(self._time(frame), image)


_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
"""Degrees counter-clockwise that make a frame upright, as its display matrix says."""


@contextmanager
def opened(source: Path | bytes, input_size: int, called: str, max_pixels: int) -> Iterator[Video]:
    """A video file, open for a model whose input is `input_size` pixels on a side.

    Raises UnreadableImage, for what goes wrong while it is used, too; ModuleNotFoundError without
    the extra `video`.
    """
    import av

    with translated(called), _file(source) as file:
        try:
            options = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
            with av.open(file, options=options, metadata_errors="replace") as found:
                stream = _stream(found, called)
                video = Video(found, stream, called, input_size)
                check_size(video.stored, called, max_pixels)
                yield video
        except av.FFmpegError as error:
            raise UnreadableImage(called, f"this video is damaged ({error.strerror})") from error


@contextmanager
def _file(source: Path | bytes) -> Iterator[Any]:
    if isinstance(source, bytes):
        yield BytesIO(source)
        return
    with source.open("rb") as file:
        yield file


def _stream(found: av.container.InputContainer, called: str) -> VideoStream:
    """The video's pictures, not the cover of an album."""
    from av.stream import Disposition

    streams = [one for one in found.streams.video if not one.disposition & Disposition.attached_pic]
    if not streams:
        sound = " only sound" if found.streams.audio else " none"
        raise UnreadableImage(called, f"it has no moving pictures,{sound}")
    stream = max(streams, key=lambda one: bool(one.disposition & Disposition.default))
    if getattr(stream, "codec_context", None) is None or not stream.codec_context.width:
        raise UnreadableImage(called, "its pictures are in no video format known")
    stream.codec_context.thread_count = 1  # files are read side by side already
    return stream
