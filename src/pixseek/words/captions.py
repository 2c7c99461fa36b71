"""Captions by BLIP: a sentence of English that says what a picture shows.

Source: Li et al. 2022, https://arxiv.org/abs/2201.12086; run by transformers on torch.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import transformers

from pixseek.encoders import Options, hub, resolve
from pixseek.encoders.torch_device import Tensors, TorchDevice, readable
from pixseek.encoders.transformers import HERE, from_folder, image_processor, input_size, pixels
from pixseek.errors import ModelUnavailable, UnknownModel
from pixseek.records import Metadata

if TYPE_CHECKING:
    from PIL import Image

BASE = "Salesforce/blip-image-captioning-base"
LARGE = "Salesforce/blip-image-captioning-large"
NAMES = {"blip-base": BASE, "blip-large": LARGE}
BEAMS = 3
MAX_TOKENS = 20
"""New ones, about fifteen words. Both as the authors have them (their caption_coco.yaml)."""


def load(options: Options, *, model: str | None = None, prompt: str | None = None) -> Captioner:
    """model: of NAMES, or see `Captioner`, its source. Raises as that does."""
    return Captioner(NAMES.get(model or "", model or BASE), options, prompt=prompt)


class Captioner:
    """Fills `caption`. A picture has the same caption every time, alone and among others."""

    field = "caption"

    def __init__(
        self,
        source: str = BASE,
        options: Options | None = None,
        *,
        prompt: str | None = None,
        beams: int = BEAMS,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        """source: a BLIP model of the hub, OWNER/NAME@REVISION, or a folder, which begins with
            `/`, `.` or `~`.
        prompt: what captions that `describe` gives begin with.
        beams: sentences that are thought of at once; 1 is the fastest, takes the likeliest word
            each time, and writes worse.
        max_tokens: the longest caption, after the prompt.
        Raises UnknownModel for '', DeviceUnavailable, ModelNotFetched, ModelUnavailable.
        """
        options = options or Options()
        model = resolve(f"transformers:{source.removeprefix('transformers:')}")
        if model is None:
            raise UnknownModel(source, [BASE, LARGE])
        self._device = TorchDevice(options.device)
        self._prompt = prompt
        self._generation = {"num_beams": beams, "max_new_tokens": max_tokens, "do_sample": False}
        self._tokenizing = threading.Lock()
        folder = hub.folder_of(model, options)
        try:
            blip = from_folder(transformers.BlipForConditionalGeneration, folder)
            self._processor = image_processor(folder)
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **HERE)
        except Exception as error:  # torch and transformers have no base class for theirs
            raise ModelUnavailable(model.name, f"it is no BLIP model ({error})") from error
        self.input_size = input_size(self._processor, blip.config.vision_config)
        self._max_prompt = int(blip.config.text_config.max_position_embeddings) - max_tokens
        self._model: Any = self._device.placed(blip)

    @property
    def runs_on(self) -> str:
        """See Encoder.runs_on."""
        return self._device.runs_on

    def describe(self, images: Sequence[Image.Image]) -> list[Metadata]:
        """See Describer.describe."""
        captions = self.caption(images, prompt=self._prompt)
        return [{self.field: caption} if caption else {} for caption in captions]

    def caption(self, images: Sequence[Image.Image], *, prompt: str | None = None) -> list[str]:
        """One caption a picture, in the order given; '' where the model has nothing to say.

        images: upright RGB, any size (reader.read gives these).
        prompt: what each caption begins with ("a photo of"); the model goes on from there.
        """
        start = self._start(prompt) if prompt and prompt.strip() else {}
        batches = self._device.batches(
            images,
            partial(pixels, self._processor),
            lambda given: self._generated(given, start),
        )
        with self._tokenizing:
            return [
                caption.strip()
                for tokens in batches
                for caption in self._tokenizer.batch_decode(tokens, skip_special_tokens=True)
            ]

    def _start(self, prompt: str) -> Tensors:
        with self._tokenizing:
            tokens = self._tokenizer(
                [readable(prompt)],
                truncation=True,
                max_length=self._max_prompt,
                return_tensors="pt",
            )
        return {name: tokens[name] for name in ("input_ids", "attention_mask")}

    def _generated(self, given: Tensors, start: Tensors) -> torch.Tensor:
        pictures = given["pixel_values"]
        prompts = {
            name: one.to(pictures.device).repeat(len(pictures), 1) for name, one in start.items()
        }
        tokens: torch.Tensor = self._model.generate(pictures, **prompts, **self._generation)
        return tokens[:, 1:]  # the first begins every caption, and is no word
