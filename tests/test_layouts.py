"""What the files beside a model's weights say, in every spelling they have."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.reference_models import model

from pixseek.encoders import layouts
from pixseek.encoders.catalog import (
    OPENAI_MEAN,
    OPENAI_STD,
    ImagePreparation,
    Model,
    TextPreparation,
)
from pixseek.errors import ModelUnavailable

HALF = (0.5, 0.5, 0.5)
BARE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
CLIP_CONFIG = {"model_type": "clip", "architectures": ["CLIPModel"]}


def transformers_folder(
    folder: Path, images: Any = None, config: Any = None, names: Any = None
) -> Model:
    """A folder in the layout of transformers exports, its graphs empty."""
    written = {"preprocessor_config.json": images, "config.json": config}
    for name, content in {**written, "tokenizer_config.json": names}.items():
        if content is not None:
            (folder / name).write_text(json.dumps(content))
    return _with(folder, "onnx/vision_model.onnx", "onnx/text_model.onnx", "tokenizer.json")


def open_clip_folder(folder: Path, images: Any = None, config: Any = None) -> Model:
    """A folder in the layout of open_clip exports, its graphs empty."""
    made = _with(folder, "visual/model.onnx", "textual/model.onnx", "textual/tokenizer.json")
    if images is not None:
        (folder / "visual/preprocess_cfg.json").write_text(json.dumps(images))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return made


def _with(folder: Path, *names: str) -> Model:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return model(folder)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"size": 224}, ImagePreparation(224)),
        ({"size": [256, 256], "resize_mode": "squash"}, ImagePreparation(256, "squash")),
        (
            {"size": 256, "interpolation": "bilinear", "mean": [0, 0, 0], "std": [1, 1, 1]},
            ImagePreparation(256, "shortest", "bilinear", *BARE),
        ),
        ({"size": 224, "mean": 0.5, "std": 0.5}, ImagePreparation(224, mean=HALF, std=HALF)),
        ({"size": 224, "mean": 0, "std": 1}, ImagePreparation(224, mean=BARE[0], std=BARE[1])),
    ],
)
def test_pictures_are_prepared_as_open_clip_writes(
    tmp_path: Path, written: Any, expected: ImagePreparation
) -> None:
    made = open_clip_folder(tmp_path, written, {})
    assert layouts.read(tmp_path, made).images == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"context_length": 77}, TextPreparation(77, "lower", pad_id=0)),
        (
            {"no_causal_mask": True},
            TextPreparation(77, "lower", padded=True, pad_id=0),
        ),
        (
            {
                "context_length": 64,
                "hf_tokenizer_name": "timm/ViT-B-16-SigLIP",
                "tokenizer_kwargs": {"clean": "canonicalize"},
                "no_causal_mask": True,
                "pool_type": "last",
            },
            TextPreparation(64, "canonicalize", padded=True),
        ),
        (
            {"hf_model_name": "xlm-roberta-base", "hf_tokenizer_name": "xlm-roberta-base"},
            TextPreparation(77, "whitespace"),
        ),
        (
            {"context_length": 76, "embed_cls": True},
            TextPreparation(76, "lower", padded=True, pad_id=0),
        ),
    ],
)
def test_texts_are_prepared_as_open_clip_writes(
    tmp_path: Path, written: Any, expected: TextPreparation
) -> None:
    for config in ({"text_cfg": written}, {"model_cfg": {"text_cfg": written}}):
        made = open_clip_folder(tmp_path, {"size": 224}, config)
        assert layouts.read(tmp_path, made).texts == expected


CLIP = {"image_processor_type": "CLIPImageProcessor", "image_mean": HALF, "image_std": HALF}
SIGLIP = {"image_processor_type": "SiglipImageProcessor"}
SQUARE = {"height": 32, "width": 32}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({**CLIP, "size": 32, "crop_size": 32}, ImagePreparation(32, mean=HALF, std=HALF)),
        (
            {**CLIP, "size": {"shortest_edge": 36}, "crop_size": SQUARE},
            ImagePreparation(32, mean=HALF, std=HALF, shortest=36),
        ),
        (
            {**CLIP, "size": SQUARE, "do_center_crop": False, "resample": 2},
            ImagePreparation(32, "squash", "bilinear", HALF, HALF),
        ),
        (
            {
                "feature_extractor_type": "CLIPFeatureExtractor",
                "size": {"shortest_edge": 32},
                "crop_size": SQUARE,
                "do_normalize": False,
                "resample": 2,
            },
            ImagePreparation(32, "shortest", "bilinear", *BARE),
        ),
        (
            {"size": {"shortest_edge": 32}, "crop_size": 32},
            ImagePreparation(32, mean=OPENAI_MEAN, std=OPENAI_STD),
        ),
        (
            {**SIGLIP, "size": SQUARE, "rescale_factor": 1 / 255},
            ImagePreparation(32, "squash", mean=HALF, std=HALF),
        ),
        ({**SIGLIP, "size": 32}, ImagePreparation(32, "squash", mean=HALF, std=HALF)),
        (
            {**SIGLIP, "size": SQUARE, "rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1]},
            ImagePreparation(32, "squash", mean=HALF, std=(0.25, 0.25, 0.25)),
        ),
    ],
)
def test_pictures_are_prepared_as_transformers_writes(
    tmp_path: Path, written: Any, expected: ImagePreparation
) -> None:
    found = layouts.read(tmp_path, transformers_folder(tmp_path, written, CLIP_CONFIG)).images
    assert found.mean == pytest.approx(expected.mean)
    assert found.std == pytest.approx(expected.std)
    assert replace(found, mean=HALF, std=HALF) == replace(
        expected, mean=HALF, std=HALF, half="down"
    )


@pytest.mark.parametrize(
    ("config", "names", "expected"),
    [
        (CLIP_CONFIG, {"tokenizer_class": "CLIPTokenizer"}, TextPreparation(77, "none")),
        ({"model_type": "clip"}, None, TextPreparation(77, "none", padded=True)),
        (
            {"model_type": "siglip"},
            {"tokenizer_class": "SiglipTokenizer"},
            TextPreparation(64, "siglip", padded=True),
        ),
        (
            {"model_type": "siglip", "text_config": {"max_position_embeddings": 32}},
            {"tokenizer_class": "GemmaTokenizerFast"},
            TextPreparation(32, "none", padded=True),
        ),
    ],
)
def test_texts_are_prepared_as_transformers_writes(
    tmp_path: Path, config: Any, names: Any, expected: TextPreparation
) -> None:
    made = transformers_folder(tmp_path, {**CLIP, "size": 32, "crop_size": 32}, config, names)
    assert layouts.read(tmp_path, made).texts == expected


@pytest.mark.parametrize("token", ["<pad>", {"content": "<pad>", "special": True}])
def test_what_fills_up_is_named_beside_the_tokenizer(tmp_path: Path, token: Any) -> None:
    made = transformers_folder(tmp_path, CLIP, CLIP_CONFIG, {"pad_token": token})
    assert layouts.read(tmp_path, made).pad_token == "<pad>"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ({"resample": 1}, "resample is 1; expected 2 .bilinear. or 3 .bicubic."),
        ({"do_resize": False}, "do_resize is false; expected true"),
        ({"size": {"shortest_edge": 32}, "do_center_crop": False}, "expected a square"),
        ({"size": {"height": 32, "width": 40}}, "expected a square, in pixels"),
        ({"size": {"shortest_edge": 20}, "crop_size": 32}, "crop_size 32 is more than"),
        ({"size": SQUARE, "crop_size": 30}, "size gives both sides and crop_size others"),
        ({"image_mean": [0.5]}, "mean is .0.5.; expected three numbers"),
        ({"image_processor_type": "Siglip2ImageProcessor"}, "expected a checkpoint of a fixed"),
        ({"size": "large"}, "size is 'large'"),
    ],
)
def test_what_cannot_be_prepared_is_refused_with_the_file(
    tmp_path: Path, written: Any, reason: str
) -> None:
    made = transformers_folder(
        tmp_path, {**CLIP, "size": 32, "crop_size": 32, **written}, CLIP_CONFIG
    )
    with pytest.raises(ModelUnavailable, match=f"preprocessor_config.json is not.*{reason}"):
        layouts.read(tmp_path, made)


@pytest.mark.parametrize(
    ("images", "config", "reason"),
    [
        ({"size": [224, 200]}, {}, "preprocess_cfg.json is not understood: size is"),
        ({"resize_mode": "longest"}, {}, "resize_mode is 'longest'; expected shortest or squash"),
        ({}, {"tokenizer_kwargs": {"strip_sep_token": True}}, "config.json .*strip_sep_token"),
        ({}, {"tokenizer_mode": "clips"}, "config.json .*tokenizer_mode"),
        ({}, {"tokenizer_kwargs": {"clean": "odd"}}, "clean is 'odd'; expected lower"),
    ],
)
def test_what_open_clip_writes_and_cannot_be_done_is_refused(
    tmp_path: Path, images: Any, config: Any, reason: str
) -> None:
    made = open_clip_folder(tmp_path, images, {"text_cfg": config})
    with pytest.raises(ModelUnavailable, match=reason):
        layouts.read(tmp_path, made)


def test_texts_filled_up_on_the_left_are_refused(tmp_path: Path) -> None:
    made = transformers_folder(tmp_path, CLIP, CLIP_CONFIG, {"padding_side": "left"})
    with pytest.raises(ModelUnavailable, match=r"tokenizer_config.json .*expected on the right"):
        layouts.read(tmp_path, made)


def test_the_catalog_goes_before_the_files(tmp_path: Path) -> None:
    made = transformers_folder(tmp_path, {**CLIP, "size": 32, "resample": 2}, CLIP_CONFIG)
    images, texts = ImagePreparation(48, "squash"), TextPreparation(64, "canonicalize", True, 1)
    known = replace(made, images=images, texts=texts, dimensions=9)
    parts = layouts.read(tmp_path, known)
    assert (parts.images, parts.texts, parts.dimensions) == (images, texts, 9)


def test_the_precision_is_full_unless_another_is_asked_for_or_alone(tmp_path: Path) -> None:
    made = transformers_folder(tmp_path, CLIP, CLIP_CONFIG)
    _with(tmp_path, "onnx/vision_model_int8.onnx", "onnx/text_model_int8.onnx")
    _with(tmp_path, "onnx/vision_model_uint8.onnx", "onnx/text_model_uint8.onnx")

    def chosen(variant: str = "") -> list[str]:
        parts = layouts.read(tmp_path, replace(made, variant=variant))
        return [parts.vision.name, parts.text.name]

    assert chosen() == ["vision_model.onnx", "text_model.onnx"]
    assert chosen("uint8") == ["vision_model_uint8.onnx", "text_model_uint8.onnx"]
    (tmp_path / "onnx/vision_model.onnx").unlink()
    assert chosen() == ["vision_model_int8.onnx", "text_model_int8.onnx"]
    with pytest.raises(ModelUnavailable, match=r"onnx/vision_model_fp16.onnx is missing from"):
        chosen("fp16")


def test_a_layout_without_precisions_refuses_one(tmp_path: Path) -> None:
    made = replace(open_clip_folder(tmp_path, {}, {}), variant="int8")
    with pytest.raises(ModelUnavailable, match="one precision only, 'int8' was asked for"):
        layouts.read(tmp_path, made)


@pytest.mark.parametrize("damage", ["missing", "damaged", "no object"])
@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_configuration_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, damage: str
) -> None:
    made = transformers_folder(tmp_path, CLIP, CLIP_CONFIG)
    (tmp_path / name).unlink()
    if damage != "missing":
        (tmp_path / name).write_text("{" if damage == "damaged" else "[]")
    with pytest.raises(ModelUnavailable, match=rf"{name} (is missing|cannot be read|holds no)"):
        layouts.read(tmp_path, made)


def test_a_folder_of_neither_layout_is_told_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="holds no ONNX model that is known; expected visu"):
        layouts.read(tmp_path, model(tmp_path))
