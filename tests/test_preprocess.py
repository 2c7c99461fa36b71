"""Pixels and token ids are those of the reference implementations, and any input has some."""

from __future__ import annotations

from typing import Literal, get_args

import ftfy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image
from tests.reference_models import NAMES, answers, model, unpacked
from tools.reference.inputs import TEXTS, pictures

from pixseek.encoders import layouts, preprocess
from pixseek.encoders.catalog import Cleaning, ImagePreparation, TextPreparation

PRINTABLE = "".join(map(chr, range(32, 127))).replace("&", "")
EXACT = 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_pixels_are_those_of_the_reference(name: str) -> None:
    folder = unpacked() / name
    how = layouts.read(folder, model(folder)).images
    made = preprocess.pixels(pictures(), how)
    expected = answers(name)["pixels"]
    assert made.shape == expected.shape
    assert made.dtype == np.float32
    apart = np.abs(made - expected) * np.array(how.std, np.float32)[:, None, None]
    assert apart.max() < EXACT


@pytest.mark.parametrize("name", NAMES)
def test_token_ids_are_those_of_the_reference(name: str) -> None:
    folder = unpacked() / name
    parts = layouts.read(folder, model(folder))
    tokenizer = preprocess.read_tokenizer(parts.tokenizer)
    reader = preprocess.Texts(tokenizer, parts.texts, pad_token=parts.pad_token)
    expected = answers(name)["ids"]
    found = reader.tokens(TEXTS, expected.shape[1])
    for text, ids, mask, theirs in zip(TEXTS, found.ids, found.mask, expected, strict=True):
        assert ids[mask == 1].tolist() == theirs[mask == 1].tolist(), text
    if parts.texts.padded:
        assert found.mask.all()
    else:  # what fills up may differ, as no tower reads it; it is shorter without
        free = reader.tokens(TEXTS[:1])
        assert free.ids.shape[1] < expected.shape[1]
        assert (free.ids[0] == expected[0, : free.ids.shape[1]]).all()


# pictures


@pytest.mark.parametrize("half", ["even", "down"])
@pytest.mark.parametrize("size", [(48, 1000), (1000, 47)], ids=str)
def test_a_very_long_picture_is_cut_before_it_is_resized_and_hardly_differs(
    size: tuple[int, int], half: Literal["even", "down"]
) -> None:
    image = pictures()[0].resize(size)
    how = ImagePreparation(32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), half=half)
    long, short = max(size), min(size)
    assert long / short > preprocess.LONG
    whole = image.resize(
        [32 if side == short else int(32 * side / short) for side in size],
        Image.Resampling.BICUBIC,
    )
    margins = [(side - 32) / 2 for side in whole.size]
    left, top = (int(one) if half == "down" else round(one) for one in margins)
    cut = np.asarray(whole.crop((left, top, left + 32, top + 32)), np.float32)
    apart = np.abs(preprocess.pixels([image], how)[0] - cut.transpose(2, 0, 1) / 255)
    assert apart.max() < 2 / 255 + EXACT
    assert (apart > EXACT).mean() < 0.01


def test_no_pictures_give_no_rows() -> None:
    assert preprocess.pixels([], ImagePreparation(32)).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("size", [(1, 9000), (9000, 1)], ids=str)
def test_a_line_of_pixels_is_cut_before_it_is_enlarged(size: tuple[int, int]) -> None:
    made = preprocess.pixels([Image.new("RGB", size, "red")], ImagePreparation(224))
    assert np.ptp(made, axis=(2, 3)).max() == 0


# texts


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("none", " It's  “A_b-c”\n&amp;amp; "),
        ("whitespace", 'It\'s "A_b-c" &'),
        ("lower", 'it\'s "a_b-c" &'),
        ("canonicalize", "its a bc"),
        ("siglip", "its “abc” ampamp"),
    ],
)
def test_texts_are_cleaned_as_the_model_was_trained(how: Cleaning, expected: str) -> None:
    assert preprocess.clean(" It's  “A_b-c”\n&amp;amp; ", how) == expected


@given(some.text(PRINTABLE))
def test_a_plain_text_is_one_that_ftfy_would_not_change(text: str) -> None:
    assert ftfy.fix_text(text) == text


@pytest.mark.parametrize("how", get_args(Cleaning))
@given(text=some.text(some.characters(codec=None)))
def test_any_text_can_be_cleaned(how: Cleaning, text: str) -> None:
    preprocess.clean(text, how).encode()


def _words(padded: bool, pad_id: int | None, pad_token: str | None = None) -> preprocess.Texts:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocab = {"a": 0, "b": 1, "[end]": 2, "[pad]": 3, "?": 4}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("$A [end]", None, [("[end]", 2)])
    tokenizer.enable_padding(pad_id=4, length=50)
    how = TextPreparation(6, "none", padded=padded, pad_id=pad_id)
    return preprocess.Texts(tokenizer, how, pad_token=pad_token)


def test_what_is_cut_off_leaves_the_end_token() -> None:
    assert _words(False, 3).tokens(["a b a b a b a b"]).ids.tolist() == [[0, 1, 0, 1, 0, 2]]


def test_texts_are_as_long_as_the_longest_unless_padding_is_read() -> None:
    ids, mask = _words(False, 3).tokens(["a", "a b a"])
    assert ids.tolist() == [[0, 2, 3, 3], [0, 1, 0, 2]]
    assert mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    ids, mask = _words(True, 3).tokens(["a"])
    assert ids.tolist() == [[0, 2, 3, 3, 3, 3]]
    assert mask.tolist() == [[1, 1, 1, 1, 1, 1]]


@pytest.mark.parametrize(
    ("pad_id", "pad_token", "expected"), [(0, "[pad]", 0), (None, "[pad]", 3), (None, None, 4)]
)
def test_padding_is_as_the_catalog_or_the_files_or_the_tokenizer_says(
    pad_id: int | None, pad_token: str | None, expected: int
) -> None:
    ids = _words(True, pad_id, pad_token).tokens(["a"]).ids
    assert ids.tolist() == [[0, 2, *4 * [expected]]]
