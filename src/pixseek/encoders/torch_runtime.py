"""Models run by torch, as open_clip and transformers run them: their own pixels, token ids, towers.

For what has no ONNX export, and for GPUs. Needs the extra `open_clip` or `transformers`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from blake3 import blake3

from pixseek.encoders.references import Reference, open_reference
from pixseek.errors import DeviceUnavailable, ExportFailed, ModelUnavailable
from pixseek.records import Space, Vectors

if TYPE_CHECKING:
    from PIL import Image

    from pixseek.encoders import Options
    from pixseek.encoders.catalog import Model

AT_ONCE = 32
"""Pictures or texts in one pass, so that a caller's batch of any size fits into memory."""
_DEVICES = ("cuda", "mps", "cpu")
_T = TypeVar("_T")


def load(model: Model, options: Options) -> TorchEncoder:
    """Raises ModelUnavailable when the weights are not here and cannot be fetched, or are a
    pickle; DeviceUnavailable."""
    if model.revision != "main":
        reason = f"torch takes no revision, and {model.revision!r} was asked for; leave it out"
        raise ModelUnavailable(model.name, reason)
    device = choose(options.device)
    with _offline(options.offline):
        try:
            reference = open_reference(f"{model.runtime}:{model.source}")
        except ExportFailed as error:
            raise ModelUnavailable(model.name, error.reason) from error
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            # What hubs, files and weights of another shape make both libraries raise.
            raise ModelUnavailable(model.name, str(error).strip()[:500]) from error
    return TorchEncoder(model, reference, device)


def choose(device: str) -> str:
    """The torch device asked for, or the fastest that is there for `auto`.

    Raises DeviceUnavailable when torch does not know it or it is not there.
    """
    there = [name for name in _DEVICES if _is_there(name)]
    if device == "auto":
        return there[0]
    if device.partition(":")[0] not in there:
        version = f"torch {torch.__version__}"
        raise DeviceUnavailable(device, f"{version} does not find it here", ["auto", *there])
    return device


def _is_there(device: str) -> bool:
    found = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    return device == "cpu" or bool(found[device]())


class TorchEncoder:
    """Safe to use from threads: one passes through the model at a time, over all cores, while
    others read and decode."""

    def __init__(self, model: Model, reference: Reference, device: str) -> None:
        self._name = model.name
        self._reference = reference
        self._device = torch.device(device)
        # Half precision is what GPUs are fast at; processors are slower with it.
        self._dtype = torch.float16 if self._device.type == "cuda" else torch.float32
        self._running = threading.Lock()
        self._fingerprint = _fingerprint(reference)
        for half in (reference.vision, reference.text):
            half.module.to(self._device, self._dtype).eval()
        self.input_size = int(reference.vision.example.shape[-1])

    @cached_property
    def space(self) -> Space:
        dimensions = self.encode_texts_raw(["a"]).shape[1]
        return Space(self._name, self._fingerprint, dimensions)

    @property
    def runs_on(self) -> str:
        kind = "the processor" if self._device.type == "cpu" else str(self._device)
        precision = str(self._dtype).removeprefix("torch.")
        missing = [name for name in _DEVICES[:2] if not _is_there(name)]
        why = f"; not there: {', '.join(missing)}" if self._device.type == "cpu" else ""
        return f"torch {torch.__version__} on {kind} ({precision}){why}"

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """See Encoder.encode_images."""
        return self._encoded(images, self._pass_images)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """See Encoder.encode_texts; what is past the model's context length is cut off."""
        # Tokenizers refuse lone surrogates, which undecodable arguments of a program become.
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        return self._encoded(clean, self._pass_texts)

    def encode_texts_raw(self, texts: Sequence[str]) -> Vectors:
        """The same without the width being known yet; at least one text."""
        return self._unit(self._pass_texts(texts))

    def _encoded(
        self, given: Sequence[_T], through: Callable[[Sequence[_T]], torch.Tensor]
    ) -> Vectors:
        if not given:
            return np.empty((0, self.space.dimensions), np.float32)
        parts = [given[i : i + AT_ONCE] for i in range(0, len(given), AT_ONCE)]
        return np.concatenate([self._unit(through(part)) for part in parts])

    def _pass_images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        pixels = self._reference.pixels(images).to(self._device, self._dtype)
        with self._running, torch.inference_mode():
            return self._reference.encode_pixels(pixels)

    def _pass_texts(self, texts: Sequence[str]) -> torch.Tensor:
        ids = self._reference.ids(texts).to(self._device)
        with self._running, torch.inference_mode():
            return self._reference.encode_ids(ids)

    def _unit(self, raw: torch.Tensor) -> Vectors:
        unit: Vectors = torch.nn.functional.normalize(raw.float(), dim=-1).cpu().numpy()
        return unit


def _fingerprint(reference: Reference) -> str:
    """One hash of the weights and of what says how input is prepared."""
    digest = blake3()
    for half in (reference.vision, reference.text):
        for name, value in sorted(half.module.state_dict().items()):
            digest.update(f"{half.name}.{name}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    for name, content in sorted(reference.files.items()):
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()


@contextmanager
def _offline(offline: bool) -> Iterator[None]:
    """Both libraries ask huggingface_hub, whose switch is a value of its module."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = offline or before
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
