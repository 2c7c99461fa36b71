"""Models on ONNX Runtime give the vectors of their reference, in both layouts and every form."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

import numpy as np
import onnxruntime
import pytest

pytest.register_assert_rewrite("tests.encoder_contract")

from tests.encoder_contract import EncoderContract  # noqa: E402  # after the line above
from tests.reference_models import NAMES, answers, model, unpacked  # noqa: E402
from tools.reference.inputs import TEXTS, pictures  # noqa: E402

from pixseek.encoders import Options, layouts, load_encoder, resolve  # noqa: E402
from pixseek.encoders.catalog import ImagePreparation, Model, TextPreparation  # noqa: E402
from pixseek.encoders.onnx import OnnxEncoder, load  # noqa: E402
from pixseek.encoders.providers import CPU, DEVICES, choose  # noqa: E402
from pixseek.errors import DeviceUnavailable, ModelUnavailable  # noqa: E402
from pixseek.records import Vectors  # noqa: E402

PROCESSOR = Options(device="cpu")
EQUAL = 1e-4


def opened(folder: Path, variant: str = "") -> OnnxEncoder:
    return load(model(folder, variant=variant), PROCESSOR)


def apart(rows: Vectors, expected: Vectors) -> float:
    """The worst 1 - cosine."""
    return float((1 - (rows * expected).sum(axis=1, dtype=np.float64)).max())


@cache
def in_the_other_layout(name: str) -> Model:
    """An open_clip export in the layout of transformers, prepared by the catalog's word, as those
    on the hub that have both."""
    source, folder = unpacked() / name, Path(mkdtemp(dir=unpacked()))
    parts = layouts.read(source, model(source))
    (folder / "onnx").mkdir()
    os.link(parts.vision, folder / "onnx/vision_model.onnx")
    os.link(parts.text, folder / "onnx/text_model.onnx")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        os.link(source / "textual" / file, folder / file)
    return replace(model(folder), images=parts.images, texts=parts.texts)


class OnnxContract(EncoderContract):
    """The contract, of the model of this name."""

    tolerance = 5e-6
    name: ClassVar[str]
    moved: ClassVar[bool] = False
    """Whether its files are put into the other layout."""

    @classmethod
    def make(cls) -> OnnxEncoder:
        known = in_the_other_layout(cls.name) if cls.moved else model(unpacked() / cls.name)
        return load(known, PROCESSOR)


class TestOpenClip(OnnxContract):
    """CLIP of open_clip."""

    name = "open-clip"


class TestOpenClipFixed(OnnxContract):
    """Exported for one picture, and one text of 77 tokens."""

    name = "open-clip-fixed"


class TestOpenClipQuickGelu(OnnxContract):
    """As OpenAI's weights."""

    name = "open-clip-quickgelu"


class TestOpenClipSiglip(OnnxContract):
    """SigLIP of open_clip."""

    name = "open-clip-siglip"


class TestOpenClipSiglip2(OnnxContract):
    """SigLIP 2 of open_clip."""

    name = "open-clip-siglip2"


class TestOpenClipXlmRoberta(OnnxContract):
    """With a text tower of transformers."""

    name = "open-clip-xlm-roberta"


class TestOpenClipMobileClip(OnnxContract):
    """MobileCLIP of open_clip."""

    name = "open-clip-mobileclip"


class TestTransformersClip(OnnxContract):
    """CLIPModel."""

    name = "transformers-clip"


class TestTransformersSiglip(OnnxContract):
    """SiglipModel."""

    name = "transformers-siglip"


class TestTransformersSiglip2(OnnxContract):
    """SiglipModel with the tokenizer of SigLIP 2."""

    name = "transformers-siglip2"


class TestMobileClipInTheOtherLayout(OnnxContract):
    """As its exports for transformers.js."""

    name = "open-clip-mobileclip"
    moved = True


class TestXlmRobertaInTheOtherLayout(OnnxContract):
    """With a mask inside, as all towers of transformers."""

    name = "open-clip-xlm-roberta"
    moved = True


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_those_of_the_reference(name: str) -> None:
    encoder, expected = opened(unpacked() / name), answers(name)
    assert apart(encoder.encode_images(pictures()), expected["images"]) < EQUAL
    assert apart(encoder.encode_texts(TEXTS), expected["texts"]) < EQUAL


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("open-clip")])
def test_vectors_are_the_same_in_the_other_layout(name: str) -> None:
    encoder, expected = load(in_the_other_layout(name), PROCESSOR), answers(name)
    assert apart(encoder.encode_images(pictures()), expected["images"]) < EQUAL
    assert apart(encoder.encode_texts(TEXTS), expected["texts"]) < EQUAL


@pytest.mark.parametrize("name", ["open-clip", "open-clip-siglip"])
def test_exports_of_one_input_at_a_time_give_the_same(name: str) -> None:
    encoder, expected = opened(unpacked() / f"{name}-fixed"), answers(name)
    assert apart(encoder.encode_images(pictures()), expected["images"]) < EQUAL
    assert apart(encoder.encode_texts(TEXTS), expected["texts"]) < EQUAL


@pytest.mark.parametrize(
    ("variant", "most"), [("", EQUAL), ("masked", EQUAL), ("fp16", 1e-3), ("int8", 5e-3)]
)
def test_a_precision_can_be_chosen_and_is_a_space_of_its_own(variant: str, most: float) -> None:
    folder = unpacked() / "transformers-clip"
    encoder, expected = opened(folder, variant), answers("transformers-clip")
    assert apart(encoder.encode_images(pictures()), expected["images"]) < most
    assert apart(encoder.encode_texts(TEXTS), expected["texts"]) < most
    full = opened(folder).space
    assert (encoder.space.fingerprint == full.fingerprint) is (variant == "")
    named = resolve(f"onnx:someone/clip#{variant}")
    assert named is not None
    assert (named.source, named.variant) == ("someone/clip", variant)


def test_a_folder_can_be_named_with_a_precision() -> None:
    folder = unpacked() / "transformers-clip"
    found = resolve(f"{folder}#int8")
    assert found is not None
    assert (found.runtime, found.source, found.variant) == ("onnx", str(folder), "int8")
    assert load_encoder(f"{folder}#int8", PROCESSOR).space.model == f"{folder}#int8"


def test_causal_towers_give_the_same_with_padding_and_without() -> None:
    folder = unpacked() / "open-clip"
    whole = TextPreparation(77, "lower", padded=True, pad_id=0)
    padded = load(model(folder, texts=whole), PROCESSOR)
    exact = opened(folder)
    for text in TEXTS:
        np.testing.assert_allclose(
            padded.encode_texts([text]), exact.encode_texts([text]), atol=1e-6
        )


def test_an_export_of_a_fixed_length_is_given_it_whatever_is_said_of_padding() -> None:
    folder = unpacked() / "open-clip-mobileclip"
    bare = TextPreparation(77, "lower", padded=False, pad_id=0)
    encoder = load(model(folder, texts=bare), PROCESSOR)
    assert apart(encoder.encode_texts(TEXTS[:1]), answers(folder.name)["texts"][:1]) < EQUAL


def test_another_preparation_is_another_space() -> None:
    folder = unpacked() / "open-clip"
    known = model(folder)
    spaces = {
        load(one, PROCESSOR).space.fingerprint
        for one in (
            known,
            replace(known, images=ImagePreparation(32)),
            replace(known, images=ImagePreparation(32, "squash")),
            replace(known, texts=TextPreparation(77, "canonicalize", pad_id=0)),
        )
    }
    # The second says what the files say, too.
    assert len(spaces) == 3


def test_the_dimensions_are_those_of_the_vectors_where_no_file_says() -> None:
    folder = unpacked() / "transformers-siglip"
    assert layouts.read(folder, model(folder)).dimensions is None
    assert opened(folder).space.dimensions == 24


# what is wrong


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A model's folder to damage."""
    return Path(shutil.copytree(unpacked() / "transformers-clip", tmp_path / "copy"))


@pytest.mark.parametrize("damage", ["missing", "damaged"])
@pytest.mark.parametrize(
    "name", ["onnx/vision_model_int8.onnx", "onnx/text_model_int8.onnx", "tokenizer.json"]
)
def test_a_file_that_is_missing_or_damaged_is_named(copy: Path, name: str, damage: str) -> None:
    (copy / name).unlink()
    if damage == "damaged":
        (copy / name).write_bytes(b"\xff not what was published")
    with pytest.raises(ModelUnavailable, match=f"{name} (is missing|does not load)"):
        _use(opened(copy, "int8"))


def test_halves_in_each_others_place_are_refused(copy: Path) -> None:
    vision, text = copy / "onnx/vision_model.onnx", copy / "onnx/text_model.onnx"
    shutil.copy(text, vision)
    with pytest.raises(ModelUnavailable, match=r"vision_model.onnx takes .*expected pictures only"):
        opened(copy).encode_images(pictures())


def test_pictures_prepared_for_another_size_are_refused(copy: Path) -> None:
    known = replace(model(copy), images=ImagePreparation(224))
    with pytest.raises(ModelUnavailable, match=r"takes pictures of \[3, 32, 32\], prepared are"):
        load(known, PROCESSOR).encode_images(pictures())


def test_a_tokenizer_of_another_model_is_a_model_that_does_not_run(copy: Path) -> None:
    shutil.copy(
        unpacked() / "transformers-siglip/onnx/text_model.onnx", copy / "onnx/text_model.onnx"
    )
    with pytest.raises(ModelUnavailable, match=r"onnx/text_model.onnx does not run \(.*indices"):
        opened(copy).encode_texts(["a photo of a cat"])


def test_vectors_of_other_dimensions_than_the_catalog_says_are_refused(copy: Path) -> None:
    known = replace(model(copy), dimensions=512)
    with pytest.raises(ModelUnavailable, match=r"gives 24 dimensions, expected 512"):
        load(known, PROCESSOR).encode_texts(["a"])


def _use(encoder: OnnxEncoder) -> None:
    encoder.encode_images(pictures()[:1])
    encoder.encode_texts(["a"])


# devices


def test_the_processor_is_named_with_what_would_be_faster() -> None:
    folder = unpacked() / "open-clip"
    asked = opened(folder).runs_on
    assert asked.startswith("ONNX Runtime 1.")
    assert asked.endswith("on the processor")
    found = choose("auto", [CPU])
    assert found.device.name == "cpu"
    assert found.why == (
        "cuda: this onnxruntime has no CUDAExecutionProvider, install onnxruntime-gpu"
    )


def test_auto_takes_the_fastest_device_and_core_ml_only_when_asked() -> None:
    everything = [device.provider for device in DEVICES]
    assert choose("auto", everything).device.name == "cuda"
    assert choose("auto", everything).why == ""
    assert choose("auto", ["CoreMLExecutionProvider", CPU]).device.name == "cpu"
    for device in DEVICES:
        assert choose(device.name, everything).device == device


def test_a_device_that_is_not_there_is_refused_with_what_to_install() -> None:
    missing = [one for one in DEVICES if one.provider not in onnxruntime.get_available_providers()]
    assert missing
    for device in missing:
        with pytest.raises(DeviceUnavailable, match=f"install {device.package}") as caught:
            load(model(unpacked() / "open-clip"), Options(device=device.name))
        assert caught.value.device == device.name
    with pytest.raises(DeviceUnavailable, match=r"no device of ONNX Runtime.*Choose one of auto"):
        choose("abacus", [CPU])
