"""Runs models of torch: which device and numbers, in batches, one batch at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
import torch

from pixseek.errors import DeviceUnavailable
from pixseek.records import Vectors

BATCH = 16
"""Inputs that a model is given at once at most: about 10 MB of pixels at 224 pixels a side."""

Tensors: TypeAlias = Mapping[str, torch.Tensor]
Given = TypeVar("Given")
Module = TypeVar("Module", bound=torch.nn.Module)


class TorchDevice:
    """One device for one model. Safe to use from threads.

    Batches are prepared on the threads of those who call; the model takes them one at a time, over
    as many cores as torch is set to use. That setting is the process's own, and is left alone.
    """

    def __init__(self, asked: str) -> None:
        """asked: auto (cuda if there is one, or else mps, or else cpu), or a device of torch.

        Raises DeviceUnavailable.
        """
        self.device = torch.device(_best()) if asked == "auto" else _checked(asked)
        self.dtype = torch.float16 if self.device.type == "cuda" else torch.float32
        self._turn = threading.Lock()

    @property
    def runs_on(self) -> str:
        """See Encoder.runs_on."""
        version = ".".join(torch.__version__.split(".")[:2])
        numbers = str(self.dtype).removeprefix("torch.")
        if self.device.type != "cpu":
            return f"torch {version} on {self.device} ({numbers})"
        why = "; cuda: not available" if _best() == "cpu" else ""
        return f"torch {version} on the processor ({numbers}){why}"

    def placed(self, model: Module) -> Module:
        """The model on the device, ready to be run and never to be trained."""
        model.eval().requires_grad_(False).to(self.device, self.dtype)
        return model

    def batches(
        self,
        given: Sequence[Given],
        prepare: Callable[[Sequence[Given]], Tensors],
        compute: Callable[[Tensors], torch.Tensor],
    ) -> list[torch.Tensor]:
        """What the model makes of what is given, a batch each, on the processor."""
        made = []
        for start in range(0, len(given), BATCH):
            prepared = prepare(given[start : start + BATCH])
            with self._turn, torch.inference_mode():
                made.append(compute({k: self._moved(v) for k, v in prepared.items()}).cpu())
        return made

    def vectors(
        self,
        given: Sequence[Given],
        prepare: Callable[[Sequence[Given]], Tensors],
        compute: Callable[[Tensors], torch.Tensor],
    ) -> Vectors:
        """(n, d) float32, rows of length 1; n is at least 1."""
        rows = torch.cat(self.batches(given, prepare, compute)).float()
        unit: Vectors = torch.nn.functional.normalize(rows, dim=-1).numpy().astype(np.float32)
        return unit

    def _moved(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)


def readable(text: str) -> str:
    """Without lone surrogates, which undecodable arguments of a program become, and which no
    tokenizer takes."""
    return text.encode("utf-8", "replace").decode()


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _checked(asked: str) -> torch.device:
    try:
        device = torch.device(asked)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # as torch was built
        reason = str(error).splitlines()[0]
        raise DeviceUnavailable(asked, reason, sorted({"auto", _best(), "cpu"})) from error
    return device
