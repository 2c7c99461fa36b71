"""A folder with an ONNX model → its files, and how its input is prepared.

Two layouts are common on the hub. One is of open_clip exports (`visual/model.onnx`,
`textual/model.onnx`, open_clip's configuration), the other of transformers exports
(`onnx/vision_model.onnx`, `onnx/text_model.onnx`, the configuration of transformers).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from pixseek.encoders.catalog import (
    OPENAI_MEAN,
    OPENAI_STD,
    Cleaning,
    Colour,
    ImagePreparation,
    Interpolation,
    Model,
    Resize,
    TextPreparation,
)
from pixseek.errors import ModelUnavailable

Json: TypeAlias = Mapping[str, Any]
T = TypeVar("T")

EXPECTED = (
    "visual/model.onnx and textual/model.onnx, or onnx/vision_model.onnx and onnx/text_model.onnx"
)
HALVES = ("vision", "text")
VARIANTS = ("", "fp16", "int8", "quantized", "uint8", "q4f16", "q4", "bnb4")
"""Endings of a model's files, taken in this order where none is asked for. int8 goes before
quantized and uint8, whose unsigned weights run no faster than full precision on most processors."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a folder holds, and how to use it."""

    vision: Path
    text: Path
    tokenizer: Path
    images: ImagePreparation
    texts: TextPreparation
    pad_token: str | None
    """Where `texts` gives no pad_id; None: as the tokenizer's file says."""
    dimensions: int | None
    """None when no file says."""


def read(folder: Path, model: Model) -> Parts:
    """The parts of the model in the folder. What the catalog says goes before its files.

    Raises ModelUnavailable when a file is missing or says what cannot be done.
    """
    if (folder / "visual").is_dir() or (folder / "textual").is_dir():
        return _open_clip(folder, model)
    if (folder / "onnx").is_dir():
        return _transformers(folder, model)
    raise ModelUnavailable(
        model.name, f"{str(folder)!r} holds no ONNX model that is known; expected {EXPECTED}"
    )


def _open_clip(folder: Path, model: Model) -> Parts:
    if model.variant:
        raise ModelUnavailable(
            model.name, f"its layout has one precision only, {model.variant!r} was asked for"
        )
    files = Files(folder, model)
    config = files.json("config.json", required=False)
    config = config.get("model_cfg", config)
    text: Json = config.get("text_cfg", {})
    tokenizer = files.path("textual/tokenizer.json")
    images = model.images or files.understood("visual/preprocess_cfg.json", _open_clip_images)
    texts = model.texts or files.checked("config.json", lambda: _open_clip_texts(text))
    return Parts(
        files.path("visual/model.onnx"),
        files.path("textual/model.onnx"),
        tokenizer,
        images,
        texts,
        files.understood("textual/tokenizer_config.json", _pad_token, required=False),
        model.dimensions or config.get("embed_dim"),
    )


def _transformers(folder: Path, model: Model) -> Parts:
    files = Files(folder, model)
    config = files.json("config.json", required=model.texts is None)
    variant = _variant(folder, model)
    tokenizer = files.path("tokenizer.json")
    images = model.images or files.understood("preprocessor_config.json", _transformers_images)
    names = files.json("tokenizer_config.json", required=False)
    texts = model.texts or files.checked("config.json", lambda: _transformers_texts(config, names))
    return Parts(
        files.path(f"onnx/vision_model{variant}.onnx"),
        files.path(f"onnx/text_model{variant}.onnx"),
        tokenizer,
        images,
        texts,
        files.understood("tokenizer_config.json", _pad_token, required=False),
        model.dimensions or config.get("projection_dim"),
    )


def _variant(folder: Path, model: Model) -> str:
    """The ending of the files' names: '' or such as '_int8'."""
    if model.variant:
        return f"_{model.variant}"
    for variant in VARIANTS:
        ending = f"_{variant}" if variant else ""
        if all((folder / f"onnx/{half}_model{ending}.onnx").is_file() for half in HALVES):
            return ending
    return ""


class Files:
    """A model's folder; everything it does not give is a ModelUnavailable."""

    def __init__(self, folder: Path, model: Model) -> None:
        self._folder = folder
        self._name = model.name

    def path(self, name: str) -> Path:
        """A file that must be there."""
        if not (self._folder / name).is_file():
            raise ModelUnavailable(self._name, f"{name} is missing from {str(self._folder)!r}")
        return self._folder / name

    def json(self, name: str, *, required: bool = True) -> Json:
        """An object in a JSON file; {} when it is missing and not required."""
        if not required and not (self._folder / name).is_file():
            return {}
        try:
            found = json.loads(self.path(name).read_bytes())
        except (OSError, ValueError) as error:
            raise ModelUnavailable(self._name, f"{name} cannot be read ({error})") from error
        if not isinstance(found, dict):
            raise ModelUnavailable(self._name, f"{name} holds no JSON object")
        return found

    def understood(self, name: str, read: Callable[[Json], T], *, required: bool = True) -> T:
        """What `read` makes of a JSON file."""
        found = self.json(name, required=required)
        return self.checked(name, lambda: read(found))

    def checked(self, name: str, make: Callable[[], T]) -> T:
        """What `make` gives, which may refuse what the file says."""
        try:
            return make()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelUnavailable(self._name, f"{name} is not understood: {error}") from error


def _pad_token(names: Json) -> str | None:
    """What fills texts up, of tokenizer_config.json."""
    if names.get("padding_side", "right") != "right":
        raise ValueError("texts are filled up on the left; expected on the right")
    token = names.get("pad_token")
    return token.get("content") if isinstance(token, dict) else token


# open_clip's words


def _open_clip_images(config: Json) -> ImagePreparation:
    """Source: open_clip transform.py, PreprocessCfg and image_transform."""
    mean, std = _colours(config.get("mean"), config.get("std"), 1.0)
    return ImagePreparation(
        size=_side(config.get("size", 224)),
        resize=cast("Resize", _one_of(config, "resize_mode", ("shortest", "squash"))),
        interpolation=cast(
            "Interpolation", _one_of(config, "interpolation", ("bicubic", "bilinear"))
        ),
        mean=mean,
        std=std,
    )


def _open_clip_texts(config: Json) -> TextPreparation:
    """Source: open_clip factory.py get_tokenizer, tokenizer.py, model.py CLIPTextCfg."""
    plain = not config.get("hf_tokenizer_name")
    options: Json = config.get("tokenizer_kwargs") or {}
    others = set(options) - {"clean"} | ({"tokenizer_mode"} & set(config))
    if others:
        raise ValueError(f"{', '.join(sorted(others))}: only the option 'clean' can be followed")
    cleaned = options.get("clean", "lower" if plain else "whitespace")
    if cleaned not in ("lower", "canonicalize", "whitespace"):
        raise ValueError(f"clean is {cleaned!r}; expected lower, canonicalize or whitespace")
    # Towers of transformers mask padding. The others read it, unless they read left to right
    # only and take the end token.
    reads_padding = not config.get("hf_model_name") and bool(
        config.get("no_causal_mask") or config.get("embed_cls") or config.get("pool_type") == "last"
    )
    return TextPreparation(
        context_length=int(config.get("context_length", 77)),
        clean=cast("Cleaning", cleaned),
        padded=reads_padding,
        pad_id=0 if plain else None,
    )


# The words of transformers

_RESAMPLE: dict[int, Interpolation] = {2: "bilinear", 3: "bicubic"}
"""By Pillow's numbers."""


def _transformers_images(config: Json) -> ImagePreparation:
    """Source: transformers image_processing_backends.py and those of CLIP and SigLIP."""
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    if kind.startswith("Siglip2"):
        raise ValueError(
            f"{kind} cuts pictures into patches of many shapes (NaFlex); expected a checkpoint of "
            "a fixed resolution"
        )
    siglip = kind.startswith("Siglip")
    resample = int(config.get("resample", 3))
    if resample not in _RESAMPLE:
        raise ValueError(f"resample is {resample}; expected 2 (bilinear) or 3 (bicubic)")
    if not config.get("do_resize", True):
        raise ValueError("do_resize is false; expected true")
    size = config.get("size", 224)
    crops = config.get("do_center_crop", not siglip)
    shortest = size.get("shortest_edge") if isinstance(size, dict) else size
    if shortest is None or (siglip and not isinstance(size, dict)):
        side, resize, shortest = _side(size), "squash", None
        if crops and _side(config.get("crop_size", side)) != side:
            raise ValueError("size gives both sides and crop_size others; expected one of them")
    elif crops:
        side, resize = _side(config.get("crop_size", 224)), "shortest"
    else:
        raise ValueError("the shorter side is given and nothing is cut off; expected a square")
    if shortest is not None and _side(shortest) < side:
        raise ValueError(f"crop_size {side} is more than the shorter side has, {shortest}")
    factor = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
    mean, std = config.get("image_mean"), config.get("image_std")
    if not config.get("do_normalize", True):
        mean, std = 0.0, 1.0
    elif siglip:
        mean, std = (0.5 if given is None else given for given in (mean, std))
    mean, std = _colours(mean, std, 255 * factor)
    return ImagePreparation(
        size=side,
        resize=cast("Resize", resize),
        interpolation=_RESAMPLE[resample],
        shortest=None if shortest == side else shortest,
        half="down",
        mean=mean,
        std=std,
    )


def _transformers_texts(config: Json, names: Json) -> TextPreparation:
    """Source: transformers configuration_clip.py, configuration_siglip.py, tokenization_siglip.py;
    what those files leave out is filled in as they do."""
    kind = str(config.get("model_type", ""))
    text: Json = config.get("text_config") or {}
    siglip = kind.startswith("siglip")
    tokenizer = str(names.get("tokenizer_class", ""))
    return TextPreparation(
        context_length=int(text.get("max_position_embeddings", 64 if siglip else 77)),
        clean="siglip" if tokenizer.startswith("SiglipTokenizer") else "none",
        # Only of CLIP itself is it sure that padding changes nothing.
        padded=not (kind == "clip" and "CLIPModel" in (config.get("architectures") or ())),
    )


# Both


def _side(size: object) -> int:
    """Pixels on a side, of the ways in which a square is written."""
    if isinstance(size, dict):
        size = (size.get("height"), size.get("width"))
    sides = set(size) if isinstance(size, list | tuple) else {size}
    side = sides.pop()
    if sides or not isinstance(side, int) or side < 1:
        raise ValueError(f"size is {size!r}; expected a square, in pixels")
    return side


def _one_of(config: Json, name: str, known: tuple[str, ...]) -> str:
    """A value of the configuration, by default the first one known."""
    found = config.get(name) or known[0]
    if found not in known:
        raise ValueError(f"{name} is {found!r}; expected {' or '.join(known)}")
    return cast("str", found)


def _colours(mean: object, std: object, scale: float) -> tuple[Colour, Colour]:
    """Mean and std of pixels of 0 to `scale`, made those of 0 to 1; None takes CLIP's."""
    return _colour("mean", mean, OPENAI_MEAN, scale), _colour("std", std, OPENAI_STD, scale)


def _colour(name: str, given: Any, usual: Colour, scale: float) -> Colour:
    if given is None:
        return usual
    listed = given if isinstance(given, list | tuple) else [given] * 3
    if len(listed) != 3:
        raise ValueError(f"{name} is {given!r}; expected three numbers")
    one, two, three = (float(value) / scale for value in listed)
    return one, two, three
