"""What every encoder must do: inherit `EncoderContract`, give `make`, run it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from pixseek.encoders import Encoder
from pixseek.records import Vectors

TEXTS = [
    "a red flower",
    "blue and white flag",
    "",
    " ",
    "\n\t",
    "Ünïcödé, «güzel»",
    "قطة على الشجرة",
    "一只猫在树上",
    "👩🏽‍🚀🏳️‍🌈",
    "quotes ' \" and <tags> & \\backslashes",
    "a\x00b",
    "[CLS] [SEP] [MASK] <s>",
    "very long " * 5000,
    "x" * 20_000,
    b"caf\xe9".decode("utf-8", "surrogateescape"),
]


def pictures(seed: int, sizes: Sequence[tuple[int, int]]) -> list[Image.Image]:
    """One picture a size (width, height): large blocks of random colours."""
    rng = np.random.default_rng(seed)
    made = []
    for size in sizes:
        blocks = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
        made.append(blocks.resize(size, Image.Resampling.NEAREST))
    return made


class EncoderContract:
    """Inherit as `class TestX(EncoderContract)` and override `make`."""

    tolerance: ClassVar[float] = 1e-6
    """How far a vector's values may be from those of the same input in another batch."""

    @staticmethod
    def make() -> Encoder:
        raise NotImplementedError("return a new encoder")

    @pytest.fixture(scope="class")
    @classmethod
    def encoder(cls) -> Encoder:
        return cls.make()

    def test_pictures_become_unit_vectors_of_the_space(self, encoder: Encoder) -> None:
        images = pictures(0, [(64, 48), (48, 64), (300, 200)])
        _assert_units(encoder.encode_images(images), 3, encoder.space.dimensions)

    def test_texts_become_unit_vectors_of_the_space(self, encoder: Encoder) -> None:
        _assert_units(encoder.encode_texts(["red", "a blue sea"]), 2, encoder.space.dimensions)

    def test_no_pictures_and_no_texts_give_no_rows(self, encoder: Encoder) -> None:
        _assert_units(encoder.encode_images([]), 0, encoder.space.dimensions)
        _assert_units(encoder.encode_texts([]), 0, encoder.space.dimensions)

    def test_rows_are_in_the_order_given(self, encoder: Encoder) -> None:
        images = pictures(1, [(40, 40), (90, 60), (60, 90)])
        texts = ["red", "a green field", "blue and white flag"]
        for rows, turned in (
            (encoder.encode_images(images), encoder.encode_images(images[::-1])),
            (encoder.encode_texts(texts), encoder.encode_texts(texts[::-1])),
        ):
            np.testing.assert_allclose(turned[::-1], rows, atol=self.tolerance)
            assert np.abs(rows[0] - rows[2]).max() > 100 * self.tolerance

    def test_a_picture_has_the_same_vector_alone_and_among_others(self, encoder: Encoder) -> None:
        images = pictures(2, [(64, 64), (1, 1), (200, 20), (33, 47), (500, 400)])
        alone = np.concatenate([encoder.encode_images([image]) for image in images])
        np.testing.assert_allclose(encoder.encode_images(images), alone, atol=self.tolerance)

    def test_a_text_has_the_same_vector_alone_and_among_others(self, encoder: Encoder) -> None:
        texts = ["red", "", "a dog runs on a green field by the sea", "blue " * 300]
        alone = np.concatenate([encoder.encode_texts([text]) for text in texts])
        np.testing.assert_allclose(encoder.encode_texts(texts), alone, atol=self.tolerance)

    @pytest.mark.parametrize("text", TEXTS, ids=[ascii(text[:12]) for text in TEXTS])
    def test_any_text_has_a_vector(self, encoder: Encoder, text: str) -> None:
        rows = encoder.encode_texts([text, "red"])
        _assert_units(rows, 2, encoder.space.dimensions)
        red = encoder.encode_texts(["red"])
        np.testing.assert_allclose(rows[1:], red, atol=self.tolerance)

    @pytest.mark.parametrize(
        "size", [(1, 1), (1, 500), (5000, 3), (3, 5000), (2000, 1500)], ids=str
    )
    def test_a_picture_of_any_size_has_a_vector(
        self, encoder: Encoder, size: tuple[int, int]
    ) -> None:
        for colour in ("black", "white", "red"):
            image = Image.new("RGB", size, colour)
            _assert_units(encoder.encode_images([image]), 1, encoder.space.dimensions)

    def test_what_is_encoded_is_not_changed(self, encoder: Encoder) -> None:
        (image,) = pictures(3, [(50, 40)])
        before = image.tobytes()
        encoder.encode_images([image])
        assert (image.size, image.mode, image.tobytes()) == ((50, 40), "RGB", before)

    def test_four_threads_encode_with_one_encoder_not_used_before(self, encoder: Encoder) -> None:
        images = pictures(4, [(64, 48), (48, 64), (32, 32)])
        texts = ["red", "a green field by the sea", "white flag"]
        expected = [encoder.encode_images(images), encoder.encode_texts(texts)]
        fresh, start = self.make(), Barrier(4)

        def encode(turn: int) -> list[Vectors]:
            start.wait(timeout=30)
            if turn % 2:
                return [fresh.encode_images(images), fresh.encode_texts(texts)]
            return [fresh.encode_texts(texts), fresh.encode_images(images)][::-1]

        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(encode, range(4)):
                for rows, wanted in zip(found, expected, strict=True):
                    np.testing.assert_allclose(rows, wanted, atol=self.tolerance)

    def test_the_space_is_the_same_in_every_instance(self, encoder: Encoder) -> None:
        space = encoder.space
        assert self.make().space == space
        assert encoder.space == space
        assert space.model
        assert space.fingerprint
        assert space.dimensions > 0

    def test_the_input_size_is_a_number_of_pixels(self, encoder: Encoder) -> None:
        assert 1 <= encoder.input_size <= 4096
        assert self.make().input_size == encoder.input_size


def _assert_units(rows: Vectors, n: int, dimensions: int) -> None:
    assert rows.shape == (n, dimensions)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
