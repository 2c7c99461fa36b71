"""Models as data: what each is, where its files are, how its input is prepared, how good it is.

Where a number is not known it is None, never a guess. What stands here of a model goes before what
the files beside its weights say, because some of those are known to be wrong (SigLIP 2's say
bilinear; the models were trained and are measured with bicubic).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from pixseek.encoders.pins import PINS

Family: TypeAlias = Literal["pixseek", "CLIP", "OpenCLIP", "SigLIP", "SigLIP 2", "MobileCLIP"]
Resize: TypeAlias = Literal["shortest", "squash"]
Interpolation: TypeAlias = Literal["bicubic", "bilinear"]
Cleaning: TypeAlias = Literal["lower", "canonicalize", "whitespace", "siglip", "none"]
Colour: TypeAlias = tuple[float, float, float]

OPENAI_MEAN: Colour = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD: Colour = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class ImagePreparation:
    """How a picture becomes the model's input, (3, size, size) float32."""

    size: int
    """Pixels on a side of the square input."""
    resize: Resize = "shortest"
    """shortest: the shorter side becomes `size`, then the middle is cut out; squash: both do."""
    interpolation: Interpolation = "bicubic"
    mean: Colour = OPENAI_MEAN
    """Taken from each channel, of values 0 to 1; what is left is divided by `std`."""
    std: Colour = OPENAI_STD
    shortest: int | None = None
    """Pixels of the shorter side before the middle is cut out; None: `size`."""
    half: Literal["even", "down"] = "even"
    """Where the middle is when a margin is odd: torchvision rounds half a pixel to even,
    transformers down."""


@dataclass(frozen=True, slots=True)
class TextPreparation:
    """How a text becomes token ids."""

    context_length: int = 77
    """Most tokens that are read, the special ones counted; what is past it is cut off."""
    clean: Cleaning = "lower"
    """What is done to the text before the tokenizer sees it: open_clip's names for it; siglip is
    what the SigLIP tokenizer of transformers does."""
    padded: bool = False
    """Whether the model must be given `context_length` tokens: true where padding changes the
    vector, as with towers that are not causal."""
    pad_id: int | None = None
    """The token that fills up; None takes the tokenizer's own."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Published retrieval figures, in percent."""

    coco_r1: float | None = None
    """Text to image, MS-COCO 5K test, the right picture first."""
    flickr_r1: float | None = None
    """Text to image, Flickr30k 1K test, the right picture first."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """One model."""

    name: str
    family: Family
    runtime: str
    """A name of `encoders.RUNTIMES`."""
    licence: str
    languages: str
    summary: str
    source: str = ""
    """Where its files are, in the runtime's own words: a hub repository, a folder, an open_clip
    name; '' for what ships in the package."""
    revision: str = "main"
    """Branch, tag or commit of the hub repository."""
    dimensions: int | None = None
    images: ImagePreparation | None = None
    """None: as the files beside the weights say."""
    texts: TextPreparation | None = None
    variant: str = ""
    """Which of several precisions of an ONNX model, by the ending of its files: int8, fp16; '':
    full, or else what is there."""
    megabytes: int | None = None
    """Of the files to download, about."""
    sha256: tuple[tuple[str, str], ...] = ()
    """(file, hash) where it is known beforehand; all others are checked against the hub's."""
    work: float | None = None
    """How much longer a picture takes than by clip-vit-b-32: multiplications counted for ViTs,
    measured on a processor for the others."""
    quality: Quality = Quality()
    logit_scale: float | None = 100.0
    """What the model multiplies a score with before it compares labels (softmax). Training of CLIP
    stops at 100; SigLIP's are learned, and None where none is published."""


_CLIP = TextPreparation()
_SIGLIP = TextPreparation(64, "canonicalize", padded=True)
_MOBILE = TextPreparation(77, "lower", padded=True, pad_id=0)
_OPEN_CLIP_TABLE = "open_clip docs/openclip_retrieval_results.csv"
_SIGLIP2_TABLE = "big_vision README_siglip2.md"
_MOBILE_TABLE = "ml-mobileclip results"


def _siglip(size: int) -> ImagePreparation:
    half: Colour = (0.5, 0.5, 0.5)
    return ImagePreparation(size, "squash", "bicubic", half, half)


def _mobile(size: int) -> ImagePreparation:
    return ImagePreparation(size, "shortest", "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


_ALL = (
    Model(
        "pocket",
        "pixseek",
        "pocket",
        "Apache-2.0",
        "English",
        "built in, works without a network; good at everyday scenes and things",
        dimensions=512,
        logit_scale=25.0,  # least cross-entropy on captions: tools/pocket temperature
    ),
    Model(
        "palette",
        "pixseek",
        "palette",
        "Apache-2.0",
        "colours",
        "no weights: shares of the basic colours; for tests and examples",
        dimensions=11,
    ),
    Model(
        "clip-vit-b-32",
        "CLIP",
        "onnx",
        "MIT",
        "English",
        "OpenAI's smallest; what most tools use",
        source="immich-app/ViT-B-32__openai",
        dimensions=512,
        images=ImagePreparation(224),
        texts=_CLIP,
        megabytes=609,
        work=1,
        quality=Quality(30.4, 58.8, _OPEN_CLIP_TABLE),
    ),
    Model(
        "clip-vit-b-16",
        "CLIP",
        "onnx",
        "MIT",
        "English",
        "OpenAI's middle size",
        source="immich-app/ViT-B-16__openai",
        dimensions=512,
        images=ImagePreparation(224),
        texts=_CLIP,
        megabytes=603,
        work=4.0,
        quality=Quality(33.1, 62.2, _OPEN_CLIP_TABLE),
    ),
    Model(
        "clip-vit-l-14",
        "CLIP",
        "onnx",
        "MIT",
        "English",
        "OpenAI's large one",
        source="immich-app/ViT-L-14__openai",
        dimensions=768,
        images=ImagePreparation(224),
        texts=_CLIP,
        megabytes=1714,
        work=18.4,
        quality=Quality(36.5, 65.0, _OPEN_CLIP_TABLE),
    ),
    Model(
        "openclip-vit-b-32",
        "OpenCLIP",
        "onnx",
        "MIT",
        "English",
        "LAION-2B; the speed of CLIP's smallest, better",
        source="immich-app/ViT-B-32__laion2b-s34b-b79k",
        dimensions=512,
        images=ImagePreparation(224),
        texts=_CLIP,
        megabytes=609,
        work=1,
        quality=Quality(39.3, 66.8, _OPEN_CLIP_TABLE),
    ),
    Model(
        "openclip-vit-b-32-256",
        "OpenCLIP",
        "open_clip",
        "MIT",
        "English",
        "DataComp, 256 pixels",
        source="hf-hub:laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K",
        dimensions=512,
        images=ImagePreparation(256),
        texts=_CLIP,
        megabytes=605,
        work=1.3,
        quality=Quality(39.9, 64.9, _OPEN_CLIP_TABLE),
    ),
    Model(
        "openclip-vit-l-14",
        "OpenCLIP",
        "onnx",
        "MIT",
        "English",
        "LAION-2B, large",
        source="immich-app/ViT-L-14__laion2b-s32b-b82k",
        dimensions=768,
        images=ImagePreparation(
            224, "shortest", "bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
        ),
        texts=_CLIP,
        megabytes=1714,
        work=18.4,
        quality=Quality(46.5, 75.5, _OPEN_CLIP_TABLE),
    ),
    Model(
        "openclip-vit-h-14",
        "OpenCLIP",
        "onnx",
        "MIT",
        "English",
        "LAION-2B, huge; for a GPU",
        source="immich-app/ViT-H-14__laion2b-s32b-b79k",
        dimensions=1024,
        images=ImagePreparation(224),
        texts=_CLIP,
        megabytes=3949,
        work=37.9,
        quality=Quality(49.5, 77.6, _OPEN_CLIP_TABLE),
    ),
    Model(
        "openclip-xlm-roberta-b-32",
        "OpenCLIP",
        "onnx",
        "MIT",
        "about 100",
        "LAION-5B with a multilingual text tower",
        source="immich-app/XLM-Roberta-Base-ViT-B-32__laion5b_s13b_b90k",
        dimensions=512,
        images=ImagePreparation(224),
        texts=TextPreparation(77, "whitespace", padded=False),
        megabytes=1481,
        work=1,
        quality=Quality(37.8, 64.5, _OPEN_CLIP_TABLE),
    ),
    Model(
        "siglip-b-16",
        "SigLIP",
        "onnx",
        "Apache-2.0",
        "English",
        "much better than CLIP at its size, slower",
        source="immich-app/ViT-B-16-SigLIP__webli",
        dimensions=768,
        images=_siglip(224),
        texts=_SIGLIP,
        megabytes=815,
        work=4.0,
        quality=Quality(47.8, 74.7, _OPEN_CLIP_TABLE),
        logit_scale=None,
    ),
    Model(
        "siglip-b-16-256",
        "SigLIP",
        "onnx",
        "Apache-2.0",
        "English",
        "the same at 256 pixels",
        source="immich-app/ViT-B-16-SigLIP-256__webli",
        dimensions=768,
        images=_siglip(256),
        texts=_SIGLIP,
        megabytes=815,
        work=5.2,
        quality=Quality(48.3, 75.0, _OPEN_CLIP_TABLE),
        logit_scale=None,
    ),
    Model(
        "siglip-b-16-i18n",
        "SigLIP",
        "onnx",
        "Apache-2.0",
        "about 100",
        "SigLIP in many languages, 256 pixels",
        source="immich-app/ViT-B-16-SigLIP-i18n-256__webli",
        dimensions=768,
        images=_siglip(256),
        texts=_SIGLIP,
        megabytes=1499,
        work=5.2,
        quality=Quality(44.9, 72.2, _OPEN_CLIP_TABLE),
        logit_scale=None,
    ),
    Model(
        "siglip2-b-32",
        "SigLIP 2",
        "onnx",
        "Apache-2.0",
        "about 100",
        "best for its speed: as fast as CLIP's smallest, in many languages",
        source="immich-app/ViT-B-32-SigLIP2-256__webli",
        dimensions=768,
        images=_siglip(256),
        texts=_SIGLIP,
        megabytes=1542,
        work=1.3,
        quality=Quality(47.2, None, _SIGLIP2_TABLE),
        logit_scale=None,
    ),
    Model(
        "siglip2-b-16",
        "SigLIP 2",
        "onnx",
        "Apache-2.0",
        "about 100",
        "better still, slower",
        source="immich-app/ViT-B-16-SigLIP2__webli",
        dimensions=768,
        images=_siglip(224),
        texts=_SIGLIP,
        megabytes=1536,
        work=4.0,
        quality=Quality(52.1, None, _SIGLIP2_TABLE),
        logit_scale=112.67,
    ),
    Model(
        "siglip2-so400m",
        "SigLIP 2",
        "onnx",
        "Apache-2.0",
        "about 100",
        "the best here; for a GPU",
        source="immich-app/ViT-SO400M-14-SigLIP2__webli",
        dimensions=1152,
        images=_siglip(224),
        texts=_SIGLIP,
        megabytes=4578,
        work=24.8,
        logit_scale=None,
    ),
    Model(
        "mobileclip-s0",
        "MobileCLIP",
        "onnx",
        "apple-amlr",
        "English",
        "small and fast",
        source="Xenova/mobileclip_s0",
        dimensions=512,
        images=_mobile(256),
        texts=_MOBILE,
        megabytes=218,
        work=0.65,
        quality=Quality(40.4, 67.7, _MOBILE_TABLE),
    ),
    Model(
        "mobileclip-s2",
        "MobileCLIP",
        "onnx",
        "apple-amlr",
        "English",
        "small, better",
        source="Xenova/mobileclip_s2",
        dimensions=512,
        images=_mobile(256),
        texts=_MOBILE,
        megabytes=399,
        work=1.9,
        quality=Quality(45.4, 73.4, _MOBILE_TABLE),
    ),
    Model(
        "mobileclip2-s0",
        "MobileCLIP",
        "open_clip",
        "apple-amlr",
        "English",
        "second version, small and fast",
        source="hf-hub:timm/MobileCLIP2-S0-OpenCLIP",
        dimensions=512,
        images=_mobile(256),
        texts=_MOBILE,
        megabytes=300,
        work=0.65,
        quality=Quality(43.7, 69.2, _MOBILE_TABLE),
    ),
    Model(
        "mobileclip2-s2",
        "MobileCLIP",
        "open_clip",
        "apple-amlr",
        "English",
        "second version; best quality for its size",
        source="hf-hub:timm/MobileCLIP2-S2-OpenCLIP",
        dimensions=512,
        images=_mobile(256),
        texts=_MOBILE,
        megabytes=398,
        work=1.9,
        quality=Quality(48.8, 74.8, _MOBILE_TABLE),
    ),
)


def _pinned(model: Model) -> Model:
    revision, sha256 = PINS.get(model.name, (model.revision, {}))
    return replace(model, revision=revision, sha256=tuple(sha256.items()))


MODELS: dict[str, Model] = {model.name: _pinned(model) for model in _ALL}
"""Every model that has a name here. Others are named by where they are; see `encoders.resolve`."""
