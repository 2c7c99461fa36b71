"""Text in pictures, read by RapidOCR: PaddleOCR's models on ONNX Runtime.

The models are in RapidOCR's wheel: nothing is downloaded. They read Latin letters with all their
accents, Greek, Chinese and Japanese; not Cyrillic, Arabic, Korean nor Indian scripts. Lines may lie
askew, run up or down, or be upside down.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rapidocr
from PIL import Image

from pixseek.errors import ModelUnavailable, UnreadableImage
from pixseek.records import Metadata

if TYPE_CHECKING:
    from pixseek.encoders import Options


@dataclass(frozen=True, slots=True)
class Limits:
    """What is read and kept; docs/words.md has what other values give."""

    max_pixels: int = 2_100_000
    """Pictures with more are reduced to this before they are read."""
    detection_side: int = 1280
    """Pixels on the longer side at which lines are looked for. More finds smaller lines in pages,
    and misses more of those on signs: the model was made for about this."""
    min_confidence: float = 0.8
    """Lines that the model is less sure of are left out."""
    min_characters: int = 2
    """Lines with fewer letters and digits are left out: a cup seen from above is an 8 or an O."""
    max_characters: int = 10_000
    """Of one picture, about three dense pages; stores on servers refuse much longer metadata."""


USUAL = Limits()

LONGEST = 2.5
"""Times its shorter side that a picture may have to be read at once; longer ones, such as
screenshots of a whole web page, are read in parts, and a line that a cut goes through is lost."""

MAX_PARTS = 8
"""As many as the longest picture that the reader gives needs (reader.LONGEST)."""
LEAST_SIDE = 736
"""Pixels that the shorter side of a small picture is enlarged to, as RapidOCR does by itself; in a
scanned page of 384×191 pixels, most lines are not seen otherwise."""

Box = tuple[float, float, float, float]


def load(options: Options) -> TextReader:  # noqa: ARG001  as every describer's
    return TextReader()


class TextReader:
    """Fills `text` and `text_lines`. The models are loaded when the first picture comes."""

    field = "text"
    input_size = 725  # the reader keeps twice as many: a square of max_pixels

    def __init__(self, limits: Limits = USUAL) -> None:
        self._limits = limits
        parameters = _parameters(limits)
        for name, value in parameters.items():
            if name.endswith(".model_path") and not Path(str(value)).is_file():
                raise ModelUnavailable("RapidOCR", f"{value} is not there")
        self._engine = rapidocr.RapidOCR(params=parameters)

    def describe(self, images: Sequence[Image.Image]) -> list[Metadata]:
        """See Describer.describe."""
        return [self._described(image) for image in images]

    def _described(self, image: Image.Image) -> Metadata:
        texts: list[str] = []
        lines: list[str] = []
        for text, box, confidence in self._lines(image):
            if sum(map(str.isalnum, text)) < self._limits.min_characters:
                continue
            if sum(map(len, texts)) + len(text) > self._limits.max_characters:
                break
            texts.append(text)
            line = {"text": text, "box": box, "confidence": confidence}
            lines.append(json.dumps(line, ensure_ascii=False))
        return {"text": "\n".join(texts), "text_lines": lines} if texts else {}

    def _lines(self, image: Image.Image) -> Iterator[tuple[str, Box, float]]:
        """Each line from top to bottom: text, box, confidence.

        A box is left, top, width and height, in shares of the picture, 0 to 1.
        """
        for left, top, part in _parts(image):
            small = _fitted(part, self._limits)
            found = self._found(small)
            if found.txts is None:
                continue
            shown = np.array(image.size)
            corners = found.boxes * (np.array(part.size) / small.size) + (left, top)
            for text, its, confidence in zip(found.txts, corners, found.scores, strict=True):
                start, end = its.min(axis=0) / shown, its.max(axis=0) / shown
                x, y, width, height = (round(float(s), 4) for s in (*start, *(end - start)))
                yield " ".join(text.split()), (x, y, width, height), round(float(confidence), 3)

    def _found(self, image: Image.Image) -> Any:
        """RapidOCR's own record: txts, boxes (corners in pixels) and scores, or None for each."""
        try:
            return self._engine(np.asarray(image)[:, :, ::-1])  # as OpenCV has it: blue first
        except Exception as error:  # RapidOCR's and OpenCV's errors share no base class
            reason = f"its text cannot be read ({error})"
            raise UnreadableImage("the picture given", reason) from error


def _parameters(limits: Limits) -> dict[str, object]:
    """RapidOCR's own settings, by its names for them."""
    models = Path(rapidocr.__file__).parent / "models"
    return {
        "Global.log_level": "critical",
        "Global.text_score": limits.min_confidence,
        "Det.limit_type": "max",
        "Det.limit_side_len": limits.detection_side,
        # Named by path, as RapidOCR downloads those that it chooses by itself and thinks damaged.
        "Det.model_path": str(models / "PP-OCRv6_det_small.onnx"),
        "Cls.model_path": str(models / "ch_ppocr_mobile_v2.0_cls_mobile.onnx"),
        "Rec.model_path": str(models / "PP-OCRv6_rec_small.onnx"),
        # One thread a call, as several read at once (docs/decisions/003-indexing-workers.md).
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Global.max_side_len": 1 << 30,  # whatever the shape; `_fitted` bounds the pixels
    }


def _parts(image: Image.Image) -> Iterator[tuple[int, int, Image.Image]]:
    """(left, top, part) that together are the picture; nearly always the picture itself."""
    width, height = image.size
    longer, shorter = max(width, height), min(width, height)
    count = min(MAX_PARTS, math.ceil(longer / (LONGEST * shorter)))
    if count == 1:
        yield 0, 0, image
        return
    cuts = [number * longer // count for number in range(count + 1)]
    for start, end in pairwise(cuts):
        box = (start, 0, end, height) if width > height else (0, start, width, end)
        yield box[0], box[1], image.crop(box)


def _fitted(image: Image.Image, limits: Limits) -> Image.Image:
    """Large pictures reduced, and small ones enlarged to what lines are looked for at."""
    shorter, longer = sorted(image.size)
    scale = (limits.max_pixels / (shorter * longer)) ** 0.5
    if scale >= 1:
        scale = max(1.0, min(LEAST_SIDE / shorter, limits.detection_side / longer))
    if scale == 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)
