"""Runs CLIP, SigLIP and SigLIP 2, and models built like them, on torch with transformers.

What can follow `transformers:` in a model's name: `OWNER/NAME` of the hub, with @REVISION if need
be, or a folder with such a model, which begins with `/`, `.` or `~`. Pictures and texts are
prepared as the files beside the weights say. Weights must be safetensors; code that comes with a
model is never run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers

from pixseek.encoders import hub
from pixseek.encoders.torch_device import Tensors, TorchDevice, readable
from pixseek.errors import ModelUnavailable
from pixseek.records import Space, Vectors

if TYPE_CHECKING:
    from PIL import Image

    from pixseek.encoders import Options
    from pixseek.encoders.catalog import Model

ALWAYS_FULL = ("siglip", "siglip2")
"""Models whose texts are filled up to their full length and not masked: they were trained so."""


def load(model: Model, options: Options) -> TransformersEncoder:
    """Raises DeviceUnavailable, ModelNotFetched, ModelUnavailable."""
    device = TorchDevice(options.device)
    folder = hub.folder_of(model, options)
    fingerprint = hub.fingerprint(folder)
    try:
        return TransformersEncoder(model.name, folder, fingerprint, device)
    except Exception as error:  # torch and transformers have no base class for theirs
        raise ModelUnavailable(model.name, f"transformers does not load it ({error})") from error


class TransformersEncoder:
    """Loaded whole. float16 on cuda, else float32."""

    def __init__(self, name: str, folder: Path, fingerprint: str, device: TorchDevice) -> None:
        model = from_folder(transformers.AutoModel, folder)
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise ValueError(f"{type(model).__name__} has no vectors of pictures and texts")
        self._processor = image_processor(folder)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **HERE)
        self._tokenizing = threading.Lock()
        positions = int(model.config.text_config.max_position_embeddings)
        self._max_tokens = min(positions, self._tokenizer.model_max_length)
        self._full = model.config.model_type in ALWAYS_FULL
        self.input_size = input_size(self._processor, model.config.vision_config)
        self._device = device
        self._model = device.placed(model)
        self.space = Space(name, fingerprint, self._texts(["a"]).shape[1])

    @property
    def runs_on(self) -> str:
        """See Encoder.runs_on."""
        return self._device.runs_on

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """See Encoder.encode_images."""
        if not images:
            return np.empty((0, self.space.dimensions), np.float32)
        return self._device.vectors(
            images,
            lambda some: pixels(self._processor, some),
            lambda given: _vectors(self._model.get_image_features(**given)),
        )

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """See Encoder.encode_texts."""
        if not texts:
            return np.empty((0, self.space.dimensions), np.float32)
        return self._texts(texts)

    def _texts(self, texts: Sequence[str]) -> Vectors:
        return self._device.vectors(
            texts, self._tokens, lambda given: _vectors(self._model.get_text_features(**given))
        )

    def _tokens(self, texts: Sequence[str]) -> Tensors:
        with self._tokenizing:
            tokens = self._tokenizer(
                [readable(text) for text in texts],
                padding="max_length" if self._full else True,
                truncation=True,
                max_length=self._max_tokens,
                return_tensors="pt",
            )
        wanted = ("input_ids",) if self._full else ("input_ids", "attention_mask")
        return {name: tokens[name] for name in wanted}


HERE = {"local_files_only": True, "trust_remote_code": False}
"""What keeps transformers from asking anyone, and from running code that lies in a folder."""


def from_folder(auto: Any, folder: Path) -> Any:
    """A model of that auto class, float32, with all of its weights.

    Raises ValueError when weights are missing: transformers would make some up.
    """
    with _without_progress():
        model, info = auto.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **HERE
        )
    missing = sorted(info["missing_keys"])
    if missing:
        kind = type(model).__name__
        raise ValueError(f"{len(missing)} weights of a {kind} are missing, first {missing[0]}")
    return model


@contextmanager
def _without_progress() -> Iterator[None]:
    """transformers draws a bar for the moment that reading a file of weights takes."""
    said = transformers.utils.logging
    shown = said.is_progress_bar_enabled()
    said.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            said.enable_progress_bar()


def image_processor(folder: Path) -> Any:
    """Of its two ways to resize, the one with Pillow: models were published with it."""
    return transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", **HERE)


def pixels(processor: Any, images: Sequence[Image.Image]) -> Tensors:
    """A batch as the model takes it. images: RGB."""
    # A picture of 3 pixels in height would be taken for one with its channels first.
    made = processor(images=list(images), return_tensors="pt", input_data_format="channels_last")
    return dict(made)


def input_size(processor: Any, vision: Any) -> int:
    """Pixels of the shorter side that are looked at."""
    size = getattr(processor, "size", None) or {}
    sides = [size.get(name) for name in ("shortest_edge", "height", "width")]
    return int(max(side or 0 for side in sides) or getattr(vision, "image_size", 224))


def _vectors(made: Any) -> torch.Tensor:
    """transformers 5 returns them in an object, earlier ones did not."""
    vectors: torch.Tensor = made if isinstance(made, torch.Tensor) else made.pooler_output
    return vectors
