"""Runs models of the CLIP family on ONNX Runtime: a folder in one of the layouts of the hub."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pixseek.encoders import hub, layouts, preprocess
from pixseek.encoders.catalog import ImagePreparation, TextPreparation
from pixseek.encoders.providers import CPU, Choice, choose
from pixseek.errors import DeviceUnavailable, ModelUnavailable
from pixseek.records import Space, Vectors

if TYPE_CHECKING:
    from PIL import Image

    from pixseek.encoders import Options
    from pixseek.encoders.catalog import Model

BATCH = 8
"""Inputs in one run of the model at most: of ViT-B/32 on one thread a picture takes 105 ms alone,
93 among 4, 91 among 8, 102 among 32."""

_OUTPUTS = ("embedding", "image_embeds", "text_embeds", "pooler_output")
"""Names of what is a vector, the best first: pooler_output is one of SigLIP's, which has no
projection; of CLIP's exports it is what goes into the projection."""
_NUMBERS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


def load(model: Model, options: Options) -> OnnxEncoder:
    """Raises ModelUnavailable and DeviceUnavailable; weights are loaded when first used."""
    choice = choose(options.device, onnxruntime.get_available_providers())
    folder = hub.folder_of(model, options)
    return OnnxEncoder(model, folder, choice, sure=options.device != "auto")


class OnnxEncoder:
    """Each half is loaded when first used. On the processor one thread a call, as
    docs/decisions/003-indexing-workers.md has it."""

    def __init__(self, model: Model, folder: Path, choice: Choice, *, sure: bool) -> None:
        """sure: whether a device that does not start is an error, or the processor takes over."""
        self._model = model
        self._folder = folder
        self._parts = layouts.read(folder, model)
        self._choice = choice
        self._sure = sure
        self._loading = threading.RLock()
        self.input_size = self._parts.images.shortest or self._parts.images.size

    @cached_property
    def space(self) -> Space:
        """Where no file says how many dimensions there are, this loads the text half."""
        parts = self._parts
        prepared = [
            hub.fingerprint(self._folder),
            parts.vision.name,
            parts.text.name,
            _said(parts.images, ImagePreparation(0)),
            _said(parts.texts, TextPreparation()),
        ]
        dimensions = parts.dimensions or self._texts_encoded([""]).shape[1]
        fingerprint = sha256("\n".join(prepared).encode()).hexdigest()
        return Space(self._model.name, fingerprint, dimensions)

    @property
    def runs_on(self) -> str:
        """See Encoder.runs_on; sure once a half is loaded."""
        version = ".".join(onnxruntime.__version__.split(".")[:2])
        why = f"; {self._choice.why}" if self._choice.why else ""
        return f"ONNX Runtime {version} on {self._choice.device.called}{why}"

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """See Encoder.encode_images."""
        if not images:
            return np.empty((0, self.space.dimensions), np.float32)
        half, how = self._vision, self._parts.images
        made = [
            self._run(half, {half.inputs[0].name: preprocess.pixels(images[start:end], how)})
            for start, end in _batches(len(images))
        ]
        return self._checked(_unit(np.concatenate(made)), half)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """See Encoder.encode_texts."""
        if not texts:
            return np.empty((0, self.space.dimensions), np.float32)
        return self._checked(self._texts_encoded(texts), self._text[1])

    def _texts_encoded(self, texts: Sequence[str]) -> Vectors:
        reader, half = self._text
        made = []
        for start, end in _batches(len(texts)):
            tokens = reader.tokens(texts[start:end], half.length)
            made.append(self._run(half, {one.name: _fed(one.name, tokens) for one in half.inputs}))
        return _unit(np.concatenate(made))

    def _run(self, half: Half, given: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        try:
            return half.vectors(given)
        except Exception as error:  # onnxruntime's errors share no public base class
            raise self._unavailable(half.file, f"does not run ({error})") from error

    def _checked(self, vectors: Vectors, half: Half) -> Vectors:
        """Raises ModelUnavailable when they are not of the space."""
        width, expected = vectors.shape[1], self.space.dimensions
        if width != expected:
            raise self._unavailable(half.file, f"gives {width} dimensions, expected {expected}")
        return vectors

    @property
    def _vision(self) -> Half:
        with self._loading:
            return self._loaded_vision

    @property
    def _text(self) -> tuple[preprocess.Texts, Half]:
        with self._loading:
            return self._loaded_text

    @cached_property
    def _loaded_vision(self) -> Half:
        file, how = self._parts.vision, self._parts.images
        half = self._half(file, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
        shape = half.inputs[0].shape
        if len(half.inputs) != 1 or len(shape) != 4:
            named = ", ".join(f"{one.name} {one.shape}" for one in half.inputs)
            raise self._unavailable(file, f"takes {named}; expected pictures only")
        wanted = [3, how.size, how.size]
        fixed = zip(shape[1:], wanted, strict=True)
        if any(isinstance(axis, int) and axis != side for axis, side in fixed):
            raise self._unavailable(file, f"takes pictures of {shape[1:]}, prepared are {wanted}")
        return half

    @cached_property
    def _loaded_text(self) -> tuple[preprocess.Texts, Half]:
        # A command waits for this. Basic optimization opens faster than the full one and answers as
        # fast; without prepacked weights it opens faster still, but each text takes twice as long
        # (ViT-B/32: 445 + 14, 345 + 15, 268 + 28 ms).
        basic = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        half, how = self._half(self._parts.text, basic), self._parts.texts
        if half.length is not None and half.length < how.context_length:
            how = TextPreparation(half.length, how.clean, how.padded, how.pad_id)
        try:
            tokenizer = preprocess.read_tokenizer(self._parts.tokenizer)
        except ValueError as error:
            raise ModelUnavailable(self._model.name, str(error)) from error
        return preprocess.Texts(tokenizer, how, pad_token=self._parts.pad_token), half

    def _half(self, file: Path, level: onnxruntime.GraphOptimizationLevel) -> Half:
        """One of the model's halves in a session. Raises ModelUnavailable, DeviceUnavailable."""
        device = self._choice.device
        providers = [(device.provider, device.options), (CPU, {})]
        try:
            session = onnxruntime.InferenceSession(
                str(file),
                _options(device.name, level),
                providers=providers[device.provider == CPU :],
            )
        except Exception as error:  # onnxruntime's errors share no public base class
            raise self._unavailable(file, f"does not load ({error})") from error
        if session.get_providers()[0] != device.provider:
            self._fall_back()
            return self._half(file, level)
        inputs = [Input(one.name, one.shape, one.type) for one in session.get_inputs()]
        unknown = [one for one in inputs if one.type not in _NUMBERS]
        if unknown:
            raise self._unavailable(file, f"takes {unknown[0].type} as {unknown[0].name}")
        found = {one.name: len(one.shape) for one in session.get_outputs()}
        flat = [name for name in (*_OUTPUTS, *found) if found.get(name) == 2]
        if not flat:
            raise self._unavailable(
                file, f"gives {', '.join(found)}; expected one of {', '.join(_OUTPUTS)}"
            )
        return Half(file, session, inputs, flat[0])

    def _fall_back(self) -> None:
        """The device did not start: an error if it was asked for, else the processor does it."""
        device = self._choice.device
        why = f"{device.name}: {device.provider} did not start, see what onnxruntime printed"
        if self._sure:
            raise DeviceUnavailable(device.name, why, ["auto", "cpu"])
        self._choice = Choice(choose("cpu", [CPU]).device, why)

    def _unavailable(self, file: Path, reason: str) -> ModelUnavailable:
        name = file.relative_to(self._folder).as_posix()
        return ModelUnavailable(self._model.name, f"{name} {reason}")


class Input(NamedTuple):
    """What a half takes."""

    name: str
    shape: list[int | str]
    """A name where the length is free."""
    type: str


class Half:
    """One of a model's halves, loaded. Safe to use from threads."""

    def __init__(
        self, file: Path, session: onnxruntime.InferenceSession, inputs: list[Input], output: str
    ) -> None:
        self.file = file
        self._session = session
        self._output = output
        self.inputs = inputs
        batch, *others = inputs[0].shape
        self._batch = batch if isinstance(batch, int) else None
        self.length = others[0] if len(others) == 1 and isinstance(others[0], int) else None
        """Tokens that must be given, None when any number may be."""

    def vectors(self, given: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """(n, d), of the length the model gave them. given: (n, ...) each."""
        n = len(next(iter(given.values())))
        step = self._batch or n
        rows = []
        for start in range(0, n, step):
            part = {
                one.name: _whole(given[one.name][start : start + step], step).astype(
                    _NUMBERS[one.type], copy=False
                )
                for one in self.inputs
            }
            rows.append(self._session.run([self._output], part)[0][: n - start])
        return np.concatenate(rows).astype(np.float32, copy=False)


def _whole(rows: NDArray[Any], n: int) -> NDArray[Any]:
    """n rows; where there are fewer, the last one again."""
    return rows if len(rows) == n else np.concatenate([rows, rows[-1:].repeat(n - len(rows), 0)])


def _fed(name: str, tokens: preprocess.Tokens) -> NDArray[np.int64]:
    """What a text half takes by that name."""
    if "mask" in name:
        return tokens.mask
    if "position" in name:
        return np.broadcast_to(np.arange(tokens.ids.shape[1]), tokens.ids.shape)
    if "type" in name:
        return np.zeros_like(tokens.ids)
    return tokens.ids


def _options(device: str, level: onnxruntime.GraphOptimizationLevel) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    if device == "cpu":
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device == "directml":  # it works with neither
        options.enable_mem_pattern = False
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    return options


def _batches(n: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + BATCH, n)) for start in range(0, n, BATCH))


def _unit(vectors: NDArray[np.float32]) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _said(how: ImagePreparation | TextPreparation, default: object) -> str:
    """What differs from the defaults, so that a field that comes later changes no fingerprint."""
    usual = asdict(default)  # type: ignore[call-overload]  # of the same class as `how`
    return json.dumps({k: v for k, v in asdict(how).items() if v != usual[k]}, sort_keys=True)
