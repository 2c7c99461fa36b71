"""One picture stored in several ways has one vector: turned by EXIF, in other colours' numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import SAMPLES
from tests.reference_models import NAMES, model, unpacked
from tests.test_colours import P3, SRGB, profile
from tests.test_reader import ORIENTATION, STORED, encoded

from pixseek.encoders import Encoder, Options, load_encoder, onnx
from pixseek.reader import read
from pixseek.records import Vectors

CLOSE = 1e-3
"""Cosines of floating-point models differ by less where the pixels differ by rounding."""
POCKET_CLOSE = 1e-2
"""Those of `pocket`, whose weights and sums have 8 bits: up to 0.006 was measured for pictures
whose pixels differ by rounding, and nothing for equal pixels."""


def photo(number: int, size: tuple[int, int]) -> Image.Image:
    with Image.open(sorted(SAMPLES.glob("*.jpg"))[number]) as opened:
        return opened.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def in_all_orientations(image: Image.Image, format: str, **options: Any) -> list[bytes]:
    made = []
    for orientation, turns in STORED.items():
        stored, exif = image, Image.Exif()
        for turn in turns:
            stored = stored.transpose(turn)
        exif[ORIENTATION] = orientation
        made.append(encoded(stored, format, exif=exif, **options))
    return made


def in_display_p3(image: Image.Image) -> bytes:
    """The same colours in the numbers of Display P3, with its profile."""
    values = np.asarray(image, np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    numbers = np.clip(linear @ (np.linalg.inv(P3) @ SRGB).T, 0, 1) ** (1 / 2.2)
    wide = Image.fromarray(np.rint(numbers * 255).astype(np.uint8))
    return encoded(wide, "PNG", icc_profile=profile(P3))


def apart(encoder: Encoder, contents: list[bytes]) -> float:
    """1 - cosine of those that are furthest from one another."""
    vectors: Vectors = np.concatenate(
        [encoder.encode_images([read(one, encoder.input_size).image]) for one in contents]
    )
    return 1 - float((vectors @ vectors.T).min())


def floating(name: str) -> Encoder:
    return onnx.load(model(unpacked() / name), Options())


@pytest.mark.parametrize("size", [(1600, 1200), (1501, 1103), (2213, 463)])
def test_all_orientations_of_one_picture_have_one_vector(size: tuple[int, int]) -> None:
    contents = in_all_orientations(photo(3, size), "PNG", compress_level=1)
    for encoder in (load_encoder("pocket"), load_encoder("palette"), floating("open-clip")):
        assert apart(encoder, contents) < 1e-6, encoder.space


@pytest.mark.parametrize("name", NAMES)
def test_a_jpeg_that_was_compressed_sideways_has_nearly_the_vector_of_the_upright_one(
    name: str,
) -> None:
    """Its pixels are others: JPEG loses something else of a turned picture. Cameras' sides are
    multiples of 8, as here; else decoding at a smaller scale shifts it by part of a pixel."""
    contents = in_all_orientations(photo(5, (2000, 1504)), "JPEG", quality=92)
    assert apart(floating(name), contents) < CLOSE
    if name == NAMES[0]:
        assert apart(load_encoder("pocket"), contents) < POCKET_CLOSE


@pytest.mark.parametrize("number", range(4))
def test_a_picture_in_display_p3_has_nearly_the_vector_of_the_one_in_srgb(number: int) -> None:
    image = photo(number, (640, 400))
    contents = [encoded(image, "PNG"), in_display_p3(image)]
    for name in NAMES:
        assert apart(floating(name), contents) < CLOSE, name
    assert apart(load_encoder("pocket"), contents) < POCKET_CLOSE
