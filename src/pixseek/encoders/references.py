"""Models as open_clip and transformers run them, taken apart into two halves that can be exported.

Needs the extra `export`. What is exported is compared with what stands here: the library's own
preprocessing, tokenizer and model, from beginning to end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pixseek.encoders.open_clip_tokenizer import tokenizer_of
from pixseek.errors import ExportFailed
from pixseek.records import Vectors

if TYPE_CHECKING:
    from PIL import Image

PICKLED = (
    "its weights are a pickle, which can run code when it is opened; expected a .safetensors file"
)


@dataclass(frozen=True, slots=True)
class Half:
    """One of a model's towers, as it will be exported."""

    name: Literal["vision", "text"]
    module: nn.Module
    file: str
    input: str
    output: str
    example: torch.Tensor
    free: tuple[int, ...]
    """Axes of the input that may have any length."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A model of another library."""

    source: str
    layout: Literal["open_clip", "transformers"]
    vision: Half
    text: Half
    files: dict[str, bytes]
    """What is written beside the graphs, by name."""
    pixels: Callable[[Sequence[Image.Image]], torch.Tensor]
    """(n, 3, size, size)."""
    ids: Callable[[Sequence[str]], torch.Tensor]
    """(m, context length), filled up as the library does."""
    encode_pixels: Callable[[torch.Tensor], torch.Tensor]
    encode_ids: Callable[[torch.Tensor], torch.Tensor]

    def tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        made: NDArray[np.int64] = self.ids(texts).numpy()
        return made

    def image_vectors(self, images: Sequence[Image.Image]) -> Vectors:
        """(n, d), rows of length 1."""
        return _unit(self.encode_pixels(self.pixels(images)))

    def text_vectors(self, texts: Sequence[str]) -> Vectors:
        """(m, d), rows of length 1."""
        return _unit(self.encode_ids(self.ids(texts)))


def open_reference(source: str) -> Reference:
    """Source: see `export.export`. Raises ExportFailed."""
    runtime, _, name = source.partition(":")
    folder = Path(source).expanduser()
    if runtime == "open_clip" and name:
        return _open_clip(source, name)
    if runtime == "transformers" and name:
        return _transformers(source, name)
    if (folder / "open_clip_config.json").is_file():
        return _open_clip(source, f"local-dir:{folder}")
    if (folder / "config.json").is_file():
        return _transformers(source, str(folder))
    raise ExportFailed(
        source,
        "it is no source that is known; expected open_clip:MODEL/PRETRAINED, "
        "open_clip:hf-hub:OWNER/NAME, transformers:OWNER/NAME, or a folder with one of theirs",
    )


# open_clip


def _open_clip(source: str, name: str) -> Reference:
    import open_clip

    name, pretrained = _open_clip_names(source, name)
    try:
        model, transform = open_clip.create_model_from_pretrained(
            name, pretrained, weights_only=True
        )
        read = open_clip.get_tokenizer(name)
    except Exception as error:  # whatever is wrong with a checkpoint shows as all kinds of them
        raise ExportFailed(source, f"open_clip cannot open it ({first_line(error)})") from error
    model.eval()
    config = _open_clip_config(name)
    preparation = dict(model.visual.preprocess_cfg)
    text, free = _open_clip_text(model)
    length = int(read.context_length)
    side = preparation["size"]
    height, width = (side, side) if isinstance(side, int) else side
    return Reference(
        source,
        "open_clip",
        Half(
            "vision",
            model.visual,
            "visual/model.onnx",
            "image",
            "embedding",
            torch.zeros(2, 3, height, width),
            (0,),
        ),
        Half(
            "text",
            text,
            "textual/model.onnx",
            "text",
            "embedding",
            read(["a photo", "of a cat"]).to(torch.int32)[:, : length - 1 if 1 in free else length],
            free,
        ),
        {
            "config.json": _json(config),
            "visual/preprocess_cfg.json": _json(preparation),
            **{f"textual/{file}": content for file, content in tokenizer_of(read).items()},
        },
        lambda images: torch.stack([transform(image) for image in images]),
        read,
        model.encode_image,
        model.encode_text,
    )


def _open_clip_names(source: str, name: str) -> tuple[str, str | None]:
    """Architecture and weights, in open_clip's words; never a pickle."""
    import open_clip

    scheme, _, place = name.partition(":")
    if scheme == "local-dir":
        if not any(Path(place).glob("*.safetensors")):
            raise ExportFailed(source, PICKLED)
        return name, None
    if scheme == "hf-hub":
        return name, None
    name, _, pretrained = name.partition("/")
    if open_clip.get_model_config(name) is None:
        raise ExportFailed(source, f"open_clip has no model {name!r}; see open_clip.list_models()")
    tag = open_clip.get_pretrained_cfg(name, pretrained)
    file = open_clip.download_pretrained(tag) if tag else pretrained
    if not file or not Path(file).is_file():
        raise ExportFailed(
            source,
            f"open_clip has no weights {pretrained!r} for {name!r}; expected a file, or one of "
            f"{', '.join(open_clip.list_pretrained_tags_by_model(name))}",
        )
    if Path(file).suffix != ".safetensors":
        raise ExportFailed(source, PICKLED)
    return name, pretrained


def _open_clip_config(name: str) -> dict[str, Any]:
    import open_clip
    from open_clip.factory import _get_hf_config, parse_model_name

    scheme, place = parse_model_name(name)
    if scheme == "local-dir":
        found = json.loads((Path(place) / "open_clip_config.json").read_bytes())["model_cfg"]
    elif scheme == "hf-hub":
        found = _get_hf_config(place)["model_cfg"]
    else:
        found = open_clip.get_model_config(place)
    config: dict[str, Any] = found
    return config


def _open_clip_text(model: Any) -> tuple[nn.Module, tuple[int, ...]]:
    """The text tower, and which axes of its input are free.

    Towers that read left to right take any number of tokens: of 77, most texts fill a dozen.
    """
    tower = model if hasattr(model, "token_embedding") else model.text
    plain = (
        getattr(tower, "attn_mask", None) is not None and getattr(tower, "cls_emb", None) is None
    )
    pooled = getattr(tower, "text_pool_type", getattr(tower, "pool_type", None))
    if plain and pooled == "argmax":
        return _LeftToRight(tower).eval(), (0, 1)
    return _Called(tower).eval(), (0,)


class _LeftToRight(nn.Module):
    """A causal text tower of open_clip, for any length up to its context.

    Source: open_clip model.py CLIP.encode_text, whose positions have one length only.
    """

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        tower, length = self.tower, ids.shape[1]
        x = tower.token_embedding(ids) + tower.positional_embedding[:length]
        x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:length, :length]))
        x = x[torch.arange(x.shape[0]), ids.argmax(dim=-1)]
        projection = tower.text_projection
        if projection is None:
            return x
        return projection(x) if isinstance(projection, nn.Linear) else x @ projection


class _Called(nn.Module):
    """A tower with ids as int64, and its vector only."""

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        made = self.tower(ids.long())
        return made[0] if isinstance(made, tuple) else made


# transformers


def _transformers(source: str, name: str) -> Reference:
    import transformers

    if Path(name).is_dir() and not any(Path(name).glob("*.safetensors")):
        raise ExportFailed(source, PICKLED)
    try:
        model = transformers.AutoModel.from_pretrained(name, use_safetensors=True)
    except Exception as error:  # as above
        raise ExportFailed(source, f"transformers cannot open it ({first_line(error)})") from error
    model.eval()
    kind = type(model).__name__
    if kind not in ("CLIPModel", "SiglipModel"):
        raise ExportFailed(source, f"its class is {kind}; expected CLIPModel or SiglipModel")
    # Of its two ways to resize, the one that the models were published with.
    processor = transformers.AutoImageProcessor.from_pretrained(name, backend="pil")
    tokenizer = transformers.AutoTokenizer.from_pretrained(name)
    length = int(model.config.text_config.max_position_embeddings)

    def pixels(images: Sequence[Image.Image]) -> torch.Tensor:
        return processor(images=list(images), return_tensors="pt")["pixel_values"]

    def ids(texts: Sequence[str]) -> torch.Tensor:
        read = tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=length,
            return_tensors="pt",
        )
        return read["input_ids"]

    vision, text = _transformers_halves(
        model, ids(["a photo", "of a cat"]), clip=kind == "CLIPModel"
    )
    return Reference(
        source,
        "transformers",
        vision,
        text,
        _transformers_files(source, model, processor, tokenizer),
        pixels,
        ids,
        vision.module,
        text.module,
    )


def _transformers_halves(model: Any, ids: torch.Tensor, *, clip: bool) -> tuple[Half, Half]:
    """ids: of two texts, filled up."""
    side = int(model.config.vision_config.image_size)
    # SigLIP has no projection, so what it pools is its vector.
    vision = Half(
        "vision",
        _Features(model, "get_image_features").eval(),
        "onnx/vision_model.onnx",
        "pixel_values",
        "image_embeds" if clip else "pooler_output",
        torch.zeros(2, 3, side, side),
        (0,),
    )
    text = Half(
        "text",
        _Features(model, "get_text_features").eval(),
        "onnx/text_model.onnx",
        "input_ids",
        "text_embeds" if clip else "pooler_output",
        ids[:, :-1] if clip else ids,
        (0, 1) if clip else (0,),
    )
    return vision, text


def _transformers_files(
    source: str, model: Any, processor: Any, tokenizer: Any
) -> dict[str, bytes]:
    """Its configuration, and its tokenizer in one file."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        model.config.save_pretrained(folder)
        processor.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        if not (folder / "tokenizer.json").is_file():
            from transformers.convert_slow_tokenizer import UdopConverter

            # A SentencePiece model whose texts end with </s>, as those of T5 and SigLIP.
            if type(tokenizer).__name__ != "SiglipTokenizer":
                raise ExportFailed(
                    source,
                    f"{type(tokenizer).__name__} has no file for the tokenizers library; expected "
                    "one that has, or SiglipTokenizer",
                )
            UdopConverter(tokenizer).converted().save(str(folder / "tokenizer.json"))
        wanted = (
            *("config.json", "preprocessor_config.json"),
            *("tokenizer.json", "tokenizer_config.json"),
        )
        return {name: (folder / name).read_bytes() for name in wanted}


class _Features(nn.Module):
    """A CLIP or SigLIP model's vectors of one kind, as a tensor."""

    def __init__(self, model: Any, called: str) -> None:
        super().__init__()
        self.model = model
        self.called = called

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        made = getattr(self.model, self.called)(given)
        return made if isinstance(made, torch.Tensor) else made.pooler_output


def _unit(vectors: torch.Tensor) -> Vectors:
    made: Vectors = nn.functional.normalize(vectors.float(), dim=-1).numpy()
    return made


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"
