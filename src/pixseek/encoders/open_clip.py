"""Runs models of open_clip on torch, with its own preprocessing and tokenizers.

What can follow `open_clip:` in a model's name:

- `MODEL/PRETRAINED`: an architecture and the name of its weights, as `open_clip.list_pretrained()`
  has them: ViT-B-32-256/datacomp_s34b_b86k. They come from the repository that open_clip names.
- `MODEL/FILE`: an architecture and a checkpoint on this machine, known by its ending, which is
  .safetensors, .pt, .pth or .bin: ViT-B-32/tuned.pt, ViT-B-32/~/tuned.pt, ViT-B-32//data/tuned.pt
- `hf-hub:OWNER/NAME`, with @REVISION if need be.
- `local-dir:FOLDER`: a folder such as those on the hub, with open_clip_config.json.

Everything of a model is read from one folder, that of its weights: also the tokenizer and the
configuration of a text tower that open_clip would look for elsewhere. A checkpoint that is named by
its file may be a pickle, and is then read by torch's reader of weights only, which runs no code;
in folders, and from the hub, weights must be safetensors.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import open_clip
import torch

from pixseek.encoders import hub
from pixseek.encoders.selection import OPEN_CLIP_WEIGHTS
from pixseek.encoders.torch_device import Tensors, TorchDevice, readable
from pixseek.errors import ModelUnavailable, UnknownModel
from pixseek.records import Space, Vectors

if TYPE_CHECKING:
    from PIL import Image

    from pixseek.encoders import Options
    from pixseek.encoders.catalog import Model


@dataclass(frozen=True, slots=True)
class Origin:
    """What open_clip is told of a model, so that it need not ask anyone."""

    name: str
    """`local-dir:FOLDER`, or an architecture."""
    folder: Path
    fingerprint: str
    weights: Path | None = None
    """None: as open_clip finds them in the folder."""
    preparation: dict[str, Any] = field(default_factory=dict)
    """What the weights were trained with and the architecture does not say."""


def load(model: Model, options: Options) -> OpenClipEncoder:
    """Raises UnknownModel, DeviceUnavailable, ModelNotFetched, ModelUnavailable."""
    device = TorchDevice(options.device)
    origin = _origin(model, options)
    try:
        return OpenClipEncoder(model.name, origin, device)
    except Exception as error:  # torch, open_clip and transformers have no base class for theirs
        raise ModelUnavailable(model.name, f"open_clip does not load it ({error})") from error


class OpenClipEncoder:
    """Loaded whole. float16 on cuda, else float32."""

    def __init__(self, name: str, origin: Origin, device: TorchDevice) -> None:
        config = open_clip.get_model_config(origin.name)
        text = dict(config["text_cfg"])
        changed = dict(origin.preparation)
        if "hf_model_name" in text and not Path(text["hf_model_name"]).is_dir():
            here = {"hf_model_name": str(origin.folder), "hf_model_pretrained": False}
            changed["text_cfg"] = text | here
        model, self._transform = open_clip.create_model_from_pretrained(
            origin.name,
            None if origin.weights is None else str(origin.weights),
            weights_only=True,
            **changed,
        )
        self._tokenizer = _tokenizer(origin, text)
        self._tokenizing = threading.Lock()
        size = model.visual.preprocess_cfg["size"]
        self.input_size = size if isinstance(size, int) else max(size)
        self._device = device
        self._model = device.placed(model)
        self.space = Space(name, origin.fingerprint, self._texts(["a"]).shape[1])

    @property
    def runs_on(self) -> str:
        """See Encoder.runs_on."""
        return self._device.runs_on

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """See Encoder.encode_images."""
        if not images:
            return np.empty((0, self.space.dimensions), np.float32)
        return self._device.vectors(
            images, self._pixels, lambda given: self._model.encode_image(given["pixels"])
        )

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """See Encoder.encode_texts."""
        if not texts:
            return np.empty((0, self.space.dimensions), np.float32)
        return self._texts(texts)

    def _texts(self, texts: Sequence[str]) -> Vectors:
        return self._device.vectors(
            texts, self._tokens, lambda given: self._model.encode_text(given["tokens"])
        )

    def _pixels(self, images: Sequence[Image.Image]) -> Tensors:
        return {"pixels": torch.stack([self._transform(image) for image in images])}

    def _tokens(self, texts: Sequence[str]) -> Tensors:
        with self._tokenizing:
            return {"tokens": self._tokenizer([readable(text) for text in texts])}


def _origin(model: Model, options: Options) -> Origin:
    if Path(model.source).is_absolute() or model.source.startswith("hf-hub:"):
        folder = hub.folder_of(model, options)
        _check(model.name, folder)
        return Origin(f"local-dir:{folder}", folder, hub.fingerprint(folder))
    architecture, _, pretrained = model.source.partition("/")
    known = open_clip.list_models()
    if architecture not in known:
        near = get_close_matches(architecture, known, n=5, cutoff=0.3)
        raise UnknownModel(model.name, [f"open_clip:{one}" for one in near])
    file = Path(pretrained)
    if file.is_absolute():
        if not file.is_file():
            raise ModelUnavailable(model.name, f"there is no file {pretrained}")
        print_of = _fingerprint(architecture, hub.hashes({"": file})[""], {})
        return Origin(architecture, file.parent, print_of, file)
    tag = open_clip.get_pretrained_cfg(architecture, pretrained)
    if not tag:
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        raise UnknownModel(model.name, [f"open_clip:{architecture}/{one}" for one in tags])
    repository = "/".join(tag["hf_hub"].split("/")[:2])
    folder = hub.folder_of(replace(model, source=repository), options)
    preparation = {
        "image_mean": tag["mean"],
        "image_std": tag["std"],
        "image_interpolation": tag["interpolation"],
        "image_resize_mode": tag["resize_mode"],
        # Some weights were trained with another activation than their architecture has.
        "force_quick_gelu": bool(tag.get("quick_gelu")),
    }
    weights = next(folder / one for one in OPEN_CLIP_WEIGHTS if (folder / one).is_file())
    print_of = _fingerprint(architecture, hub.fingerprint(folder), preparation)
    return Origin(architecture, folder, print_of, weights, preparation)


def _check(name: str, folder: Path) -> None:
    """Raise ModelUnavailable where open_clip would take weights that are a pickle, or none."""
    names = {file.name for file in folder.iterdir()}
    safe = {one for one in names if one.endswith(".safetensors")}
    pickles = {one for one in names if one.endswith((".bin", ".pth"))}
    if safe & {*OPEN_CLIP_WEIGHTS[:2]} or (safe and not pickles):
        return
    raise ModelUnavailable(
        name, f"{folder} holds no weights as {OPEN_CLIP_WEIGHTS[0]}; pickles are not opened"
    )


def _fingerprint(architecture: str, files: str, preparation: dict[str, Any]) -> str:
    said = [architecture, files, *(f"{k}={v}" for k, v in sorted(preparation.items()))]
    return sha256("\n".join(said).encode()).hexdigest()


def _tokenizer(origin: Origin, text: dict[str, Any]) -> Any:
    """(texts) -> (m, context length) int64."""
    if not text.get("hf_tokenizer_name"):
        return open_clip.get_tokenizer(origin.name)
    # As open_clip.get_tokenizer makes it, but never from elsewhere, nor by code from there.
    return open_clip.tokenizer.HFTokenizer(
        str(origin.folder),
        context_length=text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
        tokenizer_mode=text.get("tokenizer_mode"),
        local_files_only=True,
        trust_remote_code=False,
        **text.get("tokenizer_kwargs", {}),
    )
