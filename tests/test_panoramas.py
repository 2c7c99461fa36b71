"""Of a long picture every part counts, and other pictures are encoded as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import SAMPLES
from tests.reference_models import model, unpacked

from pixseek import ImageSearchEngine
from pixseek.encoders import Encoder, Options, load_encoder, onnx
from pixseek.encoders.tiles import AT_ONCE, LONG, MOST, encode_pictures, is_long, squares
from pixseek.records import Vectors


def photo(number: int, side: int = 240) -> Image.Image:
    with Image.open(sorted(SAMPLES.glob("*.jpg"))[number]) as opened:
        return opened.convert("RGB").resize((side, side))


def row(*numbers: int, across: bool = True) -> Image.Image:
    side = 240
    size = (side * len(numbers), side) if across else (side, side * len(numbers))
    image = Image.new("RGB", size)
    for place, number in enumerate(numbers):
        image.paste(photo(number, side), (place * side, 0) if across else (0, place * side))
    return image


@pytest.fixture(params=["pocket", "palette", "open-clip"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "open-clip":  # which looks at the middle square only
        return onnx.load(model(unpacked() / "open-clip"), Options())
    return load_encoder(request.param)


@pytest.mark.parametrize(
    "size",
    [
        (200, 100),
        (100, 200),
        (201, 100),
        (299, 100),
        (6000, 1000),
        (1, 2),
        (3, 7),
        (9000, 3),
        (2, 7),
    ],
)
def test_the_squares_cover_the_picture_and_are_as_few_as_they_can_be(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size)
    assert is_long(image)
    made = squares(image)
    short, long = sorted(size)
    assert len(made) == min(-(-long // short), MOST)
    assert {min(one.size) for one in made} == {short}
    # Each pixel along the picture, painted with its place, is in one of the squares.
    ramp = np.repeat(np.arange(long, dtype=np.int32)[None], short, axis=0)
    painted = Image.fromarray(ramp if size[0] > size[1] else ramp.T)
    seen = {int(value) for one in squares(painted) for value in np.unique(np.asarray(one))}
    assert seen == set(range(long))


@pytest.mark.parametrize("size", [(199, 100), (160, 90), (100, 100), (100, 199), (1, 1)])
def test_what_is_not_long_goes_through_the_model_as_it_is(
    size: tuple[int, int], encoder: Encoder
) -> None:
    images = [photo(number).resize(size) for number in range(3)]
    assert not any(map(is_long, images))
    got = encode_pictures(encoder, images)
    assert np.array_equal(got, encoder.encode_images(images))


def test_no_pictures_give_no_vectors(encoder: Encoder) -> None:
    assert encode_pictures(encoder, []).shape == (0, encoder.space.dimensions)


def test_vectors_come_in_the_order_of_the_pictures_with_length_1(encoder: Encoder) -> None:
    images = [photo(0), row(1, 2, 3), photo(4), row(*range(12)), row(5, 6, across=False)]
    got = encode_pictures(encoder, images * 2)
    assert sum(len(squares(one)) + 1 for one in images * 2 if is_long(one)) > AT_ONCE
    assert got.dtype == np.float32
    assert np.allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
    for vector, image in zip(got, images * 2, strict=True):
        [alone] = encode_pictures(encoder, [image])
        assert vector @ alone > 0.99
        others = [encode_pictures(encoder, [one])[0] for one in images if one is not image]
        assert vector @ alone >= max(float(vector @ other) for other in others)


@pytest.mark.parametrize("across", [True, False])
def test_both_ends_count(across: bool, encoder: Encoder) -> None:
    def cosine(one: Vectors, other: Vectors) -> float:
        return float(one[0] @ other[0])

    plain = encode_pictures(encoder, [row(0, 1, 1, 1, 0, across=across)])
    for numbers in ((7, 1, 1, 1, 0), (0, 1, 1, 1, 7)):
        changed = encode_pictures(encoder, [row(*numbers, across=across)])
        assert cosine(plain, changed) < 0.9999


def test_a_picture_of_one_colour_is_that_colour_however_long(encoder: Encoder) -> None:
    square = encoder.encode_images([Image.new("RGB", (256, 256), (30, 80, 200))])
    for size in ((256 * 6, 256), (256, 256 * 6), (6000, 256)):
        [vector] = encode_pictures(encoder, [Image.new("RGB", size, (30, 80, 200))])
        assert vector @ square[0] > 0.99


def test_a_panorama_is_found_by_what_is_at_its_end(tmp_path: Path, photos: Path) -> None:
    for number in range(12, 24):
        photo(number).save(photos / f"{number}.png")
    row(3, 1, 2).save(photos / "panorama.png")
    with ImageSearchEngine(tmp_path / "library", model="pocket") as engine:
        engine.index_images(photos)
        for image in (photo(3), photo(1), photo(2)):
            assert engine.search_by_image(image, k=1)[0].path.name == "panorama.png"
        [itself] = engine.search_by_image(photos / "panorama.png", k=1)
        assert itself.score > 0.999
    assert LONG == 2
